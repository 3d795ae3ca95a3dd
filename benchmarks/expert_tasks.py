"""The scripted expert's three tasks in procedural kitchens: success with 95 % Wilson intervals, and why it failed.

KITCHENS (default 50) kitchens that offer the task and 4 seeds each, over two processes; holds when every task succeeds
in at least 95 %. CASHER_EXPERT_KITCHENS=12 makes a shorter run; the number is in the result.
"""

import os
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.harness import finish
from casher_franka.arm import ArmFault
from casher_policy.action import decode
from casher_policy.expert import Expert
from casher_policy.statistics import wilson
from casher_policy.task import TASKS, task_named
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin_kitchen import TwinKitchen
from casher_sim.world import World

KITCHENS = int(os.environ.get("CASHER_EXPERT_KITCHENS", "50"))
SEEDS = 4
TARGET = 0.95
PROCESSES = 2
_STUCK = 8
"""Poses out of reach in one episode after which the expert, which keeps nothing, will not get on."""


def main():
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        results = {task: [] for task in TASKS}
        first, wanted = 0, dict.fromkeys(TASKS, KITCHENS)
        while any(wanted.values()):
            seeds = range(first, first + 2 * PROCESSES)
            first = seeds.stop
            for episodes in pool.map(in_kitchen, seeds, [tuple(t for t, n in wanted.items() if n)] * len(seeds)):
                for task in {episode["task"] for episode in episodes}:
                    if wanted[task]:
                        results[task] += [episode for episode in episodes if episode["task"] == task]
                        wanted[task] -= 1
    detail = {"kitchens_per_task": KITCHENS, "seeds_per_kitchen": SEEDS, "kitchens_made": first}
    for task, episodes in results.items():
        successes = sum(episode["success"] for episode in episodes)
        low, high = wilson(successes, len(episodes))
        steps = sorted(episode["steps"] for episode in episodes if episode["success"])
        detail[task] = {
            "successes": successes,
            "episodes": len(episodes),
            "rate": round(successes / len(episodes), 4),
            "wilson_95": [round(low, 4), round(high, 4)],
            "steps": {"median": steps[len(steps) // 2], "max": steps[-1], "horizon": task_named(task).horizon},
            "why_not": dict(Counter(episode["why"] for episode in episodes if not episode["success"])),
            "failures": [episode for episode in episodes if not episode["success"]],
        }
        print(f"{task}: {successes}/{len(episodes)} [{low:.3f}, {high:.3f}]", detail[task]["why_not"], flush=True)
    worst = min(detail[task]["rate"] for task in TASKS)
    return finish("expert_tasks", worst, "worst task's share", f">= {TARGET}", worst >= TARGET, detail)


def in_kitchen(seed, tasks):
    """Episodes of those tasks that the procedural kitchen offers -> list of dict."""
    with tempfile.TemporaryDirectory() as folder:
        save_kitchen(Path(folder), *kitchen(seed))
        place = TwinKitchen(folder)
        episodes = []
        for name in tasks:
            if name in place.tasks:
                world = World(place, task_named(name))
                episodes += [episode(world, seed, index) for index in range(SEEDS)]
    return episodes


def episode(world, kitchen_seed, index):
    """One episode, its object and seed those of `index` -> dict."""
    name = world.objects[(kitchen_seed * SEEDS + index) % len(world.objects)]
    record = {"task": world.task.name, "kitchen": kitchen_seed, "object": name, "seed": index}
    try:
        world.reset(name, "", index)
    except ArmFault as fault:
        return {**record, "side": "", "steps": 0, "success": False, "why": f"reset: {fault.name}"}
    expert, faults = Expert(), Counter()
    for _step in range(1, world.task.horizon + 1):
        action = expert.act(world.privileged(), world.T_base_tcp, world.fingers, world.grasped)
        try:
            world.move_to(decode(int(action), world.T_base_tcp, world.width_command))
        except ArmFault as fault:
            faults[fault.name] += 1
            if faults[fault.name] >= _STUCK:
                break
        if world.success():
            break
    success = world.success()
    unmet = ", ".join(world.task.unfulfilled(world.task_state()))
    why = "" if success else f"{max(faults, key=faults.get)}; not {unmet}" if faults else f"not {unmet}"
    return {**record, "side": world.side, "steps": _step, "success": success, "why": why}


if __name__ == "__main__":
    raise SystemExit(main())
