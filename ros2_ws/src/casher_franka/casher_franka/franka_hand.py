"""The hand of a Franka arm: opening, closing on whatever is there, and whether something is held."""

import numpy as np

from casher_franka.arm import ArmFault
from casher_franka.driver import Failed, Lost
from casher_policy.action import OPEN_WIDTH_M

HELD_M = 0.003
"""Fingers that stop further apart than this hold something."""


class FrankaHand:
    """The hand behind driver() (Driver). stopped() says whether the arm was stopped; lose(error) is told of losses."""

    def __init__(self, driver, stopped, lose):
        self._driver, self._stopped, self._lose = driver, stopped, lose
        self._gripping = False
        self._done = True
        self._knows_range = True
        self.measured = None
        """The latest HandMeasured."""
        self.width_command = None
        """[m] asked for last; None before the first connection."""

    @property
    def fingers(self):
        """(2,) [m], each finger from closed."""
        half = 0.5 * self.measured.width
        return np.array([half, half])

    @property
    def grasped(self):
        """Whether something is held; it is not when it has slipped out."""
        closed = self.width_command <= 0.0 and not self._gripping
        return closed and self.measured.is_grasped and self.measured.width > HELD_M

    def measure(self, driver):
        """Read the hand."""
        self.measured = driver.measure_hand()

    def grip(self, width):
        """Open to `width` [m], or close on what is there for 0. ArmFault if it does not do so."""
        if width == self.width_command and self._done:
            return
        self._carry_out(
            lambda driver: driver.grasp() if width <= 0.0 else driver.move_fingers(width), f"asked for {width:.3f} m"
        )
        self.width_command = width

    def open(self):
        """Open; a hand that failed to do as told finds its range first."""
        if self._knows_range:
            try:
                return self.grip(OPEN_WIDTH_M)
            except ArmFault as fault:
                if fault.name != "gripper":
                    raise
        self._carry_out(lambda driver: driver.home_hand(), "asked to find its range")
        self._knows_range = True
        return self.grip(OPEN_WIDTH_M)

    def stop(self):
        """End what the fingers do; a hand at rest keeps its grip."""
        if not self._gripping:
            return
        try:
            self._driver().stop_hand()
        except Lost as error:
            self._lose(error)
        except Failed:
            pass  # it had ended

    def _carry_out(self, command, asked):
        if self._stopped():
            raise ArmFault("stopped")
        driver, self._gripping, self._done = self._driver(), True, False
        try:
            self._done = command(driver)
            self.measure(driver)
        except Lost as error:
            self._lose(error)
            raise ArmFault("connection_lost", str(error)) from error
        except Failed as error:
            if self._stopped():
                raise ArmFault("stopped") from error
            self._knows_range = False
            raise ArmFault("gripper", f"{asked}: {error}") from error
        finally:
            self._gripping = False
        if self._stopped():
            self._done = False  # nobody knows what the fingers hold by now: the next command is carried out
            raise ArmFault("stopped")
        if not self._done:
            self._knows_range = False
            raise ArmFault("gripper", f"{asked}, the fingers are {self.measured.width:.3f} m apart")
