"""The plan of a procedural kitchen: what stands where. Base frame, metres; the arm looks along x, left is y > 0."""

from dataclasses import dataclass

SHAPES = ("straight", "l_left", "l_right", "island", "alcove")
BASINS = ("single", "double", "round")
TAPS = ("gooseneck", "angled", "low", "bridge", "wall")
UNITS = ("none", "shelf", "open", "door", "open_and_door")
FRONTS = ("slab", "shaker", "drawers")
BOARD_M = 0.02
"""Thickness of the boards of cabinets and shelves."""


@dataclass(frozen=True)
class Basin:
    """The sink; its first bowl is the task's."""

    kind: str
    """One of BASINS."""
    center: tuple
    """(x, y) of the first bowl."""
    half: tuple
    """(x, y) of the first bowl's opening."""
    corner: float
    """Radius of the corners seen from above; a circle when it equals both halves."""
    depth: float
    """From the worktop to the bowl's floor."""
    second_side: int = 0
    """+1: a second bowl to the left, -1: to the right, 0: none."""
    second_half: tuple = (0.0, 0.0)
    drainboard: int = 0
    """Side with grooves, as second_side."""
    apron: bool = False
    """Whether the bowl's front is seen in the counter's front."""

    @property
    def second_center(self):
        """(x, y) of the second bowl."""
        y = self.center[1] + self.second_side * (self.half[1] + 0.02 + self.second_half[1])
        return self.center[0], y

    def reach_y(self, side):
        """Distance along y from the first bowl's middle to the outer edge of the opening on that side (+1 left)."""
        return self.half[1] + (0.02 + 2 * self.second_half[1] if side == self.second_side else 0.0)


@dataclass(frozen=True)
class Tap:
    """Its spout is turned away from where the gripper comes down."""

    kind: str
    position: tuple
    """(x, y) of its foot; of the hole in the wall for 'wall'."""
    place: str
    """'behind', 'left', 'right' or 'between'."""
    height: float
    reach: float
    turn: float
    """[rad] about z of the spout's direction; pi: towards the robot."""


@dataclass(frozen=True)
class Unit:
    """The cabinet or shelf on the wall that the tasks use."""

    kind: str
    front: float
    """x of its front."""
    right: float
    left: float
    """y of its sides."""
    shelf_z: float
    """Upper surface of its lowest board."""
    clear: float
    """Height above that board."""
    split: float = 0.0
    """y that parts the open half from the one with the door ('open_and_door')."""
    door_on_left: bool = True
    hinge: str = "left"
    bar: float = 0.16
    """Length of the door's handle."""
    board_above: bool = True
    """Of a 'shelf': whether a second board hangs `clear` above."""

    @property
    def door(self):
        """(right, left) y of the door, or None."""
        if self.kind == "door":
            return self.right, self.left
        if self.kind == "open_and_door":
            return (self.split, self.left) if self.door_on_left else (self.right, self.split)
        return None

    @property
    def opening(self):
        """(right, left) y of the compartment that objects are put into, or None."""
        if self.kind in ("shelf", "open"):
            return self.right, self.left
        if self.kind == "open_and_door":
            return (self.right, self.split) if self.door_on_left else (self.split, self.left)
        return None


@dataclass(frozen=True)
class WallUnit:
    """A cabinet on the wall that no task uses."""

    right: float
    left: float
    low: float
    high: float
    depth: float
    style: str
    """'doors', 'glass', 'open', 'hood' or 'boards'."""


@dataclass(frozen=True)
class Layout:
    """Everything that distinguishes one kitchen from another."""

    shape: str
    counter_z: float
    """Worktop's surface in the base frame."""
    counter_height: float
    """The same above the floor."""
    front: float
    """x of the worktop's front edge."""
    back: float
    """x of its back edge; of the wall, but for an island."""
    right: float
    left: float
    """y of the worktop's ends."""
    leg: float
    """|y| of the inner edge of an L's other leg; 0 without one."""
    thickness: float
    """Of the worktop."""
    basin: Basin
    tap: Tap
    unit: Unit | None
    window: tuple
    """(right, left, low, high) in the wall, or empty."""
    wall_units: tuple
    """WallUnit, ..."""
    fronts: str
    """One of FRONTS."""
    module: float
    """Width of the fronts."""
    handles: str
    """'bar', 'knob' or 'none'."""
    splash: float
    """Height of the tiles above the worktop."""
    hob: tuple
    """(x, y) of its middle, or empty; the oven is below it."""
    dishwasher: float | None
    """y of its middle, or None."""
    clutter: tuple
    """procedural_clutter_plan.Item, ..."""
    spawns: tuple
    """(side, twin.Spawn), ..."""
    palette: dict
    """Name of a surface -> procedural_materials.Material."""

    @property
    def floor_z(self):
        """[m]"""
        return self.counter_z - self.counter_height


def descriptor(layout):
    """What makes a layout a layout, whatever its colours: a tuple to compare and to count."""
    unit = layout.unit
    return (
        layout.shape,
        layout.basin.kind,
        round(layout.counter_height / 0.02),
        round(layout.counter_z / 0.03),
        round(layout.basin.center[0] / 0.03),
        round(layout.basin.center[1] / 0.03),
        layout.tap.kind,
        layout.tap.place,
        (unit.kind, unit.hinge if unit.door else "") if unit else ("none", ""),
        bool(layout.window),
        tuple(sorted({w.style for w in layout.wall_units})),
        layout.fronts,
        tuple(sorted({item.kind for item in layout.clutter})),
    )
