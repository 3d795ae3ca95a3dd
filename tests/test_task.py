"""The three tasks: every condition is needed, and the numbers are the paper's (section VIII, Tables II and III)."""

import dataclasses

import numpy as np
import pytest

from casher_policy.task import TASKS, TaskState, task_named


def succeeded(task):
    """A TaskState of one scene in which every condition of the task holds."""
    in_sink = task == "put_in_sink"
    return TaskState(
        p_base_object=np.array([[0.5, -0.2, 0.02]]),
        object_up=np.array([[0.0, 0.0, 1.0]]),
        object_speed=np.array([0.0]),
        fingers=np.array([[1.0, 1.0]]),
        p_base_site=np.array([[0.5, -0.2, 0.0 if in_sink else 0.02]]),
        site_half_size=np.array([[0.2, 0.15]]),
        site_rim_z=np.array([0.15]),
        door_angle=np.array([0.0 if in_sink else 1.2]),
    )


TILTED = np.array([[np.sin(0.7), 0.0, np.cos(0.7)]])
FALSIFIES = [
    ("put_in_sink", "p_base_object", [[0.6999, -0.0501, 0.029]], {"near the sink"}),
    ("put_in_sink", "p_base_object", [[0.5, -0.04, 0.02]], {"inside the sink"}),
    ("put_in_sink", "p_base_object", [[0.5, -0.2, 0.16]], {"inside the sink", "on the sink's floor"}),
    ("put_in_sink", "p_base_object", [[0.5, -0.2, 0.05]], {"on the sink's floor"}),
    ("put_in_sink", "object_up", TILTED, {"upright"}),
    ("put_in_sink", "fingers", [[1.0, 0.6]], {"gripper open"}),
    ("put_in_sink", "object_speed", [0.2], {"at rest"}),
    ("put_in_cabinet", "p_base_object", [[0.5, 0.0, 0.02]], {"on the shelf"}),
    ("put_in_cabinet", "p_base_object", [[0.5, -0.2, 0.0]], {"on the shelf"}),
    ("put_in_cabinet", "p_base_object", [[0.5, -0.2, 0.2]], {"on the shelf"}),
    ("put_in_cabinet", "object_up", TILTED, {"upright"}),
    ("put_in_cabinet", "fingers", [[0.0, 1.0]], {"gripper open"}),
    ("put_in_cabinet", "object_speed", [0.06], {"at rest"}),
    ("open_cabinet", "door_angle", [0.6], {"door open"}),
    ("open_cabinet", "fingers", [[0.7, 0.7]], {"gripper open"}),
]


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_that_meets_every_condition_is_a_success(name):
    task = task_named(name)
    assert task.success(succeeded(name)).tolist() == [True]
    assert task.unfulfilled(succeeded(name)) == []


@pytest.mark.parametrize(("name", "field", "value", "unfulfilled"), FALSIFIES)
def test_one_condition_that_does_not_hold_is_enough_to_fail_and_is_named(name, field, value, unfulfilled):
    state = dataclasses.replace(succeeded(name), **{field: np.array(value)})
    task = task_named(name)
    assert task.success(state).tolist() == [False]
    assert set(task.unfulfilled(state)) == unfulfilled


def test_every_condition_of_every_task_is_falsified_alone_above():
    falsified = {(name, condition) for name, _, _, conditions in FALSIFIES for condition in conditions}
    assert falsified == {(task.name, condition) for task in TASKS.values() for condition in task.conditions}


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_judges_each_scene_as_if_alone(name):
    task = task_named(name)
    scenes = [succeeded(name)] + [
        dataclasses.replace(succeeded(name), **{field: np.array(value)})
        for n, field, value, _ in FALSIFIES
        if n == name
    ]
    batch = TaskState(
        **{f.name: np.concatenate([getattr(s, f.name) for s in scenes]) for f in dataclasses.fields(TaskState)}
    )
    assert task.success(batch).tolist() == [True] + [False] * (len(scenes) - 1)
    for i, scene in enumerate(scenes):
        assert task.unfulfilled(batch, i) == task.unfulfilled(scene)


def test_an_unknown_task_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown task 'bake': known are put_in_sink, put_in_cabinet, open_cabinet"):
        task_named("bake")


def test_horizons_and_crops_are_the_papers():
    assert {name: task.horizon for name, task in TASKS.items()} == {
        "put_in_sink": 135,
        "put_in_cabinet": 150,
        "open_cabinet": 150,
    }
    assert TASKS["put_in_sink"].crop == ((-0.8, -0.8, -0.3), (0.8, 0.8, 1.0))
    for name in ("put_in_cabinet", "open_cabinet"):
        assert TASKS[name].crop == ((-0.2, -0.5, -0.5), (1.5, 0.5, 1.5))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_crop_and_every_range_has_its_low_end_below_its_high_end(task):
    assert (np.array(task.crop[0]) < np.array(task.crop[1])).all()
    for low, high in dataclasses.astuple(task.randomisation):
        assert np.all(np.array(low) <= np.array(high))
