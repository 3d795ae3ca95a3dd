"""What a teacher is trained in: twins and the objects in them, by name, so that another process can make them too."""

from dataclasses import dataclass
from functools import cache

from casher_policy.task import task_named
from casher_sim.batch_world import Setting
from casher_sim.environment import KitchenEnv
from casher_sim.objects import NO_OBJECT, kind_of, object_named
from casher_sim.place import PlaceError, check_task
from casher_sim.places import place_of

DEMO = "demo"
"""Name of the kitchen of primitives, which is no twin."""


@dataclass(frozen=True)
class Scene:
    """One twin with one object."""

    twin: str
    """Folder of the twin; DEMO for the kitchen of primitives."""
    object: str = NO_OBJECT
    """Name of the object; NO_OBJECT for a task without one."""

    @property
    def name(self):
        """For reports: 'kitchen_00003 mug'."""
        return f"{self.kitchen} {self.object}" if self.object != NO_OBJECT else self.kitchen

    @property
    def kitchen(self):
        """Name of the twin."""
        return place(self.twin).name


@cache
def place(twin):
    """The place.Place of that folder (or DEMO), loaded once in a process; ValueError says why not."""
    return place_of(twin) if twin == DEMO else place_of("", twin)


def setting_of(scene):
    """Scene -> casher_sim.batch_world.Setting."""
    return Setting(place(scene.twin), None if scene.object == NO_OBJECT else object_named(scene.object))


def scenes_of(twins, objects, task):
    """Every twin with every object that the task uses there -> [Scene].

    PlaceError without a twin, or for one without the task's site or with none of the objects.
    """
    if not twins:
        raise PlaceError("no twin is given: name the folder of one at least, or 'demo' for the kitchen of primitives")
    scenes = []
    for twin in twins:
        check_task(place(twin), task)
        kinds = place(twin).kinds(task)
        if not kinds:
            scenes.append(Scene(twin))
            continue
        fitting = [name for name in objects if kind_of(name) in kinds]
        if not fitting:
            raise PlaceError(
                f"{place(twin).name!r} uses {', '.join(kinds)} for the task {task!r}, asked for were "
                f"{', '.join(objects) or 'none'}: name at least one of these kinds"
            )
        scenes += [Scene(twin, name) for name in fitting]
    return scenes


def environment(scene, task, worlds, preset="released", **options):
    """A KitchenEnv of `worlds` copies of the scene; options: of KitchenEnv."""
    return KitchenEnv([setting_of(scene)], task_named(task), worlds, preset, **options)
