"""What the expert's scripts share: single actions that bring the tool nearer to where it should be."""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_policy.action import OPEN_WIDTH_M, Action

OPEN_M = 0.9 * OPEN_WIDTH_M
"""Fingers further apart than this are open."""
_SLACK_RAD = 0.02


def translate(error, axes=(0, 1, 2)):
    """The action along that axis of `axes` on which `error` (3,) [m], base frame, is greatest."""
    axis = max(axes, key=lambda i: abs(error[i]))
    return Action(2 * axis + (0 if error[axis] > 0 else 1))


def turn(R_base_goal, R_base_tcp, steps, about=(0, 1, 2)):
    """The rotation that brings the tool nearer to R_base_goal (3, 3), or None within half a step of it.

    about: the tool's axes that matter.
    """
    error = Rotation.from_matrix(R_base_tcp.T @ R_base_goal).as_rotvec()
    axis = max(about, key=lambda i: abs(error[i]))
    if abs(error[axis]) <= steps.rotation_rad / 2 + _SLACK_RAD:
        return None
    return Action(Action.PLUS_RX + 2 * axis + (0 if error[axis] > 0 else 1))


def leaned(lean_rad):
    """(3, 3) rotation of a tool whose fingers close along y: straight down at 0, straight ahead at pi/2."""
    down = Rotation.from_euler("x", np.pi)
    return (Rotation.from_euler("y", -lean_rad) * down).as_matrix()
