"""An open, noisy surface made solid: signed distance on a grid from unsigned distance and a flood fill of the air.

Physics needs an inside; a scan is a skin with holes whose undersides nobody saw. Air is what a flood from above reaches
without passing through the skin, holes up to a few cells being closed first. Everything else is solid. Where the skin's
front sides can be trusted, they also say on which side of it a cell next to it lies, and what is right behind the skin
is solid even if the air leaks in there from below.
"""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from scipy import ndimage
from skimage.measure import marching_cubes

BLOCK = 8
"""Cells along the edge of the blocks in which distances are computed, or skipped because nothing is near."""
SHELL = 0.9
"""Cells: closer than this to the surface, the flood does not pass."""
CLOSING = 2
"""Cells by which the shell is dilated and eroded again: holes up to twice this are closed."""
BACKING_M = 0.03
"""How thick the skin is made where there is nothing behind it."""
CLEARLY_BEHIND = -0.5
"""Cosine between the normal and the way from the surface to a cell: less is behind, whatever noise does to edges."""


@dataclass(frozen=True, eq=False)
class Solid:
    """Signed distance to the surface at the centres of a grid's cells."""

    distance: np.ndarray
    """(nx, ny, nz) float32 [m], negative inside, exact near the surface and cut off at a few cells."""
    low: np.ndarray
    """(3,) [m], corner of the grid."""
    cell_m: float

    @property
    def inside(self):
        """(nx, ny, nz) bool."""
        return self.distance < 0.0


def solidify(vertices, faces, low, high, cell_m, air_above_z, trust_normals, progress=lambda fraction: None):
    """Surface (vertices (N, 3) [m], faces (M, 3)) -> Solid over the box low..high.

    air_above_z: [m], height above which most of the box is air; the flood starts in the largest free space there.
    trust_normals: whether front sides face the air. progress is called with 0..1. ValueError when there is no air.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    shape = np.maximum(np.ceil((high - low) / cell_m - 1e-6).astype(int), 1)
    far = BACKING_M + 2.0 * cell_m
    unsigned, facing = _distances(vertices, faces, low, shape, cell_m, far, progress)
    shell = unsigned < SHELL * cell_m
    margin = 2 * CLOSING + 1
    closed = ndimage.binary_closing(np.pad(shell, margin, mode="edge"), iterations=CLOSING)
    closed = closed[margin:-margin, margin:-margin, margin:-margin] | shell
    air = _air(~closed, low, cell_m, air_above_z)
    solid = ~air
    if trust_normals:
        # the half of the shell in front of the surface is air, too, where it touches air
        front = shell & (facing > 0.0) & ndimage.binary_dilation(air, iterations=2)
        solid = (solid & ~front) | ((facing < CLEARLY_BEHIND) & (unsigned < BACKING_M))
    progress(1.0)
    return Solid(np.where(solid, -unsigned, unsigned).astype(np.float32), low, cell_m)


def surface(solid, low, high, erode_m=0.0, smooth_cells=0.7):
    """The boundary of what is solid within the box low..high -> closed mesh: vertices (N, 3) [m], faces (M, 3).

    erode_m: how far the boundary is moved inwards. ValueError when nothing in there is solid.
    """
    i0 = np.maximum(np.floor((np.asarray(low) - solid.low) / solid.cell_m).astype(int), 0)
    i1 = np.minimum(np.ceil((np.asarray(high) - solid.low) / solid.cell_m).astype(int), solid.distance.shape)
    if (i0 >= i1).any():
        raise ValueError(f"the box {list(low)} to {list(high)} lies outside of the solid: choose it over the kitchen")
    # smoothing sees beyond the box, so that its border does not bend the surface
    reach = int(np.ceil(4 * smooth_cells))
    a, b = np.maximum(i0 - reach, 0), np.minimum(i1 + reach, solid.distance.shape)
    distance = solid.distance[tuple(map(slice, a, b))]
    if smooth_cells > 0:
        distance = ndimage.gaussian_filter(distance, smooth_cells)
    distance = distance[tuple(map(slice, i0 - a, i1 - a))] + erode_m
    if distance.min() >= 0.0:
        raise ValueError(f"nothing is solid in the box {list(low)} to {list(high)}: choose it over the kitchen")
    # outside of the box is air: the cut is half a cell outside of the last cell's centre
    padded = np.pad(distance, 1, constant_values=solid.cell_m)
    vertices, faces, _, _ = marching_cubes(padded, 0.0, spacing=(solid.cell_m,) * 3)
    return vertices + solid.low + (i0 - 0.5) * solid.cell_m, faces.astype(np.int32)


def _distances(vertices, faces, low, shape, cell_m, far, progress):
    """Unsigned distance [m], at most `far`, and the cosine of the way to the cell with the face's normal."""
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
        o3d.core.Tensor(np.ascontiguousarray(faces, dtype=np.uint32)),
    )
    unsigned = np.full(shape, far, dtype=np.float32)
    facing = np.ones(shape, dtype=np.float32)
    blocks = np.stack(np.meshgrid(*(np.arange(0, n, BLOCK) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    centres = low + (blocks + BLOCK / 2) * cell_m
    near = scene.compute_distance(o3d.core.Tensor(centres.astype(np.float32))).numpy()
    blocks = blocks[near < far + np.sqrt(3.0) * BLOCK / 2 * cell_m]
    within = np.stack(np.meshgrid(*(np.arange(BLOCK),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for start in range(0, len(blocks), 512):
        cells = (blocks[start : start + 512, None] + within).reshape(-1, 3)
        cells = cells[(cells < shape).all(axis=1)]
        points = (low + (cells + 0.5) * cell_m).astype(np.float32)
        closest = scene.compute_closest_points(o3d.core.Tensor(points))
        away = points - closest["points"].numpy()
        distance = np.linalg.norm(away, axis=1)
        cosine = np.einsum("ij,ij->i", away, closest["primitive_normals"].numpy()) / np.maximum(distance, 1e-9)
        unsigned[tuple(cells.T)] = np.minimum(distance, far)
        facing[tuple(cells.T)] = cosine
        progress(min(0.9, 0.9 * (start + 512) / len(blocks)))
    return unsigned, facing


def _air(free, low, cell_m, above_z):
    labels, count = ndimage.label(free)
    first = int(np.clip((above_z - low[2]) / cell_m, 0, free.shape[2] - 1))
    sizes = np.bincount(labels[:, :, first:].ravel(), minlength=count + 1)
    sizes[0] = 0
    if sizes.max() == 0:
        raise ValueError(f"no air above z = {above_z:.2f} m: is the scan upside down, or the box too low?")
    return labels == sizes.argmax()
