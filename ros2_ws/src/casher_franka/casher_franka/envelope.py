"""The bounds of the safety core: what one action may ask for, and where the arm may be in one kitchen."""

from dataclasses import dataclass

import numpy as np

from casher_franka.kinematics import JOINT_RANGES
from casher_policy.action import ActionSteps

MARGIN = 1.5
"""A target further from the measured pose than this many steps is not what `decode` gives."""
FINGERTIPS_M = 0.02
"""What of a hand that points straight down is below the tcp, with the margin of the clearance."""


@dataclass(frozen=True)
class Limits:
    """What one action may ask for."""

    translation_m: float
    """Furthest a target's position may be from the measured one."""
    rotation_rad: float
    """Furthest a target's orientation may be from the measured one."""
    state_age_s: float = 0.2
    """Oldest measurement a decision may rest on."""
    width_m: float = 0.08
    """Widest the fingers open."""
    joint_margin_rad: float = 0.05
    """Every joint keeps this far from the ends of its range."""
    self_m: float = 0.02
    """Parts of the arm keep this far from each other ..."""
    table_m: float = 0.005
    """... and from the worktop. A grasp brings the fingers near to it."""

    @classmethod
    def of(cls, steps: ActionSteps):
        """The limits for actions of these steps."""
        return cls(MARGIN * steps.translation_m, MARGIN * steps.rotation_rad)


@dataclass(frozen=True, eq=False)
class Envelope:
    """Where the arm may be in one kitchen."""

    low: np.ndarray
    """(3,) [m], lowest corner of the box of the tcp in base ..."""
    high: np.ndarray
    """(3,) ... and the highest."""
    table_m: float
    """Height of the worktop in base: the arm stays above it, but for the hand."""
    joint_low: np.ndarray
    """(7,) [rad]."""
    joint_high: np.ndarray
    """(7,) [rad]."""

    @classmethod
    def of(cls, rig, robot):
        """Of a kitchen's rig and a robot's name: 'fr3', 'panda' or 'sim' (an FR3)."""
        low, high = (np.asarray(corner, dtype=np.float64) for corner in (rig.workspace_low, rig.workspace_high))
        table_m = low[2] if rig.table_m is None else rig.table_m
        return cls(low, high, float(table_m), *JOINT_RANGES["fr3" if robot == "sim" else robot])

    def require(self, p, what):
        """ValueError unless the box holds p (3,) [m], which is `what`."""
        if not ((self.low <= p) & (p <= self.high)).all():
            raise ValueError(
                f"the workspace box {self.low.tolist()} .. {self.high.tolist()} m lacks {what}, the tool at "
                f"{np.round(p, 3).tolist()} m: draw the box in the rig file so that it holds it"
            )

    @property
    def floor_m(self):
        """Height [m] that no part of the hand goes below."""
        return self.low[2] - FINGERTIPS_M
