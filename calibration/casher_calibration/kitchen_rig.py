"""Where a kitchen's rig file is, and the one to begin with in a kitchen that has none."""

import dataclasses
import math
import os
from pathlib import Path

import numpy as np

from casher_perception.rig import Calibration, CameraMount, Rig, RigError, find_rig, load_rig, save_rig

OWN = Path("kitchens")
"""Below the folder one works in; $CASHER_KITCHENS where that is set."""
UNCALIBRATED = Calibration("none", "1970-01-01", "uncalibrated")
MEASURE = (
    "measure in the robot's base frame (metres, x forward, y left, z up from its foot): --table-m Z, the worktop's "
    "height; --box-low X Y Z and --box-high X Y Z, the corners of the box the tool may move in, clear of all walls and "
    "shelves, with the worktop inside"
)
NAMES = ("camera_left", "camera_right")
SIZE, RATE_HZ = (640, 480), 30.0
"""Of the streams that evaluations use."""


def folders():
    """Where rig files are looked for, the operator's own first."""
    found = [own_folder(), OWN]
    try:
        from ament_index_python.packages import get_package_share_directory

        found.append(Path(get_package_share_directory("casher_bringup")) / "config" / "kitchens")
    except (ImportError, LookupError):  # no ROS here, or not this workspace: only the operator's own
        pass
    return found


def own_folder():
    """Where calibrated rig files are written."""
    return Path(os.environ.get("CASHER_KITCHENS") or OWN)


@dataclasses.dataclass(frozen=True)
class Space:
    """Where a new kitchen's arm may be [m], base frame; RigError when it is none."""

    low: tuple
    high: tuple
    table_m: float

    def __post_init__(self):
        numbers = (*self.low, *self.high, self.table_m)
        if not all(map(math.isfinite, numbers)) or not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise RigError(f"the box must have a low and a high corner, got {self.low} and {self.high}; {MEASURE}")
        if not self.low[2] <= self.table_m < self.high[2]:
            raise RigError(
                f"the worktop must lie within the box's {self.low[2]} .. {self.high[2]} m, got {self.table_m} m; "
                f"{MEASURE}"
            )


def space_of(low, high, table_m):
    """As stated -> Space, or None when nothing was; RigError for a part of it."""
    stated = (low, high, table_m)
    if all(value is None for value in stated):
        return None
    if any(value is None for value in stated):
        raise RigError(f"of --table-m, --box-low and --box-high all are needed, or none; {MEASURE}")
    return Space(tuple(low), tuple(high), table_m)


def rig_of(kitchen, serials=(), space=None):
    """The kitchen's Rig, calibrated or not; RigError: what to do.

    With two serials (left, right) and a Space, also that of a kitchen of which there is no rig file yet.
    """
    try:
        path = find_rig(kitchen, folders())
    except RigError as error:
        return _new(kitchen, serials, space, error)
    rig = load_rig(path, calibrated=False)
    if space and space != (has := Space(rig.workspace_low, rig.workspace_high, _table(rig))):
        raise RigError(f"{path} says {has}, stated is {space}: correct the file, or leave the statement out")
    if serials:
        _require_two(serials)
        cameras = {
            name: dataclasses.replace(mount, serial=serial)
            for (name, mount), serial in zip(rig.cameras.items(), serials, strict=True)
        }
        rig = dataclasses.replace(rig, cameras=cameras)
    return rig


def rig_of_session(session, kitchen=""):
    """The Rig of the session's kitchen, with the session's cameras; RigError when they are not the kitchen's."""
    rig = rig_of(kitchen or session.kitchen)
    if set(session.cameras) != set(rig.cameras):
        raise RigError(f"the session has the cameras {sorted(session.cameras)}, the kitchen {sorted(rig.cameras)}")
    cameras = {
        name: dataclasses.replace(mount, serial=session.cameras[name].serial) for name, mount in rig.cameras.items()
    }
    return dataclasses.replace(rig, cameras=cameras)


def keep_new(rig):
    """Write the rig file of a kitchen that had none: its box is then the one that was stated, for good."""
    path = own_folder() / f"{rig.kitchen}.yaml"
    if rig.calibration == UNCALIBRATED and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_rig(rig, path)


def _new(kitchen, serials, space, error):
    lacks = [] if serials else ["its cameras with --serials LEFT RIGHT ('rs-enumerate-devices -s' lists them)"]
    lacks += [] if space else [f"where its arm may be: {MEASURE}"]
    if lacks:
        raise RigError(f"{error}; --kitchen demo to rehearse. Of a new kitchen state {', and '.join(lacks)}")
    _require_two(serials)
    T = np.eye(4)  # nobody may rely on it: the status says uncalibrated
    mounts = {name: CameraMount(serial, T, *SIZE, RATE_HZ) for name, serial in zip(NAMES, serials, strict=True)}
    return Rig(kitchen, UNCALIBRATED, space.low, space.high, mounts, space.table_m)


def _table(rig):
    return rig.workspace_low[2] if rig.table_m is None else rig.table_m


def _require_two(serials):
    if len(serials) != 2 or serials[0] == serials[1]:
        raise RigError(f"two serials are needed, left and right as seen from the robot, got {list(serials)}")
