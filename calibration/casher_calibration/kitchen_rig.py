"""Where a kitchen's rig file is, and the one to begin with in a kitchen that has none."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from casher_perception.rig import Calibration, CameraMount, Rig, RigError, find_rig, load_rig

OWN = Path("kitchens")
"""Below the folder one works in; $CASHER_KITCHENS where that is set."""
WORKSPACE = ((0.15, -0.65, -0.28), (0.85, 0.65, 0.85))
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


def rig_of(kitchen, serials=()):
    """The kitchen's Rig, calibrated or not; with two serials (left, right) a new kitchen's. RigError: what to do."""
    try:
        rig = load_rig(find_rig(kitchen, folders()), calibrated=False)
    except RigError as error:
        if not serials:
            raise RigError(
                f"{error}. For a new kitchen state the cameras' serials: casher calibrate collect --kitchen {kitchen} "
                "--serials LEFT RIGHT ('rs-enumerate-devices -s' lists them)"
            ) from None
        return _new(kitchen, serials)
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
    kitchen = kitchen or session.kitchen
    try:
        rig = rig_of(kitchen)
    except RigError:
        if set(session.cameras) != set(NAMES):
            raise
        rig = rig_of(kitchen, [session.cameras[name].serial for name in NAMES])
    if set(session.cameras) != set(rig.cameras):
        raise RigError(f"the session has the cameras {sorted(session.cameras)}, the kitchen {sorted(rig.cameras)}")
    cameras = {
        name: dataclasses.replace(mount, serial=session.cameras[name].serial) for name, mount in rig.cameras.items()
    }
    return dataclasses.replace(rig, cameras=cameras)


def _new(kitchen, serials):
    _require_two(serials)
    T = np.eye(4)  # nobody may rely on it: the status says uncalibrated
    mounts = {name: CameraMount(serial, T, *SIZE, RATE_HZ) for name, serial in zip(NAMES, serials, strict=True)}
    return Rig(kitchen, Calibration("none", "1970-01-01", "uncalibrated"), *WORKSPACE, mounts)


def _require_two(serials):
    if len(serials) != 2 or serials[0] == serials[1]:
        raise RigError(f"two serials are needed, left and right as seen from the robot, got {list(serials)}")
