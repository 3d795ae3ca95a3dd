import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import rotation_angle
from casher_sim.kinematics import POSITION_TOLERANCE_M, ROTATION_TOLERANCE_RAD, Kinematics
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.scene import scene_of


@pytest.fixture(scope="module")
def scene():
    return scene_of(kitchen_named("demo"), object_named("box"))


@pytest.fixture(scope="module")
def kinematics(scene):
    return Kinematics(scene.model)


def near_home(kinematics, n, spread, seed=0):
    q = np.array(HOME_JOINTS) + np.random.default_rng(seed).uniform(-spread, spread, (n, 7))
    return np.clip(q, kinematics.low + 0.05, kinematics.high - 0.05)


def test_forward_agrees_with_mujoco(scene, kinematics):
    import mujoco

    data = mujoco.MjData(scene.model)
    for q in near_home(kinematics, 20, 0.8):
        data.qpos[scene.arm_qpos] = q
        mujoco.mj_kinematics(scene.model, data)
        T = kinematics.forward(q)
        assert np.allclose(T[:3, 3], data.site_xpos[scene.tcp_site], atol=1e-12)
        assert np.allclose(T[:3, :3].ravel(), data.site_xmat[scene.tcp_site], atol=1e-12)


def test_the_start_pose_is_that_of_the_released_trajectories(kinematics):
    assert np.allclose(kinematics.forward(HOME_JOINTS)[:3, 3], [0.46, 0.0, 0.39], atol=0.01)


def test_inverse_of_forward_reaches_the_pose_within_the_joint_limits(kinematics):
    q = near_home(kinematics, 50, 0.3)
    T = kinematics.forward(q)
    solution, converged = kinematics.inverse(T, HOME_JOINTS, HOME_JOINTS)
    reached = kinematics.forward(solution)
    assert converged.all()
    assert np.linalg.norm(reached[:, :3, 3] - T[:, :3, 3], axis=1).max() < POSITION_TOLERANCE_M
    turn = np.swapaxes(T[:, :3, :3], 1, 2) @ reached[:, :3, :3]
    assert rotation_angle(turn).max() < 1.1 * ROTATION_TOLERANCE_RAD
    assert (solution >= kinematics.low).all() and (solution <= kinematics.high).all()


def test_a_batch_is_solved_as_its_elements_are(kinematics):
    T = kinematics.forward(near_home(kinematics, 5, 0.2))
    together, _ = kinematics.inverse(T, HOME_JOINTS, HOME_JOINTS)
    for i in range(5):
        alone, _ = kinematics.inverse(T[i : i + 1], HOME_JOINTS, HOME_JOINTS)
        assert np.allclose(alone[0], together[i], atol=1e-6)


def test_a_pose_out_of_reach_does_not_converge_and_spoils_no_other(kinematics):
    T = np.tile(kinematics.forward(HOME_JOINTS), (2, 1, 1))
    T[1, :3, 3] = [1.5, 0.0, 0.4]
    q, converged = kinematics.inverse(T, HOME_JOINTS, HOME_JOINTS)
    assert converged.tolist() == [True, False]
    assert np.isfinite(q).all()


def test_the_elbow_follows_the_posture_while_the_tool_goes_to_and_fro(kinematics):
    home = np.array(HOME_JOINTS)
    aside = home + np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    low, high = kinematics.forward(home), kinematics.forward(home)
    high[2, 3] += 0.03

    def to_and_fro(q, posture):
        for T in [high, low] * 10:
            q, converged = kinematics.inverse(T[None], q, posture)
            assert converged[0]
        return q

    swung = to_and_fro(home[None], aside)
    back = to_and_fro(swung, home)
    assert np.linalg.norm(swung[0] - home) > 0.2
    assert np.linalg.norm(back[0] - home) < 0.05


def test_a_pose_that_is_reached_already_moves_no_joint(kinematics):
    q = near_home(kinematics, 1, 0.3)
    assert np.array_equal(kinematics.inverse(kinematics.forward(q), q, HOME_JOINTS)[0], q)
