"""The room around a procedural kitchen: floor, walls, window, splashback."""

from itertools import pairwise

import numpy as np

_HEIGHT_M = 2.5
_WALL_M = 0.06


def build_room(pieces, layout):
    """Walls end where the worktop does; an island has its wall further away."""
    floor, top = layout.floor_z, layout.floor_z + _HEIGHT_M
    right, left = layout.right, layout.left
    wall_x = layout.back + (1.1 if layout.shape == "island" else 0.0)
    sides = {"alcove": (-1, 1), "l_left": (1,), "l_right": (-1,)}.get(layout.shape, ())
    ends = (right - (0.3 if -1 not in sides else 0), left + (0.3 if 1 not in sides else 0))
    pieces.box((-1.1, ends[0], floor - 0.05), (wall_x, ends[1], floor), "floor", faces=("+z",))
    _back_wall(pieces, layout, wall_x, ends, floor, top)
    for side in sides:
        end = left if side > 0 else right
        faces = ("-y",) if side > 0 else ("+y",)
        low_x = -0.75 if layout.shape.startswith("l_") else layout.front - 0.25
        pieces.box((low_x, end, floor), (wall_x, end + side * _WALL_M, top), "wall", faces=(*faces, "-x"))
    if layout.shape == "island":
        _far_side(pieces, layout, wall_x)


def _back_wall(pieces, layout, x, ends, floor, top):
    splash = (x - 0.006, layout.right, layout.counter_z), (x, layout.left, layout.counter_z + layout.splash)
    if not layout.window:
        pieces.box((x, ends[0], floor), (x + _WALL_M, ends[1], top), "wall", faces=("-x", "+z"))
        if layout.shape != "island":
            pieces.panel(*splash, "splash")
        return
    right, left, low, high = layout.window
    for y, z in (
        ((ends[0], right), (floor, top)),
        ((left, ends[1]), (floor, top)),
        ((right, left), (floor, low)),
        ((right, left), (high, top)),
    ):
        pieces.box((x, y[0], z[0]), (x + _WALL_M, y[1], z[1]), "wall", faces=("-x", "+y", "-y", "+z", "-z"))
    pieces.box((x + _WALL_M, right, low), (x + _WALL_M + 0.02, left, high), "sky", faces=("-x",))
    # The tiles go round the window.
    (x0, y0, z0), (_, y1, z1) = splash
    for y, z in (((y0, right), (z0, z1)), ((left, y1), (z0, z1)), ((right, left), (z0, min(low, z1)))):
        if y[1] > y[0]:
            pieces.panel((x0, y[0], z[0]), (x, y[1], z[1]), "splash")
    frame = 0.045
    bars = [((right, right + frame), (low, high)), ((left - frame, left), (low, high))]
    bars += [((right, left), (low, low + frame)), ((right, left), (high - frame, high))]
    middle = (right + left) / 2
    bars.append(((middle - frame / 2, middle + frame / 2), (low, high)))
    for y, z in bars:
        pieces.panel((x + 0.02, y[0], z[0]), (x + _WALL_M, y[1], z[1]), "white")
    pieces.panel((x - 0.03, right - 0.03, low - 0.025), (x + _WALL_M, left + 0.03, low), "white")


def _far_side(pieces, layout, wall_x):
    """Tall cupboards and a fridge behind an island."""
    z, floor = layout.counter_z, layout.floor_z
    edges = np.linspace(layout.right, layout.left, 5)
    for i, (right, left) in enumerate(pairwise(edges)):
        fridge = i == 0
        high = floor + (1.85 if fridge else 2.1)
        material = "steel" if fridge else "front"
        pieces.box((wall_x - 0.5, right + 0.003, floor), (wall_x, left - 0.003, high), material, upright=True)
        x = wall_x - 0.5
        for low, top in ((floor + 0.08, z - 0.05), (z - 0.04, high)):
            pieces.panel((x - 0.02, right + 0.006, low), (x, left - 0.006, top), material, upright=True)
            pieces.panel((x - 0.045, right + 0.04, top - 0.3), (x - 0.03, right + 0.055, top - 0.1), "handle")
