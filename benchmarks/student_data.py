"""The student's data: pairs a second out of the loader, and its memory, for sets of 30 thousand to 3 million pairs.

Synthetic trajectories of 100 steps in 24 twins, half by cameras and half from meshes. The three sets that are compared
have 24 points a cloud; the largest is the second one's files ten times over, by hard links, as ten rounds of a
collection. Their loads are alike, what grows is the number of trajectories. Speed, writing and reading are measured
with clouds of the shipped size, from the page cache, in seconds of CPU. Holds when the loader gives at least 2000 pairs
for each, 100 times the data takes no more memory than one load of the shipped size does, and a gradient accumulated
over parts of a batch is that of the whole batch within 1e-5.
"""

import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import finish
from casher_policy.action import RELEASED
from casher_policy.network import PolicyNetwork
from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named
from casher_training.cloud_loader import CloudLoader
from casher_training.clouds import ACTIONS, VIEWS, Clouds, quantise
from casher_training.student_config import CPU, Augmentation
from casher_training.student_learner import StudentLearner
from casher_training.trajectories import ABOUT, TrajectoryStore, bytes_of
from casher_training.trajectory import Trajectory, action_set
from casher_training.trajectory_file import about_clouds, write_file

TASK, STEPS, TWINS, BATCH, LOADS = "put_in_sink", 100, 24, 64, 20
PER_FILE, SETS = 6, {1: (1, 1), 10: (10, 1), 100: (10, 10)}
"""Trajectories of a twin and view in the smallest set; how many times as many -> (in a file, links to the file)."""
CROP = task_named(TASK).crop
SMALL, FULL = Preprocessing(*CROP, points=16, near_points=8), Preprocessing(*CROP, points=1024, near_points=512)
TARGET = ">= 2000"


def main():
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="student_data_"))
    try:
        sets = [scaled(folder / f"x{times}", times, *how) for times, how in SETS.items()]
        wide = folder / "full"
        written = write(wide)
        read = alone(reading, wide)
        loaded = alone(loading, wide, FULL)
        error = accumulation_error(wide)
    finally:
        shutil.rmtree(folder)
    growth = sets[-1]["peak_mb"] - sets[0]["peak_mb"]
    rate = loaded["pairs_per_cpu_s"]
    detail = {
        "sets": sets,
        "growth_mb_x1_to_x100": round(growth, 1),
        "one_load_of_the_shipped_size_mb": loaded["load_mb"],
        "shipped_size": loaded,
        "write": written,
        "read_mb_per_cpu_s": read,
        "gradient_accumulation_error": error,
        "points": {"sets": SMALL.total, "full": FULL.total},
    }
    holds = rate >= 2000 and growth <= loaded["load_mb"] and error <= 1e-5
    return finish("student_data", rate, "pairs per CPU-second", TARGET, holds, detail)


def scaled(folder, times, in_a_file, links):
    """Write a set, load from it in a process of its own -> what that took."""
    trajectories = examples(SMALL)
    folder.mkdir()
    for twin in range(TWINS):
        for view in VIEWS:
            one = of_twin(trajectories[0], twin, view)
            about = {**{name: getattr(one, name) for name in ABOUT[:-2]}, **about_clouds(one.clouds)}
            numbers = range(PER_FILE * in_a_file)
            items = ((f"demo_{i}", replace(of_twin(trajectories[i % 4], twin, view), seed=i)) for i in numbers)
            path = folder / f"{one.twin}.{TASK}.teacher.{view}.0.h5"
            write_file(path, items, len(numbers), about)
            for round_ in range(1, links):
                os.link(path, path.with_suffix("").with_suffix(f".{round_}.h5"))
    size = sum(bytes_of(path) for path in folder.glob("*.h5")) / 1e6
    found = {"times": times, "mb": round(size), **alone(loading, folder, SMALL)}
    print(found, flush=True)
    return found


def loading(folder, preprocessing):
    """In a fresh process: LOADS loads of a set -> pairs a second, memory."""
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    before, start = memory_mb("VmRSS"), time.process_time()
    with CloudLoader(folder, TASK, BATCH) as loader:
        open_s = time.process_time() - start
        steps = LOADS * 2 * TWINS * STEPS // BATCH
        start, cpu = time.perf_counter(), time.process_time()
        pairs = sum(len(loader.batch(step)) for step in range(steps))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        return {
            "pairs": loader.pairs,
            "trajectories": loader.trajectories,
            "open_cpu_s": round(open_s, 2),
            "pairs_per_s": round(pairs / wall),
            "pairs_per_cpu_s": round(pairs / cpu),
            "peak_mb": round(memory_mb("VmHWM"), 1),
            "before_mb": round(before, 1),
            "load_mb": round(2 * TWINS * STEPS * preprocessing.total * 9 / 1e6, 1),
        }


def write(folder):
    """Append and merge as a collection does -> MB a second of each."""
    trajectories = examples(FULL)
    start, cpu = time.perf_counter(), time.process_time()
    store = TrajectoryStore(folder, "a")
    for twin in range(TWINS):
        for view in VIEWS:
            store.append(of_twin(trajectories[twin % 4], twin, view))
            store.append(replace(of_twin(trajectories[(twin + 1) % 4], twin, view), seed=9))
    append_s, append_cpu = time.perf_counter() - start, time.process_time() - cpu
    start, cpu = time.perf_counter(), time.process_time()
    store.close()
    close_s, close_cpu = time.perf_counter() - start, time.process_time() - cpu
    size = sum(bytes_of(path) for path in folder.glob("*.h5")) / 1e6
    return {
        "mb": round(size),
        "append_mb_per_s": round(size / append_s),
        "append_mb_per_cpu_s": round(size / append_cpu),
        "close_mb_per_s": round(size / close_s),
        "close_mb_per_cpu_s": round(size / close_cpu),
    }


def reading(folder):
    """In a fresh process: every trajectory with its checksums -> MB a CPU-second."""
    start = time.process_time()
    with TrajectoryStore(folder) as store:
        assert sum(len(store.read(i).clouds) for i in range(len(store))) == 4 * TWINS * STEPS
    size = sum(bytes_of(path) for path in folder.glob("*.h5")) / 1e6
    return round(size / (time.process_time() - start))


def accumulation_error(folder):
    """|gradient of 4 parts - of the whole| / |of the whole|, of the cpu preset and 128 pairs."""
    with CloudLoader(folder, TASK, 128, prefetch=False) as loader:
        batch = loader.batch(0)
    gradients = []
    for micro_batch in (128, 32):
        off = Augmentation(**dict.fromkeys(vars(Augmentation()), 0.0))
        config = replace(CPU, batch_size=128, micro_batch=micro_batch, augmentation=off, gradient_clip=1e9)
        torch.manual_seed(0)
        learner = StudentLearner(PolicyNetwork(config.network, FULL), config, [1] * ACTIONS, 0)
        learner.learn(batch, 0, 10)
        gradients.append(torch.cat([p.grad.flatten() for p in learner.parameters]))
    whole, parts = gradients
    return float((parts - whole).norm() / whole.norm())


def examples(preprocessing):
    """Four trajectories of noise in the crop."""
    random, n = np.random.default_rng(0), preprocessing.total
    low, high = np.array(preprocessing.crop_low), np.array(preprocessing.crop_high)
    states = np.concatenate([random.random((STEPS, 5)), np.tile([1.0, 0, 0, 0], (STEPS, 1))], axis=1)
    common = {"task": TASK, "twin": "k", "twin_hash": "0" * 16, "object": "mug", "seed": 0, "preset": "released"}
    common |= {"action_set": action_set(RELEASED), "horizon": 135, "source": "teacher", "success": True}
    found = []
    for _ in range(4):
        clouds = Clouds(
            view="cameras",
            preprocessing=preprocessing,
            points=quantise(random.uniform(low, high, (STEPS, n, 3))),
            colours=random.integers(0, 256, (STEPS, n, 3), dtype=np.uint8),
            robot_states=states,
            labels=random.integers(0, ACTIONS, STEPS),
        )
        arrays = {"observations": np.zeros((STEPS + 1, 21)), "robot_joints": np.zeros((STEPS + 1, 7))}
        arrays |= {"fingers": np.zeros((STEPS + 1, 2)), "object_poses": np.zeros((STEPS + 1, 7))}
        arrays |= {"actions": clouds.labels, "rewards": np.zeros(STEPS), "door_angles": np.zeros(STEPS + 1)}
        found.append(Trajectory(**common, **arrays, shift=(0, 0, 0), software="benchmark", clouds=clouds))
    return found


def of_twin(trajectory, twin, view):
    """That trajectory as one of another twin and view."""
    return replace(trajectory, twin=f"kitchen_{twin:02d}", clouds=replace(trajectory.clouds, view=view))


def alone(function, *arguments):
    """What a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def memory_mb(what):
    """A line of /proc/self/status [MB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{what}:")).split()[1]) / 1e3
