"""A solid covered with boxes: coarse, quick to collide with, for the parts of a kitchen that no task touches."""

import numpy as np
from scipy import ndimage

from casher_sim.twin import Box

SKIN = 2.2
"""Depth, in boxes' edges, to which the solid is covered; nothing gets deeper."""
CANDIDATES = 6
"""Boxes grown from random uncovered cells, of which the one that covers most is kept."""
LEAST = 2
"""Boxes that would cover fewer cells are left out: noise of the scan."""


def cover(solid, edge_m, align_z=0.0, without=(), seed=0):
    """Solid -> (Box, ...) [m], edges multiples of edge_m.

    align_z: height [m] of a surface that has to be met exactly; the boxes' faces lie at multiples of edge_m from it.
    without: ((low, high), ...) boxes of space that something else covers.
    """
    low, occupied, depth = _coarse(solid, edge_m, align_z)
    for a, b in without:
        occupied[_cells(low, edge_m, a, b, occupied.shape)] = False
    uncovered = occupied & (depth < SKIN * edge_m)
    rng = np.random.default_rng(seed)
    found = []
    while len(cells := np.argwhere(uncovered)):
        grown = [_grow(occupied, cells[i]) for i in rng.integers(len(cells), size=CANDIDATES)]
        a, b = max(grown, key=lambda box: uncovered[tuple(map(slice, *box))].sum())
        covered = uncovered[tuple(map(slice, a, b))]
        if covered.sum() >= LEAST:
            centre, half = low + (a + b) / 2 * edge_m, (b - a) / 2 * edge_m
            found.append(Box(tuple(map(float, centre)), tuple(map(float, half))))
        covered[:] = False
    return tuple(found)


def _coarse(solid, edge_m, align_z):
    """Cells of edge_m, solid where their centre is -> corner (3,), solid (bool), depth [m] below the surface."""
    low = solid.low.copy()
    low[2] = align_z + np.floor((low[2] - align_z) / edge_m) * edge_m
    high = solid.low + np.array(solid.distance.shape) * solid.cell_m
    shape = np.ceil((high - low) / edge_m).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    fine = (low[:, None, None, None] + (index + 0.5) * edge_m - solid.low[:, None, None, None]) / solid.cell_m - 0.5
    distance = ndimage.map_coordinates(solid.distance, fine, order=1, mode="nearest")
    occupied = distance < 0.0
    return low, occupied, ndimage.distance_transform_edt(np.pad(occupied, 1, mode="edge"))[1:-1, 1:-1, 1:-1] * edge_m


def _cells(low, edge_m, a, b, shape):
    """The cells whose centre is in the box a..b."""
    first = np.clip(np.ceil((np.asarray(a) - low) / edge_m - 0.5).astype(int), 0, shape)
    end = np.clip(np.ceil((np.asarray(b) - low) / edge_m - 0.5).astype(int), 0, shape)
    return tuple(map(slice, first, end))


def _grow(occupied, cell):
    """The cell, grown in all directions as long as everything in it is solid -> first and one past the last cell."""
    a, b = cell.copy(), cell + 1
    growing = True
    while growing:
        growing = False
        for axis in range(3):
            across = [slice(a[i], b[i]) for i in range(3)]
            across[axis] = b[axis]
            if b[axis] < occupied.shape[axis] and occupied[tuple(across)].all():
                b[axis] += 1
                growing = True
            across[axis] = a[axis] - 1
            if a[axis] > 0 and occupied[tuple(across)].all():
                a[axis] -= 1
                growing = True
    return a, b
