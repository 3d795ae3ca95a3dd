"""The Franka hand without dynamics: fingers that close at their speed, on an object or on nothing. No sockets here."""

from .protocol import HAND_ABORTED, HAND_DONE, HAND_FAILED, HAND_UNSUCCESSFUL

MAX_WIDTH = 0.08
HOMING_SPEED = 0.05
"""[m/s], as of all commands: of the distance between the fingers."""


class Hand:
    """`on_end(number, status)` is called when a command is over."""

    def __init__(self, on_end):
        self.on_end = on_end
        self.width, self.homed, self.grasped = MAX_WIDTH, True, False
        self.object_width = None
        """[m] of what lies between the fingers, None for nothing."""
        self._running = None
        """(number of the command, widths to go to in turn, speed, (width, inner, outer) of a grasp or None)"""

    def homing(self, number):
        """Close, open, and know the width again."""
        self.homed, self.grasped = True, False
        self._begin(number, [0.0, MAX_WIDTH], HOMING_SPEED, None)

    def move(self, number, width, speed):
        """Go to `width`."""
        if self._fit(number, width, speed):
            self.grasped = False
            self._begin(number, [width], speed, None)

    def grasp(self, number, width, inner, outer, speed, _force):
        """Close on something of about `width`; being grasped ends as soon as it slips out."""
        if self._fit(number, width, speed):
            self._begin(number, [0.0 if self.width >= width else MAX_WIDTH], speed, (width, inner, outer))

    def stop(self, number):
        """Stop where the fingers are."""
        self._end(HAND_ABORTED)
        self.on_end(number, HAND_DONE)

    def slip(self):
        """The object falls; a hand that held it closes."""
        self.object_width = None
        if self.grasped:
            self.grasped, self.width = False, 0.0

    def step(self, seconds):
        """Time passes."""
        if self._running is None:
            return
        number, goals, speed, grasp = self._running
        goal = goals[0] if self.object_width is None else max(goals[0], min(self.object_width, self.width))
        move = goal - self.width
        self.width += max(-speed * seconds, min(speed * seconds, move))
        if self.width != goal:
            return
        if len(goals) > 1:
            self._running = number, goals[1:], speed, grasp
            return
        if grasp:
            width, inner, outer = grasp
            self.grasped = width - inner <= self.width <= width + outer
            self._end(HAND_DONE if self.grasped else HAND_UNSUCCESSFUL)
        else:
            self._end(HAND_DONE if self.width == goals[0] else HAND_UNSUCCESSFUL)

    def _fit(self, number, width, speed):
        if self.homed and 0.0 <= width <= MAX_WIDTH and speed > 0.0:
            return True
        self.on_end(number, HAND_FAILED)
        return False

    def _begin(self, number, goals, speed, grasp):
        self._end(HAND_ABORTED)
        self._running = number, goals, speed, grasp

    def _end(self, status):
        running, self._running = self._running, None
        if running:
            self.on_end(running[0], status)
