"""The 14 discrete actions and the one place that says what each of them does (paper, section VIII).

Translations are along the robot's BASE axes, rotations about the TOOL's own axes, both from the MEASURED pose. The
paper prints a rotation step of 0.02 rad; its released trajectories turn by 0.2 rad, which is the default here.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.spatial.transform import Rotation

OPEN_WIDTH_M = 0.08
"""Distance of the fingers of the Franka hand when open."""


class Action(IntEnum):
    """In the order of the network's logits, the messages and every data set."""

    PLUS_X = 0
    MINUS_X = 1
    PLUS_Y = 2
    MINUS_Y = 3
    PLUS_Z = 4
    MINUS_Z = 5
    PLUS_RX = 6
    MINUS_RX = 7
    PLUS_RY = 8
    MINUS_RY = 9
    PLUS_RZ = 10
    MINUS_RZ = 11
    OPEN = 12
    CLOSE = 13


ACTION_NAMES = ("+x", "-x", "+y", "-y", "+z", "-z", "+rx", "-rx", "+ry", "-ry", "+rz", "-rz", "open", "close")
"""Name of each action, for people and reports."""


@dataclass(frozen=True)
class ActionSteps:
    """How far one action goes."""

    translation_m: float = 0.03
    rotation_rad: float = 0.2


RELEASED = ActionSteps()
PAPER = ActionSteps(rotation_rad=0.02)


@dataclass(frozen=True)
class Target:
    """What an action asks the arm for."""

    T_base_tcp: np.ndarray
    """(..., 4, 4) pose of the tool."""
    width: np.ndarray
    """(...) commanded distance of the fingers [m]; 0 grasps whatever is between them."""


def _deltas(steps):
    axes = np.eye(3)
    signed = np.concatenate([np.stack([axis, -axis]) for axis in axes])
    p = np.zeros((14, 3))
    p[:6] = steps.translation_m * signed
    R = np.tile(np.eye(3), (14, 1, 1))
    R[6:12] = Rotation.from_rotvec(steps.rotation_rad * signed).as_matrix()
    return p, R


def decode(action, T_base_tcp, width, steps=RELEASED):
    """The target of an action: `Target` with T_base_tcp (..., 4, 4) and width (...).

    action: (...) integers 0..13; T_base_tcp: (..., 4, 4) measured pose; width: (...) [m] commanded so far, kept by the
    actions that move. A batch gives bit for bit what its elements give alone. Raises ValueError for an index outside
    0..13.
    """
    action = np.asarray(action)
    if not np.issubdtype(action.dtype, np.integer) or np.any((action < 0) | (action > 13)):
        raise ValueError(f"an action is an integer 0..13 ({' '.join(ACTION_NAMES)}), got {action.tolist()}")
    dp, dR = _deltas(steps)
    target = np.array(T_base_tcp, dtype=np.float64)
    target[..., :3, 3] += dp[action]
    # einsum, not matmul: no BLAS, so the same bits whatever the batch. Moves keep the measured rotation untouched.
    turned = np.einsum("...ij,...jk->...ik", target[..., :3, :3], dR[action])
    turns = ((action >= Action.PLUS_RX) & (action <= Action.MINUS_RZ))[..., None, None]
    target[..., :3, :3] = np.where(turns, turned, target[..., :3, :3])
    width = np.where(action == Action.OPEN, OPEN_WIDTH_M, np.where(action == Action.CLOSE, 0.0, width))
    return Target(target, width)
