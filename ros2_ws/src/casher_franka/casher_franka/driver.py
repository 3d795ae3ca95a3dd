"""What an adapter to a robot's client library offers; `franka_arm.FrankaArm` makes an `Arm` of it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Lost(Exception):
    """The robot does not answer: only a new connection helps."""


class Failed(Exception):
    """The robot did not carry the command out."""


class NoPlan(Failed):
    """The client found no trajectory, before anything moved; it may find a slower one."""


@dataclass(frozen=True)
class Measured:
    """What the robot says of itself at one moment."""

    clock_s: float
    """[s] of the robot's own clock."""
    T_base_tcp: np.ndarray
    """(4, 4)."""
    joint_positions: np.ndarray
    """(7,) [rad]."""
    joint_velocities: np.ndarray
    """(7,) [rad/s]."""
    mode: str
    """Empty when fit to move, else a key of arm.FAULTS: 'reflex', 'user_stop' or 'not_ready'."""
    errors: str = ""
    """The robot's names of what is wrong."""


@dataclass(frozen=True)
class HandMeasured:
    """What the hand says."""

    width: float
    """[m] between the fingers."""
    is_grasped: bool


class Driver(Protocol):
    """A connection to one robot and its hand. All methods raise Lost or Failed.

    `measure`, `measure_hand` and `halt` may be called from any thread, also while a motion runs; the others are called
    one at a time.
    """

    hand_period_s: float
    """[s] between two calls of `measure_hand` that the client can stand."""

    def measure(self) -> Measured:
        """The present state; waits for it, up to a second."""

    def measure_hand(self) -> HandMeasured:
        """The hand's present state; waits for it, up to a second."""

    def begin_pose(self, T_base_tcp, fraction):
        """Set out for a pose (4, 4), straight, at this fraction of the configured dynamics."""

    def begin_joints(self, joint_positions, fraction):
        """Set out for joints (7,) [rad]."""

    def wait(self, timeout_s) -> bool:
        """Whether the motion is over, after `timeout_s` at most. Raises what ended it early."""

    def halt(self):
        """End the motion that runs, if any; at once."""

    def reset(self):
        """Clear a reflex."""

    def move_fingers(self, width) -> bool:
        """Go to `width` [m]; whether it was reached."""

    def grasp(self) -> bool:
        """Close on whatever is there."""

    def home_hand(self) -> bool:
        """Let the hand find its range anew."""

    def stop_hand(self):
        """End what the fingers do."""

    def close(self):
        """Let go of the robot."""
