"""The worktop and the bowls let into it: collision and looks are the same surfaces, to the millimetre."""

import numpy as np

from casher_sim import procedural_shapes as shapes

SHELL_M = 0.008
"""Thickness of a bowl's floor."""
_MARGIN_M = 0.02
"""From a bowl's opening to the edge of the cell of worktop that is cut out around it."""


def build_worktop(pieces, layout):
    """The worktop with its bowls."""
    top, under = layout.counter_z, layout.counter_z - layout.thickness
    cells = [_bowl(pieces, layout, layout.basin.center, layout.basin.half, layout.basin.corner)]
    if layout.basin.second_side:
        corner = min(layout.basin.corner, 0.04)
        cells.append(_bowl(pieces, layout, layout.basin.second_center, layout.basin.second_half, corner))
    for low, high in _around(layout, cells):
        pieces.box((*low, under), (*high, top), "worktop", faces=("-x", "+x", "-y", "+y", "-z", "+z"))
    if layout.leg:
        sign = 1 if layout.shape == "l_left" else -1
        end = layout.left if sign > 0 else layout.right
        pieces.box((-0.75, sign * layout.leg, under), (layout.front, end, top), "worktop")
    _drainboard(pieces, layout)
    _hob(pieces, layout)


def _around(layout, cells):
    """The worktop as rectangles ((x, y) low, high) that leave the cells out."""
    cells = sorted(cells, key=lambda cell: cell[0][1])
    edges = [layout.right, *(y for low, high in cells for y in (low[1], high[1])), layout.left]
    for right, left in zip(edges[0::2], edges[1::2], strict=True):
        if left - right > 1e-6:
            yield (layout.front, right), (layout.back, left)
    for low, high in cells:
        yield (layout.front, low[1]), (low[0], high[1])
        yield (high[0], low[1]), (layout.back, high[1])


def _bowl(pieces, layout, center, half, corner):
    """One bowl in its cell of worktop; -> the cell's ((x, y) low, high)."""
    basin = layout.basin
    depth = basin.depth if center == basin.center else 0.8 * basin.depth
    top, floor = layout.counter_z, layout.counter_z - depth
    # Neighbouring cells meet in the middle of the divider.
    margin = np.full((2, 2), _MARGIN_M)
    if basin.second_side:
        towards = basin.second_side if center == basin.center else -basin.second_side
        margin[1, 1 if towards > 0 else 0] = 0.01
    low, high = np.subtract(center, half) - margin[:, 0], np.add(center, half) + margin[:, 1]
    steps = 6 if basin.kind == "round" else 4
    outline = shapes.rounded_rectangle(center, half, corner, steps)
    surface = "basin" if basin.apron else "worktop"
    for part in _ring(outline, low, high):
        pieces.hull(np.r_[np.c_[part, np.full(len(part), floor)], np.c_[part, np.full(len(part), top)]])
        pieces.show(shapes.polygon(part, top), surface)
    pieces.show(shapes.wall(outline, floor, top, inward=True), "basin")
    pieces.show(shapes.polygon(outline, floor), "basin")
    pieces.show(shapes.wall(outline, floor - SHELL_M, floor), "dark")
    pieces.block((*np.subtract(center, half), floor - 0.03), (*np.add(center, half), floor))
    if not basin.apron:
        lip = shapes.rounded_rectangle(center, np.add(half, 0.012), corner + 0.012, steps)
        pieces.show(_flat_ring(outline, lip, top + 0.0008), "basin")
    else:
        pieces.box((layout.front - 0.015, low[1], top - depth - 0.03), (layout.front, high[1], top), "basin")
    x, y = center[0] + 0.25 * half[0], center[1]
    pieces.show(shapes.lathe([(0.032, floor), (0.030, floor + 0.0012), (0.0, floor + 0.0008)], (x, y, 0)), "steel")
    pieces.show(shapes.lathe([(0.018, floor + 0.0014), (0.0, floor + 0.0014)], (x, y, 0)), "dark")
    return tuple(low), tuple(high)


def _ring(outline, low, high):
    """Convex pieces, counter-clockwise, of the rectangle low..high without the convex outline in it."""
    corners = [(high[0], high[1]), (low[0], high[1]), (low[0], low[1]), (high[0], low[1])]
    middle = np.mean(outline, axis=0)
    quadrant = [_quadrant(p - middle) for p in (outline + np.roll(outline, -1, axis=0)) / 2]
    for i, (a, b) in enumerate(zip(outline, np.roll(outline, -1, axis=0), strict=True)):
        straight = np.abs(b - a).min() < 1e-9 and np.linalg.norm(b - a) > 0.03
        if straight:
            yield _counter_clockwise([a, _onto(a, b, a, low, high), _onto(a, b, b, low, high), b])
        else:
            yield _counter_clockwise([a, corners[quadrant[i]], b])
    # What is left between a corner's arc and the two straight edges beside it.
    for k, corner in enumerate(corners):
        arc = [p for p in outline if _quadrant(p - middle, slack=1e-9) == k or _on_axis(p - middle, k)]
        first = min(arc, key=lambda p: abs(p[1] - corner[1]))
        last = min(arc, key=lambda p: abs(p[0] - corner[0]))
        far = [p for p in arc if abs(p[1] - first[1]) < 1e-9]
        first = min(far, key=lambda p: abs(p[0] - corner[0]))
        far = [p for p in arc if abs(p[0] - last[0]) < 1e-9]
        last = min(far, key=lambda p: abs(p[1] - corner[1]))
        yield _counter_clockwise([first, (first[0], corner[1]), corner])
        yield _counter_clockwise([last, (corner[0], last[1]), corner])


def _quadrant(v, slack=0.0):
    return {(True, True): 0, (False, True): 1, (False, False): 2, (True, False): 3}[(v[0] >= -slack, v[1] >= -slack)]


def _on_axis(v, k):
    sign = ((1, 1), (-1, 1), (-1, -1), (1, -1))[k]
    return v[0] * sign[0] >= -1e-9 and v[1] * sign[1] >= -1e-9


def _onto(a, b, p, low, high):
    """Point p of the straight edge a-b moved straight out to the rectangle's edge."""
    if abs(a[0] - b[0]) < 1e-9:
        return (high[0] if p[0] > (low[0] + high[0]) / 2 else low[0], p[1])
    return (p[0], high[1] if p[1] > (low[1] + high[1]) / 2 else low[1])


def _counter_clockwise(points):
    points = np.array(points, float)
    x, y = points.T
    return points if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0 else points[::-1]


def _flat_ring(inner, outer, z):
    """The band between two outlines with as many points."""
    n = len(inner)
    points = np.r_[inner, outer]
    i, j = np.arange(n), (np.arange(n) + 1) % n
    faces = np.concatenate([np.c_[i, n + i, n + j], np.c_[i, n + j, j]])
    return np.c_[points, np.full(2 * n, z)], faces, points[:, ::-1]


def _drainboard(pieces, layout):
    basin = layout.basin
    if not basin.drainboard:
        return
    (x, y), (hx, _), side = basin.center, basin.half, basin.drainboard
    start = y + side * (basin.reach_y(side) + 0.03)
    for groove in np.linspace(-0.75, 0.75, 7) * hx:
        low = (x + groove - 0.004, start, layout.counter_z)
        pieces.panel(low, (x + groove + 0.004, start + side * 0.26, layout.counter_z + 0.0012), "basin")


def _hob(pieces, layout):
    if not layout.hob:
        return
    (x, y), z = layout.hob, layout.counter_z
    pieces.panel((x - 0.25, y - 0.28, z), (x + 0.25, y + 0.28, z + 0.004), "dark")
    for (dx, dy), radius in zip(
        ((-0.11, -0.14), (-0.11, 0.14), (0.11, -0.14), (0.11, 0.14)), (0.07, 0.1, 0.1, 0.07), strict=True
    ):
        ring = shapes.rounded_rectangle((x + dx, y + dy), (radius, radius), radius, 5)
        inner = shapes.rounded_rectangle((x + dx, y + dy), (radius - 0.006,) * 2, radius - 0.006, 5)
        pieces.show(_flat_ring(inner, ring, z + 0.0045), "steel")
