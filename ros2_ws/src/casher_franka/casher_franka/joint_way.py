"""The way to a pose as joints, for both arms.

Not as poses: around the start pose the axes of joints 5 and 7 are nearly parallel, so that a straight turn of the tool
at constant speed asks joints for more than they can do, and a robot that follows poses stops with a reflex.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.driver import NoPlan
from casher_franka.kinematics import JOINT_RANGES, inverse, tcp_pose

STEP_M, STEP_RAD = 0.05, 0.3
"""The tool's longest way between two points of it."""
BEND_M = 0.005
"""Furthest that the tool may be from its straight line half way between two points."""
MOST_STEPS = 64


def joints_to(T_base_tcp, measured, robot):
    """Pose (4, 4), where the arm is (Measured), key of JOINT_RANGES -> joints (N, 7) [rad] on the way there.

    NoPlan when no joints near the present ones lead there, or only ones outside the robot's range.
    """
    turn = Rotation.from_matrix(measured.T_base_tcp[:3, :3].T @ T_base_tcp[:3, :3])
    way_m = np.linalg.norm(T_base_tcp[:3, 3] - measured.T_base_tcp[:3, 3])
    steps = int(np.ceil(max(way_m / STEP_M, turn.magnitude() / STEP_RAD, 1.0)))
    while True:
        joints = _solve(T_base_tcp, measured, turn.as_rotvec(), steps, *JOINT_RANGES[robot])
        if steps >= MOST_STEPS or _bend_m(joints, measured, T_base_tcp[:3, 3]) <= BEND_M:
            return joints
        steps *= 2


def _solve(T_base_tcp, measured, turn, steps, low, high):
    """`steps` points of the straight way, turning by the rotation vector `turn` -> joints (steps, 7)."""
    R, p = measured.T_base_tcp[:3, :3], measured.T_base_tcp[:3, 3]
    q, joints = measured.joint_positions, []
    for fraction in np.linspace(0.0, 1.0, steps + 1)[1:]:
        T = np.eye(4)
        T[:3, :3] = R @ Rotation.from_rotvec(fraction * turn).as_matrix()
        T[:3, 3] = p + fraction * (T_base_tcp[:3, 3] - p)
        (q,), (reached,) = inverse(T[None], q[None])
        if not reached or (q < low).any() or (q > high).any():
            raise NoPlan(f"no joints near the present ones lead to {np.round(T_base_tcp[:3, 3], 3).tolist()}")
        joints.append(q)
    return np.array(joints)


def _bend_m(joints, measured, p_end):
    """How far off the line to p_end (3,) the tool is, at most, half way between the points of `joints` (N, 7)."""
    q = np.concatenate([measured.joint_positions[None], joints])
    fractions = (np.arange(len(joints))[:, None] + 0.5) / len(joints)
    p = measured.T_base_tcp[:3, 3]
    off = tcp_pose(0.5 * (q[:-1] + q[1:]))[:, :3, 3] - (p + fractions * (p_end - p))
    return np.linalg.norm(off, axis=1).max()
