"""How long a person has worked: from one sign of life to the next, but a coffee break is no work."""

import time

PAUSE_S = 60.0
"""A longer pause than this counts as this."""


class HumanClock:
    """Runs from the first `touch` on."""

    def __init__(self, now_s=time.monotonic):
        self._now_s, self._last_s, self._total_s = now_s, None, 0.0

    def touch(self):
        """The person does something now."""
        now = self._now_s()
        if self._last_s is not None:
            self._total_s += min(now - self._last_s, PAUSE_S)
        self._last_s = now

    def take(self):
        """-> [s] of work since the last `take`."""
        if self._last_s is not None:
            self.touch()
        taken, self._total_s = self._total_s, 0.0
        return taken

    def give_back(self, taken_s):
        """What was taken [s] was not used after all."""
        self._total_s += taken_s
