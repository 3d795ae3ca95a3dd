"""The ladder a camera climbs while no good frame comes: restart its pipeline, reset it, give up."""

from dataclasses import dataclass
from enum import Enum


class Rung(Enum):
    """What to do next."""

    RESTART = "restart the pipeline"
    RESET = "reset the camera"
    FAULT = "give up"


_RUNGS = tuple(Rung)


@dataclass(frozen=True)
class RecoveryLimits:
    """When a camera's silence is acted upon; all in seconds."""

    silence_s: float = 1.0
    """Without a good frame for longer than this, the next rung."""
    start_s: float = 5.0
    """The same right after a start, while the first frame is awaited."""
    calm_s: float = 20.0
    """Good frames for this long after a rung, and the next trouble begins at the first rung again."""
    reset_s: float = 3.0
    """After a reset the camera is left alone for this long: it is still listed for a moment before it vanishes."""
    absent_s: float = 120.0
    """A camera that was unplugged, or has not come back after a reset, is waited for this long."""
    appear_s: float = 3.0
    """At the start, a camera that is not listed yet is waited for this long."""
    hang_s: float = 5.0
    """A call into the driver that should return at once is given up after this long."""


class Ladder:
    """Says which rung is due. Time is any clock that never runs back, in seconds."""

    def __init__(self, limits):
        self._limits = limits
        self._level = 0
        self._last_good_s, self._climbed_s, self._patience_s = 0.0, -float("inf"), limits.start_s

    def started(self, now_s):
        """The pipeline was started: its first frame may take a while."""
        self._last_good_s, self._patience_s = now_s, self._limits.start_s

    def came(self, now_s):
        """A frame came, though not a good one: the next need not be waited for as long as the first after a start."""
        if self._patience_s > self._limits.silence_s:
            self._last_good_s, self._patience_s = now_s, self._limits.silence_s

    def good(self, now_s):
        """A good frame came."""
        self._last_good_s, self._patience_s = now_s, self._limits.silence_s
        if now_s - self._climbed_s > self._limits.calm_s:
            self._level = 0

    def due(self, now_s):
        """There was none -> the Rung to climb now, or None while patience lasts."""
        if now_s - self._last_good_s <= self._patience_s:
            return None
        rung = _RUNGS[self._level]
        self._level = min(self._level + 1, len(_RUNGS) - 1)
        self._climbed_s = self._last_good_s = now_s
        return rung
