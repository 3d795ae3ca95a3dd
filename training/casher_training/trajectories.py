"""The store of trajectories that demonstrations, teacher rollouts and distillation share.

A folder of files, one for each kitchen, task, source and round: KITCHEN.TASK.SOURCE.ROUND.h5, with clouds
KITCHEN.TASK.SOURCE.VIEW.ROUND.h5 (trajectory_file.py). What is appended goes into a file of its own first, in the
folder FILE.new beside it, and `close` makes one file of them all. Every file appears whole or not at all: a writer that
is killed loses the trajectory it was writing, no other.
"""

import fcntl
import itertools
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from casher_training.trajectory import Trajectory, TrajectoryError
from casher_training.trajectory_file import DAMAGED, about_clouds, open_file, read_header, read_trajectory, write_file

FILE, NEW = ".h5", ".new"
ABOUT = ("task", "twin", "twin_hash", "source", "preset", "action_set", "view", "preprocessing")
"""What all trajectories of a file have in common; view and preprocessing are '' without clouds."""
_KEPT_OPEN = 32


@dataclass(frozen=True)
class _Entry:
    path: Path
    """File that the trajectory belongs to."""
    key: str
    """Its name in there."""
    at: Path
    """File that it is in now: `path`, or one of its own."""
    header: dict


class TrajectoryStore:
    """Iterate, index, append. Use it in a `with`, or call `close`. Not for two threads at once."""

    def __init__(self, folder_or_file, mode="r", round=0):
        """folder_or_file: of a store, or one of its .h5 files; mode: 'r' to read, 'a' to append, too.

        round: number of the data collection, part of the name of the files appended to. TrajectoryError for a path
        where nothing is.
        """
        if mode not in ("r", "a"):
            raise ValueError(f"the mode of a store is 'r' or 'a', got {mode!r}")
        self.path, self.mode, self.round = Path(folder_or_file), mode, round
        self.problems = []
        """What cannot be read, in words."""
        self._file = self.path if self.path.suffix == FILE else None
        self.folder = self.path.parent if self._file else self.path
        self._locks, self._open, self._entries, self._highest = {}, {}, [], {}
        self._damaged = set()
        if mode == "a":
            self.folder.mkdir(parents=True, exist_ok=True)
        paths = files_of(self.path)
        if mode == "r" and not (self.path.exists() or paths):
            raise TrajectoryError(f"no trajectories at {self.path}: 'casher demos collect' makes some")
        for path in paths:
            # What a killed writer left behind becomes part of its file when this store is closed.
            if not (mode == "a" and new_of(path).exists() and self._lock(path)):
                self._index(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __len__(self):
        return len(self._entries)

    def header(self, i):
        """{field: value} of trajectory i, without its arrays: see trajectory_file.read_header."""
        return dict(self._entries[i].header)

    def where(self, i):
        """Trajectory i -> (path of its file, its name in there), also after the store is closed."""
        return self._entries[i].path, self._entries[i].key

    def name(self, i):
        """Id of trajectory i: FILE:KEY."""
        return f"{self._entries[i].path.name}:{self._entries[i].key}"

    def read(self, i) -> Trajectory:
        """Trajectory i; IndexError, or TrajectoryError when it is damaged."""
        if not 0 <= i < len(self):
            raise IndexError(f"no trajectory {i} in {self.path}: it has {len(self)}, counted from 0")
        try:
            return read_trajectory(self._group(self._entries[i]))
        except DAMAGED as error:
            raise TrajectoryError(f"{self.name(i)} in {self.folder} is damaged: {error}") from None

    def select(self, *, success=True, robot="sim", **wanted):
        """Indices of the trajectories with these values in their header, such as task=, twin=, source=.

        None: any value.
        """
        wanted = {k: v for k, v in {"success": success, "robot": robot, **wanted}.items() if v is not None}
        return [
            i for i, entry in enumerate(self._entries) if all(entry.header[name] == v for name, v in wanted.items())
        ]

    def trajectories(self, task=None, twin=None, source=None, success=True, robot="sim"):
        """Iterate over those; None: any. A damaged one is passed over and named in `problems`."""
        for i in self.select(task=task, twin=twin, source=source, success=success, robot=robot):
            try:
                yield self.read(i)
            except TrajectoryError as error:
                self._complain(str(error))

    def append(self, trajectory):
        """Keep a Trajectory -> its id, as `name` says it. It is on the disk when this returns.

        TrajectoryError: open to read only, of another kitchen or the like than the file's others, or another process
        appends to the file.
        """
        about = _about({**vars(trajectory), **about_clouds(trajectory.clouds)})
        path = self.reserve(**about)
        if not trajectory.recorded:
            trajectory = replace(trajectory, recorded=datetime.now(UTC).isoformat(timespec="seconds"))
        number = self._highest.get(path, -1) + 1
        key = f"demo_{number}"
        own = new_of(path) / f"{key}{FILE}"
        own.parent.mkdir(exist_ok=True)
        write_file(own, [(key, trajectory)], 1, about)
        self._index_file(path, own)
        self._highest[path] = number
        return self.name(len(self) - 1)

    def reserve(self, **about):
        """See to it that trajectories with these values of ABOUT can be appended -> the path of their file.

        view and preprocessing (clouds.preprocessing_text) may be left out for trajectories without clouds.
        Raises what `append` does: for whoever wants to know before a person's work depends on it.
        """
        if self.mode != "a":
            raise TrajectoryError(f"{self.path} is open to read: open it with mode 'a' to append")
        about = {**about_clouds(None), **about}
        name = ".".join(filter(None, [about["twin"], about["task"], about["source"], about["view"], str(self.round)]))
        path = self._file or self.path / f"{name}{FILE}"
        if not self._lock(path):
            raise TrajectoryError(f"another process appends to {path}: end it, or take another folder")
        self._require_fits(path, about)
        return path

    def close(self):
        """Make one file of what was appended, for each file that was appended to."""
        for path in sorted(self._locks):
            self._merge(path)
        for path in list(self._open):
            self._close_file(path)
        for lock in self._locks.values():
            lock.close()
        self._locks.clear()

    def _index(self, path):
        """Note what a file and the folder beside it hold."""
        self._entries = [entry for entry in self._entries if entry.path != path]
        keys = self._index_file(path, path) if path.exists() else []
        merged = {entry.key for entry in self._entries if entry.path == path}
        for own in sorted(new_of(path).glob(f"demo_*{FILE}"), key=lambda own: _number(own.stem)):
            keys.append(own.stem)
            if own.stem not in merged:  # else a merge was killed before it had cleaned up
                self._index_file(path, own)
        self._highest[path] = max(map(_number, keys), default=-1)

    def _index_file(self, path, at):
        """-> names of what `at` has or should have."""
        try:
            file, complaint = self._opened(at)
        except TrajectoryError as error:
            self._damaged.add(at)
            self._complain(str(error))
            return []
        keys, lost = sorted(file["data"], key=_number), []
        for key in keys:
            try:
                group = file[f"data/{key}"]
                header = read_header(group)
                if complaint:
                    read_trajectory(group)
                self._entries.append(_Entry(path, key, at, header))
            except DAMAGED:
                lost.append(key)
        if complaint or lost:
            self._damaged.add(at)
            self._complain(
                f"{complaint or f'{at} is damaged'}; {len(keys) - len(lost)} of its {len(keys)} trajectories can be "
                f"read, lost: {_listed(lost) or 'none'}"
            )
        return keys

    def _group(self, entry):
        # Another process may have merged it into the file since.
        at = entry.at if entry.at in self._open or entry.at.exists() else entry.path
        return self._opened(at)[0][f"data/{entry.key}"]

    def _opened(self, path):
        """-> (h5py.File, what is wrong with its end); TrajectoryError."""
        if path not in self._open:
            while len(self._open) >= _KEPT_OPEN:
                self._close_file(next(iter(self._open)))
            self._open[path] = open_file(path)
        return self._open[path]

    def _close_file(self, path):
        if path in self._open:
            self._open.pop(path)[0].close()

    def _complain(self, problem):
        if problem not in self.problems:
            self.problems.append(problem)

    def _require_fits(self, path, about):
        first = next((entry.header for entry in self._entries if entry.path == path), about)
        for name, got in about.items():
            if first[name] != got:
                raise TrajectoryError(
                    f"{path} holds trajectories of {name} {first[name]!r}, got one of {got!r}: take another folder"
                )

    def _lock(self, path):
        """Whether this store may append to a file; indexes it anew when that is news."""
        if path in self._locks:
            return True
        lock = path.with_name(f".{path.name}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._locks[path] = lock
        # What is open may be of before another process merged: its files are others by now.
        for at in [at for at in self._open if at == path or at.parent == new_of(path)]:
            self._close_file(at)
        self._index(path)
        return True

    def _merge(self, path):
        entries = [entry for entry in self._entries if entry.path == path]
        if any(entry.at != path for entry in entries):
            items = ((entry.key, self._group(entry)) for entry in entries)
            if path in self._damaged:
                os.link(path, _free(path.with_name(f"{path.name}.damaged")))
            write_file(path, items, len(entries), _about(entries[0].header))
            self._close_file(path)
        self._entries = [replace(entry, at=path) if entry.path == path else entry for entry in self._entries]
        for entry in entries:
            (new_of(path) / f"{entry.key}{FILE}").unlink(missing_ok=True)
        if new_of(path).exists() and not any(new_of(path).iterdir()):
            new_of(path).rmdir()


def files_of(folder_or_file):
    """Paths of a store's files, those included of which there is only what was appended."""
    path = Path(folder_or_file)
    if path.suffix == FILE:
        return [path] if path.exists() or new_of(path).exists() else []
    found = {path for path in path.glob(f"*{FILE}") if path.is_file()}
    return sorted(found | {path.with_suffix("") for path in path.glob(f"*{FILE}{NEW}")})


def bytes_of(path):
    """What one of `files_of` takes on the disk, with what was appended to it."""
    return sum(at.stat().st_size for at in (path, *new_of(path).glob(f"*{FILE}")) if at.exists())


def new_of(path):
    """Folder of what was appended to a file and has not become part of it."""
    return path.with_name(f"{path.name}{NEW}")


def _about(header):
    return {name: header[name] for name in ABOUT}


def _number(key):
    name, _, number = key.partition("_")
    return int(number) if name == "demo" and number.isdecimal() else -1


def _listed(keys):
    """Names -> in words, at most ten of them."""
    return ", ".join(keys if len(keys) <= 10 else [*keys[:5], f"{len(keys) - 6} others", keys[-1]])


def _free(path):
    """That path, or with the first number behind it that no file has."""
    numbers = (path.with_name(f"{path.name}.{i}") for i in itertools.count(1))
    return next(p for p in itertools.chain([path], numbers) if not p.exists())
