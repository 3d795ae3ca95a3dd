"""The digital twin of one kitchen: what its folder says, that is `twin.yaml` and the GLB meshes that it names.

Frames. Every position is in the robot's BASE frame (metres, x forward, z up), with every joint at 0. There each body's
frame coincides with the base frame, so body-local collision boxes are written in the same coordinates. The one
exception is mesh vertices: they stay in the frame and units of the scan, and `p_base = T_base_scan @ (scale * p_scan)`
for visual and collision meshes alike.
"""

from dataclasses import dataclass, field

import numpy as np

from casher_perception.geometry import pose_matrix

VERSION = 1
UP_AXES = {"z": (0.0, 0.0, 1.0), "y": (0.0, 1.0, 0.0)}
SIDES = ("left", "right", "front")
"""Where objects start: beside the goal as the robot sees it (left is y > 0), or in front of it."""
SOURCES = ("procedural", "scan", "hand")
JOINTS = ("hinge", "slide")
SITE_OF_TASK = {"put_in_sink": "sink", "put_in_cabinet": "shelf"}
"""Task -> the site that it needs; `open_cabinet` needs the handle of a body with a joint instead."""
CONSENT_NOT_NEEDED = "not needed: synthetic"
Y_UP_TO_BASE = pose_matrix((0.0, 0.0, 0.0), (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)))
"""(4, 4) glTF's axes (y up) to ours (z up): (x, y, z) -> (x, -z, y). What a generated twin stores as T_base_scan."""


class TwinError(ValueError):
    """A twin that cannot be used: says which field is wrong, what was found there, and what to do."""


@dataclass(frozen=True)
class Box:
    """A collision box."""

    center: tuple
    """(x, y, z) [m], body frame."""
    half_size: tuple
    """(x, y, z) [m] along the box's own axes."""
    quat_xyzw: tuple = (0.0, 0.0, 0.0, 1.0)
    """The box's axes in the body frame."""


@dataclass(frozen=True)
class Joint:
    """How a body moves against its parent."""

    type: str
    """One of JOINTS."""
    axis: tuple
    """(x, y, z) unit: what it turns about (right-handed) or slides along."""
    origin: tuple
    """(x, y, z) [m], a point on the axis."""
    range: tuple
    """(lowest, highest) [rad] or [m]; the meshes and boxes are drawn at 0, which is the closed door."""
    damping: float
    """[N m s/rad] or [N s/m]."""
    friction: float
    """Dry friction [N m] or [N]."""


@dataclass(frozen=True)
class Body:
    """One rigid part of the kitchen."""

    name: str
    """Lower-case letters, digits and _; unique."""
    visual: str | None
    """GLB file that is drawn (scan frame), or None."""
    collision: str | None = None
    """GLB file of convex hulls, one node each (scan frame), or None."""
    boxes: tuple = ()
    """Box, ...: collision besides the hulls."""
    joint: Joint | None = None
    """None: fixed to its parent."""
    parent: str | None = None
    """Name of the body it is attached to; None: the kitchen."""
    friction: float | None = None
    """Sliding friction coefficient; None: the twin's."""


@dataclass(frozen=True)
class Site:
    """A place where objects go: a basin's floor or a shelf's board."""

    position: tuple
    """(x, y, z) [m], centre of the surface."""
    half_size: tuple
    """(x, y) [m], half the extent along base x and y."""
    rim_z: float
    """[m], base frame: height of the basin's rim; of the underside of the board above for a shelf."""


@dataclass(frozen=True)
class Handle:
    """What the gripper pulls to open a door or a drawer: a bar."""

    body: str
    """Name of the body that it belongs to; that body has a joint."""
    position: tuple
    """(x, y, z) [m], middle of the bar."""
    axis: tuple
    """(x, y, z) unit, along the bar."""
    outward: tuple
    """(x, y, z) unit, away from the door: the gripper comes from there."""
    length: float
    """[m] of the bar that can be grasped."""
    thickness: float
    """[m] between the fingers."""


@dataclass(frozen=True)
class Spawn:
    """A free patch of a surface where objects start."""

    center: tuple
    """(x, y, z) [m], on the surface."""
    half_size: tuple
    """(x, y) [m] along the patch's own axes."""
    yaw: float = 0.0
    """[rad] of the patch's axes about base z."""


@dataclass(frozen=True)
class TaskSupport:
    """What a task uses in this twin."""

    objects: tuple
    """Kinds of objects, such as ('bowl', 'mug', 'box'); empty for a task without one."""


@dataclass(frozen=True)
class Physics:
    """What holds where a body does not say otherwise; the defaults are the paper's (section VIII)."""

    friction: float = 0.5
    object_mass_kg: float = 0.41


@dataclass(frozen=True)
class Provenance:
    """Where the twin comes from."""

    source: str
    """One of SOURCES."""
    date: str
    """ISO 8601 day on which it was made."""
    software: str
    """What wrote it, with its version."""
    seed: int | None = None
    """Of a procedural twin."""
    app: str | None = None
    """That made the scan, or drew a procedural twin as one."""


@dataclass(frozen=True)
class Consent:
    """Who allowed that their kitchen is used, and for what."""

    given_by: str
    scope: str
    """What it may be used for, in words."""
    date: str
    """ISO 8601 day."""


@dataclass(frozen=True, eq=False)
class Twin:
    """Everything that twin.yaml says."""

    name: str
    scan_up: str
    """Which axis of the scan frame points up, one of UP_AXES; checked against T_base_scan."""
    scale: float
    """Metres per unit of the meshes."""
    T_base_scan: np.ndarray
    """(4, 4) rigid; the rotation turns the scan's up axis into base z."""
    bodies: tuple
    """Body, ...; a parent comes before its children."""
    sites: dict[str, Site]
    """By name: 'sink', 'shelf'."""
    handle: Handle | None
    spawns: dict[str, Spawn]
    """By side, of SIDES."""
    tasks: dict[str, TaskSupport]
    """By the task's name: only those that this kitchen supports."""
    provenance: Provenance
    consent: Consent | None
    """None: nobody's home is shown; written as CONSENT_NOT_NEEDED."""
    physics: Physics = field(default_factory=Physics)
    version: int = VERSION


def to_base(twin, vertices_scan):
    """Mesh vertices (N, 3) in the scan's frame and units -> (N, 3) float64 [m], base frame."""
    vertices = np.asarray(vertices_scan, dtype=np.float64) * twin.scale
    return vertices @ twin.T_base_scan[:3, :3].T + twin.T_base_scan[:3, 3]


def to_scan(twin, vertices_base):
    """The inverse of `to_base`: (N, 3) [m], base frame -> (N, 3) in the scan's frame and units."""
    vertices = np.asarray(vertices_base, dtype=np.float64) - twin.T_base_scan[:3, 3]
    return vertices @ twin.T_base_scan[:3, :3] / twin.scale


def surface_friction(twin, body):
    """Sliding friction coefficient of a body of that twin."""
    return twin.physics.friction if body.friction is None else body.friction
