"""The demonstrations that a teacher learns from: of its task, action set and version of the kitchen, or none at all."""

import itertools

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
    names, one demonstration of each in turn while there are any; None: of any object. Raises TrajectoryError when
    there are fewer, none of one of the objects, none but those of other tasks, or any of another action set, preset
    or version of the kitchen.
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
    kept, missing = _first(store, found, count, objects)
    if len(kept) < count or missing:
        with_them = f" with {', '.join(objects)}" if objects else ""
        details = [f"there are {len(kept)}"]
        details += [f"none with {', '.join(missing)}"] if missing else []
        details += [f"others are of {', '.join(of_others)}"] if of_others else []
        details += store.problems
        raise TrajectoryError(
            f"{count} demonstrations of {task}{with_them} in {place.name!r} are needed, in {store.path} "
            f"{'; '.join(details)}: make more with 'casher demos collect'"
        )
    return kept


def _first(store, found, count, objects):
    """-> the first `count` Trajectory that can be read, of each object in turn; the objects that have none."""
    names = [] if objects is None else list(dict.fromkeys(objects))
    groups = [[i for i in found if store.header(i)["object"] == name] for name in names]
    queues = [_readable(store, group) for group in (groups if objects is not None else [found])]
    heads = [next(queue, None) for queue in queues]
    in_turn = itertools.chain(heads, itertools.chain.from_iterable(itertools.zip_longest(*queues)))
    kept = list(itertools.islice((one for one in in_turn if one is not None), count))
    return kept, [name for name, head in zip(names, heads, strict=False) if head is None]


def _readable(store, indices):
    for i in indices:
        try:
            yield store.read(i)
        except TrajectoryError as error:
            store.problems.append(str(error))
