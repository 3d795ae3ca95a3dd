"""Cabinets of a procedural kitchen: those under the worktop and those on the wall."""

from itertools import pairwise

import numpy as np

from casher_sim import procedural_shapes as shapes
from casher_sim.procedural_layout import BOARD_M

DOOR_M = 0.018
"""Thickness of doors and fronts."""
GAP_M = 0.0015


class _Side:
    """Boxes on a front: u along it from right to left as one looks at it from the room, n out of it, z up."""

    def __init__(self, pieces, plane, facing, body):
        """plane: where the front is, across its axis; facing: '-x', '+y' or '-y', the way it looks."""
        self.pieces, self.plane, self.facing, self.body = pieces, plane, facing, body

    def panel(self, u, n, z, material, upright=False):
        """u, n, z: (low, high) each."""
        sign = -1 if self.facing[0] == "-" else 1
        across = (self.plane + sign * n[0], self.plane + sign * n[1])
        x, y = (across, u) if self.facing[1] == "x" else (u, across)
        self.pieces.panel((x[0], y[0], z[0]), (x[1], y[1], z[1]), material, self.body, upright)


def front(pieces, plane, facing, u, z, style, material, handle, body, handle_at="right", base=False):
    """One door or drawer front that fills u (low, high) x z (low, high).

    handle: 'bar', 'knob' or 'none'; handle_at: 'left', 'right' or 'middle'; base: it is below the worktop, so that its
    handle is at its top.
    """
    side = _Side(pieces, plane, facing, body)
    u, z = (u[0] + GAP_M, u[1] - GAP_M), (z[0] + GAP_M, z[1] - GAP_M)
    wide, tall = u[1] - u[0], z[1] - z[0]
    if style == "shaker" and min(wide, tall) > 0.16:
        rail = 0.055
        side.panel(u, (0, 0.010), z, material, upright=True)
        for part in ((u[0], u[0] + rail), (u[1] - rail, u[1])):
            side.panel(part, (0.010, DOOR_M), z, material, upright=True)
        for part in ((z[0], z[0] + rail), (z[1] - rail, z[1])):
            side.panel((u[0] + rail, u[1] - rail), (0.010, DOOR_M), part, material)
    else:
        side.panel(u, (0, DOOR_M), z, material, upright=tall > wide)
    out = (DOOR_M, DOOR_M + 0.025)
    if handle == "none":
        return
    at = {"right": u[0] + 0.045, "left": u[1] - 0.045, "middle": (u[0] + u[1]) / 2}[handle_at]
    high = z[1] - 0.05 if base else z[0] + 0.05
    if handle == "knob":
        side.panel((at - 0.013, at + 0.013), out, (high - 0.013, high + 0.013), "handle")
    elif handle_at == "middle":
        side.panel((at - 0.07, at + 0.07), (out[1] - 0.008, out[1]), (high - 0.005, high + 0.005), "handle")
        for foot in (at - 0.06, at + 0.06):
            side.panel((foot - 0.004, foot + 0.004), out, (high - 0.004, high + 0.004), "handle")
    else:
        ends = (high - 0.14, high) if base else (high, high + 0.14)
        side.panel((at - 0.005, at + 0.005), (out[1] - 0.008, out[1]), ends, "handle")
        for foot in (ends[0] + 0.012, ends[1] - 0.012):
            side.panel((at - 0.004, at + 0.004), out, (foot - 0.004, foot + 0.004), "handle")


def build_base(pieces, layout):
    """Cabinets under the worktop, with their toe kicks; what collides leaves room for the bowls."""
    under, low = layout.counter_z - layout.thickness, layout.floor_z + 0.10
    plane = layout.front + 0.022
    basin = layout.basin
    around = [basin.center[1] + side * (basin.reach_y(side) + 0.02) for side in (-1, 1)]
    for right, left in ((layout.right, around[0]), (around[1], layout.left)):
        pieces.box((plane, right, low), (layout.back, left, under), "inside", faces=("-y", "+y", "+x"))
        pieces.show(
            shapes.box((plane, right, low), (plane, left, under), ("-x",)), "dark"
        )  # the gaps between the fronts
    pieces.box((plane, around[0], low), (plane + 0.02, around[1], under), "dark", faces=("-x",))
    pieces.box((layout.back - 0.02, around[0], low), (layout.back, around[1], under), "inside", faces=("+x",))
    pieces.panel((plane + 0.05, layout.right, layout.floor_z), (layout.back, layout.left, low), "dark")
    right, left = layout.right, layout.left
    if layout.leg:
        sign = 1 if layout.shape == "l_left" else -1
        inner, end = sign * (layout.leg + 0.022), left if sign > 0 else right
        pieces.box((-0.75, inner, low), (plane, end, under), "inside", faces=("-y", "+y", "-x"))
        pieces.panel((-0.75, inner + sign * 0.05, layout.floor_z), (plane, end, low), "dark")
        _row(pieces, layout, inner, "-y" if sign > 0 else "+y", (-0.75, layout.front), under, low)
        right, left = (right, inner) if sign > 0 else (inner, left)
    _row(pieces, layout, plane, "-x", (right, left), under, low, appliances=True)
    if layout.shape == "island":
        _row(pieces, layout, layout.back, "+x", (right, left), under, low, handle="none")


def _row(pieces, layout, plane, facing, ends, under, low, appliances=False, handle=None):
    handle = layout.handles if handle is None else handle
    fixed = _appliances(layout, ends) if appliances else []
    edges, kinds = _modules(ends, fixed, layout.module)
    for i, u in enumerate(pairwise(edges)):
        top = under
        if facing == "-x" and layout.basin.apron and abs(np.mean(u) - layout.basin.center[1]) < 0.35:
            top = layout.counter_z - layout.basin.depth - 0.035
            _Side(pieces, plane, facing, "kitchen").panel(u, (0, DOOR_M), (top, under), "front")  # beside the apron
        if kinds[i]:
            _appliance(pieces, plane, facing, u, (low, top), kinds[i])
        elif layout.fronts == "drawers" and i % 2 == 0 and top == under:
            heights = np.linspace(low, top, 4)
            for z in pairwise(heights):
                front(pieces, plane, facing, u, z, "slab", "front", handle, "kitchen", "middle", base=True)
        else:
            at = "left" if i % 2 else "right"
            front(pieces, plane, facing, u, (low, top), layout.fronts, "front", handle, "kitchen", at, base=True)


def _appliances(layout, ends):
    """[(right, left, kind)] of what stands between the cabinets, from right to left."""
    wanted = [(layout.hob[1], "oven")] if layout.hob else []
    if layout.dishwasher is not None and all(abs(layout.dishwasher - y) > 0.61 for y, _ in wanted):
        wanted.append((layout.dishwasher, "dishwasher"))
    found = [(y - 0.3, y + 0.3, kind) for y, kind in sorted(wanted)]
    return [a for a in found if a[0] > ends[0] and a[1] < ends[1]]


def _modules(ends, fixed, width):
    """Edges of the fronts of a row, and per front None or the kind of appliance."""
    edges, kinds, start = [ends[0]], [], ends[0]
    for right, left, kind in [*fixed, (ends[1], ends[1], None)]:
        if right - start > 0.02:
            count = max(1, round((right - start) / width))
            edges += np.linspace(start, right, count + 1)[1:].tolist()
            kinds += [None] * count
        else:
            edges[-1] = right
        if kind:
            edges.append(left)
            kinds.append(kind)
        start = left
    return edges, kinds


def _appliance(pieces, plane, facing, u, z, kind):
    side = _Side(pieces, plane, facing, "kitchen")
    side.panel(u, (0, 0.02), z, "steel")
    split = z[1] - 0.11
    if kind == "oven":
        side.panel((u[0] + 0.05, u[1] - 0.05), (0.02, 0.022), (z[0] + 0.12, split - 0.08), "dark")
        for k in np.linspace(0.2, 0.8, 4):
            at = u[0] + k * (u[1] - u[0])
            side.panel((at - 0.014, at + 0.014), (0.02, 0.04), (split + 0.04, split + 0.068), "dark")
    side.panel((u[0] + 0.04, u[1] - 0.04), (0.045, 0.06), (split - 0.04, split - 0.022), "metal")
    side.panel((u[0] + 0.05, u[0] + 0.065), (0.02, 0.05), (split - 0.04, split - 0.022), "metal")
    side.panel((u[1] - 0.065, u[1] - 0.05), (0.02, 0.05), (split - 0.04, split - 0.022), "metal")


def build_wall_unit(pieces, layout, unit):
    """A cabinet, a hood or boards on the wall."""
    face = layout.back - unit.depth
    low, high = (face, unit.right, unit.low), (layout.back, unit.left, unit.high)
    if unit.style == "hood":
        middle = (unit.right + unit.left) / 2
        pieces.box((face, unit.right, unit.low), (layout.back, unit.left, unit.low + 0.06), "steel")
        pieces.box(
            (layout.back - 0.24, middle - 0.13, unit.low + 0.06), (layout.back, middle + 0.13, unit.high + 0.5), "steel"
        )
        return
    if unit.style == "boards":
        for z in (unit.low, unit.low + 0.32):
            pieces.box((layout.back - 0.22, unit.right, z), (layout.back, unit.left, z + 0.025), "board")
        return
    if unit.style == "open":
        hollow(pieces, low, high, (unit.low + unit.high) / 2)
        return
    pieces.box(low, high, "upper" if unit.style == "doors" else "inside")
    count = max(1, round((unit.left - unit.right) / 0.45))
    edges = np.linspace(unit.right, unit.left, count + 1)
    for i, u in enumerate(pairwise(edges)):
        style = "shaker" if layout.fronts == "shaker" else "slab"
        front(
            pieces,
            face,
            "-x",
            u,
            (unit.low, unit.high),
            style,
            "upper",
            layout.handles,
            "kitchen",
            "left" if i % 2 else "right",
        )
        if unit.style == "glass":
            side = _Side(pieces, face - DOOR_M, "-x", "kitchen")
            side.panel((u[0] + 0.05, u[1] - 0.05), (0, 0.001), (unit.low + 0.06, unit.high - 0.06), "glass")


def hollow(pieces, low, high, board_z=None):
    """A cabinet without a front, with one board in it when given its height."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    t = BOARD_M
    pieces.box((x0, y0, z0), (x1, y1, z0 + t), "upper")
    pieces.box((x0, y0, z1 - t), (x1, y1, z1), "upper")
    pieces.box((x0, y0, z0 + t), (x1, y0 + t, z1 - t), "upper", upright=True)
    pieces.box((x0, y1 - t, z0 + t), (x1, y1, z1 - t), "upper", upright=True)
    pieces.box((x1 - 0.008, y0 + t, z0 + t), (x1, y1 - t, z1 - t), "inside")
    if board_z is not None:
        pieces.box((x0 + 0.01, y0 + t, board_z - t / 2), (x1 - 0.008, y1 - t, board_z + t / 2), "inside")
