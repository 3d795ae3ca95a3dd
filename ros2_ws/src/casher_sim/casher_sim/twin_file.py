"""twin.yaml read and written. Strict: every wrong field is named by its path, and nothing that is unknown passes."""

import dataclasses
import os
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from casher_perception.geometry import pose_matrix, position_quat
from casher_policy.task import TASKS
from casher_sim import twin as t
from casher_sim.twin import Twin, TwinError
from casher_sim.yaml_node import FieldError, Node

FILE = "twin.yaml"
MAKE_ONE = "make a twin with 'casher scan import' or 'casher kitchens make'"


def instead(folder):
    """What to name instead of a folder that is no twin but holds some; '' when it holds none."""
    inner = sorted(path.parent for path in Path(folder).glob(f"*/{FILE}"))
    return f"there are {len(inner)} in folders below it, name {inner[0]}, say" if inner else ""


def load_twin(folder):
    """Folder of a twin -> Twin. TwinError for whatever is wrong with twin.yaml; meshes are not opened."""
    path = Path(folder) / FILE
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TwinError(f"no {FILE} in {folder}: {instead(folder) or MAKE_ONE}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TwinError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise TwinError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return _twin(Node(values, ""))
    except ValueError as error:
        raise TwinError(f"{path}: {error}") from None


def save_twin(twin, folder):
    """Write twin.yaml into an existing folder, atomically; TwinError, as in `load_twin`, before anything is written."""
    position, quat_xyzw = position_quat(twin.T_base_scan)
    values = {f.name: getattr(twin, f.name) for f in dataclasses.fields(Twin)}
    values["T_base_scan"] = {"position": position, "quat_xyzw": quat_xyzw.round(12)}
    values["consent"] = twin.consent or t.CONSENT_NOT_NEEDED
    values = {"version": values.pop("version"), **values}
    values = _plain(values)
    try:
        _twin(Node(values, ""))  # never write what cannot be read back
    except ValueError as error:
        raise TwinError(f"twin {twin.name!r} not saved: {error}") from None
    partial = Path(folder) / f".{FILE}.partial"
    partial.write_text(yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120), encoding="utf-8")
    partial.replace(Path(folder) / FILE)


def file_inside(folder, name):
    """A file that twin.yaml names -> Path; TwinError when it, or what a link there points to, leaves the folder."""
    path = Path(folder) / name
    if _leaves(name) or not path.resolve().is_relative_to(Path(folder).resolve()):
        raise TwinError(f"{name!r} lies outside the twin's folder {folder}: copy the file into the folder")
    return path


def _leaves(name):
    return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or os.path.isabs(name)


def _plain(value):
    """YAML's own types; fields that are None are left out."""
    if dataclasses.is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


def _mesh(node):
    if not isinstance(node.value, str) or not node.value.endswith(".glb") or _leaves(node.value):
        raise node.error("a .glb file in the twin's folder (a relative path without '..')")
    return node.value


def _range(node):
    low, high = node.numbers(2)
    if low >= high:
        raise node.error("(lowest, highest) with lowest < highest")
    return low, high


def _record(cls):
    return lambda node: _read(node, cls)


def _records(cls):
    return lambda node: tuple(_read(item, cls) for item in node.items())


def _numbers(n):
    return lambda node: node.numbers(n)


def _sizes(n):
    return lambda node: node.sizes(n)


def _unit(n):
    return lambda node: node.unit(n)


def _choice(known):
    return lambda node: node.choice(known)


def _consent(node):
    return None if node.value == t.CONSENT_NOT_NEEDED else _read(node, t.Consent)


READERS = {
    t.Box: {"center": _numbers(3), "half_size": _sizes(3), "quat_xyzw": _unit(4)},
    t.Joint: {
        "type": _choice(t.JOINTS),
        "axis": _unit(3),
        "origin": _numbers(3),
        "range": _range,
        "damping": Node.at_least_zero,
        "friction": Node.at_least_zero,
    },
    t.Body: {
        "name": Node.name,
        "visual": _mesh,
        "collision": _mesh,
        "boxes": _records(t.Box),
        "joint": _record(t.Joint),
        "parent": Node.name,
        "friction": Node.at_least_zero,
    },
    t.Site: {"position": _numbers(3), "half_size": _sizes(2), "rim_z": Node.number},
    t.Handle: {
        "body": Node.name,
        "position": _numbers(3),
        "axis": _unit(3),
        "outward": _unit(3),
        "length": Node.positive,
        "thickness": Node.positive,
    },
    t.Spawn: {"center": _numbers(3), "half_size": _sizes(2), "yaw": Node.number},
    t.TaskSupport: {"objects": lambda node: tuple(item.name() for item in node.items())},
    t.Physics: {"friction": Node.at_least_zero, "object_mass_kg": Node.positive},
    t.Provenance: {
        "source": _choice(t.SOURCES),
        "date": Node.day,
        "software": Node.text,
        "seed": Node.integer,
        "app": Node.text,
    },
    t.Consent: {"given_by": Node.text, "scope": Node.text, "date": Node.day},
    Twin: {
        "version": Node.integer,
        "name": Node.name,
        "scan_up": _choice(t.UP_AXES),
        "scale": Node.positive,
        "T_base_scan": lambda node: _pose(node),
        "bodies": _records(t.Body),
        "sites": lambda node: {name: _read(child, t.Site) for name, child in node.mapping().items()},
        "handle": _record(t.Handle),
        "spawns": lambda node: {side: _read(child, t.Spawn) for side, child in node.mapping(t.SIDES).items()},
        "tasks": lambda node: {name: _read(child, t.TaskSupport) for name, child in node.mapping(tuple(TASKS)).items()},
        "provenance": _record(t.Provenance),
        "consent": _consent,
        "physics": _record(t.Physics),
    },
}
"""Dataclass -> how each of its fields is read."""

MAY_BE_ABSENT = {
    t.Box: ("quat_xyzw",),
    t.Body: ("visual", "collision", "boxes", "joint", "parent", "friction"),
    t.Spawn: ("yaw",),
    t.Provenance: ("seed", "app"),
    Twin: ("handle",),
}
"""Fields that the file may leave out: those that mean nothing, zero, or that there is none."""


def _read(node, cls):
    optional = MAY_BE_ABSENT.get(cls, ())
    nodes = node.fields(tuple(READERS[cls]), [name for name in READERS[cls] if name not in optional])
    has_default = {f.name for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
    absent = {name: None for name in optional if name not in nodes and name not in has_default}
    return cls(**{name: READERS[cls][name](child) for name, child in nodes.items()}, **absent)


def _pose(node):
    v = node.fields(("position", "quat_xyzw"), ("position", "quat_xyzw"))
    T = pose_matrix(v["position"].numbers(3), v["quat_xyzw"].unit(4))
    T.setflags(write=False)
    return T


def _twin(top):
    if isinstance(top.value, dict) and top.value.get("version") != t.VERSION:
        raise FieldError(
            f"version must be {t.VERSION}, got {top.value.get('version')!r}: write the twin anew with this software"
        )
    twin = _read(top, Twin)
    joints = {}
    for i, body in enumerate(twin.bodies):
        if body.name in joints:
            raise FieldError(f"bodies[{i}].name must be unique, got {body.name!r} twice: rename one")
        if body.parent is not None and body.parent not in joints:
            known = ", ".join(joints) or "none"
            raise FieldError(f"bodies[{i}].parent must be a body named before it ({known}), got {body.parent!r}")
        joints[body.name] = body.joint
    if not twin.bodies:
        raise FieldError("bodies must have at least one body, got none")
    if twin.handle is not None and joints.get(twin.handle.body) is None:
        moving = ", ".join(name for name, joint in joints.items() if joint) or "none"
        raise FieldError(f"handle.body must be a body with a joint ({moving}), got {twin.handle.body!r}")
    return twin
