"""Who has to be alive for the arm to move. Pure: the guard tells it what it hears and what time it is.

Two kinds. A MOTION belongs to whoever asked for it, who renews its lease while waiting for its end; when nobody does,
it stops. A WATCHER is a person's terminal or page without which the arm does not move once it has been heard; it says
goodbye when it is closed on purpose.
"""

import threading

FAREWELL = "bye"
"""Follows a watcher's name when it leaves on purpose."""


class Leases:
    """Of one arm; for any thread. Times are of one monotonic clock [s]."""

    def __init__(self, motion_s, watcher_s):
        """motion_s, watcher_s: how long [s] each may be silent; motion_s 0: motions need nobody."""
        if motion_s < 0.0 or watcher_s <= 0.0:
            raise ValueError(f"leases must be positive (a motion's may be 0), got {motion_s} s and {watcher_s} s")
        self.motion_s, self.watcher_s = motion_s, watcher_s
        self._lock = threading.Lock()
        self._motion = None
        self._watchers = {}

    @property
    def watchers(self):
        """Names of those heard of, that have not left."""
        with self._lock:
            return sorted(self._watchers)

    def begin(self, now_s):
        """A motion begins; its lease runs from now."""
        with self._lock:
            self._motion = now_s

    def renew(self, now_s):
        """Somebody waits for the motion."""
        with self._lock:
            if self._motion is not None:
                self._motion = now_s

    def end(self):
        """The motion is over."""
        with self._lock:
            self._motion = None

    def heard(self, message, now_s):
        """A watcher's beat, 'NAME', or its farewell, 'NAME bye'."""
        name, _, word = message.partition(" ")
        with self._lock:
            if word == FAREWELL:
                self._watchers.pop(name, None)
            else:
                self._watchers[name] = now_s

    def motion_lost(self, now_s):
        """For how long [s] nobody has waited for the running motion, or None while that is not too long; told once."""
        with self._lock:
            if not self.motion_s or self._motion is None or now_s - self._motion <= self.motion_s:
                return None
            silent_s, self._motion = now_s - self._motion, None
            return silent_s

    def watcher_lost(self, now_s):
        """A watcher that has gone silent without a farewell, or ''; told once: it counts again when it is heard."""
        with self._lock:
            for name, heard_s in self._watchers.items():
                if now_s - heard_s > self.watcher_s:
                    del self._watchers[name]
                    return name
            return ""
