"""The demonstrations that a teacher learns from: of its task, action set and version of the kitchen, or none at all."""

from casher_sim.environment import PRESETS
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError, action_set
from casher_training.twin_version import place_hash

_MAKE_THEM_ANEW = {
    "task": "give the folder of this task's demonstrations",
    "action_set": "give demonstrations of this preset",
    "preset": "give demonstrations of this preset",
    "twin_hash": "the twin was changed after they were made: collect new ones with 'casher demos collect'",
}
"""What may differ -> what to do."""


def demonstrations(store, place, task, preset="released", count=10, sources=("human", "expert"), objects=None):
    """The first `count` successful demonstrations of a kitchen -> list of Trajectory, in the order of the store.

    store: TrajectoryStore, or its path; place: place.Place; task: its name; preset: of environment.PRESETS; objects:
    names, None for any. Raises TrajectoryError when there are fewer, none but those of other tasks, or any of another
    action set, preset or version of the kitchen.
    """
    if not isinstance(store, TrajectoryStore):
        with TrajectoryStore(store) as opened:
            return demonstrations(opened, place, task, preset, count, sources, objects)
    wanted = {
        "task": task,
        "action_set": action_set(PRESETS[preset].steps),
        "preset": preset,
        "twin_hash": place_hash(place),
    }
    found = [i for source in sources for i in store.select(twin=place.name, source=source)]
    of_others = sorted({store.header(i)["twin"] for i in range(len(store))} - {place.name})
    found = [i for i in found if store.header(i)["task"] == task] or found
    found = [i for i in found if objects is None or store.header(i)["object"] in objects]
    for i in found:
        header = store.header(i)
        for name, value in wanted.items():
            if header[name] != value:
                raise TrajectoryError(
                    f"demonstration {store.name(i)} has {name} {header[name]!r}, and {value!r} is asked for: "
                    f"{_MAKE_THEM_ANEW[name]}"
                )
    kept = []
    for i in found:
        if len(kept) == count:
            break
        try:
            kept.append(store.read(i))
        except TrajectoryError as error:
            store.problems.append(str(error))
    if len(kept) < count:
        with_them = f" with {', '.join(objects)}" if objects else ""
        details = [f"there are {len(kept)}"]
        details += [f"others are of {', '.join(of_others)}"] if of_others else []
        details += store.problems
        raise TrajectoryError(
            f"{count} demonstrations of {task}{with_them} in {place.name!r} are needed, in {store.path} "
            f"{'; '.join(details)}: make more with 'casher demos collect'"
        )
    return kept
