"""How a scan lies against the robot: axis, scale, worktop and base together, with the reasons for people to check."""

from dataclasses import dataclass

import numpy as np

from casher_perception.geometry import inverse, pose_matrix, transform
from casher_sim.scan_frame import Planes, find_planes, guess_up, require_metric, upright
from casher_sim.scan_layout import Layout, propose
from casher_sim.scan_read import ScanError

USUAL_HEIGHT_M = (0.80, 1.05)
"""Of a worktop above the floor."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A scan in the base frame."""

    axis: str
    """Up in the scan: 'y' or 'z'."""
    scale: float
    """Metres per unit."""
    T_base_scan: np.ndarray
    """(4, 4) rigid."""
    worktop_z: float
    """[m], base frame."""
    planes: Planes
    layout: Layout
    facts: list
    """What was found, sentences."""
    warnings: list
    """What to look at, sentences."""


def place(scan, vertices, faces, up=None, scale=None, base=None):
    """ScanFile with all its vertices (N, 3) and faces (M, 3), in its own units -> Placed. ScanError when it cannot be.

    up, scale: as told by somebody, before what the format says or the surfaces show. base: x, y, z [m] and yaw [deg]
    of the robot's base in the upright scan (z up, the scan's own origin); None: one is proposed.
    """
    facts, warnings = [], []
    axis = _axis(scan, vertices, faces, up, facts, warnings)
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise ScanError(f"--scale must be above 0 metres per unit, got {scale}")
    if scale is None and scan.scale_hint is None:
        warnings.append("the format does not say its unit: metres are assumed; give --scale if that is wrong")
    scale = float(scale or scan.scale_hint or 1.0)
    require_metric(vertices, scale)
    T_upright_scan = np.eye(4)
    T_upright_scan[:3, :3] = upright(axis)
    at = transform(T_upright_scan, vertices * scale)
    planes = find_planes(at, faces)
    _judge_height(planes, facts, warnings)
    T_level_upright = _levelled(planes)
    T_level_base = None
    if base is not None:
        x, y, z, yaw = base
        T_level_base = pose_matrix(
            (0.0, 0.0, 0.0), (0.0, 0.0, np.sin(np.radians(yaw) / 2), np.cos(np.radians(yaw) / 2))
        )
        T_level_base[:3, 3] = transform(T_level_upright, np.array([[x, y, z]], dtype=np.float64))[0]
    layout = propose(transform(T_level_upright, at), faces, T_level_base)
    T_base_scan = layout.T_base_upright @ T_level_upright @ T_upright_scan
    x, y, z = inverse(layout.T_base_upright @ T_level_upright)[:3, 3]
    yaw = np.degrees(np.arctan2(layout.T_base_upright[0, 1], layout.T_base_upright[0, 0]))
    facts.append(f"base at {x:.3f} {y:.3f} {z:.3f} {yaw:.1f} (--base; {'as told' if base else 'proposed'})")
    worktop_z = float(layout.T_base_upright[2, 3])
    return Placed(axis, scale, T_base_scan, worktop_z, planes, layout, facts, warnings + layout.warnings)


def _axis(scan, vertices, faces, up, facts, warnings):
    if up is not None and up not in ("y", "z"):
        raise ScanError(f"--up must be y or z, got {up!r}")
    if up is not None:
        facts.append(f"up axis: {up} (as told)")
        return up
    guess = guess_up(vertices, faces, scan.up_hint)
    facts.append(f"up axis: {guess.axis} ({guess.reason})")
    if not guess.clear:
        warnings.append(f"the up axis is not clear ({guess.reason}): look at the twin, or give --up")
    if scan.up_hint not in (None, guess.axis):
        warnings.append(
            f"the up axis is {guess.axis} by the surfaces, {scan.up_hint} by the format: give --up if wrong"
        )
    return guess.axis


def _judge_height(planes, facts, warnings):
    if planes.floor_z is None:
        facts.append(f"worktop of {planes.worktop_area_m2:.1f} m2; no floor in the scan")
        warnings.append("no floor below the worktop: the scale cannot be checked by the worktop's height")
        return
    height = planes.worktop_z - planes.floor_z
    facts.append(f"worktop of {planes.worktop_area_m2:.1f} m2, {height:.2f} m above the floor")
    if not USUAL_HEIGHT_M[0] <= height <= USUAL_HEIGHT_M[1]:
        warnings.append(f"a worktop at {height:.2f} m is unusual: measure it, and give --scale if it is not so high")


def _levelled(planes):
    """T_level_upright: the worktop is turned level and moved to z = 0."""
    normal = np.array(planes.worktop_normal)
    axis = np.cross(normal, (0.0, 0.0, 1.0))
    length = np.linalg.norm(axis)
    T = np.eye(4)
    if length > 1e-9:
        half = np.arcsin(min(length, 1.0)) / 2
        T = pose_matrix((0.0, 0.0, 0.0), (*(axis / length * np.sin(half)), np.cos(half)))
    T[2, 3] = -(T[:3, :3] @ np.array(planes.worktop_point))[2]
    return T
