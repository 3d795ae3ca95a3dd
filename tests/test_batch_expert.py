"""The scripted expert for all worlds of a KitchenEnv at once."""

import numpy as np
import pytest

from casher_policy.task import TASKS, task_named
from casher_sim.batch_expert import BatchExpert
from casher_sim.batch_world import Setting
from casher_sim.environment import KitchenEnv
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin_kitchen import TwinKitchen

SEEDS = {"put_in_sink": 0, "put_in_cabinet": 2, "open_cabinet": 1}
"""A procedural kitchen for each task."""


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_does_every_task_in_a_batch_within_the_horizon(task, tmp_path):
    save_kitchen(tmp_path, *kitchen(SEEDS[task]))
    place = TwinKitchen(tmp_path)
    objects = [object_named(name) for name in ("box", "mug")] if place.kinds(task) else [None]
    env = KitchenEnv([Setting(place, model) for model in objects], task_named(task), 2)
    expert, done = BatchExpert(env), np.zeros(2, dtype=bool)
    env.reset(seed=0)
    for _ in range(env.task.horizon):
        actions = expert.actions()
        assert actions.shape == (2,) and actions.dtype == np.int64
        done |= env.step(actions)[4]["success"]
        if done.all():
            break
    assert done.tolist() == [True, True]


def test_after_an_autoreset_the_expert_looks_at_the_new_scene():
    setting = Setting(kitchen_named("demo"), object_named("box"))
    env = KitchenEnv([setting], task_named("put_in_sink"), 2)
    expert, successes = BatchExpert(env), np.zeros(2, dtype=int)
    env.reset(seed=0)
    for _ in range(2 * env.task.horizon):
        successes += env.step(expert.actions())[4]["success"]
        if successes.min() >= 2:
            break
    assert successes.min() >= 2


def test_a_world_s_actions_do_not_depend_on_the_other_worlds():
    setting = Setting(kitchen_named("demo"), object_named("mug"))
    runs = []
    for size in (1, 3):
        env = KitchenEnv([setting], task_named("put_in_sink"), size)
        expert = BatchExpert(env)
        env.reset(seed=5)
        runs.append([])
        for _ in range(12):
            actions = expert.actions()
            runs[-1].append(actions[0])
            env.step(actions)
    assert runs[0] == runs[1]
