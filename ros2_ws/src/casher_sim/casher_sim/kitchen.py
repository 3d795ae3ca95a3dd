"""The demo kitchen, of primitives: a worktop with a basin, wall, tap and furniture; base frame, before any shift."""

from dataclasses import dataclass

import mujoco
import numpy as np

from casher_sim import robot
from casher_sim.place import KITCHEN, PlaceError, Start
from casher_sim.twin import Site

_SHAPES = {"box": mujoco.mjtGeom.mjGEOM_BOX, "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER}


@dataclass(frozen=True)
class Surface:
    """How something looks."""

    colour: tuple
    """(red, green, blue) 0..1."""
    pattern: str = "plain"
    """'plain', 'tiles', 'stone' or 'wood'."""


SURFACES = {
    "counter": Surface((0.36, 0.37, 0.40), "stone"),
    "cabinet": Surface((0.72, 0.56, 0.38), "wood"),
    "steel": Surface((0.70, 0.72, 0.75)),
    "chrome": Surface((0.82, 0.84, 0.88)),
    "wall": Surface((0.90, 0.91, 0.87), "tiles"),
    "floor": Surface((0.55, 0.47, 0.40), "wood"),
    "board": Surface((0.60, 0.40, 0.22), "wood"),
    "jar": Surface((0.62, 0.74, 0.66)),
    "lid": Surface((0.30, 0.30, 0.32)),
    "stand": Surface((0.25, 0.26, 0.28)),
}


@dataclass(frozen=True)
class Solid:
    """One piece of the kitchen, a primitive."""

    name: str
    shape: str
    """'box' (size: half extents) or 'cylinder' (size: radius, half height; upright)."""
    position: tuple
    size: tuple
    surface: str
    """Key of SURFACES."""
    collides: bool = True


@dataclass(frozen=True)
class Kitchen:
    """One kitchen; lengths in metres, positions in the base frame."""

    name: str
    counter_z: float = 0.05
    """Height of the worktop."""
    counter_x: tuple = (0.27, 0.86)
    """Front and back edge of the worktop."""
    counter_half_y: float = 1.1
    """Half the worktop's length."""
    basin_centre: tuple = (0.57, 0.0)
    basin_half: tuple = (0.18, 0.165)
    """Half extent of the basin's opening along x and y."""
    basin_depth: float = 0.17
    """From the worktop to the basin's floor."""
    start_x: float = 0.50
    """Where an object starts before randomisation."""
    start_aside: float = 0.335
    """Distance along y from the basin's centre to where an object starts."""
    tap_x: float = 0.81
    background_scale: float = 0.3
    """Share of the task's background shift this kitchen gets, so that all of it stays within the arm's reach."""

    tasks = ("put_in_sink",)
    handle = None
    door = None

    def kinds(self, task):
        """See place.Place."""
        return ("mug", "bowl", "box")

    def sides(self, task):
        """See place.Place."""
        return ("left", "right")

    def site(self, task):
        """See place.Place: the basin's floor."""
        return Site((*self.basin_centre, self.counter_z - self.basin_depth), self.basin_half, self.counter_z)

    def start(self, side):
        """See place.Place: 'left' is +y of the basin."""
        if side not in ("left", "right"):
            raise PlaceError(f"unknown side {side!r}: known are left, right")
        sign = 1.0 if side == "left" else -1.0
        return Start((self.start_x, self.basin_centre[1] + sign * self.start_aside, self.counter_z))

    def add_to(self, spec):
        """See place.Place."""
        base = stand(self)
        spec.worldbody.add_geom(
            name=base.name,
            type=_SHAPES[base.shape],
            pos=base.position,
            size=base.size,
            rgba=[*SURFACES[base.surface].colour, 1.0],
            contype=0,
            conaffinity=0,
        )
        body = spec.worldbody.add_body(name=KITCHEN)
        for solid in solids(self):
            body.add_geom(
                name=solid.name,
                type=_SHAPES[solid.shape],
                pos=solid.position,
                size=[*solid.size, 0.0][:3],
                rgba=[*SURFACES[solid.surface].colour, 1.0],
                contype=robot.STATIC if solid.collides else 0,
                conaffinity=robot.ROBOT | robot.OBJECT if solid.collides else 0,
                friction=[0.5, 0.01, 0.0001],
            )


KITCHENS = {kitchen.name: kitchen for kitchen in (Kitchen("demo"),)}


def kitchen_named(name):
    """The kitchen of that name; ValueError lists the known ones."""
    if name not in KITCHENS:
        raise ValueError(f"unknown kitchen {name!r}: known are {', '.join(KITCHENS)}")
    return KITCHENS[name]


def solids(kitchen):
    """All pieces of a kitchen, list of Solid."""
    return [*_worktop(kitchen), *_basin(kitchen), *_tap(kitchen), *_room(kitchen)]


def stand(kitchen):
    """What the arm stands on, Solid: it does not shift with the kitchen."""
    return _box("stand", (-0.17, -0.15, kitchen.counter_z - 0.83), (0.13, 0.15, 0.0), "stand", False)


def _box(name, low, high, surface, collides=True):
    low, high = np.asarray(low), np.asarray(high)
    return Solid(name, "box", tuple((low + high) / 2), tuple((high - low) / 2), surface, collides)


def _worktop(k):
    top, under, toe = k.counter_z, k.counter_z - 0.04, k.counter_z - 0.75
    (x0, x1), y1 = k.counter_x, k.counter_half_y
    bx, by = k.basin_centre
    hx, hy = k.basin_half
    strips = {
        "front": ((x0, by - hy), (bx - hx, by + hy)),
        "back": ((bx + hx, by - hy), (x1, by + hy)),
        "right": ((x0, -y1), (x1, by - hy)),
        "left": ((x0, by + hy), (x1, y1)),
    }
    for name, (low, high) in strips.items():
        yield _box(f"worktop_{name}", (*low, under), (*high, top), "counter")
    inset = 0.02
    for name, low_y, high_y in (("right", -y1, by - hy), ("left", by + hy, y1)):
        yield _box(f"cabinet_{name}", (x0 + inset, low_y, toe), (x1, high_y, under), "cabinet")
    yield _box("cabinet_sink", (x0 + inset, by - hy, toe), (x0 + inset + 0.02, by + hy, under), "cabinet")
    for i, y in enumerate(np.arange(-0.75, 0.8, 0.5)):
        yield Solid(f"handle_{i}", "box", (x0 + 0.012, y, under - 0.09), (0.006, 0.06, 0.006), "chrome", False)


def _basin(k):
    bx, by = k.basin_centre
    hx, hy = k.basin_half
    top, floor, wall = k.counter_z + 0.002, k.counter_z - k.basin_depth, 0.006
    yield _box("basin_floor", (bx - hx, by - hy, floor - 0.02), (bx + hx, by + hy, floor), "steel")
    yield _box("basin_front", (bx - hx, by - hy, floor), (bx - hx + wall, by + hy, top), "steel")
    yield _box("basin_back", (bx + hx - wall, by - hy, floor), (bx + hx, by + hy, top), "steel")
    yield _box("basin_right", (bx - hx, by - hy, floor), (bx + hx, by - hy + wall, top), "steel")
    yield _box("basin_left", (bx - hx, by + hy - wall, floor), (bx + hx, by + hy, top), "steel")
    yield Solid("drain", "cylinder", (bx, by, floor + 0.0005), (0.03, 0.001), "lid", False)


def _tap(k):
    x, y, z = k.tap_x, k.basin_centre[1], k.counter_z
    yield Solid("tap_foot", "cylinder", (x, y, z + 0.01), (0.026, 0.01), "chrome")
    yield Solid("tap_post", "cylinder", (x, y, z + 0.14), (0.014, 0.14), "chrome")
    yield Solid("tap_spout", "box", (x - 0.045, y, z + 0.275), (0.055, 0.011, 0.011), "chrome")
    yield Solid("tap_tip", "cylinder", (x - 0.09, y, z + 0.255), (0.010, 0.02), "chrome")
    yield Solid("tap_lever", "box", (x, y + 0.035, z + 0.05), (0.007, 0.025, 0.007), "chrome")


def _room(k):
    (x0, x1), y1, z = k.counter_x, k.counter_half_y, k.counter_z
    yield _box("wall", (x1, -y1, z - 0.75), (x1 + 0.05, y1, z + 1.2), "wall")
    yield _box("floor", (-0.9, -y1, z - 0.85), (x1, y1, z - 0.85 + 0.02), "floor")
    yield _box("toe_kick", (x0 + 0.07, -y1, z - 0.83), (x1, y1, z - 0.75), "lid", False)
    yield _box("shelf", (x1 - 0.16, -0.80, z + 0.62), (x1, 0.80, z + 0.645), "board")
    for i, (y, h) in enumerate(((-0.62, 0.08), (-0.48, 0.06), (0.52, 0.09))):
        yield Solid(f"shelf_jar_{i}", "cylinder", (x1 - 0.08, y, z + 0.645 + h), (0.045, h), "jar")
    yield _box("chopping_board", (x1 - 0.03, -0.78, z), (x1, -0.50, z + 0.36), "board")
    yield Solid("jar", "cylinder", (x1 - 0.09, 0.60, z + 0.08), (0.05, 0.08), "jar")
    yield Solid("jar_lid", "cylinder", (x1 - 0.09, 0.60, z + 0.17), (0.052, 0.01), "lid")
