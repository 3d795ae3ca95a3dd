"""The loops of clouds.py, compiled on import (from numba's cache after the first time).

For one set of types each: nothing is left to compile in the middle of an episode.
"""

import numpy as np
from numba import types

from casher_perception.compiled import compiled

BLOCK = 8
"""Edge of a block of voxels; a power of two."""
_SHIFT, _LOCAL = np.uint64(3), np.uint64(BLOCK - 1)


def _read(dtype, ndim):
    return types.Array(dtype, ndim, "C", readonly=True)


_POINTS, _COLOURS = _read(types.float32, 2), _read(types.uint8, 2)
_DEPTH, _IMAGE = _read(types.uint16, 2), _read(types.uint8, 3)
_VECTOR, _LINES = _read(types.float32, 1), _read(types.float32, 2)
_OUT_POINTS, _OUT_COLOURS = types.float32[:, ::1], types.uint8[:, ::1]
_ROOM, _USED, _CELLS, _SUMS = types.int32[::1], types.int64[::1], types.int32[:, ::1], types.float64[:, ::1]


def _compiled(result, *arguments):
    # No fastmath: it may assume away the NaN that the comparisons with the box are there to drop.
    return compiled([result(*arguments)], boundscheck=False)


@_compiled(types.int64, _DEPTH, _IMAGE, _LINES, _LINES, _VECTOR, _VECTOR, _VECTOR, _OUT_POINTS, _OUT_COLOURS)
def deproject(depth, colour, columns, rows, p, low, high, points, colours):
    """Write the points inside the box and their colours -> how many. A point is (columns + rows) * depth + p."""
    n = 0
    height, width = depth.shape
    for v in range(height):
        for u in range(width):
            z = np.float32(depth[v, u])
            if z == 0:
                continue
            X = (columns[0, u] + rows[0, v]) * z + p[0]
            Y = (columns[1, u] + rows[1, v]) * z + p[1]
            Z = (columns[2, u] + rows[2, v]) * z + p[2]
            if low[0] <= X <= high[0] and low[1] <= Y <= high[1] and low[2] <= Z <= high[2]:
                points[n, 0], points[n, 1], points[n, 2] = X, Y, Z
                colours[n, 0], colours[n, 1], colours[n, 2] = colour[v, u, 0], colour[v, u, 1], colour[v, u, 2]
                n += 1
    return n


@_compiled(
    types.int64, _DEPTH, _IMAGE, _LINES, _LINES, _VECTOR, _LINES, _LINES, _VECTOR, _VECTOR, _VECTOR, _VECTOR,
    _OUT_POINTS, _OUT_COLOURS,
)  # fmt: skip
def deproject_unaligned(depth, colour, columns, rows, p, to_columns, to_rows, q, k, low, high, points, colours):
    """As deproject; to_columns, to_rows, q lead to the colour camera's frame likewise, k is its (fx, fy, cx, cy)."""
    n = 0
    height, width = depth.shape
    half = np.float32(0.5)
    for v in range(height):
        for u in range(width):
            z = np.float32(depth[v, u])
            if z == 0:
                continue
            X = (columns[0, u] + rows[0, v]) * z + p[0]
            Y = (columns[1, u] + rows[1, v]) * z + p[1]
            Z = (columns[2, u] + rows[2, v]) * z + p[2]
            if not (low[0] <= X <= high[0] and low[1] <= Y <= high[1] and low[2] <= Z <= high[2]):
                continue
            w = (to_columns[2, u] + to_rows[2, v]) * z + q[2]
            if w <= 0:
                continue
            x = ((to_columns[0, u] + to_rows[0, v]) * z + q[0]) / w * k[0] + k[2] + half
            y = ((to_columns[1, u] + to_rows[1, v]) * z + q[1]) / w * k[1] + k[3] + half
            if 0 <= x < colour.shape[1] and 0 <= y < colour.shape[0]:
                i, j = np.uint64(x), np.uint64(y)
                points[n, 0], points[n, 1], points[n, 2] = X, Y, Z
                colours[n, 0], colours[n, 1], colours[n, 2] = colour[j, i, 0], colour[j, i, 1], colour[j, i, 2]
                n += 1
    return n


@_compiled(types.void, _DEPTH, _LINES, _LINES, _VECTOR, _VECTOR, types.float32, types.uint16[:, ::1])
def register(depth, to_columns, to_rows, q, k, counts_per_m, registered):
    """Write each pixel of the depth image to all pixels of `registered`, all 0 at first, that its square covers.

    to_columns, to_rows, q as for deproject_unaligned, but of the pixels' borders.
    """
    height, width = depth.shape
    half = np.float32(0.5)
    for v in range(height):
        for u in range(width):
            z = np.float32(depth[v, u])
            if z == 0:
                continue
            w0 = (to_columns[2, u] + to_rows[2, v]) * z + q[2]
            w1 = (to_columns[2, u + 1] + to_rows[2, v + 1]) * z + q[2]
            if w0 <= 0 or w1 <= 0:
                continue
            count = (w0 + w1) * half * counts_per_m + half
            if count >= 65536:
                continue
            x0 = ((to_columns[0, u] + to_rows[0, v]) * z + q[0]) / w0 * k[0] + k[2] + half
            y0 = ((to_columns[1, u] + to_rows[1, v]) * z + q[1]) / w0 * k[1] + k[3] + half
            x1 = ((to_columns[0, u + 1] + to_rows[0, v + 1]) * z + q[0]) / w1 * k[0] + k[2] + half
            y1 = ((to_columns[1, u + 1] + to_rows[1, v + 1]) * z + q[1]) / w1 * k[1] + k[3] + half
            if x1 < 0 or y1 < 0 or x0 >= registered.shape[1] or y0 >= registered.shape[0]:
                continue
            low_x, low_y = np.int64(max(x0, np.float32(0))), np.int64(max(y0, np.float32(0)))
            high_x = min(np.int64(x1), registered.shape[1] - 1)
            high_y = min(np.int64(y1), registered.shape[0] - 1)
            for j in range(low_y, high_y + 1):
                for i in range(low_x, high_x + 1):
                    if registered[j, i] == 0 or count < registered[j, i]:
                        registered[j, i] = np.uint16(count)


@_compiled(
    types.UniTuple(types.int64, 3), _POINTS, _COLOURS, types.int64, _VECTOR, _VECTOR, types.float32,
    _read(types.int64, 1), _ROOM, _USED, _CELLS, types.int64, _SUMS, types.int64,
)  # fmt: skip
def voxel_add(points, colours, start, low, high, inverse, blocks, room, used, cells, n_blocks, sums, n_voxels):
    """Add the points from `start` on -> (index of the first point there was no room for, n_blocks, n_voxels).

    room: every block of the box, 1 + its row in cells; used: the entries of room in use; cells (., 512): every voxel of
    a block, 1 + its row in sums; 0 is none. A row of sums is a cache line: x, y, z, red, green, blue, points, unused.
    """
    # In registers, and unsigned throughout: a signed index costs a test for counting from the end.
    low_x, low_y, low_z, high_x, high_y, high_z = low[0], low[1], low[2], high[0], high[1], high[2]
    blocks_y, blocks_z = np.uint64(blocks[1]), np.uint64(blocks[2])
    for i in range(start, len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if not (low_x <= x <= high_x and low_y <= y <= high_y and low_z <= z <= high_z):
            continue  # NaN ends up here too
        a = np.uint64(np.int64((x - low_x) * inverse))
        b = np.uint64(np.int64((y - low_y) * inverse))
        c = np.uint64(np.int64((z - low_z) * inverse))
        t = ((a >> _SHIFT) * blocks_y + (b >> _SHIFT)) * blocks_z + (c >> _SHIFT)
        block = room[t]
        if block == 0:
            if n_blocks == len(cells):
                return i, n_blocks, n_voxels
            cells[n_blocks] = 0
            used[n_blocks] = t
            n_blocks += 1
            block = n_blocks
            room[t] = block
        row = np.uint64(block - 1)
        cell = (((a & _LOCAL) << _SHIFT | (b & _LOCAL)) << _SHIFT) | (c & _LOCAL)
        voxel = cells[row, cell]
        if voxel == 0:
            if n_voxels == len(sums):
                return i, n_blocks, n_voxels
            sums[n_voxels] = 0.0
            n_voxels += 1
            voxel = n_voxels
            cells[row, cell] = voxel
        j = np.uint64(voxel - 1)
        sums[j, 0] += x
        sums[j, 1] += y
        sums[j, 2] += z
        sums[j, 3] += colours[i, 0]
        sums[j, 4] += colours[i, 1]
        sums[j, 5] += colours[i, 2]
        sums[j, 6] += 1.0
    return len(points), n_blocks, n_voxels


@_compiled(types.void, _SUMS, _OUT_POINTS, _OUT_COLOURS)
def voxel_means(sums, points, colours):
    """Means of the first len(points) voxels; colours are rounded."""
    for j in range(len(points)):
        n = sums[j, 6]
        for q in range(3):
            points[j, q] = sums[j, q] / n
            colours[j, q] = np.uint8(sums[j, 3 + q] / n + 0.5)
