"""The Panda (FER; system 4.2.1 or later; FCI protocol 5) through `panda_py`.

Its motions are trajectories that a spring of torques follows, in C++ at 1 kHz. panda_py raises nothing when a reflex
ends one, and clears a reflex by itself before the next: both are seen to here.
"""

import contextlib
import logging
import threading
import time

import numpy as np
from panda_py import libfranka, motion

from casher_franka.driver import Failed, HandMeasured, Lost, Measured, NoPlan
from casher_franka.franka_arm import FrankaArm
from casher_franka.joint_way import joints_to
from casher_franka.panda_connection import LOGGER, connect, let_go
from casher_franka.rest import Rest
from casher_policy.action import OPEN_WIDTH_M

REST_WINDOW_S = 0.1
BLEND_RAD, PLAN_S = 0.02, 2.0
"""How far a trajectory may cut its corners, as in panda_py, and how long it may take to find."""
STARTED_S = 0.005
"""panda_py says that it starts a controller this long, at most, before there is one to stop."""
HALT_S = 1.5
"""libfranka itself gives a robot that went silent up after 1 s."""


_HELD = {
    libfranka.RobotMode.kUserStopped: "user_stop",
    libfranka.RobotMode.kGuiding: "user_stop",
    libfranka.RobotMode.kOther: "not_ready",
}
"""Modes in which no program moves the arm -> name of the fault."""


def open_arm(config):
    """FrankaConfig -> Arm; ArmFault says why not."""
    return FrankaArm(lambda: PandaDriver(config))


class _Watch(logging.Handler):
    """Listens to what panda_py says, which is the only way to know, and to forbid, some of what it does."""

    def __init__(self):
        super().__init__()
        self.started_at = None
        """time.monotonic() of the running controller's start."""

    def emit(self, record):
        message = record.getMessage()
        if message.startswith("Starting new controller"):
            self.started_at = time.monotonic()
        elif message.startswith("Irregular state detected"):
            raise RuntimeError("the robot is not ready to move: clear its error, or unlock its joints in Desk")


class PandaDriver:
    """`driver.Driver` of a real Panda."""

    hand_period_s = 0.1
    """Reading the hand stops all of Python until the hand's next state."""

    def __init__(self, config):
        self._config = config
        self._watch = _Watch()
        logger = logging.getLogger(LOGGER)
        logger.handlers, logger.propagate = [self._watch], False
        logger.setLevel(logging.INFO)
        logging.getLogger("motion").setLevel(logging.WARNING)
        self._panda, self._gripper = connect(config)
        self._reading = threading.Lock()
        self._worker = None
        self._error = None
        self._rest = Rest(REST_WINDOW_S)
        self._duration_s = 0.0
        self._due_s = None
        """When the running trajectory has run off, by the robot's clock."""
        self._last = None
        self.measure()

    def measure(self):
        """See `Driver`."""
        with self._reading:
            if self._worker is None:
                self._last = self._read()
            else:  # libfranka lets nobody else read while it controls
                self._last = self._overhear()
                self._look_for_rest()
            return self._last

    def _look_for_rest(self):
        """Only once the trajectory has run off: before, an arm that has not yet set out looks the same."""
        if self._watch.started_at is None:
            return
        if self._due_s is None:
            self._due_s = self._last.clock_s + self._duration_s
        if self._last.clock_s > self._due_s:
            self._rest.add(self._last.clock_s, self._last.joint_positions)

    def _read(self):
        try:
            state = self._panda.get_state()
        except RuntimeError as error:
            raise Lost(str(error)) from error
        irregular = state.robot_mode == libfranka.RobotMode.kReflex or bool(state.current_errors)
        return Measured(
            clock_s=state.time.to_sec(),
            T_base_tcp=np.reshape(state.O_T_EE, (4, 4), order="F"),
            joint_positions=np.array(state.q),
            joint_velocities=np.array(state.dq),
            mode=_HELD.get(state.robot_mode, "reflex" if irregular else ""),
            errors=str(state.current_errors) if irregular else "",
        )

    def _overhear(self):
        """The latest state that went through the running control loop, or the last one known."""
        log = self._panda.get_log()
        if not log["time"]:
            return self._last
        return Measured(
            clock_s=float(log["time"][-1][0]) * 1e-3,
            T_base_tcp=np.reshape(log["O_T_EE"][-1], (4, 4), order="F"),
            joint_positions=np.array(log["q"][-1]),
            joint_velocities=np.array(log["dq"][-1]),
            mode="",
        )

    def measure_hand(self):
        """See `Driver`."""
        try:
            state = self._gripper.read_once()
        except RuntimeError as error:
            raise Lost(str(error)) from error
        return HandMeasured(state.width, state.is_grasped)

    def begin_pose(self, T_base_tcp, fraction):
        """See `Driver`."""
        self._follow(joints_to(T_base_tcp, self.measure(), "panda"), fraction)

    def begin_joints(self, joint_positions, fraction):
        """See `Driver`."""
        self._follow(np.array([joint_positions]), fraction)

    def _follow(self, waypoints, fraction):
        config, panda = self._config, self._panda
        speed = fraction * config.dynamics_factor
        try:
            trajectory = motion.JointTrajectory([self.measure().joint_positions, *waypoints], speed, BLEND_RAD, PLAN_S)
        except RuntimeError as error:
            raise NoPlan(str(error)) from error
        self._duration_s = trajectory.get_duration()
        self._begin(
            lambda: panda.move_to_joint_position(
                list(waypoints),
                speed_factor=speed,
                stiffness=np.array(config.panda_stiffness),
                damping=np.array(config.panda_damping),
            )
        )

    def _begin(self, move):
        with self._reading:
            self._panda.enable_logging(1)  # empties the log, too
            self._watch.started_at = self._error = self._due_s = None
            self._rest = Rest(REST_WINDOW_S)
            self._worker = threading.Thread(target=self._work, args=(move,), daemon=True)
        self._worker.start()

    def _work(self, move):
        try:
            move()  # that it says whether it arrived does not matter: what is measured does
            self._panda.raise_error()
        except RuntimeError as error:
            self._error = error

    def wait(self, timeout_s):
        """See `Driver`."""
        worker = self._worker
        worker.join(timeout_s)
        if worker.is_alive():
            if self._rest.reached:
                self._stop_controller()  # panda_py would wait a second for a last millimetre that never comes
            return False
        with self._reading:
            self._worker = None
            try:
                self._panda.disable_logging()
                self._panda.stop_controller()  # until then it shows the last state of the motion for ever
            except RuntimeError as error:
                raise Lost(str(error)) from error
        if self._error is not None:
            self.measure()  # Lost, if that is the reason
            raise Failed(str(self._error)) from self._error
        return True

    def _stop_controller(self):
        """End the control loop, without a word to the network; only once there is one, and only once."""
        started_at = self._watch.started_at
        if started_at is None or time.monotonic() - started_at < STARTED_S or not self._panda.is_moving():
            return
        with contextlib.suppress(RuntimeError):  # it ended by itself at this moment, and the robot was asked instead
            self._panda.stop_controller()

    def halt(self):
        """See `Driver`."""
        worker, end = self._worker, time.monotonic() + HALT_S
        while worker is not None and worker.is_alive() and time.monotonic() < end:
            self._stop_controller()
            worker.join(STARTED_S)

    def reset(self):
        """See `Driver`."""
        self._told(self._panda.get_robot().automatic_error_recovery, self._read)

    def move_fingers(self, width):
        """See `Driver`."""
        return self._of_hand(lambda: self._gripper.move(width, self._config.gripper_speed))

    def grasp(self):
        """See `Driver`. Wide tolerances: closing on nothing is no fault."""
        speed, force = self._config.gripper_speed, self._config.gripper_force
        return self._of_hand(lambda: self._gripper.grasp(0.0, speed, force, OPEN_WIDTH_M, OPEN_WIDTH_M))

    def home_hand(self):
        """See `Driver`."""
        return self._of_hand(self._gripper.homing)

    def stop_hand(self):
        """See `Driver`."""
        self._of_hand(self._gripper.stop)

    def _of_hand(self, command):
        return self._told(command, self.measure_hand)

    def _told(self, command, read):
        """command(); all of libfranka's errors look alike here, so whether read() still works says which it was."""
        try:
            return command()
        except RuntimeError as error:
            read()
            raise Failed(str(error)) from error

    def close(self):
        """See `Driver`."""
        self.halt()
        let_go(self._panda, self._config.host)
        del self._panda, self._gripper
