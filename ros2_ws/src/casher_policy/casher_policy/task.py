"""The three tasks: horizon, crop of the cloud, randomisation and success, each defined once.

Paper, section VIII, Tables II and III. Success is a set of named conditions over a batch of states; all must hold.
Beyond the printed conditions we ask that the object rests on its goal, because the printed ones can be met by an object
on the sink's rim, thrown past the shelf or hanging from the fingers. A state with a NaN is never a success.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SINK_RADIUS_M = 0.25
DOOR_OPEN_RAD = 0.65
UPRIGHT_COSINE = 0.85
"""An object counts as upright when its axis is within 32 degrees of the vertical."""
OPEN_FRACTION = 0.9
"""The gripper counts as open when each finger has done this fraction of its way: fingers that press outwards to hold a
mug from its inside have not."""
RESTS_M = 0.03
"""An object rests on a surface, not on fingers, a rim or a jar, when its underside is at most this far above it."""
AT_REST_M_S = 0.05


@dataclass(frozen=True)
class TaskState:
    """What the predicates read, for a batch of B scenes; base frame."""

    p_base_object: np.ndarray
    """(B, 3) [m], centre of the object's underside."""
    object_up: np.ndarray
    """(B, 3) unit: the object's own z axis."""
    object_speed: np.ndarray
    """(B,) [m/s]."""
    fingers: np.ndarray
    """(B, 2) finger DOFs scaled to 0..1."""
    p_base_site: np.ndarray
    """(B, 3) [m], centre of the basin's floor or of the shelf's surface."""
    site_half_size: np.ndarray
    """(B, 2) [m], half the extent of the basin's opening or of the shelf along base x and y."""
    site_rim_z: np.ndarray
    """(B,) [m], height of the basin's rim; of the underside of the board above for a shelf."""
    door_angle: np.ndarray
    """(B,) [rad], 0 without a door."""


@dataclass(frozen=True)
class Randomisation:
    """Uniform ranges of one episode (Table II), each (low, high)."""

    background_m: tuple
    """((x, y, z) low, (x, y, z) high) shift of the whole kitchen."""
    object_m: tuple
    """((x, y, z) low, (x, y, z) high) shift of the object on its surface."""
    yaw_rad: tuple
    """(low, high) turn of the object about the vertical."""


def _near_site(s):
    return np.linalg.norm(s.p_base_object - s.p_base_site, axis=-1) < SINK_RADIUS_M


def _inside_sink(s):
    across = np.abs(s.p_base_object[:, :2] - s.p_base_site[:, :2]) <= s.site_half_size
    return across.all(axis=-1) & (s.p_base_object[:, 2] < s.site_rim_z)


def _on_the_floor(s):
    above = s.p_base_object[:, 2] - s.p_base_site[:, 2]
    return np.abs(above) < RESTS_M


def _on_shelf(s):
    across = np.abs(s.p_base_object[:, :2] - s.p_base_site[:, :2]) <= s.site_half_size
    above = s.p_base_object[:, 2] - s.p_base_site[:, 2]
    return across.all(axis=-1) & (above > -0.01) & (above < RESTS_M) & (s.p_base_object[:, 2] < s.site_rim_z)


def _upright(s):
    return s.object_up[:, 2] > UPRIGHT_COSINE


def _gripper_open(s):
    return (s.fingers > OPEN_FRACTION).all(axis=-1)


def _at_rest(s):
    return s.object_speed < AT_REST_M_S


def _door_open(s):
    return s.door_angle > DOOR_OPEN_RAD


@dataclass(frozen=True)
class Task:
    """One task."""

    name: str
    sentence: str
    """What to do, for people."""
    horizon: int
    """Actions in an episode."""
    crop: tuple
    """((x, y, z) low, (x, y, z) high) [m] of the cloud, base frame (Table III)."""
    randomisation: Randomisation
    conditions: dict[str, Callable] = field(repr=False)
    """Name -> TaskState -> (B,) bool."""

    def success(self, state):
        """TaskState of B scenes -> (B,) bool."""
        return np.logical_and.reduce([holds(state) for holds in self.conditions.values()])

    def unfulfilled(self, state, index=0):
        """Names of the conditions that do not hold in scene `index`."""
        return [name for name, holds in self.conditions.items() if not holds(state)[index]]


TASKS = {
    task.name: task
    for task in (
        Task(
            "put_in_sink",
            "put the object into the sink",
            135,
            ((-0.8, -0.8, -0.3), (0.8, 0.8, 1.0)),
            Randomisation(((-0.1, -0.1, -0.1), (0.1, 0.1, 0.1)), ((-0.1, -0.1, 0.0), (0.1, 0.1, 0.0)), (-0.3, 0.3)),
            {
                "near the sink": _near_site,
                "inside the sink": _inside_sink,
                "on the sink's floor": _on_the_floor,
                "upright": _upright,
                "gripper open": _gripper_open,
                "at rest": _at_rest,
            },
        ),
        Task(
            "put_in_cabinet",
            "put the object on the cabinet's shelf",
            150,
            ((-0.2, -0.5, -0.5), (1.5, 0.5, 1.5)),
            Randomisation(((-0.1, -0.1, -0.05), (0.1, 0.1, 0.05)), ((-0.1, -0.1, 0.0), (0.1, 0.1, 0.0)), (-0.1, 0.15)),
            {"on the shelf": _on_shelf, "upright": _upright, "gripper open": _gripper_open, "at rest": _at_rest},
        ),
        Task(
            "open_cabinet",
            "open the cabinet's door",
            150,
            ((-0.2, -0.5, -0.5), (1.5, 0.5, 1.5)),
            Randomisation(((-0.1, -0.1, -0.05), (0.1, 0.1, 0.05)), ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), (0.0, 0.0)),
            {"door open": _door_open, "gripper open": _gripper_open},
        ),
    )
}


def task_named(name):
    """The task of that name; ValueError lists the known ones."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: known are {', '.join(TASKS)}")
    return TASKS[name]
