"""A synthetic phone scan of a kitchen with a known truth: open, noisy, with holes, no undersides, and floating bits.

The kitchen is a distance field on a voxel grid, turned into triangles as scanning apps do, in the scan's frame: metres,
z up, the worktop's surface at `COUNTER_Z` above the floor, the wall at high x.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import marching_cubes

from casher_sim.mesh_file import TexturedMesh

COUNTER_Z = 0.90
WALL_X = 1.14
BASIN = (0.80, 0.30)
"""(x, y) of the basin's centre."""
BASIN_HALF = (0.20, 0.25)
BASIN_DEPTH = 0.18
CORNER_RADIUS = 0.03


@dataclass(frozen=True)
class Defects:
    """What the scanner got wrong."""

    drift_m: float = 0.003
    """Standard deviation of the smooth part of the surface's error."""
    jitter_m: float = 0.0015
    """Standard deviation of each vertex along its normal."""
    holes: int = 12
    hole_radius_m: float = 0.015
    floating: int = 4
    """Blobs in the air."""


@dataclass(frozen=True, eq=False)
class Scan:
    """The scan and what it should have been; scan frame."""

    mesh: TexturedMesh
    truth: TexturedMesh
    """The same surface without defects."""


def make_scan(seed, voxel_m=0.012, defects=None, half_width=1.0):
    """-> Scan. `voxel_m` 0.012 gives about 110 000 triangles; `half_width` [m] is how far it reaches along y."""
    defects = defects or Defects()
    rng = np.random.default_rng(seed)
    low = np.array([0.0, -half_width, -0.10])
    high = np.array([1.25, half_width, 1.85])
    axes = [np.arange(a, b, voxel_m) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    distance, colours = _kitchen(grid, half_width)
    vertices, faces, normals, _ = marching_cubes(distance.astype(np.float32), 0.0, spacing=(voxel_m,) * 3)
    faces = np.ascontiguousarray(faces)
    cell = np.clip((vertices / voxel_m).round().astype(int), 0, np.array(distance.shape) - 1)
    vertices = vertices + low
    colour = colours[tuple(cell.T)] + rng.normal(scale=5.0, size=(len(vertices), 1)) + _grain(vertices)
    colour = np.clip(colour, 0, 255).astype(np.uint8)
    seen = _seen(vertices[faces].mean(axis=1), low, high, voxel_m)
    truth = _compact(vertices, faces[seen], colour)
    drift = gaussian_filter(rng.normal(size=distance.shape), 4)
    drift *= defects.drift_m / drift.std()
    error = drift[tuple(cell.T)] + rng.normal(scale=defects.jitter_m, size=len(vertices))
    noisy = vertices + normals * error[:, None]
    centres = noisy[faces].mean(axis=1)
    for centre in centres[rng.integers(len(centres), size=defects.holes)]:
        seen &= np.linalg.norm(centres - centre, axis=1) > defects.hole_radius_m
    scan = _compact(noisy, faces[seen], colour)
    for _ in range(defects.floating):
        position = rng.uniform([0.2, -0.6 * half_width, 1.2], [0.9, 0.6 * half_width, 1.6])
        scan = _add_blob(scan, position, rng)
    return Scan(scan, truth)


def _box(grid, centre, half):
    q = [np.abs(p - c) - s for p, c, s in zip(grid, centre, half, strict=True)]
    outside = np.sqrt(sum(np.maximum(a, 0.0) ** 2 for a in q))
    return outside + np.minimum(np.maximum.reduce(q), 0.0)


def _cylinder(grid, centre, radius, half):
    across = np.hypot(grid[0] - centre[0], grid[1] - centre[1]) - radius
    along = np.abs(grid[2] - centre[2]) - half
    inside = np.minimum(np.maximum(across, along), 0.0)
    return inside + np.hypot(np.maximum(across, 0.0), np.maximum(along, 0.0))


def _kitchen(grid, half_width):
    """Distance to the kitchen [m] and colour (..., 3) of the nearest part."""
    z = COUNTER_Z
    x, y = BASIN
    r = CORNER_RADIUS
    bowl = _box(grid, (x, y, z), (BASIN_HALF[0] - r, BASIN_HALF[1] - r, BASIN_DEPTH - r)) - r
    below = _box(grid, (x, y, z - BASIN_DEPTH - 0.06), (BASIN_HALF[0], BASIN_HALF[1], 0.06))
    cabinet = np.maximum(
        _box(grid, (0.98, -0.62, z + 0.19), (0.16, 0.28, 0.19)),
        -_box(grid, (0.94, -0.62, z + 0.19), (0.16, 0.25, 0.16)),
    )
    block = _box(grid, (0.86, 0.0, z / 2), (0.32, half_width + 0.2, z / 2))
    tap = np.minimum(
        _cylinder(grid, (1.06, y, z + 0.13), 0.02, 0.14), _box(grid, (0.99, y, z + 0.26), (0.09, 0.018, 0.018))
    )
    parts = [
        (np.maximum(np.maximum(block, bowl - 0.02), -bowl), (168, 173, 178)),
        (np.maximum(_box(grid, (0.86, 0.0, z - 0.02), (0.33, half_width + 0.2, 0.02)), -bowl), (95, 92, 96)),
        (np.maximum(below, -bowl), (170, 175, 180)),
        (_box(grid, (WALL_X + 0.1, 0.0, 0.9), (0.1, half_width + 0.2, 1.2)), (226, 222, 205)),
        (_box(grid, (0.6, 0.0, -0.06), (1.0, half_width + 0.2, 0.06)), (150, 110, 75)),
        (tap, (200, 204, 210)),
        (cabinet, (176, 126, 82)),
        (_box(grid, (1.0, -0.12, z + 0.1), (0.08, 0.12, 0.10)), (170, 60, 50)),
        (_cylinder(grid, (0.72, -0.25, z + 0.08), 0.04, 0.08), (70, 130, 90)),
        (_box(grid, (1.02, 0.45, z + 0.80), (0.12, 0.45, 0.10)), (176, 126, 82)),
        (np.maximum(block, -bowl), (205, 198, 184)),
    ]
    distances = np.stack([d for d, _ in parts])
    colours = np.array([c for _, c in parts], dtype=np.float64)
    return distances.min(axis=0), colours[distances.argmin(axis=0)]


def _grain(vertices):
    return 10.0 * np.sin(vertices @ np.array([70.0, 45.0, 60.0]))[:, None]


def _seen(centres, low, high, voxel_m):
    """Which triangles a person with a phone sees: nothing at the border of the grid or behind the wall."""
    margin = 2.5 * voxel_m
    inside = (centres > low + margin).all(axis=1) & (centres < high - margin).all(axis=1)
    return inside & (centres[:, 0] < WALL_X + 0.02)


def _compact(vertices, faces, colours):
    used, inverse = np.unique(faces, return_inverse=True)
    faces = inverse.reshape(-1, 3).astype(np.int32)
    return TexturedMesh(vertices[used].astype(np.float32), faces, colours[used])


def _add_blob(mesh, position, rng):
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=np.float32)
    corners = position + corners * rng.uniform(0.005, 0.02)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], dtype=np.int32) + len(mesh.vertices)
    return TexturedMesh(
        np.r_[mesh.vertices, corners.astype(np.float32)],
        np.r_[mesh.faces, faces],
        np.r_[mesh.colours, np.full((4, 3), 120, np.uint8)],
    )
