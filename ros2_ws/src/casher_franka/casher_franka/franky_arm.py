"""The FR3 through `franky` (system 5.9 or later; FCI protocol 10).

The measured state is read by threads of its own, so `state()` never waits, whatever the arm is doing; franky's 1 kHz
loop runs in C++ and does not wait for them either.
"""

import collections
import contextlib
import threading
import time

import franky
import numpy as np

from casher_franka.arm import HOME_JOINTS, ArmFault, ArmState
from casher_franka.franky_connection import CONNECT_TIMEOUT_S, FAILED, LOST, connect, near
from casher_policy.action import OPEN_WIDTH_M

SAMPLE_PERIOD_S = 0.01
SETTLE_TIMEOUT_S = 3.0
REST_WINDOW_S, REST_RAD = 0.05, 5e-4
"""An arm has settled when no joint has gone further than this for so long. Measured speeds are too noisy to tell."""
PLANNER_FAILED = "Motion planner failed"
PLANNER_TRIES = (1.0, 0.9, 0.8)
"""Fractions of the dynamics. From a rest that is not quite one (1e-8 m/s) the planner sometimes finds no trajectory,
before anything moves, but finds a slower one."""
UNREAD = (*FAILED, RuntimeError)
"""What reading the state may raise; errors of libfranka's sockets come through as RuntimeError."""
GRIPPER_SPEED_M_S = 0.1
GRIPPER_FORCE_N = 40.0
HELD_M = 0.003
"""Fingers that stop further apart than this hold something."""
_MODE_FAULT = {franky.RobotMode.Reflex: "reflex", franky.RobotMode.UserStopped: "user_stop"}


class FrankyArm:
    """`arm.Arm` over a real FR3 and its hand."""

    def __init__(self, host, dynamics_factor=0.2, realtime="enforce"):
        """Connect; ArmFault says why not.

        dynamics_factor: of the robot's highest speed, acceleration and jerk, 0..1; realtime: 'enforce' needs a
        PREEMPT_RT kernel, 'ignore' is for simulated robots.
        """
        self._connection = host, dynamics_factor, realtime
        self._motion = threading.Lock()
        self._stopped = self._moving = self._gripping = False
        self._closed = threading.Event()
        self._connect()
        self._width_command = float(np.clip(self._hand.width, 0.0, OPEN_WIDTH_M))
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._sample_arm, self._sample_hand)]
        for thread in self._threads:
            thread.start()

    def state(self):
        """The latest measurement, at most 0.02 s old while the robot answers."""
        stamp_ns, measured = self._measured
        hand = self._hand
        half = 0.5 * hand.width
        return ArmState(
            stamp_ns=stamp_ns,
            T_base_tcp=np.array(measured.O_T_EE.matrix),
            joint_positions=np.array(measured.q),
            joint_velocities=np.array(measured.dq),
            fingers=np.array([half, half]),
            width_command=self._width_command,
            grasped=self._width_command <= 0.0 and not self._gripping and hand.is_grasped and hand.width > HELD_M,
            moving=self._moving,
            fault=self._fault(),
        )

    def move_to(self, target):
        """See `Arm`. The fingers move after the arm has come to rest."""
        with self._one_motion():
            measured = np.array(self._measured[1].O_T_EE.matrix)
            if not near(target.T_base_tcp, measured):
                pose = franky.Affine(np.asarray(target.T_base_tcp))
                self._run(lambda fraction: franky.CartesianMotion(pose, relative_dynamics_factor=fraction))
            self._grip(float(target.width))
            self._settle()
        return self.state()

    def home(self):
        """See `Arm`."""
        with self._one_motion():
            self._grip(OPEN_WIDTH_M)
            joints = franky.JointState(list(HOME_JOINTS))
            self._run(lambda fraction: franky.JointMotion(joints, relative_dynamics_factor=fraction))
            self._settle()
        return self.state()

    def stop(self):
        """See `Arm`. First the arm, then a hand that is opening or closing; one that holds something keeps its grip."""
        self._stopped = True
        try:
            self._robot.stop()
            if self._gripping:
                self._gripper.stop()
        except LOST as error:
            self._lost = str(error)
        except FAILED:
            # Nothing was running, or the robot had stopped itself already: it stands still, which is what was asked.
            pass

    def recover(self):
        """See `Arm`. After a lost connection only a new one helps, so this makes one."""
        if self._lost:
            self._connect()
        elif self._fault_of_mode() == "reflex":
            try:
                self._robot.recover_from_errors()  # its return value may be False although it worked: the mode decides
            except FAILED as error:
                raise self._translate(error) from error
            self._next_measurement()
        name = self._fault_of_mode()
        if name:
            raise ArmFault(name)
        self._stopped = False

    def close(self):
        """See `Arm`."""
        self._closed.set()
        if self._moving:
            self.stop()
        for thread in self._threads:
            thread.join()
        del self._robot, self._gripper

    def _connect(self):
        robot, gripper = connect(*self._connection)
        self._measured, self._hand = (time.time_ns(), robot.state), gripper.state
        self._robot, self._gripper, self._lost = robot, gripper, ""

    def _sample_arm(self):
        while not self._closed.wait(SAMPLE_PERIOD_S):
            if not self._lost:
                try:
                    measured = self._robot.state
                    self._measured = time.time_ns(), measured
                except UNREAD as error:
                    self._lost = str(error)

    def _sample_hand(self):
        # Apart from the arm: the hand sends its state more seldom and this waits for it.
        while not self._closed.wait(SAMPLE_PERIOD_S):
            if not self._lost:
                try:
                    self._hand = self._gripper.state
                except UNREAD as error:
                    self._lost = str(error)

    def _next_measurement(self):
        """Wait for a measurement made after now; False when none comes."""
        asked_ns, end = time.time_ns(), time.monotonic() + CONNECT_TIMEOUT_S
        while self._measured[0] <= asked_ns + int(SAMPLE_PERIOD_S * 1e9):
            if self._lost or self._closed.is_set() or time.monotonic() > end:
                return False
            time.sleep(SAMPLE_PERIOD_S / 2)
        return True

    def _fault_of_mode(self):
        return _MODE_FAULT.get(self._measured[1].robot_mode, "")

    def _fault(self):
        return "connection_lost" if self._lost else self._fault_of_mode() or ("stopped" if self._stopped else "")

    @contextlib.contextmanager
    def _one_motion(self):
        with self._motion:
            if name := self._fault():
                raise ArmFault(name, self._lost)
            self._moving = True
            try:
                yield
            finally:
                self._moving = False

    def _translate(self, error):
        """What `error` of franky is called here."""
        if isinstance(error, LOST):
            self._lost = str(error)
        elif not self._stopped:
            self._next_measurement()  # the mode that goes with the error
        return ArmFault(self._fault() or "reflex", str(error))

    def _run(self, motion_of):
        """Carry out what `motion_of` makes of a fraction of the dynamics; ArmFault once the arm stands still."""
        for fraction in PLANNER_TRIES:
            try:
                self._robot.move(motion_of(fraction), asynchronous=True)
                while not self._robot.join_motion(2 * SAMPLE_PERIOD_S):
                    if self._stopped:  # once more: `stop` may have come before the motion began
                        self._robot.stop()
            except FAILED as error:
                fault = self._translate(error)
                self._at_rest()
                raise fault from error
            except RuntimeError as error:
                if PLANNER_FAILED not in str(error):
                    self._lost = str(error)
                    raise ArmFault("connection_lost", str(error)) from error
                refused = error
                continue
            if self._stopped:
                raise ArmFault("stopped")
            return
        raise ArmFault("unreachable", str(refused)) from refused

    def _grip(self, width):
        if width == self._width_command:
            return
        if self._stopped:
            raise ArmFault("stopped")
        self._gripping = True
        try:
            if width <= 0.0:
                # Wide tolerances: closing on nothing is no fault. What is held shows in the fingers' distance.
                done = self._gripper.grasp(0.0, GRIPPER_SPEED_M_S, GRIPPER_FORCE_N, OPEN_WIDTH_M, OPEN_WIDTH_M)
            else:
                done = self._gripper.move(width, GRIPPER_SPEED_M_S)
        except LOST as error:
            self._lost = str(error)
            raise ArmFault("connection_lost", str(error)) from error
        except FAILED as error:
            raise ArmFault("stopped" if self._stopped else "gripper", str(error)) from error
        finally:
            self._gripping = False
        self._width_command = width
        if self._stopped:
            raise ArmFault("stopped")
        if not done:
            raise ArmFault("gripper", f"asked for {width:.3f} m, the fingers are {self._hand.width:.3f} m apart")

    def _at_rest(self):
        """Wait until the joints are still; whether they are."""
        begin_ns, end = time.time_ns(), time.monotonic() + SETTLE_TIMEOUT_S
        seen = collections.deque()  # of (the robot's clock [s], joints)
        while time.monotonic() < end and not self._lost:
            time.sleep(SAMPLE_PERIOD_S / 2)
            stamp_ns, measured = self._measured
            now_s = measured.time.to_sec()
            if stamp_ns <= begin_ns or (seen and now_s <= seen[-1][0]):
                continue
            seen.append((now_s, np.array(measured.q)))
            while len(seen) > 1 and now_s - seen[1][0] >= REST_WINDOW_S:
                seen.popleft()  # the window is from the youngest measurement that is old enough
            if now_s - seen[0][0] >= REST_WINDOW_S and np.ptp([q for _, q in seen], axis=0).max() < REST_RAD:
                return True
        return False

    def _settle(self):
        rested = self._at_rest()
        if self._stopped:
            raise ArmFault("stopped")
        if not rested:
            raise ArmFault(self._fault() or "not_settled", f"the joints still turn after {SETTLE_TIMEOUT_S} s")
