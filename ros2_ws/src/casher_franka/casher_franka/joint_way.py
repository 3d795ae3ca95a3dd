"""The way to a pose as joints, for both arms.

Not as poses: around the start pose the axes of joints 5 and 7 are nearly parallel, so that a straight turn of the tool
at constant speed asks joints for more than they can do, and a robot that follows poses stops with a reflex.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.driver import NoPlan
from casher_franka.kinematics import JOINT_RANGES, inverse

STEP_M, STEP_RAD = 0.05, 0.3
"""Between these the joints move as they like: one action is one step."""


def joints_to(T_base_tcp, measured, robot):
    """Pose (4, 4), where the arm is (Measured), key of JOINT_RANGES -> joints (N, 7) [rad] on the way there.

    NoPlan when no joints near the present ones lead there, or only ones outside the robot's range.
    """
    R, p = measured.T_base_tcp[:3, :3], measured.T_base_tcp[:3, 3]
    turn = Rotation.from_matrix(R.T @ T_base_tcp[:3, :3])
    way = T_base_tcp[:3, 3] - p
    steps = int(np.ceil(max(np.linalg.norm(way) / STEP_M, turn.magnitude() / STEP_RAD, 1.0)))
    q, waypoints = measured.joint_positions, []
    low, high = JOINT_RANGES[robot]
    for fraction in np.linspace(0.0, 1.0, steps + 1)[1:]:
        T = np.eye(4)
        T[:3, :3] = R @ Rotation.from_rotvec(fraction * turn.as_rotvec()).as_matrix()
        T[:3, 3] = p + fraction * way
        (q,), (reached,) = inverse(T[None], q[None])
        if not reached or (q < low).any() or (q > high).any():
            raise NoPlan(f"no joints near the present ones lead to {np.round(T_base_tcp[:3, 3], 3).tolist()}")
        waypoints.append(q)
    return np.array(waypoints)
