"""What a student learns from: the clouds along a trajectory, quantised, and the action a teacher would take at each."""

import json
from dataclasses import dataclass

import numpy as np

from casher_policy.action import ACTION_NAMES
from casher_policy.preprocess import Preprocessing

VIEWS = ("cameras", "meshes")
"""How clouds were made: seen by two simulated or real cameras, or sampled from the surfaces."""
POINT_UNIT_M = 1e-4
"""[m] of one unit of the stored coordinates: rounding moves a point by at most 0.05 mm on each axis."""
ROBOT_STATE = 9
"""Entries of casher_policy.observation.robot_state."""
ACTIONS = len(ACTION_NAMES)
_TYPES = {
    "points": (np.int16, (np.int16,)),
    "colours": (np.uint8, (np.uint8,)),
    "robot_states": (np.float32, (np.floating,)),
    "labels": (np.uint8, (np.integer,)),
}
"""Field -> (how it is kept, what it may be given as)."""
_REACH = np.iinfo(np.int16).max


class CloudsError(ValueError):
    """Clouds that cannot be kept or used: what, what was got, what to do."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Clouds:
    """T clouds of N = preprocessing.total points, one before each action. CloudsError for arrays that do not fit."""

    view: str
    """Of VIEWS."""
    preprocessing: Preprocessing
    """The clouds came out of it."""
    points: np.ndarray
    """(T, N, 3) int16, base frame, in units of POINT_UNIT_M: see `quantise`."""
    colours: np.ndarray
    """(T, N, 3) uint8."""
    robot_states: np.ndarray
    """(T, 9) float32: casher_policy.observation.robot_state."""
    labels: np.ndarray
    """(T,) uint8: the action the teacher WOULD take, greedily; Trajectory.actions has what was done."""

    def __post_init__(self):
        if self.view not in VIEWS:
            raise CloudsError(f"unknown view {self.view!r}: known are {', '.join(VIEWS)}")
        length, n = len(np.atleast_1d(self.labels)), self.preprocessing.total
        rows = {"points": (n, 3), "colours": (n, 3), "robot_states": (ROBOT_STATE,), "labels": ()}
        for name, row in rows.items():
            array, (dtype, kinds) = np.asarray(getattr(self, name)), _TYPES[name]
            if array.shape != (length, *row):
                raise CloudsError(f"clouds of {length} steps: {name} must be {(length, *row)}, got {array.shape}")
            if not any(np.issubdtype(array.dtype, kind) for kind in kinds):
                hint = ": use clouds.quantise" if name == "points" else ""
                raise CloudsError(f"clouds: {name} must be {np.dtype(dtype)}, got {array.dtype}{hint}")
            if name == "labels" and length and not (array.min() >= 0 and array.max() < ACTIONS):
                raise CloudsError(f"labels are 0..{ACTIONS - 1}, got {int(array.min())}..{int(array.max())}")
            object.__setattr__(self, name, np.ascontiguousarray(array, dtype=dtype))
        if not np.isfinite(self.robot_states).all():
            raise CloudsError("robot_states must be finite numbers: the simulation or the arm's state is broken")

    def __len__(self):
        return len(self.labels)


def quantise(points_m):
    """Points [m] (..., 3) -> the same in whole units of POINT_UNIT_M, int16; CloudsError beyond 3.2767 m or for NaN."""
    units = np.rint(np.asarray(points_m) * (1 / POINT_UNIT_M))
    if units.size and not np.abs(units).max() <= _REACH:  # false for NaN
        worst = np.asarray(points_m).reshape(-1)[int(np.argmax(np.abs(np.nan_to_num(units, nan=np.inf))))]
        raise CloudsError(
            f"a point's coordinate is {worst:g} m, and a stored one is within +-{_REACH * POINT_UNIT_M:g} m of the "
            "robot's base: crop the cloud first (Preprocessing.crop_low, crop_high)"
        )
    return units.astype(np.int16)


def metres(points):
    """What `quantise` made -> points [m], float32."""
    return np.multiply(points, np.float32(POINT_UNIT_M), dtype=np.float32)


def preprocessing_text(preprocessing):
    """Preprocessing -> JSON that is the same for equal ones."""
    return json.dumps(preprocessing.to_dict(), sort_keys=True)
