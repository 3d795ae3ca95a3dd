"""What clouds there are: a few numbers for each trajectory, so that the index of any set fits into memory."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casher_policy.preprocess import Preprocessing
from casher_training.cloud_file import read_clouds
from casher_training.clouds import ACTIONS, VIEWS
from casher_training.trajectories import FILE, TrajectoryStore, bytes_of, files_of, new_of
from casher_training.trajectory import TrajectoryError
from casher_training.trajectory_file import DAMAGED, open_file

_SAME = {
    "action_set": "another action set: train on one preset",
    "preprocessing": "another preprocessing: collect all clouds with the same one",
}
"""What all clouds that are learned from together have in common -> what is wrong when they do not."""


@dataclass(frozen=True, eq=False)
class CloudFile:
    """One file of clouds: K trajectories of one twin, view and source."""

    path: Path
    task: str
    twin: str
    view: str
    source: str
    action_set: str
    preprocessing: str
    """clouds.preprocessing_text."""
    keys: np.ndarray
    """(K,) int32: i of data/demo_i."""
    steps: np.ndarray
    """(K,) int32: pairs of cloud and label."""
    checksums: tuple
    """K of them."""
    label_counts: np.ndarray
    """(14,) int64."""
    objects: tuple
    """Names of the objects in them."""
    failed: int
    """Trajectories that did not end in success."""

    def name(self, row):
        """Id of a trajectory, as TrajectoryStore.name says it, with its folder."""
        return f"{self.path}:demo_{self.keys[row]}"

    @property
    def bytes(self):
        """On the disk."""
        return bytes_of(self.path)


def cloud_files(folders, task=None, views=VIEWS, sources=None, all_attempts=True):
    """-> (list of CloudFile, what cannot be read, in words). TrajectoryError where nothing is.

    folders: of stores, or .h5 files; task, sources: None for any; views: '' for trajectories without clouds. Without
    all_attempts only successful trajectories count, but for a generalist's: what a teacher says about its mistakes is
    what they are kept for.
    """
    found, problems = [], []
    for folder in folders:
        paths = files_of(folder)
        if not paths:
            raise TrajectoryError(f"no trajectories at {folder}: 'casher collect' makes some")
        for path in paths:
            with TrajectoryStore(path) as store:
                problems += store.problems
                for view in views:
                    rows = store.select(success=None, robot=None, task=task, view=view)
                    rows = [i for i in rows if sources is None or store.header(i)["source"] in sources]
                    found += _cloud_file(path, [(store.where(i)[1], store.header(i)) for i in rows], all_attempts)
    # In an order that the folders' names and whereabouts have no part in.
    return sorted(found, key=lambda file: (file.path.name, file.view, file.checksums)), problems


def require_alike(files):
    """CloudFiles -> (action set, Preprocessing) of them all; TrajectoryError when they differ."""
    for name, what in _SAME.items():
        of = {getattr(file, name): file for file in files}
        if len(of) > 1:
            (a, first), (b, other) = list(of.items())[:2]
            raise TrajectoryError(f"{other.path} and {first.path} differ, {what}; {name} is {b!r} and {a!r}")
    return files[0].action_set, preprocessing_of(files[0])


def preprocessing_of(file):
    """CloudFile -> Preprocessing."""
    return Preprocessing.from_dict(json.loads(file.preprocessing))


def data_hash(files):
    """SHA-256 of what CloudFiles hold, wherever they lie."""
    lines = [f"{f.task} {f.twin} {f.view} {f.source} {' '.join(f.checksums)}\n" for f in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_rows(file, rows):
    """Iterate over rows of a CloudFile -> (row, Clouds, or TrajectoryError for one that is damaged)."""
    merged = None
    try:
        for row in rows:
            key = f"demo_{file.keys[row]}"
            own = new_of(file.path) / f"{key}{FILE}"
            try:
                if own.exists():
                    opened = open_file(own)[0]
                    with opened:
                        yield row, read_clouds(opened[f"data/{key}"])
                    continue
            except TrajectoryError:
                pass  # another process has just made it part of the file
            except DAMAGED as error:
                yield row, _damaged(file, row, error)
                continue
            try:
                merged = merged or open_file(file.path)[0]
                yield row, read_clouds(merged[f"data/{key}"])
            except DAMAGED as error:
                yield row, _damaged(file, row, error)
    finally:
        if merged:
            merged.close()


def _damaged(file, row, error):
    return TrajectoryError(f"{file.name(row)} is damaged: {error}")


def _cloud_file(path, items, all_attempts):
    """[(name, header)] of trajectories of one file -> [CloudFile], none of no trajectories."""
    kept = [
        (key, header) for key, header in items if all_attempts or header["success"] or header["source"] == "generalist"
    ]
    if not kept:
        return []
    keys, headers = zip(*kept, strict=True)
    first = headers[0]
    counts = np.zeros(ACTIONS, np.int64)
    for header in headers:
        counts += header["label_counts"] or 0
    return [
        CloudFile(
            path=path,
            **{name: first[name] for name in ("task", "twin", "view", "source", "action_set", "preprocessing")},
            keys=np.array([int(key.removeprefix("demo_")) for key in keys], np.int32),
            steps=np.array([header["steps"] for header in headers], np.int32),
            checksums=tuple(header["checksum"] for header in headers),
            label_counts=counts,
            objects=tuple(sorted({header["object"] for header in headers})),
            failed=sum(not header["success"] for header in headers),
        )
    ]
