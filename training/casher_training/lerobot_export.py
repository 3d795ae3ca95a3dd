"""Trajectories as a LeRobotDataset v3.0, for other people's trainers: parquet and JSON, nothing of LeRobot is needed.

One frame is one action and the state BEFORE it. Our steps end when the arm stands still, not at a rate: fps is 1, and
a time stamp counts actions. https://huggingface.co/docs/lerobot/lerobot-dataset-v3
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np

from casher_policy.action import ACTION_NAMES
from casher_training.clouds import metres
from casher_training.trajectory import TrajectoryError

VERSION = "v3.0"
FILE_MB = 100
"""A data file is closed when it is this large."""
CHUNK_FILES = 1000
_INDEX = "__index_level_0__"
"""What pandas calls an index without a name."""
_PATH = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_PROVENANCE = ("twin", "twin_hash", "object", "source", "view", "seed", "episode", "success", "preset", "robot",
               "software", "policy", "noise", "recorded")  # fmt: skip
"""What is known of an episode, columns of its row in meta/episodes."""


class LeRobotWriter:
    """Append trajectories, then `close`: the folder appears whole, or with `discard` not at all.

    All have clouds of one size, or none has; TrajectoryError otherwise.
    """

    def __init__(self, folder, robot_type="franka"):
        """folder: one that is not there yet; TrajectoryError when it is, or pyarrow is not installed."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise TrajectoryError(
                "writing LeRobot's format needs pyarrow, which is not installed: pip install pyarrow"
            ) from None
        self._pa = pyarrow
        self.folder = Path(folder)
        if self.folder.exists():
            raise TrajectoryError(f"{self.folder} is there already: give the name of a new folder")
        self._partial = self.folder.with_name(f".{self.folder.name}.{os.getpid()}")
        (self._partial / "meta").mkdir(parents=True)
        self._robot_type, self._features, self._schema, self._writer = robot_type, None, None, None
        self._file, self._frames, self._episodes, self._tasks, self._stats = 0, 0, [], [], {}

    def append(self, trajectory, name):
        """A Trajectory, and its id in the store, as the next episode."""
        columns = _columns(trajectory)
        features = {key: _feature(key, array) for key, array in columns.items()}
        if self._features is None:
            self._features = features
        if features != self._features:
            differ = sorted(
                k for k in features.keys() | self._features.keys() if features.get(k) != self._features.get(k)
            )
            raise TrajectoryError(
                f"{name} has other data than the trajectories before it ({', '.join(differ)}), and a LeRobot data set "
                "has one kind: export views, tasks and preprocessings one by one, see --view and --task"
            )
        if trajectory.task not in self._tasks:
            self._tasks.append(trajectory.task)
        length, number = len(trajectory), len(self._episodes)
        for key, array in columns.items():
            self._stats.setdefault(key, _Statistics()).add(array)
        columns |= {
            "timestamp": np.arange(length, dtype=np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, number),
            "index": self._frames + np.arange(length),
            "task_index": np.full(length, self._tasks.index(trajectory.task)),
        }
        self._write(self._pa.table({key: _arrow(self._pa, array) for key, array in columns.items()}))
        self._episodes.append({
            "episode_index": number, "tasks": [trajectory.task], "length": length, **_at("data", self._file),
            "dataset_from_index": self._frames, "dataset_to_index": self._frames + length,
            **_at("meta/episodes", 0), "name": name,
            **{key: getattr(trajectory, key) for key in _PROVENANCE if key != "view"},
            "view": trajectory.clouds.view if trajectory.clouds else "",
        })  # fmt: skip
        self._frames += length
        if self._open_path().stat().st_size > FILE_MB * 1e6:
            self._end_file()

    def close(self):
        """Write what describes the data. TrajectoryError when nothing was appended."""
        if not self._episodes:
            raise TrajectoryError(f"no trajectories to write to {self.folder}")
        self._end_file()
        parquet = self._pa.parquet
        path = self._partial / "meta/episodes" / _PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        parquet.write_table(self._pa.Table.from_pylist(self._episodes), path)
        parquet.write_table(self._task_table(), self._partial / "meta/tasks.parquet")
        self._json("stats.json", {key: stats.values() for key, stats in self._stats.items()})
        self._json("info.json", self._info())
        os.replace(self._partial, self.folder)

    def discard(self):
        """Leave nothing behind of what was not closed."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        shutil.rmtree(self._partial, ignore_errors=True)

    def _task_table(self):
        # LeRobot reads it with pandas, where the tasks' names are the index.
        table = self._pa.table({"task_index": list(range(len(self._tasks))), _INDEX: self._tasks})
        column = {"name": None, "field_name": _INDEX, "pandas_type": "unicode", "numpy_type": "object"}
        about = {"index_columns": [_INDEX], "column_indexes": [], "columns": [{**column, "metadata": None}]}
        return table.replace_schema_metadata({"pandas": json.dumps(about)})

    def _info(self):
        scalars = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64",
                   "task_index": "int64"}  # fmt: skip
        defaults = {key: {"dtype": dtype, "shape": [1], "names": None} for key, dtype in scalars.items()}
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot_type,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": FILE_MB,
            "video_files_size_in_mb": 200,
            "fps": 1,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": f"data/{_PATH}",
            "video_path": None,
            "features": {**self._features, **defaults},
        }

    def _json(self, name, content):
        (self._partial / "meta" / name).write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")

    def _open_path(self):
        chunk, file = divmod(self._file, CHUNK_FILES)
        return self._partial / "data" / _PATH.format(chunk_index=chunk, file_index=file)

    def _write(self, table):
        if self._writer is None:
            self._open_path().parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._pa.parquet.ParquetWriter(self._open_path(), table.schema, compression="snappy")
        self._writer.write_table(table)

    def _end_file(self):
        if self._writer is not None:
            self._writer.close()
            self._writer, self._file = None, self._file + 1


class _Statistics:
    """Least, greatest, mean and deviation of a feature, of all frames; of points and colours by axis and channel."""

    def __init__(self):
        self._n, self._frames = 0, 0
        self._sum = self._squares = self._least = self._greatest = None

    def add(self, array):
        values = array.reshape(len(array), -1) if array.ndim < 3 else array.reshape(-1, array.shape[-1])
        values = values.astype(np.float64)
        if self._sum is None:
            self._sum, self._squares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
            self._least, self._greatest = values.min(axis=0), values.max(axis=0)
            self._shape = (values.shape[1],) if array.ndim < 3 else (1, values.shape[1])
        self._n, self._frames = self._n + len(values), self._frames + len(array)
        self._sum, self._squares = self._sum + values.sum(axis=0), self._squares + (values**2).sum(axis=0)
        self._least = np.minimum(self._least, values.min(axis=0))
        self._greatest = np.maximum(self._greatest, values.max(axis=0))

    def values(self):
        mean = self._sum / self._n
        deviation = np.sqrt(np.maximum(self._squares / self._n - mean**2, 0))
        named = {"min": self._least, "max": self._greatest, "mean": mean, "std": deviation}
        return {**{key: value.reshape(self._shape).tolist() for key, value in named.items()}, "count": [self._frames]}


def _columns(trajectory):
    """Trajectory of T actions -> {LeRobot's name: (T, ...) array}."""
    length = len(trajectory)
    last = np.arange(length) == length - 1
    columns = {
        "observation.state": np.concatenate([trajectory.robot_joints, trajectory.fingers], axis=1)[:-1],
        "observation.environment_state": trajectory.observations[:-1],
        "action": trajectory.actions.astype(np.int64),
        "next.reward": trajectory.rewards,
        "next.done": last,
        "next.success": last & trajectory.success,
    }
    if (clouds := trajectory.clouds) is not None:
        columns |= {
            "observation.robot_state": clouds.robot_states,
            "observation.points": metres(clouds.points),
            "observation.colors": clouds.colours,
            "teacher_action": clouds.labels.astype(np.int64),
        }
    return columns


_NAMES = {
    "observation.state": [*(f"joint{i}_rad" for i in range(1, 8)), "finger1_m", "finger2_m"],
    "observation.robot_state": ["finger1", "finger2", "x_m", "y_m", "z_m", "qx", "qy", "qz", "qw"],
    "observation.points": ["point", "xyz_m"],
    "observation.colors": ["point", "rgb"],
    "action": [f"index: {' '.join(ACTION_NAMES)}"],
    "teacher_action": [f"index: {' '.join(ACTION_NAMES)}"],
}


def _feature(key, array):
    """What info.json says of a column."""
    return {"dtype": array.dtype.name, "shape": list(array.shape[1:]) or [1], "names": _NAMES.get(key)}


def _arrow(pa, array):
    """(T, ...) array -> arrow array of T fixed-size lists."""
    column = pa.array(array.reshape(-1))
    for size in reversed(array.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return column


def _at(what, file):
    chunk, file = divmod(file, CHUNK_FILES)
    return {f"{what}/chunk_index": chunk, f"{what}/file_index": file}
