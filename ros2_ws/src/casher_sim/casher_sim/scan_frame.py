"""Which way is up in a scan, what its unit is, and where its floor and worktop are."""

from dataclasses import dataclass

import numpy as np

from casher_sim.scan_read import ScanError
from casher_sim.twin import UP_AXES

HORIZONTAL = 0.9
"""Cosine to the vertical above which a triangle counts as horizontal: 26 degrees, for the noise of a scan."""
BIN_M = 0.01
PLANE_M = 0.02
"""Half the thickness of the layer that belongs to a plane."""
WORKTOP_HEIGHT_M = (0.65, 1.20)
"""Above the floor; of kitchens 0.85 to 1.0."""
WORKTOP_AREA_M2 = 0.10
FLOOR_AREA_M2 = 0.05
EXTENT_M = (0.5, 20.0)
"""Largest side of a scan in metres: less or more has another unit."""
OF_FORMAT = 0.12
"""What the file format's own word on the up axis counts, as a share of the area."""
CLEAR = 0.1


@dataclass(frozen=True)
class Up:
    """The up axis of a scan."""

    axis: str
    """'y' or 'z'."""
    reason: str
    clear: bool
    """False: the other one is nearly as likely."""


@dataclass(frozen=True)
class Planes:
    """Horizontal surfaces, in the upright metric frame (z up, not shifted)."""

    floor_z: float | None
    worktop_point: tuple
    """(x, y, z) [m] in its middle."""
    worktop_normal: tuple
    """(x, y, z) unit; its tilt is the scan's."""
    worktop_area_m2: float
    facing_up: float
    """Share of the worktop's layer whose front side is up; low when the scan's triangles are turned at random."""

    @property
    def worktop_z(self):
        """[m], in its middle."""
        return self.worktop_point[2]


def triangle_geometry(vertices, faces):
    """-> centres (M, 3), unit normals (M, 3) and areas (M,) of triangles; degenerate ones have area 0."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    return (a + b + c) / 3, cross / np.maximum(length, 1e-30)[:, None], length / 2


def guess_up(vertices, faces, hint):
    """Scan (vertices (N, 3), faces (M, 3)) and what its format says ('y', 'z', None) -> Up.

    A kitchen shows more of what faces up (floor, worktop) than of what faces down, and walls on few sides at most.
    """
    _, normals, areas = triangle_geometry(vertices, faces)
    scores = {}
    for axis, up in UP_AXES.items():
        along = normals @ np.array(up)
        surplus = areas[along > HORIZONTAL].sum() - areas[along < -HORIZONTAL].sum()
        scores[axis] = surplus / max(areas.sum(), 1e-30) + OF_FORMAT * (axis == hint)
    best = max(scores, key=scores.get)
    other = next(axis for axis in scores if axis != best)
    reason = ", ".join(f"{axis}: {score:.2f}" for axis, score in scores.items())
    said = f"the format says {hint}" if hint else "the format does not say"
    return Up(
        best, f"surface that faces up less down, as a share ({reason}); {said}", scores[best] - scores[other] > CLEAR
    )


def upright(axis):
    """(3, 3) rotation that turns the scan's up axis into z."""
    if axis == "z":
        return np.eye(3)
    return np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def require_metric(vertices, scale):
    """ScanError when a scan of that many metres per unit is no kitchen's size; proposes a scale."""
    extent = float(np.ptp(vertices, axis=0).max()) * scale
    if EXTENT_M[0] <= extent <= EXTENT_M[1]:
        return
    for unit, factor in (("centimetres", 0.01), ("millimetres", 0.001), ("inches", 0.0254), ("feet", 0.3048)):
        if 1.0 <= extent * factor <= 8.0:
            told = f"{unit}: give --scale {factor * scale:g}"
            raise ScanError(f"not metric: the scan would be {extent:.4g} m large; perhaps it is in {told}")
    raise ScanError(
        f"not metric: the scan would be {extent:.4g} m large: measure something in it and give --scale METRES_PER_UNIT"
    )


def find_planes(vertices, faces):
    """Upright metric scan -> Planes. ScanError when there is no worktop in it."""
    centres, normals, areas = triangle_geometry(vertices, faces)
    level = np.abs(normals[:, 2]) > HORIZONTAL
    up = level & (normals[:, 2] > 0)
    # a scan whose triangles are turned at random still has its surfaces
    used = up if areas[up].sum() > 0.5 * areas[level].sum() else level
    if not used.any():
        raise ScanError("no worktop: the scan has no horizontal surface at all: check --up, or scan the worktop")
    heights, weights = centres[used, 2], areas[used]
    low = heights.min()
    half = int(PLANE_M / BIN_M)
    count = max(int(np.ceil((heights.max() - low) / BIN_M)) + 1, 2 * half + 1)
    area = np.bincount(((heights - low) / BIN_M).astype(int), weights, minlength=count)
    layer = np.convolve(area, np.ones(2 * half + 1), mode="same")
    z = low + (np.arange(count) + 0.5) * BIN_M
    floors = np.flatnonzero(layer > FLOOR_AREA_M2)
    floor_z = None
    for candidate in floors[:1]:
        candidate = candidate + np.argmax(layer[candidate : candidate + 2 * half + 1])
        above = layer[(z > z[candidate] + WORKTOP_HEIGHT_M[0]) & (z < z[candidate] + WORKTOP_HEIGHT_M[1])]
        if len(above) and above.max() > WORKTOP_AREA_M2:
            floor_z = float(z[candidate])
    allowed = np.ones(count, dtype=bool)
    if floor_z is not None:
        allowed = (z > floor_z + WORKTOP_HEIGHT_M[0]) & (z < floor_z + WORKTOP_HEIGHT_M[1])
    best = int(np.argmax(np.where(allowed, layer, -1.0)))
    if layer[best] < WORKTOP_AREA_M2:
        raise ScanError(
            f"no worktop: the largest horizontal surface has {layer[best]:.2f} m2, {WORKTOP_AREA_M2} are needed: "
            "scan the worktop from above, or check --up and --scale"
        )
    point, normal = _fit(centres[used], weights, z[best])
    near = np.abs(centres[:, 2] - point[2]) < PLANE_M
    facing = areas[near & up].sum() / max(areas[near & level].sum(), 1e-30)
    return Planes(floor_z, point, normal, float(layer[best]), float(facing))


def _fit(centres, weights, z):
    """Plane through the triangles near height z, outliers dropped -> their middle (x, y, z), unit normal."""
    plane = np.array([0.0, 0.0, z])
    thickness = 2 * PLANE_M
    for _ in range(6):
        near = np.abs(centres[:, 2] - (centres[:, :2] @ plane[:2] + plane[2])) < thickness
        A = np.c_[centres[near, :2], np.ones(near.sum())] * np.sqrt(weights[near])[:, None]
        plane = np.linalg.lstsq(A, centres[near, 2] * np.sqrt(weights[near]), rcond=None)[0]
        thickness = max(0.7 * thickness, 0.5 * PLANE_M)
    middle = np.average(centres[near, :2], axis=0, weights=weights[near])
    normal = np.array([-plane[0], -plane[1], 1.0])
    point = (*middle, middle @ plane[:2] + plane[2])
    return tuple(map(float, point)), tuple(map(float, normal / np.linalg.norm(normal)))
