"""The straight way back towards the start pose: the workspace box is convex, so the tool stays within it."""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.arm import HOME_JOINTS
from casher_franka.kinematics import tcp_pose
from casher_policy.action import Target

SHARE = 0.9
"""Of what the limits allow one motion."""
THERE = 1e-3
"""[m or rad] from the start pose there is no way left."""


def towards_home(state, limits):
    """ArmState -> Target one step nearer to the start pose, the fingers as they are; None when the tool is there."""
    T, T_home = np.asarray(state.T_base_tcp), tcp_pose(np.array([HOME_JOINTS]))[0]
    way = T_home[:3, 3] - T[:3, 3]
    turn = Rotation.from_matrix(T[:3, :3].T @ T_home[:3, :3]).as_rotvec()
    way_m, turn_rad = np.linalg.norm(way), np.linalg.norm(turn)
    if way_m < THERE and turn_rad < THERE:
        return None
    fraction = min(1.0, SHARE / max(way_m / limits.translation_m, turn_rad / limits.rotation_rad))
    T_next = T.copy()
    T_next[:3, 3] += fraction * way
    T_next[:3, :3] = T[:3, :3] @ Rotation.from_rotvec(fraction * turn).as_matrix()
    return Target(T_next, state.width_command)
