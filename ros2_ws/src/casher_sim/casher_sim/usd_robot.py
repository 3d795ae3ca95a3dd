"""The arm as a USD stage: one articulation, made of the MuJoCo model that the simulator runs.

The default prim is /fr3, its frame is the base frame. The joints are drawn at 0 and have position servos with the
gains of the simulator's; each finger's takes half of the distance of the fingers.
"""

from pathlib import Path

import mujoco
import numpy as np
from pxr import Sdf, Usd, UsdGeom
from scipy.spatial.transform import Rotation

from casher_perception.geometry import inverse, pose_matrix
from casher_sim import robot, usd_joints, usd_physics
from casher_sim.mass_properties import MassProperties, of_body
from casher_sim.mesh_file import plain_mesh
from casher_sim.usd_look import draw, textures_folder

ROOT = Sdf.Path("/fr3")
BASE = "fr3_link0"
"""The link that stands still."""


def export_robot(out, visuals=True):
    """Write the stage at `out`; visuals False leaves out what is only to be seen, 240 000 triangles."""
    out = Path(out)
    model = robot.robot_spec().compile()
    data = mujoco.MjData(model)
    data.qpos[:] = 0.0
    mujoco.mj_kinematics(model, data)
    stage = Usd.Stage.CreateInMemory()
    root = UsdGeom.Xform.Define(stage, ROOT)
    usd_physics.stage_metadata(stage, root)
    usd_physics.add_scene(stage)
    usd_joints.articulation(root.GetPrim(), self_collisions=False)
    for scope in ("Looks", "Materials", "Joints"):
        UsdGeom.Scope.Define(stage, ROOT.AppendChild(scope))
    links = range(model.body(BASE).id, model.nbody)
    for link in links:
        _add_link(stage, model, data, link)
    for link in links:
        _add_joint(stage, model, data, link)
    for geom in range(model.ngeom):
        if model.geom_contype[geom]:
            _add_collision(stage, model, geom)
        elif visuals and model.geom(geom).group[0] == 2:
            _add_visual(stage, model, geom, textures_folder(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".partial-{out.name}")
    stage.GetRootLayer().Export(str(partial))
    partial.replace(out)


def _path(model, link):
    return ROOT.AppendChild(model.body(link).name)


def _add_link(stage, model, data, link):
    prim = UsdGeom.Xform.Define(stage, _path(model, link))
    _place(prim, data.xpos[link], data.xmat[link].reshape(3, 3))
    properties = of_body(model, link)
    if properties.mass == 0.0:  # fixed to the world, where MuJoCo needs no mass and others do
        properties = MassProperties(1.0, np.zeros(3), 0.01 * np.eye(3))
    usd_joints.rigid_body(prim.GetPrim(), properties)
    usd_joints.float_without_gravity(prim.GetPrim())


def _add_joint(stage, model, data, link):
    joints = ROOT.AppendChild("Joints")
    if model.body(link).name == BASE:
        usd_joints.fixed_joint(stage, joints.AppendChild("base"), None, _path(model, link))
        return
    parent = model.body_parentid[link]
    T_parent_link = inverse(_pose(data, parent)) @ _pose(data, link)
    if model.body_jntnum[link] == 0:
        joint = usd_joints.fixed_joint(
            stage, joints.AppendChild(f"{model.body(link).name}_fixed"), _path(model, parent), _path(model, link)
        )
        joint.CreateLocalPos0Attr(tuple(map(float, T_parent_link[:3, 3])))
        joint.CreateLocalRot0Attr(usd_physics.quatf(Rotation.from_matrix(T_parent_link[:3, :3])))
        return
    j = model.body_jntadr[link]
    name, dof = model.joint(j).name, model.jnt_dofadr[j]
    origin, turn = model.jnt_pos[j], usd_joints.along_x(model.jnt_axis[j])
    frame0 = (
        T_parent_link[:3, :3] @ origin + T_parent_link[:3, 3],
        Rotation.from_matrix(T_parent_link[:3, :3]) * turn,
    )
    kind = "hinge" if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_HINGE else "slide"
    joint = usd_joints.moving_joint(
        stage,
        joints.AppendChild(name),
        _path(model, parent),
        _path(model, link),
        kind,
        frame0,
        (origin, turn),
        model.jnt_range[j],
    )
    usd_joints.friction_and_armature(joint, model.dof_frictionloss[dof], model.dof_armature[dof])
    # a servo of position targets brakes like passive damping does: they add up
    stiffness, damping, force = servo(model, name)
    usd_joints.drive(joint, stiffness, damping + model.dof_damping[dof], force)
    if name == robot.FINGER_JOINTS[0]:
        (coupling,) = np.flatnonzero(model.eq_type == mujoco.mjtEq.mjEQ_JOINT)
        leader = joints.AppendChild(robot.FINGER_JOINTS[1])
        usd_joints.follow(joint, leader, model.eq_solref[coupling], model.eq_solimp[coupling])


def servo(model, joint):
    """MjModel, name of a joint -> stiffness, damping and largest force (None: unlimited) of its own servo, SI units."""
    if joint in robot.ARM_JOINTS:
        actuator = model.actuator(joint)
        return float(actuator.gainprm[0]), float(-actuator.biasprm[2]), None
    # One actuator pulls the tendon (q1 + q2) / 2; with q1 = q2 each finger gets half of its force.
    actuator = model.actuator(robot.GRIPPER)
    return float(-actuator.biasprm[1] / 2), float(-actuator.biasprm[2] / 2), float(actuator.forcerange[1] / 2)


def _add_collision(stage, model, geom):
    path = _path(model, model.geom_bodyid[geom]).AppendChild(f"collision_{geom:03d}")
    position, R = model.geom_pos[geom], _matrix(model.geom_quat[geom])
    material = usd_physics.friction_material(stage, ROOT.AppendChild("Materials"), *model.geom_friction[geom])
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_BOX:
        prim = usd_physics.box(stage, path, position, model.geom_size[geom], Rotation.from_matrix(R))
        usd_physics.collide(prim, material)
    else:
        vertices, faces = _mesh(model, geom)
        prim = usd_physics.hull_mesh(stage, path, vertices @ R.T + position, faces)
        usd_physics.collide_as_hull(prim, material)
    usd_physics.contact(prim, model.geom_condim[geom], model.geom_solref[geom], model.geom_solimp[geom])


def _add_visual(stage, model, geom, textures):
    vertices, faces = _mesh(model, geom)
    material = model.geom_matid[geom]
    rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
    R = _matrix(model.geom_quat[geom])
    mesh = plain_mesh(vertices @ R.T + model.geom_pos[geom], faces, (255 * rgba[:3]).round().astype(np.uint8))
    path = _path(model, model.geom_bodyid[geom]).AppendChild(f"visual_{geom:03d}")
    draw(stage, path, mesh, ROOT.AppendChild("Looks"), textures)


def _mesh(model, geom):
    assert model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH, model.geom_type[geom]
    mesh = model.geom_dataid[geom]
    first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    first_face, faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
    return model.mesh_vert[first : first + count], model.mesh_face[first_face : first_face + faces]


def _place(xform, position, R):
    xform.AddTranslateOp().Set(tuple(map(float, position)))
    xform.AddOrientOp().Set(usd_physics.quatf(Rotation.from_matrix(R)))


def _pose(data, body):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = data.xmat[body].reshape(3, 3), data.xpos[body]
    return T


def _matrix(quat_wxyz):
    return pose_matrix(np.zeros(3), np.roll(quat_wxyz, -1))[:3, :3]
