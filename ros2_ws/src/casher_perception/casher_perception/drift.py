"""The watch over the calibration while an evaluation runs: do the cameras still agree, and which one has moved.

Only ever an alarm. Nothing is corrected: a cloud that was quietly moved would hide that the calibration is wrong.
"""

import threading
import time
from dataclasses import dataclass, field

import numpy as np

from casher_perception.geometry import transform
from casher_perception.surface_shift import compare, surface

LIMIT_M, LIMIT_RAD = 0.005, float(np.deg2rad(0.5))
SUSTAINED = 3
"""Checks in a row that must see it."""


@dataclass(frozen=True)
class Drift:
    """What the watch says after a check."""

    alarm: str = ""
    """Empty, or which camera has moved and how far."""
    message: str = "not checked yet"
    """For people, always."""
    values: dict = field(default_factory=dict)
    """Name with its unit -> number, of the last check."""


class DriftWatch:
    """Compares the cameras' clouds with one another, and each with how that camera saw the scene before.

    Cameras that disagree raise the alarm: that needs no memory. Which one it is, and motion along surfaces that look
    alike to both, is told by each camera's own earlier view, as long as not the scene itself has moved, which all see.
    """

    def __init__(self, transforms, limit_m=LIMIT_M, limit_rad=LIMIT_RAD, sustained=SUSTAINED):
        """transforms: camera -> T_base_camera (4, 4) of the calibration, at least two."""
        self._transforms = dict(transforms)
        if len(self._transforms) < 2:
            raise ValueError(f"at least two cameras are needed, got {list(self._transforms)}")
        self._limit_m, self._limit_rad, self._sustained = limit_m, limit_rad, sustained
        self._before = {}
        self._in_a_row = 0
        self._checks = 0

    def check(self, points_camera):
        """Camera -> points [m] (N, 3) in its optical frame, all of one moment -> Drift."""
        self._checks += 1
        seen = {
            name: surface(transform(T, np.asarray(points_camera[name], np.float64)), T[:3, 3])
            for name, T in self._transforms.items()
        }
        first, *others = seen
        apart = {other: compare(seen[other], seen[first]) for other in others}
        own = {name: compare(seen[name], self._before.get(name)) for name in seen}
        if not self._before:
            self._before = seen
        disagree = [other for other, shift in apart.items() if self._beyond(shift)]
        moved = [name for name, shift in own.items() if self._beyond(shift)]
        still = [name for name, shift in own.items() if shift is not None and not self._beyond(shift, 0.5)]
        alone = bool(moved) and bool(still)
        known = alone or bool(disagree) or any(shift is not None for shift in apart.values())
        if known:
            self._in_a_row = self._in_a_row + 1 if disagree or alone else 0
        if known and not disagree and not alone and not still:
            # The cameras agree and the view of each has changed: the scene did.
            self._before = seen
        return self._drift(apart, own, moved if alone else [], first, known)

    def _beyond(self, shift, factor=1.0):
        return shift is not None and (
            shift.distance_m > factor * self._limit_m or shift.angle_rad > factor * self._limit_rad
        )

    def _drift(self, apart, own, moved, first, known):
        values = {"checks": self._checks, "in_a_row": self._in_a_row}
        for other, shift in apart.items():
            values |= _values(f"{other}_against_{first}", shift)
        for name, shift in own.items():
            values |= _values(f"{name}_against_before", shift)
        words = [f"{other} and {first} disagree by {_words(shift)}" for other, shift in apart.items() if shift]
        if self._in_a_row < self._sustained:
            message = "; ".join(words) if known else "the cameras see too little in common to compare them"
            return Drift("", message, values)
        who = [f"{name} has moved by {_words(own[name])}" for name in moved]
        alarm = "; ".join(who or [f"{word}: one of them has moved" for word in words])
        return Drift(f"{alarm}; stop and calibrate again", alarm, values)


class DriftThread:
    """Runs a DriftWatch beside whoever receives the clouds: every period_s [s] it takes the next ones offered."""

    def __init__(self, watch, period_s):
        self.drift = Drift()
        self._watch, self._period_s = watch, period_s
        self._due_s = time.monotonic()
        self._clouds, self._offered, self._closed = None, threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)
        self._thread.start()

    def offer(self, points_camera):
        """Camera -> points (N, 3); returns at once, and drops them when no check is due."""
        if time.monotonic() < self._due_s:
            return
        with self._offered:
            self._due_s = time.monotonic() + self._period_s
            self._clouds = points_camera
            self._offered.notify()

    def close(self):
        """End the thread."""
        with self._offered:
            self._closed = True
            self._offered.notify()
        self._thread.join(5.0)

    def _run(self):
        while True:
            with self._offered:
                self._offered.wait_for(lambda: self._closed or self._clouds is not None)
                if self._closed:
                    return
                clouds, self._clouds = self._clouds, None
            try:
                self.drift = self._watch.check(clouds)
            except Exception as error:  # a watch that died unheard would look like cameras that stand still
                self.drift = Drift(f"the watch failed: {error!r}", f"the watch failed: {error!r}")
                return


def _values(name, shift):
    if shift is None:
        return {f"{name}_mm": "nan"}
    return {
        f"{name}_mm": round(1e3 * shift.distance_m, 2),
        f"{name}_deg": round(float(np.rad2deg(shift.angle_rad)), 3),
        f"{name}_share": round(shift.share, 2),
        f"{name}_directions": shift.seen,
    }


def _words(shift):
    return f"{1e3 * shift.distance_m:.1f} mm and {np.rad2deg(shift.angle_rad):.2f} deg"
