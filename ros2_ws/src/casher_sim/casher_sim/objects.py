"""What the arm handles, made of primitives: geometry, mass, friction, and where the expert grasps it.

An object's frame has its origin at the centre of the underside and z up. The hand opens 80 mm and moves in steps of
30 mm, so a grasp has to tolerate 15 mm along every base axis: that is what the widths and heights here are chosen for.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Part:
    """One primitive, fixed to its object."""

    shape: str
    """'box' (size: half extents) or 'cylinder' (size: radius, half height)."""
    size: tuple
    position: tuple
    """(3,) [m] of its centre."""
    yaw: float = 0.0
    """[rad] about the object's z, after `tilt`."""
    tilt: float = 0.0
    """[rad] about its own y."""
    colour: tuple = ()
    """(red, green, blue) 0..1; empty: the object's."""
    collides: bool = True
    """False: only to be seen."""
    visible: bool = True
    """False: only to be touched."""


@dataclass(frozen=True)
class Grasp:
    """How the fingers close on an object that stands upright."""

    point: tuple
    """(3,) [m]: where the tcp goes, in the object's frame."""
    yaw: float
    """[rad] about the object's z: direction along which the fingers close."""
    width: float
    """[m] between the fingers when they hold it."""
    yaw_freedom: float = 0.0
    """[rad] by which the closing direction may deviate from `yaw`, either way."""


@dataclass(frozen=True)
class ObjectModel:
    """One object."""

    name: str
    parts: tuple = field(repr=False)
    colour: tuple
    height: float
    """[m]"""
    radius: float
    """[m]: nothing of it is further from its z axis."""
    grasps: tuple
    """Alternatives; the scene offers the one closest to the robot's x axis."""
    mass: float = 0.41
    """[kg] (paper, Table I)."""
    friction: float = 0.5


def _ring(n, radius, thickness, z_low, z_high, radius_high=None, collides=True):
    """n boxes around a vertical axis between two heights; a cone's shell when radius_high differs."""
    radius_high = radius if radius_high is None else radius_high
    tilt = np.arctan2(radius_high - radius, z_high - z_low)
    half_length = np.hypot(radius_high - radius, z_high - z_low) / 2
    middle = (radius + radius_high) / 2 - thickness / 2
    half_width = max(radius, radius_high) * np.tan(np.pi / n)
    angles = 2 * np.pi * (np.arange(n) + 0.5) / n
    return tuple(
        Part(
            "box",
            (thickness / 2, half_width, half_length),
            (middle * np.cos(a), middle * np.sin(a), (z_low + z_high) / 2),
            yaw=a,
            tilt=tilt,
            collides=collides,
        )
        for a in angles
    )


def _mug(name, colour, radius=0.034, height=0.090, reach=0.081, mass=0.41):
    """reach: of the handle from the axis."""
    wall, bar = 0.004, 0.005
    middle, half = (radius + reach) / 2, (reach - radius) / 2 + 0.002
    low, high = 0.023, height - 0.007
    handle = (
        Part("box", (half, bar, bar), (-middle, 0.0, high), collides=False),
        Part("box", (half, bar, bar), (-middle, 0.0, low), collides=False),
        Part("box", (bar, bar, (high - low) / 2 + bar), (-reach + bar, 0.0, (low + high) / 2), collides=False),
    )
    # Solid to the touch: the fingers' force pushes them through walls as thin as these look, and the grid of the tool's
    # positions is too coarse for the bar of the handle alone.
    plate = Part("box", (half, bar, (high - low) / 2 + bar), (-middle, 0.0, (low + high) / 2), visible=False)
    body = Part("cylinder", (radius, height / 2), (0.0, 0.0, height / 2), visible=False)
    shell = _ring(20, radius, wall, 0.0, height, collides=False)
    bottom = Part("cylinder", (radius - wall, 0.003), (0.0, 0.0, 0.003), collides=False)
    grasp = Grasp((-reach + 0.023, 0.0, height - 0.020), np.pi / 2, 2 * bar)
    return ObjectModel(name, (*shell, bottom, *handle, plate, body), colour, height, reach, (grasp,), mass)


_OFF_THE_FLOOR_M = 0.004
"""A bowl stands on its foot alone: 4 contacts with the floor instead of 32, in a quarter of the time."""


def _bowl(name, colour, rim=0.072, height=0.066, foot=0.042, mass=0.41):
    """rim: outer radius of the upper half, which is upright: the fingers slide off a slope."""
    wall, knee = 0.006, height - 0.040
    parts = (
        *_ring(16, foot, wall, _OFF_THE_FLOOR_M, knee, radius_high=rim),
        *_ring(16, rim, wall, knee - 0.002, height),
        Part("cylinder", (foot, 0.003), (0.0, 0.0, 0.003)),
    )
    grasps = tuple(Grasp((0.0, sign * (rim - wall / 2), height - 0.020), np.pi / 2, wall) for sign in (1.0, -1.0))
    return ObjectModel(name, parts, colour, height, rim, grasps, mass)


def _box(name, colour, half=(0.040, 0.018, 0.0275), mass=0.41):
    """half: half extents; the fingers close along y."""
    parts = (
        Part("box", half, (0.0, 0.0, half[2])),
        # A band around it, so that people and clouds can tell its front.
        Part(
            "box",
            (0.3 * half[0], half[1] + 0.0005, half[2] - 0.004),
            (0.0, 0.0, half[2]),
            colour=(0.95, 0.93, 0.86),
            collides=False,
        ),
    )
    grasp = Grasp((0.0, 0.0, 2 * half[2] - 0.020), np.pi / 2, 2 * half[1])
    return ObjectModel(name, parts, colour, 2 * half[2], float(np.hypot(*half[:2])), (grasp,), mass)


KINDS = {
    "mug": (
        _mug("mug", (0.80, 0.16, 0.14)),
        _mug("mug_tall", (0.20, 0.45, 0.30), radius=0.036, height=0.108, reach=0.084, mass=0.46),
        _mug("mug_wide", (0.92, 0.90, 0.84), radius=0.040, height=0.082, reach=0.085, mass=0.41),
        _mug("mug_cup", (0.15, 0.17, 0.22), radius=0.032, height=0.076, reach=0.077, mass=0.27),
    ),
    "bowl": (
        _bowl("bowl", (0.16, 0.36, 0.72)),
        _bowl("bowl_small", (0.93, 0.88, 0.76), rim=0.062, height=0.060, foot=0.036, mass=0.30),
        _bowl("bowl_deep", (0.70, 0.30, 0.20), rim=0.066, height=0.078, foot=0.042, mass=0.41),
        _bowl("bowl_wide", (0.30, 0.52, 0.48), rim=0.078, height=0.064, foot=0.048, mass=0.36),
    ),
    "box": (
        _box("box", (0.90, 0.66, 0.12)),
        _box("box_tall", (0.22, 0.42, 0.75), (0.030, 0.020, 0.052), mass=0.41),
        _box("box_long", (0.76, 0.18, 0.20), (0.055, 0.017, 0.025), mass=0.50),
        _box("box_cube", (0.35, 0.62, 0.30), (0.022, 0.022, 0.024), mass=0.20),
    ),
}
"""Kind -> its objects; the first has the kind's name and the paper's mass."""
OBJECTS = {model.name: model for kind in zip(*KINDS.values(), strict=True) for model in kind}
NO_OBJECT = "none"
"""What stands in an object's place where a task has none."""


def object_named(name):
    """The object of that name; ValueError lists the known ones."""
    if name not in OBJECTS:
        raise ValueError(f"unknown object {name!r}: known are {', '.join(OBJECTS)}")
    return OBJECTS[name]


def kind_of(name):
    """Kind of the object of that name, of KINDS; ValueError lists the known objects."""
    object_named(name)
    return next(kind for kind, models in KINDS.items() if any(model.name == name for model in models))
