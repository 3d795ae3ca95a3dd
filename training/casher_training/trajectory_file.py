"""Trajectories in HDF5, in robomimic's layout: data/demo_i/{actions, rewards, dones, states, obs/privileged}.

`states` (T + 1, 17) float32 is all that moves: 7 joints, 2 fingers, object's position and quat_xyzw, door. Whatever is
no array is JSON in the attribute `trajectory` of data/demo_i, its checksum is the attribute `crc32`. What a student
sees of it lies beside that (cloud_file.py): a file with clouds is of format 2, one without of format 1.

Files are written under another name and renamed: a file is there whole or not at all. Of one that was cut off later,
on its way somewhere, the part before the cut can be read: all that HDF5 notes about the arrays is at the file's front.
"""

import io
import json
import os
import zlib
from pathlib import Path

import h5py
import numpy as np

from casher_training.cloud_file import has_clouds, read_about, read_array, read_clouds, write_clouds
from casher_training.clouds import preprocessing_text
from casher_training.trajectory import ARRAYS, HEADER, Trajectory, TrajectoryError

FORMAT, WITH_CLOUDS = 1, 2
_LIBRARY = ("v108", "v110")
"""Any HDF5 since 1.10 reads it, and what describes the arrays has checksums."""
_HEADER_BYTES = {FORMAT: 3072, WITH_CLOUDS: 4608}
"""More than what HDF5 notes about one trajectory."""
_STATES = {"robot_joints": slice(0, 7), "fingers": slice(7, 9), "object_poses": slice(9, 16), "door_angles": 16}
_END_OF_FILE_AT = {0: 40, 2: 28, 3: 28}
"""Version of the superblock -> where it says how long the file is."""
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
DAMAGED = (OSError, KeyError, ValueError, RuntimeError, TypeError)
"""What HDF5 and the checks raise about a damaged file."""


def write_file(path, items, count, about):
    """Write trajectories to a file, whole or not at all.

    items: iterable of (demo_i, Trajectory or h5py group of another file's data/demo_i, which is copied); count: of
    them; about: {attribute of `data`: text}, view and preprocessing '' without clouds.
    """
    about = {name: value for name, value in about.items() if value}
    version = WITH_CLOUDS if "view" in about else FORMAT
    path, partial = Path(path), Path(path).with_name(f".{Path(path).name}.partial")
    front = max(2048, _HEADER_BYTES[version] * (count + 2))
    with h5py.File(partial, "w", libver=_LIBRARY, meta_block_size=front) as file:
        data = file.create_group("data")
        data.attrs["format"] = version
        data.attrs["env_args"] = _inline(json.dumps({"env_name": about["task"], "type": 4, "env_kwargs": about}))
        for name, value in about.items():
            data.attrs[name] = _inline(value)
        for key, item in items:
            if isinstance(item, Trajectory):
                _write(data.create_group(key), item)
            else:
                item.file.copy(item, data, key)
        data.attrs["total"] = sum(int(group.attrs["num_samples"]) for group in data.values())
    with partial.open("rb+") as written:
        os.fsync(written.fileno())
    os.replace(partial, path)


def open_file(path):
    """-> (h5py.File to read, '' or what is wrong with its end); TrajectoryError when nothing of it can be read."""
    try:
        return _checked(h5py.File(path, "r"), path), ""
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise TrajectoryError(f"no trajectories at {path}: there is no such file") from None
        reason = str(error)
    size, announced = os.path.getsize(path), _announced_bytes(path)
    if announced <= size:
        raise TrajectoryError(f"{path} is no readable HDF5 file: {reason}; move it away, or fetch it again")
    try:
        file = h5py.File(_Padded(path, announced), "r")
        return _checked(file, path), f"{path} was cut off: {announced} bytes expected, {size} there"
    except DAMAGED as error:
        raise TrajectoryError(
            f"{path} was cut off: {announced} bytes expected, {size} there, and nothing can be read of it ({error}); "
            "fetch it again"
        ) from None


def read_header(group):
    """h5py group data/demo_i -> {field: value} of HEADER, `about_clouds`, steps, checksum, label_counts (14, or None).

    Raises one of DAMAGED.
    """
    looked = has_clouds(group)
    view, preprocessing = read_about(group) if looked else ("", None)
    checksums = [int(group.attrs[name]) for name in ("crc32", "clouds_crc32") if name in group.attrs]
    return {
        **json.loads(group.attrs["trajectory"]),
        "view": view,
        "preprocessing": preprocessing_text(preprocessing) if looked else "",
        "steps": int(group.attrs["num_samples"]),
        "label_counts": [int(count) for count in group.attrs["label_counts"]] if looked else None,
        "checksum": "".join(f"{value:08x}" for value in checksums),
    }


def about_clouds(clouds):
    """Clouds, or None -> {view, preprocessing} in words that can be compared, '' without clouds."""
    if clouds is None:
        return {"view": "", "preprocessing": ""}
    return {"view": clouds.view, "preprocessing": preprocessing_text(clouds.preprocessing)}


def read_trajectory(group):
    """h5py group data/demo_i -> Trajectory; raises one of DAMAGED."""
    states = read_array(group, "states", np.float32)
    arrays = {name: states[:, columns] for name, columns in _STATES.items()}
    arrays |= {name: read_array(group, name, ARRAYS[name][0]) for name in ("actions", "rewards")}
    arrays["observations"] = read_array(group, "obs/privileged", np.float32)
    text = bytes(group.attrs["trajectory"])
    if (found := _checksum(text, arrays)) != int(group.attrs["crc32"]):
        raise ValueError(f"its checksum is {found:08x} and should be {int(group.attrs['crc32']):08x}")
    clouds = read_clouds(group) if has_clouds(group) else None
    return Trajectory(**json.loads(text), **arrays, clouds=clouds)


def _write(group, trajectory):
    arrays = {name: getattr(trajectory, name) for name in ARRAYS}
    states = np.empty((len(trajectory) + 1, 17), dtype=np.float32)
    for name, columns in _STATES.items():
        states[:, columns] = arrays[name]
    text = json.dumps({name: getattr(trajectory, name) for name in HEADER})
    dones = np.zeros(len(trajectory), dtype=np.uint8)
    dones[-1] = 1
    group.attrs["trajectory"], group.attrs["crc32"] = _inline(text), np.uint32(_checksum(text.encode(), arrays))
    group.attrs["num_samples"] = len(trajectory)
    group["actions"], group["rewards"], group["dones"] = trajectory.actions, trajectory.rewards, dones
    group["states"], group["obs/privileged"] = states, trajectory.observations
    if trajectory.clouds is not None:
        write_clouds(group, trajectory.clouds)


def _inline(text):
    """As an attribute that lies with the others: text of any length lies elsewhere, and HDF5 2.0 hangs where that is
    gone."""
    return np.bytes_(text.encode())


def _checksum(text, arrays):
    value = zlib.crc32(text)
    for name in sorted(arrays):
        value = zlib.crc32(np.ascontiguousarray(arrays[name], dtype=ARRAYS[name][0]).tobytes(), value)
    return value


def _checked(file, path):
    got = file["data"].attrs.get("format") if "data" in file else None
    if got not in (FORMAT, WITH_CLOUDS):
        file.close()
        raise TrajectoryError(
            f"{path} is no file of trajectories of format {FORMAT} or {WITH_CLOUDS}: its format is {got}"
        )
    return file


def _announced_bytes(path):
    """How long an HDF5 file says it is; 0 for another file."""
    with open(path, "rb") as file:
        start = file.read(64)
    at = _END_OF_FILE_AT.get(start[8]) if len(start) == 64 and start.startswith(_SIGNATURE) else None
    return 0 if at is None else int.from_bytes(start[at : at + 8], "little")


class _Padded(io.RawIOBase):
    """A file that was cut off, zeros in place of what is gone."""

    def __init__(self, path, size):
        self._file, self._size, self._at = open(path, "rb"), size, 0  # noqa: SIM115 closed by close()

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._at

    def seek(self, offset, whence=io.SEEK_SET):
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer):
        wanted = min(len(buffer), max(0, self._size - self._at))
        self._file.seek(self._at)
        found = self._file.read(wanted)
        buffer[:wanted] = found + bytes(wanted - len(found))
        self._at += wanted
        return wanted

    def close(self):
        self._file.close()
        super().close()
