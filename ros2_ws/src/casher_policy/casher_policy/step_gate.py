"""What a decision may be based on: only what was seen after the arm had come to rest."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

_KEPT = 8
"""Messages remembered: what may arrive between the arm settling and the news of it."""
_POLL_S = 0.02
_AHEAD_NS = 5_000_000
"""A stamp may be this much later than its arrival: two clocks of one machine, read in a different order."""


@dataclass(frozen=True)
class Stamped:
    """Something measured at a known time."""

    stamp_ns: int
    """[ns] since the epoch, when it was measured; of a fused cloud: by the camera that measured first."""
    arrival_ns: int
    """[ns] since the epoch, when it came here."""
    value: Any


class FreshGate:
    """Hands out what was measured after a given time, the earliest first, each once, and nothing else.

    One thread offers, another waits. Used for clouds and for states.
    """

    def __init__(self):
        self._arrived = threading.Condition()
        self._kept = deque(maxlen=_KEPT)
        self.newest_ns = None
        """Stamp of the latest arrival, None before the first."""
        self.ahead_s = 0.0
        """[s] by which the last refused stamp was ahead of our clock; 0 when none was."""

    def offer(self, stamp_ns, value, now_ns):
        """Something measured at stamp_ns arrived at now_ns [ns since the epoch].

        A stamp of the future is refused: it comes from another clock and does not say whether this is fresh.
        """
        with self._arrived:
            self.newest_ns = stamp_ns
            if stamp_ns > now_ns + _AHEAD_NS:
                self.ahead_s = (stamp_ns - now_ns) * 1e-9
                return
            self.ahead_s = 0.0
            self._kept.append(Stamped(stamp_ns, now_ns, value))
            self._arrived.notify_all()

    def wait_after(self, after_ns, timeout_s, stopped=lambda: False, inclusive=False):
        """The earliest Stamped measured later than after_ns (inclusive: or at it); forgets it and what is older.

        Waits until there is one; None after timeout_s [s], or as soon as stopped() holds.
        """
        end = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                if stopped():
                    return None
                taken = self._take(after_ns, inclusive)
                left_s = end - time.monotonic()
                if taken is not None or left_s <= 0:
                    return taken
                self._arrived.wait(min(left_s, _POLL_S))

    def _take(self, after_ns, inclusive):
        first_ns = after_ns if inclusive else after_ns + 1
        fresh = sorted((item for item in self._kept if item.stamp_ns >= first_ns), key=lambda item: item.stamp_ns)
        self._kept = deque(fresh[1:], maxlen=_KEPT)
        return fresh[0] if fresh else None
