"""Batches of clouds and labels for a student, from a set that need not fit into memory.

While one load (cloud_schedule.py) is handed out, a thread reads the next: no more than two are ever in memory.
"""

from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from casher_training.cloud_index import cloud_files, data_hash, read_rows, require_alike
from casher_training.cloud_schedule import CloudSchedule
from casher_training.clouds import ROBOT_STATE, VIEWS, metres
from casher_training.trajectory import TrajectoryError


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B clouds of N points and what a teacher would do; torch tensors on the CPU."""

    points: torch.Tensor
    """(B, N, 3) float32 [m], base frame."""
    colours: torch.Tensor
    """(B, N, 3) uint8."""
    robot_states: torch.Tensor
    """(B, 9) float32: casher_policy.observation.robot_state."""
    labels: torch.Tensor
    """(B,) int64."""
    twins: torch.Tensor
    """(B,) int64: index into CloudLoader.twins."""
    trajectories: torch.Tensor
    """(B,) int64: CloudLoader.name says which they are."""

    def __len__(self):
        return len(self.labels)


class CloudLoader:
    """Batch `step` depends on files, seed and step alone. Use it in a `with`, or call `close`; for one thread.

    Of several ranks each takes its own part of the same load: batch is the pairs of ONE rank.
    """

    def __init__(
        self, folders, task, batch, seed=0, per_scene=2, views=VIEWS, sources=None,
        prefetch=True, rank=0, world_size=1, twins=None,
    ):  # fmt: skip
        """folders: of TrajectoryStores, or their files; task: name; per_scene: trajectories of a twin in each load.

        views, sources, twins: which clouds to use, None for all. Clouds of attempts that failed are used only if a
        generalist made them (cloud_index). TrajectoryError: nothing there, or clouds that do not belong together.
        """
        if batch < 1 or per_scene < 1 or seed < 0 or not 0 <= rank < world_size:
            raise ValueError(
                "batch and per_scene are at least 1, seed at least 0, rank below world_size; "
                f"got {batch}, {per_scene}, {seed}, rank {rank} of {world_size}"
            )
        folders = [folders] if isinstance(folders, str | Path) else list(folders)
        files, self.problems = cloud_files(folders, task, views, sources, all_attempts=False)
        """What was passed over, in words; grows while damaged trajectories are met."""
        files = [file for file in files if twins is None or file.twin in twins]
        if not files:
            there = "; ".join(sorted({f"{f.task} by {f.source}, {f.view}" for f in cloud_files(folders)[0]}))
            raise TrajectoryError(
                f"no clouds of {task} ({', '.join(views)}; by {', '.join(sources or ('anyone',))}) in "
                f"{', '.join(map(str, folders))}, there are {there or 'none at all'}: 'casher collect' makes them"
            )
        self.action_set, self.preprocessing = require_alike(files)
        self.files = tuple(files)
        self.data_hash = data_hash(files)
        self.label_counts = sum(file.label_counts for file in files)
        """(14,) int64: how often each action is the label in the whole set."""
        self.pairs = sum(int(file.steps.sum()) for file in files)
        self.trajectories = sum(len(file.keys) for file in files)
        self._before = np.cumsum([0, *(len(file.keys) for file in files)])
        self.batch_size, self.rank, self.world_size = batch, rank, world_size
        self._schedule = CloudSchedule(files, batch * world_size, seed, per_scene)
        self._now = self._next = (-1, None)
        self._reader = ThreadPoolExecutor(1, "clouds") if prefetch else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def twins(self):
        """Names of the twins, sorted."""
        return self._schedule.twins

    @property
    def objects(self):
        """Names of the objects, sorted."""
        return tuple(sorted({name for file in self.files for name in file.objects}))

    def name(self, trajectory):
        """Number in PairBatch.trajectories -> its file and name."""
        file = bisect_right(self._before, trajectory) - 1
        return self.files[file].name(trajectory - self._before[file])

    def batches(self, start=0):
        """Iterate over the PairBatches from step `start` on, without end."""
        while True:
            yield self.batch(start)
            start += 1

    def batch(self, step):
        """PairBatch of a step; TrajectoryError when nothing at all can be read."""
        number, k = self._schedule.load_of(step)
        load = self._load(number)
        first = (k * self.world_size + self.rank) * self.batch_size
        rows = load.order[first : first + self.batch_size]
        return PairBatch(
            points=torch.from_numpy(metres(load.points[rows])),
            colours=torch.from_numpy(load.colours[rows]),
            robot_states=torch.from_numpy(load.robot_states[rows]),
            labels=torch.from_numpy(load.labels[rows].astype(np.int64)),
            twins=torch.from_numpy(load.twins[rows].astype(np.int64)),
            trajectories=torch.from_numpy(load.trajectories[rows]),
        )

    def close(self):
        """End the thread and let go of the memory."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        self._now = self._next = (-1, None)

    def _load(self, number):
        if self._now[0] != number:
            expected, future = self._next
            self._now = (-1, None)  # its memory is not needed any more while the next one is waited for
            load, problems = future.result() if expected == number else self._read(number)
            self._now = (number, load)
            self.problems += [problem for problem in problems if problem not in self.problems]
            if self._reader is not None:
                self._next = (number + 1, self._reader.submit(self._read, number + 1))
        return self._now[1]

    def _read(self, number):
        """-> (_Load, what could not be read)."""
        problems = []
        # Where nothing of a load can be read, what comes after it takes its place.
        for other in range(number, number + 1 + self.trajectories):
            load = self._read_once(other, problems)
            if len(load.labels):
                load.order = self._schedule.pairs(number, len(load.labels))
                return load, problems
        raise TrajectoryError(f"none of the {self.trajectories} trajectories can be read: {'; '.join(problems[:3])}")

    def _read_once(self, number, problems):
        items = sorted(self._schedule.trajectories(number), key=lambda item: item[1:])
        load = _Load(sum(int(self.files[file].steps[row]) for _, file, row in items), self.preprocessing.total)
        for file, of_file in groupby(items, key=lambda item: item[1]):
            twins = [(row, twin) for twin, _, row in of_file]
            read = read_rows(self.files[file], [row for row, _ in twins])
            for (_, twin), (row, clouds) in zip(twins, read, strict=True):
                if isinstance(clouds, TrajectoryError):
                    problems.append(str(clouds))
                elif len(clouds) != self.files[file].steps[row] or clouds.preprocessing != self.preprocessing:
                    problems.append(f"{self.files[file].name(row)} is another than when the training began")
                else:
                    load.add(clouds, twin, self._before[file] + row)
        load.finish()
        return load


class _Load:
    """The pairs of one load, in the order of the files."""

    def __init__(self, pairs, points):
        self.points = np.empty((pairs, points, 3), np.int16)
        self.colours = np.empty((pairs, points, 3), np.uint8)
        self.robot_states = np.empty((pairs, ROBOT_STATE), np.float32)
        self.labels, self.twins = np.empty(pairs, np.uint8), np.empty(pairs, np.int32)
        self.trajectories = np.empty(pairs, np.int64)
        self.order = None
        self._there = 0

    def add(self, clouds, twin, trajectory):
        rows = slice(self._there, self._there + len(clouds))
        for name in ("points", "colours", "robot_states", "labels"):
            getattr(self, name)[rows] = getattr(clouds, name)
        self.twins[rows], self.trajectories[rows] = twin, trajectory
        self._there = rows.stop

    def finish(self):
        """Forget the room for what could not be read."""
        for name in ("points", "colours", "robot_states", "labels", "twins", "trajectories"):
            setattr(self, name, getattr(self, name)[: self._there])
