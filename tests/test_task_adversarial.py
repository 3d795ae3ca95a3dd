"""False successes, made by hand: what looks like a success and is none is judged a failure by the one definition."""

import numpy as np
import pytest

from casher_policy.task import TaskState, task_named

SINK, SHELF, DOOR = task_named("put_in_sink"), task_named("put_in_cabinet"), task_named("open_cabinet")
FLOOR, RIM = -0.12, 0.05
BOARD, CEILING = 0.52, 0.90


def turned(degrees):
    """The up axis of an object that leans by that angle."""
    angle = np.deg2rad(degrees)
    return (np.sin(angle), 0.0, np.cos(angle))


def state(p, site, half, rim, up=(0, 0, 1), speed=0.0, fingers=(1.0, 1.0), door=0.0):
    return TaskState(
        p_base_object=np.array([p], dtype=float),
        object_up=np.array([up], dtype=float),
        object_speed=np.array([speed]),
        fingers=np.array([fingers], dtype=float),
        p_base_site=np.array([site], dtype=float),
        site_half_size=np.array([half], dtype=float),
        site_rim_z=np.array([rim]),
        door_angle=np.array([door]),
    )


def in_sink(dx=0.0, dy=0.0, dz=0.001, **rest):
    """An object at an offset from the middle of the basin's floor."""
    return state((0.57 + dx, dy, FLOOR + dz), (0.57, 0.0, FLOOR), (0.18, 0.165), RIM, **rest)


def on_shelf(dx=0.0, dy=0.0, dz=0.001, **rest):
    """An object at an offset from the middle of the board."""
    return state((0.68 + dx, dy, BOARD + dz), (0.68, 0.0, BOARD), (0.10, 0.22), CEILING, **rest)


def door_at(angle, **rest):
    """A door at that angle, no object."""
    return state((np.nan,) * 3, (np.nan,) * 3, (0.0, 0.0), np.nan, up=(np.nan,) * 3, door=angle, **rest)


def test_what_a_success_looks_like_is_one():
    assert SINK.success(in_sink(dx=0.05, dy=-0.08)).all()
    assert SHELF.success(on_shelf(dx=-0.04, dy=0.1)).all()
    assert DOOR.success(door_at(0.70)).all()


FALSE_SUCCESSES = {
    "thrown through the basin": (SINK, in_sink(dz=0.03, speed=1.2)),
    "still rolling in the basin": (SINK, in_sink(dz=0.002, speed=0.08)),
    "leaning on the basin's wall": (SINK, in_sink(dx=0.12, dz=0.01, up=turned(40))),
    "on the basin's rim": (SINK, in_sink(dx=0.18, dz=RIM - FLOOR + 0.001)),
    "half over the rim, caught at a slant": (SINK, in_sink(dx=0.15, dz=0.12, up=turned(20))),
    "held by closed fingers in the basin": (SINK, in_sink(fingers=(0.3, 0.3))),
    "held from its inside by fingers that press outwards": (SINK, in_sink(dz=0.02, fingers=(0.75, 0.75))),
    "on open fingers over the basin's floor": (SINK, in_sink(dz=0.08)),
    "upside down in the basin": (SINK, in_sink(dz=0.09, up=(0, 0, -1))),
    "on its side in the basin": (SINK, in_sink(dz=0.03, up=turned(90))),
    "on the worktop beside the basin": (SINK, in_sink(dy=0.20, dz=RIM - FLOOR)),
    "above the basin": (SINK, in_sink(dz=0.20)),
    "under the sink, in the cupboard": (SINK, in_sink(dz=-0.10)),
    "in the second bowl": (SINK, in_sink(dy=0.24)),
    "in the basin with the gripper half open": (SINK, in_sink(fingers=(1.0, 0.5))),
    "at no position at all": (SINK, in_sink(dx=np.nan)),
    "at no height": (SINK, in_sink(dz=np.nan)),
    "at no orientation": (SINK, in_sink(up=(np.nan, 0.0, np.nan))),
    "at no speed": (SINK, in_sink(speed=np.nan)),
    "on top of the cabinet": (SHELF, on_shelf(dz=CEILING - BOARD + 0.02)),
    "on a jar on the shelf": (SHELF, on_shelf(dz=0.12)),
    "at the height of the shelf, in front of it": (SHELF, on_shelf(dx=-0.14)),
    "its middle over the shelf's edge": (SHELF, on_shelf(dx=-0.101)),
    "tipping over the shelf's edge": (SHELF, on_shelf(dx=-0.095, dz=-0.015, up=turned(15))),
    "under the shelf": (SHELF, on_shelf(dz=-0.08)),
    "held over the shelf": (SHELF, on_shelf(dz=0.04, fingers=(0.2, 0.2))),
    "falling past the shelf": (SHELF, on_shelf(speed=2.0)),
    "on its side on the shelf": (SHELF, on_shelf(dz=0.03, up=turned(-90))),
    "on open fingers over the shelf": (SHELF, on_shelf(dz=0.05)),
    "a door at 0.64 rad": (DOOR, door_at(0.64)),
    "a door that swung back": (DOOR, door_at(0.05)),
    "a door still held": (DOOR, door_at(0.70, fingers=(0.15, 0.15))),
    "a door held by one finger": (DOOR, door_at(0.70, fingers=(0.9, 0.3))),
    "a door at no angle": (DOOR, door_at(np.nan)),
    "a gripper at no width": (DOOR, door_at(0.70, fingers=(np.nan, 1.0))),
    "a door pushed the wrong way": (DOOR, door_at(-0.70)),
}


@pytest.mark.parametrize("name", FALSE_SUCCESSES)
def test_a_false_success_is_a_failure_and_says_why(name):
    task, false = FALSE_SUCCESSES[name]
    assert not task.success(false).any()
    assert task.unfulfilled(false)


def test_a_batch_is_judged_as_its_scenes_alone():
    for task in (SINK, SHELF, DOOR):
        states = [false for t, false in FALSE_SUCCESSES.values() if t is task]
        batch = TaskState(*(np.concatenate([getattr(s, f) for s in states]) for f in TaskState.__dataclass_fields__))
        assert not task.success(batch).any()
        for i, single in enumerate(states):
            assert task.unfulfilled(batch, i) == task.unfulfilled(single)
