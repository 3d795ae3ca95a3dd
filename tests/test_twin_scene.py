"""A twin in the physics model: it holds still, it holds what lies on it, and its door turns."""

import mujoco
import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS
from casher_sim import robot
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin_scene import add_twin

SINK, DOOR = 3, 5
"""Seeds: a kitchen with a bowl of four flat walls, one with a door."""


def model_of(seed, folder, box=None):
    """Robot, twin and, when given its position, a 5 cm box -> model, data with the arm at home, twin, names."""
    twin, files = kitchen(seed)
    save_kitchen(folder, twin, files)
    spec = robot.robot_spec()
    names = add_twin(spec, twin, folder)
    if box is not None:
        body = spec.worldbody.add_body(name="box", pos=box)
        body.add_freejoint(name="box")
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.025] * 3,
            mass=0.41,
            contype=robot.OBJECT,
            conaffinity=robot.ROBOT | robot.OBJECT | robot.STATIC,
        )
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, q in zip(robot.ARM_JOINTS, HOME_JOINTS, strict=True):
        data.joint(name).qpos[0] = data.actuator(name).ctrl[0] = q
    return model, data, twin, names


@pytest.mark.parametrize("seed", [SINK, DOOR])
def test_robot_and_kitchen_stand_still_for_a_thousand_steps(seed, tmp_path):
    model, data, _, _ = model_of(seed, tmp_path)
    mujoco.mj_forward(model, data)
    start = data.xpos.copy()
    mujoco.mj_step(model, data, 1000)
    assert np.isfinite(data.qpos).all()
    assert data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number == 0
    np.testing.assert_allclose(data.xpos, start, atol=0.002)


@pytest.mark.parametrize("seed", [SINK, 4])  # flat walls; round
@pytest.mark.parametrize("aside", [(0.0, 0.0), (0.6, -0.6)])
def test_a_box_dropped_into_the_sink_rests_on_its_floor(seed, aside, tmp_path):
    twin, _ = kitchen(seed)
    site = twin.sites["sink"]
    x, y = np.array(site.position[:2]) + np.array(aside) * (np.array(site.half_size) - 0.04)
    model, data, _, _ = model_of(seed, tmp_path, box=[x, y, site.rim_z + 0.03])
    data.qpos[:7] = HOME_JOINTS
    data.qpos[0] = data.ctrl[0] = -2.0  # the arm looks away: nothing but the sink is under test
    mujoco.mj_step(model, data, 500)
    underside = data.body("box").xpos[2] - 0.025
    assert abs(underside - site.position[2]) < 0.002
    assert data.body("box").xmat[8] > 0.999


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_box_on_a_spawn_rests_on_the_worktop(side, tmp_path):
    twin, _ = kitchen(SINK)
    center = np.array(twin.spawns[side].center)
    model, data, _, _ = model_of(SINK, tmp_path, box=center + np.array([0, 0, 0.03]))
    mujoco.mj_step(model, data, 300)
    np.testing.assert_allclose(data.body("box").xpos - [0, 0, 0.025], center, atol=0.002)


def test_a_door_opens_under_a_pull_at_its_handle_and_only_outwards(tmp_path):
    model, data, twin, names = model_of(DOOR, tmp_path)
    door, joint = model.body(names.bodies["door"]).id, names.joints["door"]
    data.qpos[0] = data.ctrl[0] = 2.2  # the arm stands aside
    for sign, low, high in ((-1, -0.02, 0.02), (1, 0.65, 1.8)):
        for _ in range(600):
            outward = data.xmat[door].reshape(3, 3) @ twin.handle.outward
            torque = np.zeros(3)
            data.qfrc_applied[:] = 0.0
            mujoco.mj_applyFT(
                model,
                data,
                sign * 5.0 * outward,
                torque,
                data.site(names.sites["handle"]).xpos,
                door,
                data.qfrc_applied,
            )
            mujoco.mj_step(model, data)
        assert low < data.joint(joint).qpos[0] < high


def test_a_moved_root_takes_sites_and_geometry_along(tmp_path):
    model, data, twin, names = model_of(SINK, tmp_path)
    shift = np.array([0.02, -0.03, 0.04])
    model.body(names.root).pos[:] = shift
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.site(names.sites["sink"]).xpos, twin.sites["sink"].position + shift, atol=1e-9)


def test_nothing_that_is_only_seen_is_in_the_model(tmp_path):
    model, _, _, names = model_of(SINK, tmp_path)
    of_twin = [g for g in range(model.ngeom) if model.body(model.geom_bodyid[g]).name in names.bodies.values()]
    assert of_twin and all(model.geom_contype[g] == robot.STATIC for g in of_twin)
