"""Clouds in HDF5, beside the trajectory they belong to: data/demo_i/{labels, obs/points, obs/colours, obs/robot_state}.

View and preprocessing are JSON in the attribute `clouds` of data/demo_i, `label_counts` (14,) says how often each
action is the label, `clouds_crc32` is the checksum of it all. The arrays lie in one piece each, uncompressed.
"""

import json
import zlib

import h5py
import numpy as np

from casher_policy.preprocess import Preprocessing
from casher_training.clouds import ACTIONS, ROBOT_STATE, Clouds

_NAMES = {"points": "obs/points", "colours": "obs/colours", "robot_states": "obs/robot_state", "labels": "labels"}
_TYPES = {"points": np.int16, "colours": np.uint8, "robot_states": np.float32, "labels": np.uint8}


def write_clouds(group, clouds):
    """Clouds into the h5py group data/demo_i."""
    text = json.dumps({"view": clouds.view, "preprocessing": clouds.preprocessing.to_dict()}).encode()
    for name, at in _NAMES.items():
        group[at] = getattr(clouds, name)
    group.attrs["clouds"] = np.bytes_(text)
    group.attrs["label_counts"] = np.bincount(clouds.labels, minlength=ACTIONS).astype(np.uint32)
    group.attrs["clouds_crc32"] = np.uint32(_checksum(text, {name: getattr(clouds, name) for name in _NAMES}))


def has_clouds(group):
    """Whether an h5py group data/demo_i has any."""
    return "clouds" in group.attrs


def read_about(group):
    """h5py group data/demo_i with clouds -> (view, Preprocessing); raises one of trajectory_file.DAMAGED."""
    about = json.loads(group.attrs["clouds"])
    return str(about["view"]), Preprocessing.from_dict(about["preprocessing"])


def read_clouds(group):
    """h5py group data/demo_i -> Clouds; raises one of trajectory_file.DAMAGED."""
    text = bytes(group.attrs["clouds"])
    view, preprocessing = read_about(group)
    (length,) = group["labels"].shape
    rows = {"points": (preprocessing.total, 3), "colours": (preprocessing.total, 3),
            "robot_states": (ROBOT_STATE,), "labels": ()}  # fmt: skip
    arrays = {name: read_array(group, at, _TYPES[name], (length, *rows[name])) for name, at in _NAMES.items()}
    if (found := _checksum(text, arrays)) != int(group.attrs["clouds_crc32"]):
        raise ValueError(f"its clouds' checksum is {found:08x} and should be {int(group.attrs['clouds_crc32']):08x}")
    return Clouds(view=view, preprocessing=preprocessing, **arrays)


def read_array(group, name, dtype, shape=None):
    """A dataset as it was written, (…) of dtype; ValueError for one that is another or lies elsewhere.

    Whatever asks for memory that the file does not fill is refused before it is read: what was written is
    uncompressed, in one piece and in this file.
    """
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
    if dataset.dtype != dtype or (shape is not None and dataset.shape != shape):
        raise ValueError(f"{name} is {dataset.shape} {dataset.dtype}, not {shape or ''} {np.dtype(dtype)}")
    elsewhere = dataset.is_virtual or dataset.external or dataset.file.id != group.file.id
    if elsewhere or dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{name} does not lie in the file in one piece: other software wrote it")
    return dataset[()]


def _checksum(text, arrays):
    value = zlib.crc32(text)
    for name in sorted(arrays):
        value = zlib.crc32(arrays[name], value)
    return value
