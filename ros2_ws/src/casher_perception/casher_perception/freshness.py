"""Which clouds belong together, and which camera is silent. Time is whatever the stamps count, in nanoseconds."""

from collections import deque
from dataclasses import dataclass

_MEMORY = 8
"""Clouds kept per camera: half a second at 15 Hz, while another camera is late."""

_CLOCK_SET_BACK_NS = 1_000_000_000
"""A stamp this much older than its camera's newest means a clock that was set back, not a cloud that was late."""


@dataclass(frozen=True)
class Pair:
    """One cloud of every camera, close in time."""

    stamp_ns: int
    """The OLDEST cloud's: all of the pair was seen then or later."""
    clouds: dict
    """Camera -> cloud."""


class PairMatcher:
    """Puts clouds of all cameras together whose stamps differ by at most max_skew_s [s]; uses each cloud at most once.

    Pairs come out in the order of time: a cloud older than the last one used, or seen before, is ignored. When a
    clock is set back, what came before is forgotten.
    """

    def __init__(self, cameras, max_skew_s):
        if len(cameras) < 2 or len(set(cameras)) != len(cameras):
            raise ValueError(f"at least two different cameras are needed, got {list(cameras)}")
        if not max_skew_s >= 0:
            raise ValueError(f"max_skew_s must be at least 0, got {max_skew_s}")
        self._max_skew_ns = round(max_skew_s * 1e9)
        self._waiting = {camera: deque(maxlen=_MEMORY) for camera in cameras}
        self._used_ns = dict.fromkeys(cameras)

    def add(self, camera, stamp_ns, cloud):
        """Add a cloud -> the pairs it completes, a list of none or one. KeyError for a camera that is unknown."""
        waiting, used_ns = self._waiting[camera], self._used_ns[camera]
        stamps = [stamp for stamp, _ in waiting]
        newest = max(stamps, default=used_ns)
        if newest is not None and stamp_ns < newest - _CLOCK_SET_BACK_NS:
            self._forget()
        elif stamp_ns in stamps or (used_ns is not None and stamp_ns <= used_ns):
            return []
        waiting.append((stamp_ns, cloud))
        chosen = self._partners(camera, stamp_ns)
        if chosen is None:
            return []
        for name, (stamp, _) in chosen.items():
            self._used_ns[name] = stamp
            later = [item for item in self._waiting[name] if item[0] > stamp]
            self._waiting[name].clear()
            self._waiting[name].extend(later)
        oldest = min(stamp for stamp, _ in chosen.values())
        return [Pair(oldest, {name: chosen[name][1] for name in self._waiting})]

    def _partners(self, camera, stamp_ns):
        """Camera -> (stamp, cloud) closest to stamp_ns, or None if they are not all close enough to one another."""
        if not all(self._waiting.values()):
            return None
        chosen = {name: min(w, key=lambda item: abs(item[0] - stamp_ns)) for name, w in self._waiting.items()}
        stamps = [stamp for stamp, _ in chosen.values()]
        return chosen if max(stamps) - min(stamps) <= self._max_skew_ns else None

    def apart(self):
        """For people, why nothing is put together: 'camera_left is 0.420 s behind camera_right', by the two cameras'
        newest clouds; None while a camera has none waiting."""
        if not all(self._waiting.values()):
            return None
        newest = {name: max(stamp for stamp, _ in w) for name, w in self._waiting.items()}
        behind, ahead = min(newest, key=newest.get), max(newest, key=newest.get)
        return f"{behind} is {(newest[ahead] - newest[behind]) * 1e-9:.3f} s behind {ahead}"

    def _forget(self):
        for name, waiting in self._waiting.items():
            waiting.clear()
            self._used_ns[name] = None


class Silence:
    """When each camera was last heard, and who has been quiet for longer than timeout_s [s]."""

    def __init__(self, cameras, timeout_s):
        self._last = dict.fromkeys(cameras)
        self._timeout_s = timeout_s

    def heard(self, camera, now_s):
        """A cloud of this camera came, at now_s [s] of a clock that never runs back."""
        self._last[camera] = now_s

    def ages(self, now_s):
        """Camera -> seconds since its last cloud, None before the first."""
        return {camera: None if last is None else now_s - last for camera, last in self._last.items()}

    def silent(self, now_s):
        """Names of the cameras without a cloud in the last timeout_s seconds."""
        return [camera for camera, age in self.ages(now_s).items() if age is None or age > self._timeout_s]

    def message(self, camera, now_s, what="cloud"):
        """For people: 'camera_left: last cloud 1.3 s ago' or 'camera_left: no cloud yet'."""
        age = self.ages(now_s)[camera]
        return f"{camera}: no {what} yet" if age is None else f"{camera}: last {what} {age:.1f} s ago"
