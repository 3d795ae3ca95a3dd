"""Random actions in 16 procedural kitchens: nothing becomes NaN, nothing goes through a wall.

CASHER_FUZZ_ACTIONS sets how many (1e6). Half of the worlds draw each action anew; the others keep to one for up to
LONGEST steps, which takes the arm to walls, worktop and object, and presses. Every EVERY steps, and where an episode
ends, it is measured how deep the object and the arm are in what is fixed, and where the object is. An object is through
a wall when it is deeper in one than DEPTH_M, behind the room's wall, or below the worktop where only closed furniture
is.
"""

import copy
import os
import tempfile
import time
from pathlib import Path

import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode

from benchmarks.harness import finish
from casher_policy.task import task_named
from casher_sim import robot
from casher_sim.batch_world import Setting
from casher_sim.environment import KitchenEnv
from casher_sim.objects import OBJECTS, object_named
from casher_sim.procedural import kitchen, layout_of, save_kitchen
from casher_sim.twin_kitchen import TwinKitchen

KITCHENS, WORLDS = 16, 64
EVERY, LONGEST = 5, 12
DEPTH_M = 0.02
"""The thinnest board of a kitchen is 16 mm, but closed from behind; a basin's wall is as thick as its unit."""


def main():
    actions = int(float(os.environ.get("CASHER_FUZZ_ACTIONS", "1e6")))
    with tempfile.TemporaryDirectory() as folder:
        places = [place(Path(folder), seed) for seed in range(KITCHENS)]
        names = [list(OBJECTS)[i % len(OBJECTS)] for i in range(KITCHENS)]
        settings = [Setting(p, object_named(name)) for p, name in zip(places, names, strict=True)]
        env = KitchenEnv(settings, task_named("put_in_sink"), WORLDS, autoreset_mode=AutoresetMode.DISABLED)
        env.reset(seed=0)
        record = fuzz(env, -(-actions // WORLDS), [Probe(env, i) for i in range(KITCHENS)])
    record |= {"kitchens": KITCHENS, "worlds": WORLDS, "objects": sorted(set(names))}
    bad = record["not_finite"] + record["broken"] + record["through_a_wall"]
    print(record)
    return finish("sim_fuzz", bad, "bad worlds", "== 0 in 1e6 actions", bad == 0 and record["actions"] >= 1e6, record)


def place(folder, seed):
    """The procedural kitchen of that seed, without its meshes being looked at."""
    path = folder / f"{seed}"
    path.mkdir()
    save_kitchen(path, *kitchen(seed))
    return TwinKitchen(path)


def fuzz(env, steps, probes):
    """-> what was met, counted."""
    rng, begin = np.random.default_rng(0), time.process_time()
    record = dict.fromkeys(("not_finite", "broken", "through_a_wall", "lost", "success", "episodes", "unreachable"), 0)
    depths, examples = {"object": [], "arm": []}, []
    actions, left, eager = np.zeros(env.num_envs, dtype=int), np.zeros(env.num_envs, dtype=int), env.num_envs // 2
    for step in range(1, steps + 1):
        left -= 1
        left[:eager] = 0
        actions = np.where(left <= 0, rng.integers(0, 14, env.num_envs), actions)
        left = np.where(left <= 0, rng.integers(1, LONGEST + 1, env.num_envs), left)
        observations, _, terminated, truncated, info = env.step(actions)
        ended = terminated | truncated
        record["not_finite"] += int((~np.isfinite(observations).all(axis=1)).sum())
        for name in ("broken", "lost", "success", "unreachable"):
            record[name] += int(info[name].sum())
        record["episodes"] += int(ended.sum())
        for i in range(env.num_envs) if step % EVERY == 0 else np.flatnonzero(ended):
            depth, arm_depth, why = probes[env.world.setting_of[i]].look(i)
            depths["object"].append(depth)
            depths["arm"].append(arm_depth)
            if why:
                record["through_a_wall"] += 1
                examples.append({"step": step, "world": int(i), "why": why, "at": observations[i, :3].tolist()})
        if ended.any():
            env.reset(options={"ids": ended})
    seconds = time.process_time() - begin
    record |= {"actions": steps * env.num_envs, "cpu_s": round(seconds, 1), "looks": len(depths["object"])}
    for name, values in depths.items():
        record[f"{name}_depth_mm"] = {
            f"p{p}": round(1e3 * float(np.percentile(values, p)), 2) for p in (50, 99, 99.9, 100)
        }
    return record | {"examples": examples[:10]}


class Probe:
    """Measures worlds of one setting."""

    def __init__(self, env, setting):
        self.world = env.world
        self.group = self.world._groups[setting]
        model = self.model = copy.copy(self.group.scene.model)
        self.data = mujoco.MjData(model)
        self.layout = layout_of(int(self.world.settings[setting].place.name.rpartition("_")[2]))
        self.kinds = np.where(model.geom_contype == robot.STATIC, 2, 0)
        self.kinds[model.geom_bodyid == self.group.scene.object_body] = 1

    def look(self, world):
        """-> depth [m] of the object and of the arm in what is fixed, and why it is through a wall or ''."""
        own, shift = world // len(self.world.settings), self.world.shift[world]
        self.model.body_pos[self.group.scene.kitchen_body] = shift
        self.data.qpos = self.group._qpos[own]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)
        depth = {1: 0.0, 0: 0.0}
        for contact in self.data.contact:
            a, b = sorted(self.kinds[contact.geom])
            if b == 2 and a < 2:
                depth[a] = max(depth[a], -contact.dist)
        return depth[1], depth[0], self._why(depth[1], self.world.object_qpos[world, :3] - shift)

    def _why(self, depth, p):
        x, y, z = p
        layout = self.layout
        if depth > DEPTH_M:
            return f"{1e3 * depth:.0f} mm inside"
        if x > layout.back + 0.01:
            return "behind the wall"
        beneath = layout.counter_z - layout.basin.depth - 0.05
        furniture = x > layout.front + 0.08 and layout.right < y < layout.left
        return "inside the furniture" if furniture and layout.floor_z + 0.12 < z < beneath else ""
