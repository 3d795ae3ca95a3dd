"""The scripted expert in the simulator, in one process without ROS: success by object and side, and steps a second.

100 episodes of put_in_sink over every object and side; holds when at least 97 % succeed within the task's horizon.
"""

import time
from collections import Counter, defaultdict

import numpy as np

from benchmarks.harness import finish
from casher_franka.arm import ArmFault
from casher_policy.action import decode
from casher_policy.episode import SIDES
from casher_policy.expert import Expert
from casher_policy.task import task_named
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import OBJECTS
from casher_sim.world import World

EPISODES = 100
TARGET = 0.97


def main():
    world, expert = World(kitchen_named("demo"), task_named("put_in_sink")), Expert()
    cases = [(name, side) for name in OBJECTS for side in SIDES]
    tally, reasons, needed, worst_mm, steps, busy_s = defaultdict(list), [], [], 0.0, 0, 0.0
    for seed in range(EPISODES):
        name, side = cases[seed % len(cases)]
        world.reset(name, side, seed)
        begin = time.process_time()
        succeeded, n, faults, error_mm = run(world, expert)
        busy_s += time.process_time() - begin
        steps += n
        worst_mm = max(worst_mm, error_mm)
        tally[f"{name} {side}"].append(succeeded)
        if succeeded:
            needed.append(n)
        else:
            reasons.append({"object": name, "side": side, "seed": seed, "faults": dict(faults), **unfulfilled(world)})
    share = sum(map(sum, tally.values())) / EPISODES
    detail = {
        "episodes": EPISODES,
        "successes": {case: f"{sum(results)}/{len(results)}" for case, results in tally.items()},
        "failures": reasons,
        "steps_to_success": {"median": float(np.median(needed)), "max": int(np.max(needed))},
        "horizon": world.task.horizon,
        "policy_steps_per_cpu_s": round(steps / busy_s, 1),
        "tcp_error_mm_while_free_max": round(worst_mm, 2),
    }
    print(*(f"{case}: {result}" for case, result in detail["successes"].items()), sep="\n")
    print(f"{detail['policy_steps_per_cpu_s']} policy steps per CPU-second")
    return finish("expert_sim", share, "share of episodes", f">= {TARGET}", share >= TARGET, detail)


def run(world, expert):
    """One episode -> whether it succeeded, actions taken, faults by name, largest tcp error [mm] of the open hand."""
    faults, error_mm = Counter(), 0.0
    for step in range(1, world.task.horizon + 1):
        action = expert.act(world.privileged(), world.T_base_tcp, world.fingers, world.grasped)
        target = decode(int(action), world.T_base_tcp, world.width_command)
        try:
            world.move_to(target)
        except ArmFault as fault:
            faults[fault.name] += 1
            continue
        if world.width_command > 0.0:
            off = world.T_base_tcp[:3, 3] - target.T_base_tcp[:3, 3]
            error_mm = max(error_mm, 1e3 * np.linalg.norm(off))
        if world.success():
            return True, step, faults, error_mm
    return False, step, faults, error_mm


def unfulfilled(world):
    """Why the task's predicate does not hold."""
    return {"unfulfilled": world.task.unfulfilled(world.task_state())}
