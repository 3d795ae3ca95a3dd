"""A checked calibration into the kitchen's rig file."""

import dataclasses
import shutil
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from casher_calibration.samples import FILE
from casher_perception.rig import Calibration, RigError, load_rig, save_rig

_EPOCH_S = 1e9
"""A time above this counts from 1970, one below from the session's own start."""


def calibrated_rig(rig, session, solution, criteria, good, rehearsed, made, extra=None):
    """The kitchen's Rig with the calibration in it.

    good: whether all criteria passed; rehearsed: without hardware, so that no real arm may use it; made: datetime of
    the samples; extra: further figures, name with unit -> number.
    """
    mounts = {}
    for name, mount in rig.cameras.items():
        refined = solution.intrinsics[name]
        same_size = (refined.width, refined.height) == (mount.width, mount.height)
        mounts[name] = dataclasses.replace(
            mount,
            serial=session.cameras[name].serial,
            T_base_camera=np.asarray(solution.T_base_camera[name]),
            intrinsics=refined if same_size else None,
        )
    board = session.board
    figures = {criterion.figure: criterion.value for criterion in criteria if not np.isnan(criterion.value)}
    for name in mounts:
        figures[f"{name}_sigma_mm"] = round(1e3 * solution.sigma_m(name), 2)
        figures[f"{name}_sigma_deg"] = round(float(np.rad2deg(solution.sigma_rad(name))), 4)
    calibration = Calibration(
        id=f"{rig.kitchen}-{made:%Y-%m-%d-%H%M}",
        date=f"{made:%Y-%m-%d}",
        status=_status(good, rehearsed),
        kitchen=rig.kitchen,
        serials={name: mount.serial for name, mount in mounts.items()},
        board=f"{board.squares_x} x {board.squares_y} squares of {1e3 * board.square_m:g} mm, {board.dictionary}",
        software=_software(),
        figures={name: float(value) for name, value in (figures | (extra or {})).items()},
    )
    return dataclasses.replace(rig, calibration=calibration, cameras=mounts)


def write_rig(rig, folder):
    """Write KITCHEN.yaml into the folder; what was there stays beside it -> (path, path of the old one or None).

    RigError instead of putting a rehearsal in the place of a calibration of real cameras.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, kept = folder / f"{rig.kitchen}.yaml", None
    if path.exists():
        was = load_rig(path, calibrated=False).calibration.status
        if was in ("passed", "failed") and rig.calibration.status not in ("passed", "failed"):
            raise RigError(f"{path} holds a calibration of real cameras, a rehearsal does not replace it: state --rig")
        kept = path.with_name(f"{path.name}.before-{rig.calibration.id}")
        if not kept.exists():
            shutil.copy2(path, kept)
    save_rig(rig, path)
    return path, kept


def made_at(session, folder):
    """When the last sample was taken, datetime."""
    last = max((sample.time for sample in session.samples), default=0.0)
    return datetime.fromtimestamp(last if last > _EPOCH_S else (Path(folder) / FILE).stat().st_mtime)


def _status(good, rehearsed):
    """Of a rehearsal nothing may remain that a real arm could be told to accept."""
    if rehearsed:
        return "simulated" if good else "uncalibrated"
    return "passed" if good else "failed"


def _software():
    try:
        return f"casher {version('casher')}"
    except PackageNotFoundError:
        return "casher, not installed as a package"
