"""The arm's own kinematics, against those of the MuJoCo model of the FR3."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casher_franka.arm import HOME_JOINTS
from casher_franka.kinematics import (
    JOINT_RANGES,
    LINKS,
    POSITION_TOLERANCE_M,
    ROTATION_TOLERANCE_RAD,
    flange_pose,
    inverse,
    jacobian,
    joint_axes,
    link_frames,
    tcp_pose,
)
from casher_perception.geometry import rotation_angle
from casher_policy.action import decode

LOW, HIGH = JOINT_RANGES["fr3"]


def joints(n, seed=0):
    return np.random.default_rng(seed).uniform(LOW, HIGH, (n, 7))


@pytest.fixture(scope="module")
def model():
    from casher_sim import robot
    from casher_sim.kinematics import Kinematics

    return Kinematics(robot.robot_spec().compile())


def test_the_tcp_is_where_the_simulators_model_has_it(model):
    q = joints(500)
    assert np.allclose(tcp_pose(q), model.forward(q), atol=1e-4)


def test_every_link_is_where_the_simulators_model_has_it():
    from casher_sim.robot_frames import robot_frames

    for q in joints(20):
        theirs, ours = robot_frames().named(q, (0.0, 0.0)), dict(zip(LINKS, link_frames(q), strict=True))
        for i in range(8):
            assert np.allclose(ours[f"link{i}"], theirs[f"fr3_link{i}"], atol=1e-4), i
        assert np.allclose(ours["flange"][:3, 3], theirs["hand"][:3, 3], atol=1e-4)


def test_the_ranges_of_the_joints_are_the_models(model):
    assert np.allclose(LOW, model.low, atol=1e-4) and np.allclose(HIGH, model.high, atol=1e-4)


def test_the_jacobian_is_the_derivative_of_the_pose():
    q, step = joints(20), 1e-6
    J = jacobian(link_frames(q))
    for i in range(7):
        aside = q.copy()
        aside[:, i] += step
        T, T_aside = tcp_pose(q), tcp_pose(aside)
        R = (T_aside[:, :3, :3] @ T[:, :3, :3].swapaxes(1, 2) - np.eye(3)) / step
        turn = np.stack([R[:, 2, 1], R[:, 0, 2], R[:, 1, 0]], axis=-1)
        assert np.allclose(J[:, :3, i], (T_aside[:, :3, 3] - T[:, :3, 3]) / step, atol=1e-5)
        assert np.allclose(J[:, 3:, i], turn, atol=1e-5)


def test_turning_one_joint_moves_the_flange_about_its_axis():
    q = joints(20)
    axes, points = joint_axes(q)
    for j in range(7):
        step = 1e-6 * np.eye(7)[j]
        moved = (flange_pose(q + step) - flange_pose(q - step))[:, :3, 3] / 2e-6
        assert np.allclose(moved, np.cross(axes[:, j], flange_pose(q)[:, :3, 3] - points[:, j]), atol=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(0, 11))
def test_the_joints_of_an_actions_target_are_near_and_reach_it(seed, action):
    q = np.array(HOME_JOINTS) + np.random.default_rng(seed).uniform(-0.3, 0.3, 7)
    T = decode(action, tcp_pose(q), 0.08).T_base_tcp
    (found,), (reached,) = inverse(T[None], q[None])
    assert reached
    at = tcp_pose(found)
    assert np.linalg.norm(at[:3, 3] - T[:3, 3]) < POSITION_TOLERANCE_M
    assert rotation_angle(at[:3, :3].T @ T[:3, :3]) < 1.01 * ROTATION_TOLERANCE_RAD
    assert np.abs(found - q).max() < 1.0  # near a singularity, 0.2 rad of the tool take 0.7 of a joint


def test_a_pose_out_of_reach_is_not_reached_and_spoils_no_other():
    q = np.tile(HOME_JOINTS, (2, 1))
    T = tcp_pose(q)
    T[1, :3, 3] = [1.5, 0.0, 0.4]
    found, reached = inverse(T, q)
    assert reached.tolist() == [True, False]
    assert np.array_equal(found[0], q[0]) and np.isfinite(found).all()


def test_joints_of_another_number_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"\(\.\.\., 7\), got \(6,\)"):
        flange_pose(np.zeros(6))
