"""Which things stand about on the worktop, and where: outside of what the gripper passes over."""

from dataclasses import dataclass

import numpy as np

KINDS = {
    "bottle": (0.040, 0.30),
    "jar": (0.050, 0.18),
    "jars": (0.110, 0.20),
    "board": (0.150, 0.34),
    "toaster": (0.175, 0.20),
    "kettle": (0.110, 0.25),
    "plates": (0.115, 0.10),
    "knife_block": (0.080, 0.25),
    "plant": (0.080, 0.28),
    "fruit": (0.120, 0.14),
    "rack": (0.200, 0.16),
    "soap": (0.035, 0.17),
    "roll": (0.070, 0.28),
    "microwave": (0.290, 0.29),
    "coffee": (0.150, 0.34),
    "utensils": (0.055, 0.30),
    "tins": (0.090, 0.22),
    "books": (0.110, 0.24),
}
"""Kind -> (radius of its footprint, height) [m]."""
AT_THE_WALL = ("board", "microwave", "books")


@dataclass(frozen=True)
class Item:
    """One thing."""

    kind: str
    position: tuple
    """(x, y) [m]."""
    yaw: float
    """[rad]; at 0 its front looks at the robot."""
    variant: int
    """Seed of its details."""


def place_clutter(g, depth, ends, basin, tap, keepout, island, leg, tallest, hob):
    """-> (Item, ...).

    depth: (front, back) x of the worktop; ends: its {"right", "left"} y; tallest: [m] that fits under a unit;
    leg: y of the inner edge of an L's other leg, 0 without one; hob: (x, y) or ().
    """
    front, back = depth
    kinds = [kind for kind, (_, height) in KINDS.items() if height < tallest]
    wanted = [*g.choice(kinds, size=int(g.integers(4, 10)), replace=False)]
    if "soap" not in wanted:
        wanted.append("soap")
    items, discs = [], [(*tap.position, 0.05)]
    if hob:
        discs.append((*hob, 0.28))
    for kind in map(str, wanted):
        radius = KINDS[kind][0]
        for _ in range(30):
            y = g.uniform(ends["right"] + radius + 0.03, ends["left"] - radius - 0.03)
            gap = 0.01 if kind in AT_THE_WALL else 0.01 + abs(g.normal(0, 0.07))
            x = g.uniform(front + 0.05 + radius, back - radius) if island else back - min(radius, 0.17) - gap
            on_leg = leg and y * leg > 0 and abs(y) > abs(leg) + radius and kind not in AT_THE_WALL
            if on_leg and g.random() < 0.5:
                x = g.uniform(-0.3, front)
            if kind == "soap":  # beside the tap
                x, y = tap.position[0] - 0.0, tap.position[1] + g.choice((-1, 1)) * g.uniform(0.09, 0.16)
                x = min(x, back - 0.045)
            if island and kind in AT_THE_WALL:
                break
            if x - radius < front + 0.02 and not on_leg:
                continue
            if _stands_free((x, y), radius, basin, keepout, discs):
                yaw = 0.0 if kind in AT_THE_WALL else float(g.normal(0, 0.25))
                items.append(Item(kind, (x, y), yaw, int(g.integers(2**31))))
                discs.append((x, y, radius))
                break
    return tuple(items)


def _stands_free(point, radius, basin, keepout, discs):
    bowls = [(basin.center, basin.half)]
    if basin.second_side:
        bowls.append((basin.second_center, basin.second_half))
    beside = all(np.max(np.abs(np.subtract(point, c)) - h) > radius + 0.015 for c, h in bowls)
    apart = all(np.hypot(point[0] - x, point[1] - y) > radius + r for x, y, r in discs)
    return beside and apart and keepout.clear_of([point], radius)
