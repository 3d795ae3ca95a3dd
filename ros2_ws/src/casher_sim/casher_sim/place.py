"""What a World needs of the place it works in: `kitchen.Kitchen` and `twin_kitchen.TwinKitchen` have it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

KITCHEN = "kitchen"
"""Name of the body that carries everything else: moving it shifts the whole place."""
HANDLE = f"{KITCHEN}/handle"
"""Name of the site in the middle of the handle's bar; its body has the door's joint."""


class PlaceError(ValueError):
    """A place that cannot do what is asked: what it has, what was asked."""


@dataclass(frozen=True)
class Start:
    """Where an object starts, before the kitchen is shifted."""

    position: tuple
    """(x, y, z) [m], on the surface."""
    half_size: tuple = (np.inf, np.inf)
    """(x, y) [m]: room around the position along the patch's own axes."""
    yaw: float = 0.0
    """[rad] of the patch's axes about base z."""


class Place(Protocol):
    """Base frame, metres, before any shift. Hashable: compiled scenes are kept by it."""

    name: str
    background_scale: float
    """Share of the task's background shift that is applied, so that all of it stays within the arm's reach."""
    tasks: tuple
    """Names of the tasks that can be done here."""
    handle: object
    """twin.Handle of the door, or None."""
    door: object
    """twin.Joint of the door, or None."""

    def kinds(self, task) -> tuple:
        """Kinds of objects (of objects.KINDS) that the task may use here; empty for a task without one."""

    def sides(self, task) -> tuple:
        """Where the object may start; ('front',) for a task without an object."""

    def site(self, task):
        """twin.Site of the task, or None for a task without one."""

    def start(self, side) -> Start:
        """Where the object starts on that side; PlaceError lists the known ones."""

    def add_to(self, spec) -> None:
        """Add all that can be touched to an MjSpec, below a body KITCHEN, with a site HANDLE where there is one."""


def check_task(place, task):
    """PlaceError unless the task (its name) can be done there."""
    if task not in place.tasks:
        offers = ", ".join(place.tasks) or "no task"
        raise PlaceError(f"kitchen {place.name!r} has no place for the task {task!r}: it offers {offers}")
