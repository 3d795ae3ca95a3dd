"""Which version of a kitchen a trajectory was made in: a hash of all that can be touched or seen in it."""

import functools
import hashlib
import json
from dataclasses import asdict, is_dataclass

import numpy as np

from casher_sim.twin_file import file_inside

_NOT_CONTENT = ("provenance", "consent")
"""Fields of a twin that say where it comes from: a kitchen made again on another day is the same kitchen."""


@functools.cache
def place_hash(place):
    """place.Place -> 16 hexadecimal digits; TwinError for a mesh that is not there.

    Looked at once: a twin that changes later is another Place, as it is for the scenes that are compiled of it.
    """
    content = hashlib.sha256()
    twin = getattr(place, "twin", None)
    if twin is None:
        content.update(json.dumps(_plain(asdict(place)), sort_keys=True).encode())
        return content.hexdigest()[:16]
    values = {name: value for name, value in _plain(twin).items() if name not in _NOT_CONTENT}
    content.update(json.dumps(values, sort_keys=True).encode())
    for name in sorted({mesh for body in twin.bodies for mesh in (body.visual, body.collision) if mesh}):
        content.update(hashlib.sha256(file_inside(place.folder, name).read_bytes()).digest())
    return content.hexdigest()[:16]


def _plain(value):
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
