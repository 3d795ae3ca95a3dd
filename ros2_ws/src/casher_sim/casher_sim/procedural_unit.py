"""The cabinet or shelf on the wall that the tasks use: its boards, its door and the door's handle."""

from casher_sim.procedural_furniture import DOOR_M, GAP_M, front, hollow
from casher_sim.procedural_layout import BOARD_M
from casher_sim.twin import Handle, Joint, Site

DOOR = "door"
"""Name of the body that moves."""
BAR_M = 0.012
"""Thickness of the handle's bar."""
STANDOFF_M = 0.045
"""From the door's face to the middle of the bar: the fingers go behind it."""
_OPEN_RAD = 1.75


def build_unit(pieces, layout):
    """The task's cabinet or shelf -> (Site or None, Joint or None, Handle or None)."""
    unit = layout.unit
    floor, top = unit.shelf_z, unit.shelf_z + unit.clear
    if unit.kind == "shelf":
        _shelf(pieces, layout)
    else:
        halves = [unit.opening, unit.door] if unit.kind == "open_and_door" else [(unit.right, unit.left)]
        for right, left in halves:
            hollow(pieces, (unit.front, right, floor - BOARD_M), (layout.back, left, top + BOARD_M))
    site = joint = handle = None
    if unit.opening:
        right, left = unit.opening
        inset = 0.0 if unit.kind == "shelf" else BOARD_M
        # Where an arm that comes from the front can set something down: not right at the wall.
        usable = min(0.20, layout.back - unit.front - 0.02)
        center = (unit.front + usable / 2, (right + left) / 2, floor)
        ceiling = top if unit.kind != "shelf" or unit.board_above else floor + 0.6
        site = Site(center, (usable / 2, (left - right) / 2 - inset), ceiling)
    if unit.door:
        joint, handle = _door(pieces, layout)
    return site, joint, handle


def _shelf(pieces, layout):
    unit = layout.unit
    boards = (unit.shelf_z, unit.shelf_z + unit.clear + BOARD_M) if unit.board_above else (unit.shelf_z,)
    for z in boards:
        pieces.box((unit.front, unit.right, z - BOARD_M), (layout.back, unit.left, z), "board")
        for y in (unit.right + 0.05, unit.left - 0.05):
            foot = z - BOARD_M
            pieces.box((layout.back - 0.02, y - 0.01, foot - 0.14), (layout.back, y + 0.01, foot), "handle")
            pieces.box((unit.front + 0.05, y - 0.01, foot - 0.02), (layout.back, y + 0.01, foot), "handle")


def _door(pieces, layout):
    unit = layout.unit
    right, left = unit.door
    low, high = unit.shelf_z - BOARD_M, unit.shelf_z + unit.clear + BOARD_M
    style = "shaker" if layout.fronts == "shaker" else "slab"
    front(pieces, unit.front, "-x", (right, left), (low, high), style, "upper", "none", DOOR)
    face = unit.front - DOOR_M
    pieces.block((face, right + GAP_M, low + GAP_M), (unit.front, left - GAP_M, high - GAP_M), DOOR)
    y = right + 0.045 if unit.hinge == "left" else left - 0.045
    z = low + 0.05 + unit.bar / 2
    x = face - STANDOFF_M
    ends = (z - unit.bar / 2, z + unit.bar / 2)
    half = BAR_M / 2
    pieces.box((x - half, y - half, ends[0]), (x + half, y + half, ends[1]), "handle", DOOR)
    for foot in (ends[0] + half, ends[1] - half):
        pieces.box((x + half, y - 0.004, foot - 0.004), (face, y + 0.004, foot + 0.004), "handle", DOOR)
    hinge_y, up = (left, -1.0) if unit.hinge == "left" else (right, 1.0)
    joint = Joint("hinge", (0.0, 0.0, up), (unit.front, hinge_y, low), (0.0, _OPEN_RAD), damping=0.5, friction=0.1)
    handle = Handle(DOOR, (x, y, z), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), unit.bar - 4 * half, BAR_M)
    return joint, handle
