"""What a learned policy sees: a coloured cloud in the base frame and the robot's 9-d state (paper, section VIII)."""

from dataclasses import dataclass

import numpy as np

from casher_perception.geometry import position_quat

FINGER_MAX_M = 0.04
"""Opening of one finger of the Franka hand."""


@dataclass(frozen=True)
class Observation:
    """One observation; arrays are checked on construction."""

    points: np.ndarray
    """(N, 3) float32 [m], base frame."""
    colours: np.ndarray
    """(N, 3) uint8, red green blue."""
    robot_state: np.ndarray
    """(9,) float32: finger DOFs scaled to 0..1 (2), tcp position [m] (3), tcp orientation quat_xyzw (4).

    Of the quaternion the sign with x >= 0: with the tool down it is (1, 0, 0, 0), and w >= 0 would flip all signs with
    the smallest turn.
    """

    def __post_init__(self):
        n = len(self.points)
        for name, array, shape, dtype in (
            ("points", self.points, (n, 3), np.float32),
            ("colours", self.colours, (n, 3), np.uint8),
            ("robot_state", self.robot_state, (9,), np.float32),
        ):
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"{name} must be {shape} {np.dtype(dtype)}, got {array.shape} {array.dtype}")


def robot_state(finger_positions, T_base_tcp, finger_max=FINGER_MAX_M):
    """Fingers [m] (..., 2), each from closed, and T_base_tcp (..., 4, 4) -> the 9-d state, (..., 9) float32."""
    fingers = np.clip(np.asarray(finger_positions, dtype=np.float64) / finger_max, 0.0, 1.0)
    position, quat_xyzw = position_quat(T_base_tcp)
    quat_xyzw = np.where(quat_xyzw[..., :1] < 0, -quat_xyzw, quat_xyzw)
    return np.concatenate([fingers, position, quat_xyzw], axis=-1).astype(np.float32)
