"""The FR3 through `franky` (system 5.9 or later; FCI protocol 10).

franky's 1 kHz loop runs in C++; nothing here keeps it waiting.
"""

import contextlib

import franky
import numpy as np

from casher_franka.driver import Failed, HandMeasured, Lost, Measured, NoPlan
from casher_franka.franka_arm import FrankaArm
from casher_franka.franky_connection import FAILED, LOST, connect
from casher_franka.joint_way import joints_to
from casher_policy.action import OPEN_WIDTH_M

PLANNER_FAILED = "Motion planner failed"
_MODES = {
    franky.RobotMode.Reflex: "reflex",
    franky.RobotMode.UserStopped: "user_stop",
    franky.RobotMode.Guiding: "user_stop",
    franky.RobotMode.Other: "not_ready",
}
_FIT = (franky.RobotMode.Idle, franky.RobotMode.Move)


def open_arm(config):
    """FrankaConfig -> Arm; ArmFault says why not."""
    return FrankaArm(lambda: FrankyDriver(config))


@contextlib.contextmanager
def _translated():
    """franky's exceptions as those of a driver."""
    try:
        yield
    except LOST as error:
        raise Lost(str(error)) from error
    except FAILED as error:
        raise Failed(str(error)) from error
    except RuntimeError as error:  # errors of libfranka's sockets come through as such, and the planner's
        raise (NoPlan if PLANNER_FAILED in str(error) else Lost)(str(error)) from error


def _explained(state):
    """What a robot that does not follow motions says: its errors in a reflex, else its mode's name."""
    if state.robot_mode == franky.RobotMode.Reflex:
        return str(state.current_errors)
    return "" if state.robot_mode in _FIT else f"robot mode {state.robot_mode.name}"


class FrankyDriver:
    """`driver.Driver` of a real FR3."""

    hand_period_s = 0.01

    def __init__(self, config):
        self._config = config
        self._robot, self._gripper = connect(config)

    def measure(self):
        """See `Driver`."""
        with _translated():
            state = self._robot.state
        return Measured(
            clock_s=state.time.to_sec(),
            T_base_tcp=np.array(state.O_T_EE.matrix),
            joint_positions=np.array(state.q),
            joint_velocities=np.array(state.dq),
            mode=_MODES.get(state.robot_mode, ""),
            errors=_explained(state),
        )

    def measure_hand(self):
        """See `Driver`."""
        with _translated():
            state = self._gripper.state
        return HandMeasured(state.width, state.is_grasped)

    def begin_pose(self, T_base_tcp, fraction):
        """See `Driver`."""
        self._follow(joints_to(T_base_tcp, self.measure(), "fr3"), fraction)

    def begin_joints(self, joint_positions, fraction):
        """See `Driver`."""
        self._follow([joint_positions], fraction)

    def _follow(self, waypoints, fraction):
        points = [franky.JointWaypoint(franky.JointState(list(q))) for q in waypoints]
        with _translated():
            self._robot.move(franky.JointWaypointMotion(points, relative_dynamics_factor=fraction), asynchronous=True)

    def wait(self, timeout_s):
        """See `Driver`."""
        with _translated():
            return self._robot.join_motion(timeout_s)

    def halt(self):
        """See `Driver`."""
        with _translated():
            self._robot.stop()

    def reset(self):
        """See `Driver`. What recover_from_errors() returns may be False although it worked: the mode decides."""
        with _translated():
            self._robot.recover_from_errors()

    def move_fingers(self, width):
        """See `Driver`."""
        with _translated():
            return self._gripper.move(width, self._config.gripper_speed)

    def grasp(self):
        """See `Driver`. Wide tolerances: closing on nothing is no fault."""
        with _translated():
            return self._gripper.grasp(
                0.0, self._config.gripper_speed, self._config.gripper_force, OPEN_WIDTH_M, OPEN_WIDTH_M
            )

    def home_hand(self):
        """See `Driver`."""
        with _translated():
            return self._gripper.homing()

    def stop_hand(self):
        """See `Driver`."""
        with _translated():
            self._gripper.stop()

    def close(self):
        """See `Driver`."""
        del self._robot, self._gripper
