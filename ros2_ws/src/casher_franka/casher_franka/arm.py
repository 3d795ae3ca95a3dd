"""What every arm, real or simulated, can do. Adapters implement `Arm`; `arm_node.ArmServer` serves them to ROS."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from casher_policy.action import Target


@dataclass(frozen=True)
class ArmState:
    """One measurement."""

    stamp_ns: int
    """[ns] since the epoch, when it was measured."""
    T_base_tcp: np.ndarray
    """(4, 4)."""
    joint_positions: np.ndarray
    """(7,) [rad]."""
    joint_velocities: np.ndarray
    """(7,) [rad/s]."""
    fingers: np.ndarray
    """(2,) [m], each finger from closed."""
    width_command: float
    """[m] distance of the fingers last asked for; what `decode` keeps while the arm moves."""
    grasped: bool
    """The fingers stopped on something before they met."""
    moving: bool
    fault: str
    """Empty, or what keeps the arm from moving: one of FAULTS."""


FAULTS = {
    "reflex": "the arm met something or a limit and stopped itself: clear the cause, then `recover`",
    "user_stop": "the user stop was pressed, or the arm guided by hand: release it, then `recover`",
    "not_ready": "the robot moves for no program: in Desk unlock its joints and activate FCI, then `recover`",
    "stopped": "`stop` was called: `recover` when it is safe",
    "connection_lost": "the robot does not answer: check cable and FCI, then `recover`",
    "outside_workspace": "the target lies outside the kitchen's workspace box",
    "unreachable": "no joint configuration near the present one reaches the target",
    "joint_limit": "a joint would come to the end of its range",
    "self_collision": "the arm would come too near to itself",
    "table": "the arm would come too near to the worktop",
    "lease": "who asked for the motion has gone silent: start it again",
    "gripper": "the gripper did not do as told: check that it is homed and free",
    "not_settled": "the arm did not come to rest in time, or something holds it far from its target: clear the cause",
    "unsafe": "the safety core refused a target that no action gives: report it",
}
"""Name of every fault of an arm and what to do about it."""


class ArmFault(Exception):
    """The arm did not do what was asked and stands still. `name` is a key of FAULTS."""

    def __init__(self, name, detail=""):
        assert name in FAULTS, name
        self.name = name
        self.detail = detail
        super().__init__(f"{name}: {detail or FAULTS[name]}")


class Arm(Protocol):
    """Methods may be called from any thread; `stop` also while another one blocks."""

    def state(self) -> ArmState:
        """The latest measurement; does not block. One older than 0.2 s keeps the arm from moving (safety.Limits)."""

    def move_to(self, target: Target) -> ArmState:
        """Go to the target and come to rest there; the state once settled. Raises ArmFault, then standing still.

        ArmFault("unreachable") is raised before anything moves: the episode goes on.
        """

    def stop(self) -> None:
        """Stand still now. A running `move_to` raises ArmFault("stopped"); moving again needs `recover`."""

    def home(self) -> ArmState:
        """Open the gripper, go to the start pose of every episode, come to rest. Raises ArmFault."""

    def recover(self) -> None:
        """Clear a fault after its cause is gone. Raises ArmFault if it persists."""

    def close(self) -> None:
        """Stand still and let go of the hardware."""


HOME_JOINTS = (0.0, -0.569, 0.0, -2.81, 0.0, 3.037, 0.741)
"""[rad], start of every episode in the released trajectories; the tool is then at about (0.46, 0, 0.39) m."""
