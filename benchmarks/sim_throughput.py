"""Policy steps per CPU-second of the batched simulator, against SAPIEN on the same scene in the same run.

An action is 100 ms (170 ms where the gripper changes or something is held, see casher_sim.batch_world). Random: random
actions in KitchenEnv. Course: the expert's actions into the sink, replayed by both engines with the same decode() and
inverse kinematics. CPU time is of all threads; the best of REPEATS, because the machine may be shared.
CASHER_SAPIEN_PYTHON names a Python with sapien; without it one is made in the user's cache.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np

from benchmarks.harness import ROOT, finish
from benchmarks.sim_fuzz import place
from casher_policy.expert import Expert
from casher_policy.task import task_named
from casher_sim.batch_group import BatchGroup
from casher_sim.batch_world import BatchWorld, Setting
from casher_sim.environment import KitchenEnv
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.scene import scene_of
from casher_sim.world import World

TASK, DEMO = task_named("put_in_sink"), kitchen_named("demo")
TARGETS = {"box": 1900.0, "mug": 900.0}
AGAINST_SAPIEN, TWINS_COST = 1.6, 1.2
WORLDS, STEPS, COURSES, REPEATS, TWINS = 64, 40, 16, 3, 10
SAPIEN_TIMESTEPS_S = {"sapien_10_ms": 0.01, "sapien_5_ms": 0.005}
"""The longest step at which SAPIEN holds what it grasps, which counts, and MuJoCo's own."""
SAPIEN = ("sapien==3.0.3", "mujoco==4.0.0", "numba==0.68.1", "scipy==1.17.1", "setuptools<81")


def main():
    detail = {"random": {}, "course": {}}
    python = sapien_python()
    for name in TARGETS:
        setting = Setting(DEMO, object_named(name))
        detail["random"][name] = random_actions([setting])
        detail["course"][name] = course(setting, name, python)
        print(name, detail["random"][name], detail["course"][name], flush=True)
    detail["two_threads"] = random_actions([Setting(DEMO, object_named("box"))], threads=2)
    detail["two_threads"]["wall_speed_up"] = round(
        detail["two_threads"]["policy_steps_per_s"] / detail["random"]["box"]["policy_steps_per_s"], 2
    )
    detail["ten_twins"] = ten_twins()
    print(detail["two_threads"], detail["ten_twins"], flush=True)
    speeds = {name: detail["random"][name]["policy_steps_per_cpu_s"] for name in TARGETS}
    ratios = [detail["course"][name].get("ratio_to_sapien_10_ms", 0.0) for name in TARGETS]
    holds = all(speeds[name] >= target for name, target in TARGETS.items())
    holds &= min(ratios) >= AGAINST_SAPIEN and detail["ten_twins"]["cost"] <= TWINS_COST
    wanted = f">= 1900 (mug >= 900), >= {AGAINST_SAPIEN} x SAPIEN, ten twins <= {TWINS_COST} x one"
    return finish("sim_throughput", speeds["box"], "policy steps per CPU-second", wanted, holds, detail)


class Clock:
    """CPU time within BatchGroup.advance, that is in mj_step, while in use."""

    def __enter__(self):
        self.cpu_s, self._advance = 0.0, BatchGroup.advance
        BatchGroup.advance = lambda group, *arguments: self._timed(group, *arguments)
        return self

    def __exit__(self, *_):
        BatchGroup.advance = self._advance

    def _timed(self, group, *arguments):
        begin = time.process_time()
        self._advance(group, *arguments)
        self.cpu_s += time.process_time() - begin


def random_actions(settings, threads=1, steps=STEPS, repeats=REPEATS):
    """KitchenEnv.step with random actions -> speeds and the share of the physics."""
    env = KitchenEnv(settings, TASK, WORLDS, threads=threads)
    runs = []
    for _ in range(repeats):
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        env.step(rng.integers(0, 14, WORLDS))
        with Clock() as clock:
            wall, cpu, physics_steps = time.perf_counter(), time.process_time(), 0
            for _ in range(steps):
                env.step(rng.integers(0, 14, WORLDS))
                physics_steps += int(env.world.physics_steps.sum())
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        runs.append((steps * WORLDS / cpu, steps * WORLDS / wall, clock.cpu_s / cpu, physics_steps / clock.cpu_s))
    best = max(runs)
    return {
        "policy_steps_per_cpu_s": round(best[0], 1),
        "all_runs": [round(run[0], 1) for run in runs],
        "policy_steps_per_s": round(max(run[1] for run in runs), 1),
        "share_of_mj_step": round(best[2], 3),
        "physics_steps_per_cpu_s": round(best[3]),
        "mean_action_ms": round(5 * physics_steps / (steps * WORLDS), 1),
    }


def course(setting, name, python):
    """The expert's actions, replayed in MuJoCo and in SAPIEN, in turn: the best of each met the same machine."""
    actions, lengths, poses, starts, succeeded = record(setting, name)
    result = {"mean_action_ms": round(5 * float(lengths.mean()), 1), "expert_success": succeeded}
    if isinstance(python, str):
        speeds = [replayed(setting, actions, starts) for _ in range(REPEATS)]
        return result | {"policy_steps_per_cpu_s": round(max(speeds), 1), "sapien": {"not_run": python}}
    speeds, runs = [], {key: [] for key in SAPIEN_TIMESTEPS_S}
    with tempfile.TemporaryDirectory() as folder:
        work, scene = Path(folder) / "work.npz", Path(folder) / "scene.mjb"
        mujoco.mj_saveModel(scene_of(DEMO, setting.object_model).model, str(scene))
        np.savez(work, actions=actions, physics_steps=lengths, objects=starts, T_base_tcp=poses)
        for _ in range(REPEATS):
            speeds.append(replayed(setting, actions, starts))
            for key, timestep_s in SAPIEN_TIMESTEPS_S.items():
                runs[key].append(run_sapien(python, work, scene, timestep_s))
    result["policy_steps_per_cpu_s"] = round(max(speeds), 1)
    for key, of_key in runs.items():
        best = max(of_key, key=lambda run: run["policy_steps_per_cpu_s"])
        result |= {key: best, f"ratio_to_{key}": round(max(speeds) / best["policy_steps_per_cpu_s"], 2)}
    return result


def replayed(setting, actions, starts):
    """Policy steps per CPU-second of MuJoCo."""
    worlds = BatchWorld([setting], TASK, COURSES)
    restart(worlds, starts)
    begin = time.process_time()
    for row in actions:
        worlds.act(row)
    return actions.size / (time.process_time() - begin)


def record(setting, name):
    """-> actions, physics steps (T, N), tcp before them (T, N, 4, 4), objects at first (N, 7), share of successes."""
    alone, known, starts = World(DEMO, TASK), [], []
    for seed in range(COURSES):
        alone.reset(name, "", seed)
        T = alone.T_base_object.copy()
        T[:3, 3] -= alone.shift
        known.append(replace(alone.privileged(), p_base_site=alone.p_base_site - alone.shift))
        known[-1] = replace(known[-1], clearance_z=known[-1].clearance_z - alone.shift[2])
        yaw = np.arctan2(T[1, 0], T[0, 0])
        starts.append([*T[:3, 3], np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    worlds, expert, actions, lengths = BatchWorld([setting], TASK, COURSES), Expert(), [], []
    poses = []
    restart(worlds, np.array(starts))
    done = np.zeros(COURSES, dtype=bool)
    while not done.all() and len(actions) < 70:
        T, grasped = worlds.T_base_object, worlds.grasped
        views = [replace(view, T_base_object=T[i]) for i, view in enumerate(known)]
        row = [expert.act(v, worlds.T_base_tcp[i], worlds.fingers[i], grasped[i]) for i, v in enumerate(views)]
        poses.append(worlds.T_base_tcp.copy())
        worlds.act(np.array(row, dtype=int))
        actions.append(np.array(row, dtype=int))
        lengths.append(worlds.physics_steps)
        done |= TASK.success(worlds.task_state())
    return np.array(actions), np.array(lengths), np.array(poses), np.array(starts), float(done.mean())


def restart(worlds, starts):
    yaw = 2 * np.arctan2(starts[:, 6], starts[:, 3])
    worlds.reset(np.arange(COURSES), np.zeros((COURSES, 3)), starts[:, :3], yaw)


def ten_twins():
    """Mixed twins in one call against each of them alone."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [Setting(place(Path(folder), seed), object_named("box")) for seed in range(TWINS)]
        alone = [random_actions([s], steps=8, repeats=2)["policy_steps_per_cpu_s"] for s in settings]
        mixed = random_actions(settings, steps=40, repeats=2)["policy_steps_per_cpu_s"]
    mean = TWINS / sum(1 / speed for speed in alone)
    return {"alone": alone, "alone_mean": round(mean, 1), "mixed": mixed, "cost": round(mean / mixed, 3)}


def sapien_python():
    """Path of a Python with sapien, made if need be; a str that says why there is none."""
    if given := os.environ.get("CASHER_SAPIEN_PYTHON"):
        return Path(given)
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "casher" / "sapien"
    python = folder / "bin" / "python"
    try:
        if not (folder / "made").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", *SAPIEN], check=True, capture_output=True)
            (folder / "made").touch()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no venv with {SAPIEN[0]}: {getattr(error, 'stderr', b'') or error}"
    return python


def run_sapien(python, work, scene, timestep_s):
    """benchmarks/sapien_scene.py in its own Python -> what it printed."""
    packages = ("casher_sim", "casher_policy", "casher_perception", "casher_franka")
    paths = os.pathsep.join(str(ROOT / "ros2_ws" / "src" / package) for package in packages)
    command = [str(python), str(ROOT / "benchmarks" / "sapien_scene.py"), str(work), str(scene), str(timestep_s)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"SAPIEN's side failed: {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
