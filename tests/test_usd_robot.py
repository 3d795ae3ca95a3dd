import mujoco
import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade, UsdValidation

from casher_sim import robot
from casher_sim.usd_robot import export_robot, servo


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    path = tmp_path_factory.mktemp("robot") / "fr3.usdc"
    export_robot(path, visuals=False)
    return Usd.Stage.Open(str(path))


@pytest.fixture(scope="module")
def model():
    return robot.robot_spec().compile()


def joint(stage, name):
    return stage.GetPrimAtPath(f"/fr3/Joints/{name}")


def matrix(position, rotation):
    T = Gf.Matrix4d().SetRotate(Gf.Quatd(rotation)).SetTranslateOnly(Gf.Vec3d(position))
    return np.array(T).T


def test_no_validator_of_usd_finds_anything(stage):
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    assert [error.GetMessage() for error in context.Validate(stage)] == []


def test_links_stand_where_the_chain_of_joints_puts_them(stage):
    cache = UsdGeom.XformCache()
    for prim in stage.GetPrimAtPath("/fr3/Joints").GetChildren():
        written = UsdPhysics.Joint(prim)
        poses = []
        for rel, position, rotation in (
            (written.GetBody0Rel(), written.GetLocalPos0Attr(), written.GetLocalRot0Attr()),
            (written.GetBody1Rel(), written.GetLocalPos1Attr(), written.GetLocalRot1Attr()),
        ):
            targets = rel.GetTargets()
            link = stage.GetPrimAtPath(targets[0]) if targets else stage.GetPseudoRoot()
            T_base_link = np.array(cache.GetLocalToWorldTransform(link)).T
            poses.append(T_base_link @ matrix(position.Get(), rotation.Get()))
        np.testing.assert_allclose(poses[0], poses[1], atol=1e-5)


def test_the_tool_stands_where_mujoco_has_it(stage, model):
    data = mujoco.MjData(model)
    data.qpos[:] = 0.0
    mujoco.mj_kinematics(model, data)
    T = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/fr3/hand"))
    np.testing.assert_allclose(T.ExtractTranslation(), data.body("hand").xpos, atol=1e-6)
    np.testing.assert_allclose(np.array(T)[:3, :3].T, data.body("hand").xmat.reshape(3, 3), atol=1e-6)


def test_joints_keep_their_limits_and_the_simulators_servos(stage, model):
    for name in (*robot.ARM_JOINTS, *robot.FINGER_JOINTS):
        axis, unit = ("angular", np.pi / 180) if name in robot.ARM_JOINTS else ("linear", 1.0)
        kind = UsdPhysics.RevoluteJoint if name in robot.ARM_JOINTS else UsdPhysics.PrismaticJoint
        written = kind(joint(stage, name))
        limits = np.array([written.GetLowerLimitAttr().Get(), written.GetUpperLimitAttr().Get()]) * unit
        np.testing.assert_allclose(limits, model.joint(name).range, atol=1e-6)
        stiffness, damping, _ = servo(model, name)
        drive = UsdPhysics.DriveAPI(written.GetPrim(), axis)
        assert drive.GetStiffnessAttr().Get() == pytest.approx(stiffness * unit)
        passive = model.dof_damping[model.joint(name).dofadr[0]]
        assert drive.GetDampingAttr().Get() == pytest.approx((damping + passive) * unit)


def test_a_servo_pushes_each_finger_as_hard_as_the_tendon_does(model):
    stiffness, damping, force = servo(model, "finger_joint1")
    data = mujoco.MjData(model)
    data.joint("finger_joint1").qpos = data.joint("finger_joint2").qpos = 0.03
    data.joint("finger_joint1").qvel = data.joint("finger_joint2").qvel = 0.1
    data.actuator("hand").ctrl = 0.04
    mujoco.mj_forward(model, data)
    dof = model.joint("finger_joint1").dofadr[0]
    assert data.qfrc_actuator[dof] == pytest.approx(stiffness * (0.04 / 2 - 0.03) - damping * 0.1)
    assert force == pytest.approx(model.actuator("hand").forcerange[1] / 2)


def test_the_fingers_are_coupled_and_the_arm_does_not_collide_with_itself(stage):
    targets = joint(stage, "finger_joint1").GetRelationship("newton:mimicJoint").GetTargets()
    assert [str(path) for path in targets] == ["/fr3/Joints/finger_joint2"]
    assert stage.GetDefaultPrim().GetAttribute("physxArticulation:enabledSelfCollisions").Get() is False
    colliding = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)]
    assert {prim.GetParent().GetName() for prim in colliding} == set(robot.COLLIDING_LINKS)


def test_every_collision_keeps_the_simulators_friction_and_softness(stage, model):
    colliding = [geom for geom in range(model.ngeom) if model.geom_contype[geom]]
    for geom in colliding:
        link = model.body(model.geom_bodyid[geom]).name
        prim = stage.GetPrimAtPath(f"/fr3/{link}/collision_{geom:03d}")
        material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")[0].GetPrim()
        found = [
            UsdPhysics.MaterialAPI(material).GetDynamicFrictionAttr().Get(),
            material.GetAttribute("newton:torsionalFriction").Get(),
            material.GetAttribute("newton:rollingFriction").Get(),
        ]
        np.testing.assert_allclose(found, model.geom_friction[geom], rtol=1e-6)
        np.testing.assert_allclose(prim.GetAttribute("mjc:solref").Get(), model.geom_solref[geom])
        np.testing.assert_allclose(prim.GetAttribute("mjc:solimp").Get(), model.geom_solimp[geom])
        assert prim.GetAttribute("mjc:condim").Get() == model.geom_condim[geom]
    assert colliding
