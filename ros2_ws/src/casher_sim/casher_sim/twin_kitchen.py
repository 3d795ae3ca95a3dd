"""A digital twin as a Place: its folder, loaded once."""

from pathlib import Path

from casher_sim.place import KITCHEN, PlaceError, Start
from casher_sim.twin import SITE_OF_TASK
from casher_sim.twin_file import load_twin
from casher_sim.twin_scene import add_twin

BACKGROUND_SCALE = 0.3
"""As far as the arm's reach allows in most kitchens."""


class TwinKitchen:
    """Implements place.Place; two of the same folder are different places."""

    background_scale = BACKGROUND_SCALE

    def __init__(self, folder):
        """folder: with twin.yaml; TwinError says what is wrong with it."""
        self.folder = Path(folder)
        self.twin = load_twin(self.folder)
        self.name = self.twin.name
        self.handle, self.door = self.twin.handle, None
        if self.handle is not None:
            self.door = next(body.joint for body in self.twin.bodies if body.name == self.handle.body)
        hinged = self.door is not None and self.door.type == "hinge"
        self.tasks = tuple(task for task in self.twin.tasks if task != "open_cabinet" or hinged)

    def kinds(self, task):
        """See place.Place."""
        return tuple(self.twin.tasks[task].objects)

    def sides(self, task):
        """See place.Place."""
        if task == "open_cabinet":
            return ("front",)
        # The arm puts onto a shelf what stands in front of it, and into a sink what stands beside it.
        wanted = ("front",) if task == "put_in_cabinet" else ("left", "right")
        return tuple(side for side in wanted if side in self.twin.spawns) or tuple(self.twin.spawns)

    def site(self, task):
        """See place.Place."""
        return self.twin.sites.get(SITE_OF_TASK.get(task))

    def start(self, side):
        """See place.Place."""
        if side not in self.twin.spawns:
            raise PlaceError(f"unknown side {side!r} in {self.name!r}: known are {', '.join(self.twin.spawns)}")
        spawn = self.twin.spawns[side]
        return Start(spawn.center, spawn.half_size, spawn.yaw)

    def add_to(self, spec):
        """See place.Place."""
        add_twin(spec, self.twin, self.folder, name=KITCHEN)
