"""`arm.Arm` over any `driver.Driver`: sampling, coming to rest, stopping, recovering, and what is a fault of what.

The state is read by threads of its own, so `state()` never waits, whatever the arm is doing.
"""

import contextlib
import threading
import time

import numpy as np

from casher_franka.arm import HOME_JOINTS, ArmFault, ArmState
from casher_franka.connecting import CONNECT_TIMEOUT_S, near
from casher_franka.driver import Failed, Lost, NoPlan
from casher_franka.franka_hand import FrankaHand
from casher_franka.rest import Rest
from casher_policy.action import OPEN_WIDTH_M

SAMPLE_PERIOD_S = 0.01
SETTLE_TIMEOUT_S = 3.0
REST_WINDOW_S = 0.05
PLANNER_TRIES = (1.0, 0.9, 0.8)
"""Fractions of the dynamics. From a rest that is not quite one (1e-8 m/s) franky's planner sometimes finds no
trajectory, before anything moves, but finds a slower one."""
CORRECTIONS = 4
REACHED_M, REACHED_RAD = 5e-4, 1.5e-3
"""Within these of its target an arm has arrived."""
CORRECTED_M, CORRECTED_RAD = 0.01, 0.05
"""An arm this much further off is held by something: then pushing harder is wrong."""


class FrankaArm:
    """`Arm`, for a function that makes the driver: `connect()` -> Driver, or ArmFault."""

    def __init__(self, connect):
        self._connect = connect
        self._motion = threading.Lock()
        self._stopped, self._moving, self._held = False, False, ""
        self._lost = ""
        self._closed = threading.Event()
        self._driver = None
        self._hand = FrankaHand(lambda: self._driver, lambda: self._stopped, self._lose)
        self._open()
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._sample_arm, self._sample_hand)]
        for thread in self._threads:
            thread.start()

    def state(self):
        """The latest measurement, at most 0.02 s old while the robot answers."""
        stamp_ns, measured = self._measured
        return ArmState(
            stamp_ns=stamp_ns,
            T_base_tcp=measured.T_base_tcp.copy(),
            joint_positions=measured.joint_positions.copy(),
            joint_velocities=measured.joint_velocities.copy(),
            fingers=self._hand.fingers,
            width_command=self._hand.width_command,
            grasped=self._hand.grasped,
            moving=self._moving,
            fault=self._fault(),
        )

    def move_to(self, target):
        """See `Arm`. The fingers move after the arm has come to rest."""
        with self._one_motion():
            self._go_to(np.asarray(target.T_base_tcp))
            self._hand.grip(float(target.width))
            self._settle()
        return self.state()

    def home(self):
        """See `Arm`. A hand that cannot open is first told to find its range anew."""
        with self._one_motion():
            self._hand.open()
            self._run(lambda fraction: self._driver.begin_joints(HOME_JOINTS, fraction))
            self._settle()
        return self.state()

    def stop(self):
        """See `Arm`. First the arm, then a hand that is opening or closing; one that holds something keeps its grip."""
        self._stopped = True
        if self._lost:
            return
        try:
            self._driver.halt()
        except Lost as error:
            self._lose(error)
        except Failed:
            # Nothing was running, or the robot had stopped itself already: it stands still, which is what was asked.
            pass
        self._hand.stop()

    def recover(self):
        """See `Arm`. After a lost connection only a new one helps, so this makes one."""
        if not self._fault():
            return
        with self._motion:  # a motion that the fault has ended may still be on its way out
            if self._lost:
                self._open()
            if self._measured[1].mode == "reflex":
                try:
                    self._driver.reset()
                except (Lost, Failed) as error:
                    raise self._translate(error) from error
                self._next_measurement()
            if name := self._measured[1].mode:
                raise ArmFault(name, self._measured[1].errors)
            self._stopped, self._held = False, ""

    def close(self):
        """See `Arm`."""
        self._closed.set()
        if self._moving:
            self.stop()
        for thread in self._threads:
            thread.join()
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def _open(self):
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()  # first: a robot has one client
        try:
            driver = self._connect()
            self._measured = time.time_ns(), driver.measure()
            self._hold()
            self._hand.measured = driver.measure_hand()
        except (Lost, Failed) as error:
            raise ArmFault("connection_lost", str(error)) from error
        if self._hand.width_command is None:
            self._hand.width_command = float(np.clip(self._hand.measured.width, 0.0, OPEN_WIDTH_M))
        self._driver, self._lost = driver, ""

    def _lose(self, error):
        self._lost = str(error) or "no answer"

    def _sample_arm(self):
        self._sample(lambda: SAMPLE_PERIOD_S, lambda driver: self._take(driver.measure()))

    def _sample_hand(self):
        # Apart from the arm: the hand sends its state more seldom and this waits for it.
        self._sample(lambda: getattr(self._driver, "hand_period_s", SAMPLE_PERIOD_S), self._hand.measure)

    def _sample(self, period_s, read):
        while not self._closed.wait(period_s()):
            driver = self._driver
            if driver is None or self._lost:
                continue
            try:
                read(driver)
            except (Lost, Failed) as error:
                if driver is self._driver:
                    self._lose(error)

    def _take(self, measured):
        if measured.clock_s != self._measured[1].clock_s or measured.mode != self._measured[1].mode:
            self._measured = time.time_ns(), measured
            self._hold()

    def _hold(self):
        """Keep in mind what a person does at the robot: an arm must not start by itself when the button is released."""
        if self._measured[1].mode in ("user_stop", "not_ready"):
            self._held = self._measured[1].mode

    def _next_measurement(self):
        """Wait for a measurement made after now; False when none comes."""
        asked_ns, end = time.time_ns(), time.monotonic() + CONNECT_TIMEOUT_S
        while self._measured[0] <= asked_ns + int(SAMPLE_PERIOD_S * 1e9):
            if self._lost or self._closed.is_set() or time.monotonic() > end:
                return False
            time.sleep(SAMPLE_PERIOD_S / 2)
        return True

    def _fault(self):
        if self._lost:
            return "connection_lost"
        if name := self._measured[1].mode:
            return name
        return self._held or ("stopped" if self._stopped else "")

    @contextlib.contextmanager
    def _one_motion(self):
        with self._motion:
            if name := self._fault():
                raise ArmFault(name, self._lost or self._measured[1].errors)
            self._moving = True
            try:
                yield
            finally:
                self._moving = False

    def _translate(self, error):
        """What `error` of the driver is called here."""
        if isinstance(error, Lost):
            self._lose(error)
        elif not self._stopped:
            self._next_measurement()  # the mode that goes with the error
        said, errors = str(error), self._measured[1].errors
        # libfranka names the errors only when it has heard of them before the end of the motion.
        return ArmFault(self._fault() or "reflex", said if errors in said else f"{said} ({errors})")

    def _go_to(self, T_target):
        """Go there, come to rest. What friction or a soft spring leaves missing is asked for on top, within bounds."""
        T_command = T_target
        if near(T_target, self._measured[1].T_base_tcp):
            return
        for correction in range(1 + CORRECTIONS):
            try:
                self._run(lambda fraction, T=T_command: self._driver.begin_pose(T, fraction))
            except ArmFault as fault:
                if fault.name != "unreachable" or not correction:
                    raise
                break  # it has moved: whoever asked must not hear that nothing did
            self._settle()
            T_measured = self._measured[1].T_base_tcp
            if near(T_target, T_measured, REACHED_M, REACHED_RAD):
                return
            T_command = T_command.copy()
            T_command[:3, 3] += T_target[:3, 3] - T_measured[:3, 3]
            T_command[:3, :3] = T_target[:3, :3] @ T_measured[:3, :3].T @ T_command[:3, :3]
            if not near(T_command, T_target, CORRECTED_M, CORRECTED_RAD):
                break
        if not near(T_target, T_measured, CORRECTED_M, CORRECTED_RAD):
            off_m = np.linalg.norm(T_target[:3, 3] - T_measured[:3, 3])
            raise ArmFault("not_settled", f"something holds the arm, {off_m:.3f} m from its target")

    def _run(self, begin):
        """Carry a motion out that begin(fraction of the dynamics) starts; ArmFault once the arm stands still."""
        for fraction in PLANNER_TRIES:
            try:
                begin(fraction)
                while not self._driver.wait(2 * SAMPLE_PERIOD_S):
                    if self._stopped:  # once more: `stop` may have come before the motion began
                        self._driver.halt()
            except NoPlan as error:
                refused = error
                continue
            except (Lost, Failed) as error:
                fault = self._translate(error)
                self._at_rest()
                raise fault from error
            if self._stopped:
                raise ArmFault("stopped")
            return
        raise ArmFault("unreachable", str(refused)) from refused

    def _at_rest(self):
        """Wait until the joints are still; whether they are."""
        begin_ns, end = time.time_ns(), time.monotonic() + SETTLE_TIMEOUT_S
        rest = Rest(REST_WINDOW_S)
        while time.monotonic() < end and not self._lost:
            time.sleep(SAMPLE_PERIOD_S / 2)
            stamp_ns, measured = self._measured
            if stamp_ns > begin_ns:
                rest.add(measured.clock_s, measured.joint_positions)
            if rest.reached:
                return True
        return False

    def _settle(self):
        rested = self._at_rest()
        if self._stopped:
            raise ArmFault("stopped")
        if not rested:
            raise ArmFault(self._fault() or "not_settled", f"the joints still turn after {SETTLE_TIMEOUT_S} s")
