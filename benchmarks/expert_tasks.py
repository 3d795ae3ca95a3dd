"""The scripted expert's three tasks in procedural kitchens: success with 95 % Wilson intervals, and why it failed.

Each task in the first KITCHENS (default 50) kitchens from seed FIRST that offer it, with 4 seeds each, as the
training's KitchenEnv runs them; holds when every task succeeds in at least 95 %. Kitchens below FIRST were looked at
while the expert was written. No kitchen is left out and no episode repeated. CASHER_EXPERT_KITCHENS=12 makes a shorter
run, after which nothing holds.
"""

import os
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from gymnasium.vector import AutoresetMode

from benchmarks.harness import finish
from casher_policy.statistics import wilson
from casher_policy.task import TASKS, task_named
from casher_sim.batch_expert import BatchExpert
from casher_sim.batch_world import Setting
from casher_sim.environment import KitchenEnv
from casher_sim.objects import NO_OBJECT, OBJECTS, kind_of, object_named
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin_kitchen import BACKGROUND_SCALE, TwinKitchen

ENOUGH = 50
KITCHENS = int(os.environ.get("CASHER_EXPERT_KITCHENS", str(ENOUGH)))
FIRST = 200
SEEDS = 4
TARGET = 0.95
PROCESSES = 2


def main():
    results, cpu_s, first = {task: [] for task in TASKS}, 0.0, FIRST
    wanted = dict.fromkeys(TASKS, KITCHENS)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        while any(wanted.values()):
            seeds = range(first, first + 4 * PROCESSES)
            first = seeds.stop
            for found, took_s in pool.map(in_kitchen, seeds, [tuple(t for t, n in wanted.items() if n)] * len(seeds)):
                cpu_s += took_s
                for task, episodes in found.items():
                    if wanted[task]:
                        results[task] += episodes
                        wanted[task] -= 1
    return report(results, cpu_s)


def report(results, cpu_s):
    """results: {task: [dict of in_kitchen]} -> exit code; see harness.finish."""
    detail = {
        "seeds_per_kitchen": SEEDS,
        "first_kitchen": FIRST,
        "kitchens_below_first": "were used while the expert was written, and do not count",
        "background_shift_of_table_2": BACKGROUND_SCALE,
        "cpu_minutes": round(cpu_s / 60, 1),
    }
    for task, episodes in results.items():
        successes = sum(episode["success"] for episode in episodes)
        low, high = wilson(successes, len(episodes))
        steps = sorted(episode["steps"] for episode in episodes if episode["success"])
        detail[task] = {
            "kitchens": len({episode["kitchen"] for episode in episodes}),
            "successes": successes,
            "episodes": len(episodes),
            "rate": round(successes / len(episodes), 4),
            "wilson_95": [round(low, 4), round(high, 4)],
            "last_kitchen": max(episode["kitchen"] for episode in episodes),
            "steps": {"median": steps[len(steps) // 2], "max": steps[-1], "horizon": task_named(task).horizon},
            "why_not": dict(Counter(episode["why"] for episode in episodes if not episode["success"])),
            "failures": [episode for episode in episodes if not episode["success"]],
        }
        print(f"{task}: {successes}/{len(episodes)} [{low:.3f}, {high:.3f}]", detail[task]["why_not"], flush=True)
    worst = min(detail[task]["rate"] for task in TASKS)
    enough = all(detail[task]["kitchens"] >= ENOUGH for task in TASKS)
    target = f">= {TARGET} in {ENOUGH} kitchens"
    return finish("expert_tasks", worst, "worst task's share", target, enough and worst >= TARGET, detail)


def in_kitchen(seed, tasks):
    """-> ({task: its episodes, for those that the kitchen offers}, CPU seconds)."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        save_kitchen(Path(folder), *kitchen(seed))
        place = TwinKitchen(folder)
        found = {name: episodes(place, task_named(name), seed) for name in tasks if name in place.tasks}
    return found, time.process_time() - start


def episodes(place, task, seed):
    """One episode for each of SEEDS, with the next of the objects in turn -> [dict]."""
    kinds = place.kinds(task.name)
    names = [name for name in OBJECTS if kind_of(name) in kinds]
    names = [names[(seed * SEEDS + i) % len(names)] if names else NO_OBJECT for i in range(SEEDS)]
    models = [None] if names[0] == NO_OBJECT else [object_named(name) for name in names]
    env = KitchenEnv([Setting(place, model) for model in models], task, SEEDS, autoreset_mode=AutoresetMode.DISABLED)
    expert, records, unreachable = BatchExpert(env), [None] * SEEDS, np.zeros(SEEDS, dtype=int)
    env.reset(seed=seed * SEEDS)
    while None in records:
        _, _, terminated, truncated, info = env.step(expert.actions())
        unreachable += info["unreachable"]
        ended = np.flatnonzero(terminated | truncated)
        for i in ended:
            if records[i] is None:
                record = {"task": task.name, "kitchen": seed, "object": names[i], "seed": seed * SEEDS + int(i)}
                outcome = {"success": bool(info["success"][i]), "steps": int(info["steps"][i])}
                records[i] = {**record, **outcome, "why": _why(env, info, i, unreachable[i])}
        if len(ended):
            env.reset(options={"ids": ended})
    return records


def _why(env, info, i, unreachable):
    if info["success"][i]:
        return ""
    for reason in ("broken", "lost"):
        if info[reason][i]:
            return reason
    unmet = ", ".join(env.task.unfulfilled(env.world.task_state(), i))
    return f"{'out of reach; ' if unreachable else ''}not {unmet}"


if __name__ == "__main__":
    raise SystemExit(main())
