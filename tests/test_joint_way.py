"""The way to a pose as joints."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from casher_franka.arm import HOME_JOINTS
from casher_franka.driver import Measured, NoPlan
from casher_franka.joint_way import BEND_M, joints_to
from casher_franka.kinematics import JOINT_RANGES, inverse, tcp_pose
from casher_policy.action import decode


def measured_at(q):
    return Measured(0.0, tcp_pose(np.asarray(q)), np.asarray(q, dtype=np.float64), np.zeros(7), "")


def poses():
    """Some around the start pose, with the wrist nearly straight in several."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        T = tcp_pose(np.array(HOME_JOINTS))
        T[:3, 3] += rng.uniform(-0.1, 0.1, 3)
        T[:3, :3] = T[:3, :3] @ Rotation.from_rotvec(rng.uniform(-0.3, 0.3, 3)).as_matrix()
        (q,), (reached,) = inverse(T[None], np.array([HOME_JOINTS]))
        if reached:
            yield q


@pytest.mark.parametrize("robot", JOINT_RANGES)
def test_the_tool_stays_near_the_straight_line_and_ends_at_the_target(robot):
    looked_at = 0
    for q in poses():
        measured = measured_at(q)
        for action in range(12):
            target = decode(action, measured.T_base_tcp, 0.0).T_base_tcp
            try:
                way = np.concatenate([q[None], joints_to(target, measured, robot)])
            except NoPlan:
                continue
            looked_at += 1
            at = np.linspace(0.0, len(way) - 1.0, 40)
            p = tcp_pose(np.stack([np.interp(at, np.arange(len(way)), joint) for joint in way.T], axis=1))[:, :3, 3]
            start, line = measured.T_base_tcp[:3, 3], target[:3, 3] - measured.T_base_tcp[:3, 3]
            along = np.clip((p - start) @ line / max(line @ line, 1e-12), 0.0, 1.0)
            assert np.linalg.norm(p - start - along[:, None] * line, axis=1).max() < 1.5 * BEND_M
            assert np.allclose(tcp_pose(way[-1]), target, atol=2e-3)
    assert looked_at > 60


@pytest.mark.parametrize("robot", JOINT_RANGES)
def test_what_no_joints_reach_or_only_others_than_the_robots_is_no_plan(robot):
    measured = measured_at(HOME_JOINTS)
    far = measured.T_base_tcp.copy()
    far[0, 3] += 2.0
    with pytest.raises(NoPlan):
        joints_to(far, measured, robot)
    q = np.array(HOME_JOINTS)
    q[6] = JOINT_RANGES[robot][1][6] - 0.01
    turned = tcp_pose(q) @ np.block([[Rotation.from_rotvec([0, 0, 0.3]).as_matrix(), np.zeros((3, 1))], [0, 0, 0, 1]])
    with pytest.raises(NoPlan):
        joints_to(turned, measured_at(q), robot)
