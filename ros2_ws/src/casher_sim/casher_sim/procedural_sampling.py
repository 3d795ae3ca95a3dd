"""Plans of kitchens drawn at random, so that the three tasks can be done by an arm at the origin.

Where sinks, shelves and objects stand follows the authors' released trajectories: the object 0.25-0.55 m beside the
sink's middle, basins 0.15-0.25 m deep, objects on shelves at 0.44-0.63 m.
"""

import numpy as np

from casher_sim.procedural_clutter_plan import place_clutter
from casher_sim.procedural_keepout import Keepout
from casher_sim.procedural_layout import (
    BASINS,
    BOARD_M,
    FRONTS,
    SHAPES,
    TAPS,
    UNITS,
    Basin,
    Layout,
    Tap,
    Unit,
    WallUnit,
)
from casher_sim.procedural_palette import sample_palette
from casher_sim.twin import Spawn

OBJECT_RADIUS_M = 0.085
"""Room an object takes beside the middle of its spawn: the bowl's radius and a margin."""
REACH_M = 0.68
"""Greatest horizontal distance of an object's start from the base: 0.1 m more is left for the randomisation."""
TAP_HEIGHTS_M = {
    "gooseneck": (0.24, 0.38),
    "angled": (0.16, 0.30),
    "low": (0.09, 0.14),
    "bridge": (0.18, 0.28),
    "wall": (0.16, 0.24),
}
_TRIES = 400


def sample_layout(generator):
    """np.random.Generator -> Layout; the same generator state, the same layout."""
    # The kinds first, so that those that are harder to place do not become rare.
    shape = str(generator.choice(SHAPES, p=(0.3, 0.17, 0.17, 0.16, 0.2)))
    unit = "none" if shape == "island" else str(generator.choice(UNITS, p=(0.25, 0.2, 0.2, 0.2, 0.15)))
    basin = str(generator.choice(BASINS if unit == "none" else ("single", "round")))
    sink_on_left = bool(generator.random() < 0.5)
    if unit != "none" and not sink_on_left:
        basin = "single"  # a wider one leaves no room for both the shelf's objects and those to its right
    for _ in range(_TRIES):
        layout = _draft(generator, shape, unit, basin, sink_on_left)
        if layout is not None:
            return layout
    raise RuntimeError(f"no kitchen that the arm can work in was found in {_TRIES} tries: report the seed")


def _draft(g, shape, kind, basin_kind, sink_on_left):
    counter_z = g.uniform(0.01, 0.10 if kind != "none" else 0.20)
    front = g.uniform(0.20, 0.26 if kind == "none" else 0.228)
    unit_depth = g.uniform(0.27, 0.34)
    # A door's handle stands out: it hangs further back and higher over the arm's way to the sink.
    unit_front = g.uniform(0.58, 0.60) if kind == "open_and_door" else g.uniform(0.55, 0.59)
    back = front + (g.uniform(0.78, 0.95) if shape == "island" else g.uniform(0.60, 0.70))
    back = back if kind == "none" else unit_front + unit_depth
    basin = _basin(g, basin_kind, front, back, kind, sink_on_left)
    spawns = _spawns(g, front, back, counter_z, basin, kind)
    if spawns is None:
        return None
    unit = _unit(g, kind, unit_front, basin)
    leg = g.uniform(0.66, 0.85) if shape.startswith("l_") else 0.0
    ends = {"right": -g.uniform(1.05, 1.45), "left": g.uniform(1.05, 1.45)}
    if shape == "alcove":
        ends = {"right": -g.uniform(0.85, 1.05), "left": g.uniform(0.85, 1.05)}
    if leg:
        ends[shape[2:]] = (leg + 0.62) * (1 if shape == "l_left" else -1)
    keepout = Keepout(basin, spawns)
    tap = _tap(g, shape, back, basin, keepout, low=unit is not None)
    if tap is None:
        return None
    window, wall_units = _on_the_wall(g, shape, counter_z, unit, ends, unit_depth)
    splash = min([0.55, *(w.low - counter_z for w in wall_units)]) if g.random() < 0.75 else 0.10
    hob = _hob(g, wall_units, basin, keepout, ends, (front, back))
    dishwasher = basin.center[1] + g.choice((-1, 1)) * g.uniform(0.6, 0.9) if g.random() < 0.5 else None
    tallest = unit.shelf_z - BOARD_M - counter_z - 0.02 if unit else 0.45
    clutter = place_clutter(
        g,
        (front, back),
        ends,
        basin,
        tap,
        keepout,
        shape == "island",
        leg * (1 if shape == "l_left" else -1),
        tallest,
        hob,
    )
    return Layout(
        shape=shape, counter_z=counter_z, counter_height=g.uniform(0.82, 0.96), front=front, back=back,
        right=ends["right"], left=ends["left"], leg=leg, thickness=g.uniform(0.022, 0.05), basin=basin, tap=tap,
        unit=unit, window=window, wall_units=wall_units, fronts=str(g.choice(FRONTS)), module=g.uniform(0.38, 0.6),
        handles=str(g.choice(("bar", "knob", "none"))), splash=splash, hob=hob, dishwasher=dishwasher,
        clutter=clutter, spawns=tuple(spawns.items()), palette=sample_palette(g),
    )  # fmt: skip


def _basin(g, kind, front, back, unit_kind, sink_on_left):
    half = (g.uniform(0.150, 0.19), g.uniform(0.145, 0.18))
    second_side, second_half = 0, (0.0, 0.0)
    if unit_kind != "none" and not sink_on_left:
        half = (half[0], g.uniform(0.140, 0.147))
    if kind == "round":
        half = (g.uniform(0.175, 0.20),) * 2
    elif kind == "double":
        second_side = int(g.choice((-1, 1)))
        half = (half[0], g.uniform(0.145, 0.158))
        second_half = (half[0] * g.choice((1.0, 0.8)), g.uniform(0.085, 0.115))
    # The arm reaches less far to the side: the bowl moves away from the side that a second bowl makes longer.
    y = g.uniform(-0.27, 0.19)
    if second_side:
        y = -second_side * g.uniform(0.06, 0.20 if second_side > 0 else 0.19)
    if unit_kind != "none":
        y = g.uniform(0.11, 0.19) if sink_on_left else g.uniform(-0.277, -0.263)
    x = max(front + g.uniform(0.06, 0.20) + half[0], 0.45)
    # The wrist comes down in front of a cabinet.
    x = min(x, back - half[0] - 0.10) if unit_kind == "none" else min(x, 0.48)
    return Basin(
        kind, (x, y), half, half[0] if kind == "round" else g.uniform(0.015, 0.06),
        depth=g.uniform(0.15, 0.235), second_side=second_side, second_half=second_half,
        drainboard=-second_side if second_side else int(g.choice((-1, 0, 0, 1))),
        apron=bool(kind != "round" and g.random() < 0.3),
    )  # fmt: skip


def _spawns(g, front, back, counter_z, basin, unit_kind):
    """{side: Spawn}, or None when a side has no place that the arm reaches."""
    spawns = {}
    for side, sign in (("left", 1), ("right", -1)):
        # Close to a sink that is far aside already.
        far = sign * basin.center[1] > 0.24
        half = (g.uniform(0.05, 0.09), 0.04 if far else g.uniform(0.04, 0.07))
        away = basin.reach_y(sign) + OBJECT_RADIUS_M + half[1] + (0.0 if far else g.uniform(0.0, 0.06))
        # In front of a cabinet that hangs there, not below it.
        furthest = min(0.58, back - 0.2) if unit_kind == "none" else 0.44
        x = g.uniform(front + OBJECT_RADIUS_M + half[0], furthest)
        y = basin.center[1] + sign * away
        if not (0.25 <= away <= 0.55) or np.hypot(x, y) > REACH_M or abs(y) > 0.55 or np.hypot(x, y) < 0.33:
            return None
        spawns[side] = Spawn((x, y, counter_z), half)
    if unit_kind != "none":
        half = (0.05, 0.04)
        side = -1 if basin.center[1] > 0 else 1
        y = basin.center[1] + side * (basin.half[1] + OBJECT_RADIUS_M + half[1])
        # Nearer to the base a hand that leans forward, as it must to get under the upper board, is out of reach: a
        # mug's handle is 0.06 m nearer than the mug, and the randomisation takes 0.05 m and more.
        x = g.uniform(0.47, 0.51)
        if not -0.17 <= y <= 0.01:
            return None
        spawns["front"] = Spawn((x, y, counter_z), half)
    return spawns


def _unit(g, kind, front, basin):
    if kind == "none":
        return None
    middle = g.uniform(-0.24, -0.14) if basin.center[1] > 0 else g.uniform(-0.04, 0.03)
    width = g.uniform(0.40, 0.56) if kind != "open_and_door" else g.uniform(0.36, 0.42)
    # The door is on the side towards the robot's middle, where the arm can follow it.
    right, left, split, door_on_left = middle - width / 2, middle + width / 2, 0.0, middle < -0.05
    if kind == "open_and_door":
        other = g.uniform(0.36, 0.45)
        split = left if door_on_left else right
        right, left = (right, left + other) if door_on_left else (right - other, left)
    hinge = str(g.choice(("left", "right")))
    if kind == "open_and_door" and max(-right, left) > 0.45:
        hinge = "left" if door_on_left else "right"  # its handle is at the other side, within the task's crop
    return Unit(
        kind, front, right, left, shelf_z=g.uniform(0.51 if kind == "open_and_door" else 0.45, 0.58),
        clear=g.uniform(0.36, 0.48), split=split, door_on_left=door_on_left,
        hinge=hinge, bar=g.uniform(0.12, 0.22),
        board_above=bool(g.random() < 0.6),
    )  # fmt: skip


def _tap(g, shape, back, basin, keepout, low):
    kind = str(g.choice([kind for kind in TAPS if kind != "wall" or shape != "island"]))
    place = "between" if basin.second_side and g.random() < 0.6 else str(g.choice(("behind", "left", "right")))
    x, y = basin.center[0] + basin.half[0] + 0.05, basin.center[1]
    y += {"behind": 0.0, "left": 0.7, "right": -0.7, "between": 0.0}[place] * basin.half[1]
    if place == "between":
        y += basin.second_side * (basin.half[1] + 0.01)
    height = g.uniform(*TAP_HEIGHTS_M[kind])
    height = min(height, 0.27) if low else height
    reach = g.uniform(0.13, 0.19)
    if kind == "wall":
        x, reach = back, max(0.10, back - x + 0.02)
    levers = {"bridge": (-0.12, 0.12), "wall": (-0.1, 0.1)}.get(kind, (0.08,))
    if not keepout.clear_of([(x, y + lever) for lever in levers], 0.02):
        return None
    # People push the spout aside when they put something large into the sink; so is it here.
    for turn in np.pi + np.array([0, 0.3, -0.3, 0.6, -0.6, 0.9, -0.9, 1.2, -1.2, 1.5, -1.5]) * g.choice((-1, 1)):
        spout = np.array([x, y]) + np.outer(np.linspace(0, 1, 9) * reach, [np.cos(turn), np.sin(turn)])
        if keepout.clear_of(spout, 0.02):
            return Tap(kind, (x, y), place, height, reach, float(turn))
    return None


def _hob(g, wall_units, basin, keepout, ends, depth):
    """Below the hood when there is one, else anywhere beside the arm's work; (x, y) or ()."""
    hoods = [w for w in wall_units if w.style == "hood"]
    places = [(w.right + w.left) / 2 for w in hoods] or list(g.uniform(ends["right"] + 0.35, ends["left"] - 0.35, 6))
    x = sum(depth) / 2 + 0.02
    for y in places:
        corners = [(x + i * 0.25, y + j * 0.29) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        side = 1 if y > basin.center[1] else -1
        apart = abs(y - basin.center[1]) > basin.reach_y(side) + 0.33
        within = ends["right"] + 0.3 < y < ends["left"] - 0.3
        if apart and within and keepout.clear_of(corners, 0.0):
            return x, float(y)
    return ()


def _on_the_wall(g, shape, counter_z, unit, ends, unit_depth):
    """The window and the cabinets that no task uses: -> (right, left, low, high) or (), (WallUnit, ...)."""
    if shape == "island":
        return (), ()
    right, left = ends["right"], ends["left"]
    window = ()
    if unit is None and g.random() < 0.75:
        middle, half = g.uniform(-0.3, 0.3), g.uniform(0.35, 0.6)
        window = (middle - half, middle + half, counter_z + g.uniform(0.16, 0.3), counter_z + g.uniform(0.95, 1.2))
    style = str(g.choice(("doors", "glass", "open", "boards")))
    # Above the arm's work everything hangs high, beside it at the usual height.
    high = counter_z + g.uniform(1.15, 1.35)
    side_low = counter_z + g.uniform(0.48, 0.60)
    taken = (window[0] - 0.06, window[1] + 0.06) if window else (unit.right, unit.left) if unit else None
    found = []
    if taken is None:
        if g.random() < 0.7:
            found.append(WallUnit(right + 0.02, left - 0.02, counter_z + 0.68, high, g.uniform(0.25, 0.32), style))
        return window, tuple(found)
    for a, b in ((right + 0.02, taken[0]), (taken[1], left - 0.02)):
        if b - a < 0.3 or g.random() < 0.25:
            continue
        # The arm's elbow and hand come no further aside than this.
        a, b = (a, min(b, -0.66)) if a < 0 and unit is None else (max(a, 0.66), b) if unit is None else (a, b)
        if b - a < 0.3:
            continue
        if g.random() < 0.35 and not any(w.style == "hood" for w in found):
            a, b = (a, a + 0.6) if b - a > 0.65 else (a, b)
            found.append(WallUnit(a, b, counter_z + 0.65, counter_z + 0.9, 0.34, "hood"))
        else:
            low = max(side_low, unit.shelf_z - BOARD_M) if unit else side_low
            found.append(WallUnit(a, b, low, max(high, low + 0.4), min(unit_depth, 0.30), style))
    return window, tuple(found)
