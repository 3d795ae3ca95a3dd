"""The rig file of a kitchen: its cameras, where they stand in the base frame, and which calibration says so."""

import dataclasses
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import pose_matrix, position_quat, require_rigid

VERSION = 1
STATUSES = ("simulated", "passed", "failed", "accepted", "uncalibrated")
"""Of a calibration. `simulated`: exact by construction, or of a rehearsal without hardware; `passed` and `failed`: what
the check of a real one said; `accepted`: one a person chose to use although it should not be (rig_trust)."""
USABLE = ("simulated", "passed", "accepted")
SYNCS = ("master", "slave")
"""On a sync cable one camera is the master and every other one a slave."""


class RigError(ValueError):
    """A rig file that cannot be used: says what is wrong, what was found, and what to do."""


@dataclass(frozen=True)
class Calibration:
    """Which calibration the poses come from; evaluations record its id."""

    id: str
    date: str
    """ISO 8601."""
    status: str
    """One of STATUSES."""
    kitchen: str = ""
    """Where it was made. This and what follows is empty in a file that does not say it."""
    serials: dict = field(default_factory=dict)
    """Camera -> serial of the camera that was calibrated."""
    board: str = ""
    """The board in words."""
    software: str = ""
    """Version that made it."""
    figures: dict = field(default_factory=dict)
    """Name with its unit -> number: what the check measured."""


@dataclass(frozen=True, eq=False)
class CameraMount:
    """One camera of the rig."""

    serial: str
    T_base_camera: np.ndarray
    """(4, 4) pose of the optical frame (z forward, y down)."""
    width: int
    """Pixels, of the colour image."""
    height: int
    rate_hz: float
    intrinsics: Intrinsics | None = None
    """As noted by the calibration; None: what the camera itself reports."""
    sync: str | None = None
    """One of SYNCS, with a sync cable between the cameras; None: each at its own time."""


@dataclass(frozen=True, eq=False)
class Rig:
    """The cameras of one kitchen."""

    kitchen: str
    calibration: Calibration
    workspace_low: tuple
    """(x, y, z) [m], base frame: the tool stays above this corner ..."""
    workspace_high: tuple
    """... and below this one."""
    cameras: dict[str, CameraMount]
    """Name -> camera, at least two."""
    table_m: float | None = None
    """Height of the worktop [m], base frame: only the arm's hand reaches below it. None: the workspace's lowest."""


def optical_frame(camera):
    """The tf frame of a camera's images and points."""
    return f"{camera}_color_optical_frame"


def is_path(name_or_path):
    """Whether this is the path of a rig file, not a kitchen's name."""
    text = str(name_or_path)
    return os.sep in text or text.endswith((".yaml", ".yml"))


def find_rig(name_or_path, folders):
    """A kitchen's name, looked up as NAME.yaml in `folders`, or a path -> Path; RigError lists the known kitchens."""
    text = str(name_or_path)
    if is_path(text):
        return Path(text)
    found = {path.stem: path for folder in reversed(list(folders)) for path in Path(folder).glob("*.yaml")}
    if text not in found:
        known = ", ".join(sorted(found)) or "none"
        raise RigError(f"unknown kitchen {text!r}: known are {known}; or give the path of a rig file")
    return found[text]


def load_rig(path, calibrated=True):
    """Read a rig file -> Rig. RigError for whatever is wrong with it.

    calibrated: refuse a rig whose calibration failed or is missing, which only calibration itself may load.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RigError(
            f"no rig file {path}: check the name of the kitchen, or make one with "
            "'casher calibrate collect --kitchen NAME --serials LEFT RIGHT'"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RigError(f"cannot read the rig file {path}: {error}") from None
    try:
        rig = _rig(yaml.load(text, Loader=_OnceLoader))
    except yaml.YAMLError as error:
        raise RigError(f"the rig file {path} is not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise RigError(f"rig file {path}: {error}") from None
    if calibrated and rig.calibration.status not in USABLE:
        raise RigError(
            f"rig file {path}: the calibration {rig.calibration.id!r} has the status '{rig.calibration.status}', "
            f"needed is one of {', '.join(USABLE)}: run 'casher calibrate collect --kitchen {rig.kitchen}'"
        )
    return rig


def save_rig(rig, path):
    """Write a rig file; the old one stays whole until the new one is complete."""
    path = Path(path)
    cameras = {}
    for name, camera in rig.cameras.items():
        position, quat_xyzw = position_quat(camera.T_base_camera)
        cameras[name] = {
            "serial": camera.serial,
            "pose": {"position": position.tolist(), "quat_xyzw": quat_xyzw.tolist()},
            **{key: getattr(camera, key) for key in ("width", "height", "rate_hz")},
        }
        if camera.sync is not None:
            cameras[name]["sync"] = camera.sync
        if camera.intrinsics is not None:
            cameras[name]["intrinsics"] = {
                key: float(getattr(camera.intrinsics, key)) for key in ("fx", "fy", "cx", "cy")
            }
    values = {
        "version": VERSION,
        "kitchen": rig.kitchen,
        "calibration": {
            key: value
            for key, value in dataclasses.asdict(rig.calibration).items()
            if value or key in ("id", "date", "status")
        },
        "workspace": {
            "low": list(rig.workspace_low),
            "high": list(rig.workspace_high),
            **({} if rig.table_m is None else {"table": rig.table_m}),
        },
        "cameras": cameras,
    }
    _rig(values)  # never write what cannot be read back
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(yaml.safe_dump(values, sort_keys=False, default_flow_style=None), encoding="utf-8")
    partial.replace(path)


class _OnceLoader(yaml.SafeLoader):
    """YAML in which no name is given twice: SafeLoader would silently keep the last."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({name for name in names if names.count(name) > 1 and name != "<<"})
        if twice:
            line = node.start_mark.line + 1
            raise ValueError(f"{', '.join(twice)} is there twice in the mapping that begins in line {line}: remove one")
        return super().construct_mapping(node, deep)


def _rig(values):
    if isinstance(values, dict) and values.get("version") != VERSION:
        raise ValueError(
            f"version must be {VERSION}, got {values.get('version')!r}: write it anew with 'casher calibrate collect'"
        )
    top = _fields(values, "the rig", ("version", "kitchen", "calibration", "workspace", "cameras"))
    calibration = _calibration(top["calibration"])
    workspace = _fields(top["workspace"], "workspace", ("low", "high"), ("table",))
    low, high = (_numbers(workspace[key], 3, f"workspace {key}") for key in ("low", "high"))
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise ValueError(f"workspace low must be below high, got {low} and {high}")
    table_m = _numbers([workspace["table"]], 1, "workspace table")[0] if "table" in workspace else None
    if table_m is not None and not low[2] <= table_m < high[2]:
        raise ValueError(f"workspace table must be a height within {low[2]} .. {high[2]} m, got {table_m} m")
    if not isinstance(top["cameras"], dict) or len(top["cameras"]) < 2:
        given = list(top["cameras"]) if isinstance(top["cameras"], dict) else top["cameras"]
        raise ValueError(f"two cameras are needed, got {given}: name each one under 'cameras'")
    cameras = {name: _camera(name, camera) for name, camera in top["cameras"].items()}
    owner = {}
    for name, camera in cameras.items():
        if camera.serial in owner:
            raise ValueError(f"{owner[camera.serial]} and {name} have the same serial {camera.serial!r}: correct one")
        owner[camera.serial] = name
    syncs = [camera.sync for camera in cameras.values()]
    if any(syncs) and (None in syncs or syncs.count("master") != 1):
        raise ValueError(f"on a sync cable one camera is the master and all others are slaves, got {syncs}")
    return Rig(str(top["kitchen"]), calibration, low, high, cameras, table_m)


def _calibration(values):
    texts = ("id", "date", "status", "kitchen", "board", "software")
    given = _fields(values, "calibration", texts[:3], (*texts[3:], "serials", "figures"))
    if given["status"] not in STATUSES:
        raise ValueError(f"calibration status must be one of {', '.join(STATUSES)}, got {given['status']!r}")
    for name in ("serials", "figures"):
        if not isinstance(given.get(name, {}), dict):
            raise ValueError(f"{name} of the calibration must be a mapping, got {given[name]!r}")
    figures = given.get("figures", {})
    return Calibration(
        **{name: str(given[name]) for name in texts if name in given},
        serials={str(camera): str(serial) for camera, serial in given.get("serials", {}).items()},
        figures=dict(zip(figures, _numbers(list(figures.values()), len(figures), "figures"), strict=True)),
    )


def _camera(name, values):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
        raise ValueError(f"a camera's name is lower case letters, digits and _, as in a ROS topic, got {name!r}")
    v = _fields(values, name, ("serial", "pose", "width", "height", "rate_hz"), ("intrinsics", "sync"))
    pose = _fields(v["pose"], f"pose of {name}", ("position", "quat_xyzw"))
    position = _numbers(pose["position"], 3, f"position of {name}")
    quat_xyzw = _numbers(pose["quat_xyzw"], 4, f"quat_xyzw of {name}")
    try:
        T = require_rigid(pose_matrix(position, quat_xyzw), f"the pose of {name}")
    except ValueError as error:
        raise ValueError(f"pose of {name}: {error}") from None
    T.setflags(write=False)
    width, height = (v[key] for key in ("width", "height"))
    if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in (width, height)):
        raise ValueError(f"width and height of {name} must be positive integers, got {width!r} x {height!r}")
    (rate_hz,) = _numbers([v["rate_hz"]], 1, f"rate_hz of {name}")
    if rate_hz <= 0:
        raise ValueError(f"rate_hz of {name} must be positive, got {rate_hz}")
    intrinsics = None
    if "intrinsics" in v:
        k = _fields(v["intrinsics"], f"intrinsics of {name}", ("fx", "fy", "cx", "cy"))
        intrinsics = Intrinsics(width, height, *_numbers(list(k.values()), 4, f"intrinsics of {name}"))
    if v.get("sync") not in (None, *SYNCS):
        raise ValueError(f"sync of {name} must be one of {', '.join(SYNCS)}, or be left out, got {v['sync']!r}")
    return CameraMount(str(v["serial"]), T, width, height, rate_hz, intrinsics, v.get("sync"))


def _fields(values, what, required, optional=()):
    """The mapping's entries in the order of `required`, then the optional ones given."""
    if not isinstance(values, dict):
        raise ValueError(f"{what} must be a mapping with {', '.join(required)}, got {values!r}")
    missing = [key for key in required if values.get(key) is None]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}")
    unknown = [str(key) for key in values if key not in (*required, *optional)]
    if unknown:
        raise ValueError(
            f"{what} has unknown fields {', '.join(unknown)}: known are {', '.join((*required, *optional))}"
        )
    return {key: values[key] for key in (*required, *optional) if key in values}


def _numbers(values, n, what):
    good = isinstance(values, list) and len(values) == n
    if not good or not all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in values):
        raise ValueError(f"{what} must be {n} numbers, got {values!r}")
    return tuple(float(v) for v in values)
