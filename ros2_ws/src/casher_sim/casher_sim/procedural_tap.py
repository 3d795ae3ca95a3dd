"""The tap of a procedural kitchen."""

from itertools import pairwise

import numpy as np

from casher_sim import procedural_shapes as shapes

_UP = np.array([0.0, 0.0, 1.0])


def build_tap(pieces, layout):
    """Foot, spout and levers."""
    tap = layout.tap
    foot = np.array([*tap.position, layout.counter_z])
    ahead = np.array([np.cos(tap.turn), np.sin(tap.turn), 0.0])
    if tap.kind == "wall":
        _wall_tap(pieces, foot + np.array([-0.02, 0.0, tap.height]), ahead * tap.reach)
        return
    pieces.cylinder(foot, 0.026, 0.012, "metal")
    path = _spout(tap.kind, tap.height, tap.reach)
    _rod(pieces, foot + path[:, :1] * ahead + path[:, 1:] * _UP, 0.014 if tap.kind == "low" else 0.012)
    if tap.kind == "bridge":
        for side in (-0.09, 0.09):
            x, y, z = foot + np.array([0.0, side, 0.0])
            pieces.cylinder((x, y, z), 0.014, 0.06, "metal")
            pieces.panel((x - 0.03, y - 0.006, z + 0.062), (x + 0.03, y + 0.006, z + 0.072), "metal")
            pieces.panel((x - 0.006, y - 0.03, z + 0.062), (x + 0.006, y + 0.03, z + 0.072), "metal")
        _rod(pieces, foot + np.array([[0, -0.09, 0.045], [0, 0.09, 0.045]]), 0.010)
    else:
        pieces.show(shapes.tube(foot + np.array([[0, 0, 0.05], [0.005, 0.07, 0.075]]), 0.007), "metal")


def _spout(kind, h, r):
    """(N, 2): how far ahead and how high, from the foot to the tip."""
    if kind == "gooseneck":
        bend = np.linspace(0, np.pi, 9)
        arc = np.stack([r / 2 * (1 - np.cos(bend)), h - r / 2 + r / 2 * np.sin(bend)], axis=1)
        return np.array([(0, 0), *arc, (r, h - r / 2 - 0.04)])
    if kind == "low":
        return np.array([(0, 0), (0, 0.6 * h), (0.03, 0.8 * h), (r, h), (r + 0.01, h - 0.02)])
    return np.array([(0, 0), (0, h - 0.02), (0.02, h), (r - 0.02, h), (r, h - 0.02), (r, h - 0.05)])


def _wall_tap(pieces, middle, ahead):
    for side in (-0.07, 0.07):
        knob = shapes.lathe(
            [(0, -0.02), (0.022, -0.02), (0.026, 0.02), (0, 0.025)], middle + np.array([-0.03, side, 0])
        )
        pieces.show(knob, "metal")
    pieces.show(shapes.tube(middle + np.array([[0.02, -0.07, 0], [-0.03, 0, 0], [0.02, 0.07, 0]]), 0.013), "metal")
    _rod(pieces, [middle, middle + 0.9 * ahead, middle + ahead - 0.01 * _UP, middle + ahead - 0.05 * _UP], 0.011)


def _rod(pieces, path, radius):
    """A bent pipe: seen as one, collides as a hull per straight stretch."""
    pieces.show(shapes.tube(path, radius), "metal")
    for a, b in pairwise(path):
        if np.linalg.norm(b - a) > 1e-3:
            pieces.hull(shapes.tube([a, b], radius, 6)[0])
