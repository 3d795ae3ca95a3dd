"""What a checkpoint says about itself, checked without torch: `casher eval` refuses a wrong one before any node starts.

A checkpoint is one safetensors file: 8 bytes with the length of a JSON header, the header, the weights. The header's
`__metadata__` carries our description under the key `casher`: in the same file as the weights, so that nobody can part
them and one SHA-256 identifies both. The format is no pickle, so loading it cannot run code.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from casher_policy.action import ACTION_NAMES, RELEASED, ActionSteps
from casher_policy.network_config import NetworkConfig
from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named

FORMAT_VERSION = 2
SUFFIX = ".safetensors"
METADATA_KEY = "casher"
MAX_HEADER_BYTES = 1_000_000
"""A header of ours takes 10 kB; a larger one is a damaged or hostile file."""
MAX_FILE_BYTES = 1_000_000_000
PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
_AGAIN = "export it again with this software's save_checkpoint"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: what is wrong, what was got, what to do."""


@dataclass(frozen=True)
class CheckpointHeader:
    """The description of a checkpoint."""

    task: str
    """Name of the task it was trained for."""
    preprocessing: Preprocessing
    """Of the clouds it was trained on; the node prepares clouds the same way."""
    network: NetworkConfig
    data_hash: str
    """SHA-256 of the training data, or of the list of its files."""
    commit: str
    """Git commit of the software that trained it."""
    created: str
    """ISO 8601, with time zone."""
    actions: tuple = ACTION_NAMES
    """In the order of the logits."""
    steps: ActionSteps = RELEASED
    """How far an action went in the training data."""
    objects: tuple = ()
    """Names of the objects in the training data; empty: not told."""
    kitchens: tuple = ()
    """Names of the twins in the training data, so that an unseen kitchen can be known for one; empty: not told."""

    def to_json(self):
        """One JSON object."""
        return json.dumps(
            {
                "format": FORMAT_VERSION,
                "task": self.task,
                "actions": self.actions,
                "translation_m": self.steps.translation_m,
                "rotation_rad": self.steps.rotation_rad,
                "preprocessing": self.preprocessing.to_dict(),
                "network": self.network.to_dict(),
                "data_hash": self.data_hash,
                "commit": self.commit,
                "created": self.created,
                "objects": self.objects,
                "kitchens": self.kitchens,
            }
        )


@dataclass(frozen=True)
class CheckpointFile:
    """A file that was found to fit."""

    header: CheckpointHeader
    content: bytes
    """All of the file, read once: what was checked is what is loaded."""

    @property
    def id(self):
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_checkpoint(path, task=None, steps=RELEASED):
    """The CheckpointFile at path, checked to fit task (a name; None for any) and how far actions go (ActionSteps).

    CheckpointError for a file that is missing, damaged or does not fit.
    """
    content = _read(path)
    header = _header(path, _described(path, content))
    require_fit(path, header, task, steps)
    return CheckpointFile(header, content)


def _read(path):
    path = Path(path)
    if path.suffix.lower() in PICKLES:
        raise CheckpointError(
            f"{path} is a pickle by its name: loading one runs whatever code it contains, so only {SUFFIX} files are "
            "read; save it with casher_policy.checkpoint.save_checkpoint"
        )
    try:
        if not path.exists():
            raise CheckpointError(f"no checkpoint at {path}: check the path (the working folder is {Path.cwd()})")
        if not path.is_file():
            raise CheckpointError(f"{path} is not a file: give the path of one {SUFFIX} file")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise CheckpointError(
                f"{path} has {size} bytes, a checkpoint at most {MAX_FILE_BYTES}: give the path of a checkpoint"
            )
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; check its permissions") from error


_WRITER = "'casher train student' writes checkpoints, as student.safetensors"


def _described(path, content):
    """Our description inside the file, once the structure around it has been found sound."""
    size, length = len(content), int.from_bytes(content[:8], "little")
    if size < 8 or not 2 <= length <= MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is not a safetensors file: its first 8 bytes announce a header of {length} bytes, the file has "
            f"{size}; {_WRITER}"
        )
    _require_size(path, 8 + length, size)
    try:
        header = json.loads(content[8 : 8 + length], parse_constant=_no_constant)
        metadata = header.pop("__metadata__", {})
        end = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
        described = json.loads(metadata.get(METADATA_KEY, "null"), parse_constant=_no_constant)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file: its header cannot be read ({error!r}); {_WRITER}"
        ) from error
    _require_size(path, 8 + length + end, size)
    if not isinstance(described, dict):
        raise CheckpointError(
            f"{path} is a safetensors file of something else: its metadata has no '{METADATA_KEY}' object; {_WRITER}"
        )
    return described


def _header(path, described):
    version = described.get("format")
    if type(version) is not int:
        raise CheckpointError(f"{path}: its description has no format version, got {version!r}: {_AGAIN}")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format {version}, this software reads {FORMAT_VERSION}: update the software, commit "
            f"{described.get('commit')} wrote it"
        )
    if version < FORMAT_VERSION:
        raise CheckpointError(f"{path} has the old format {version}, this software reads {FORMAT_VERSION}: {_AGAIN}")
    kinds = {"format": int, "task": str, "actions": list, "translation_m": float, "rotation_rad": float}
    kinds |= {"preprocessing": dict, "network": dict, "data_hash": str, "commit": str, "created": str}
    kinds |= {"objects": list, "kitchens": list}
    wrong = [
        f"{name} must be a {kind.__name__}" for name, kind in kinds.items() if type(described.get(name)) is not kind
    ]
    lists = {name: described.get(name) for name in ("objects", "kitchens") if type(described.get(name)) is list}
    wrong += [f"{name} must list names" for name, items in lists.items() if any(type(i) is not str for i in items)]
    wrong += [f"unknown entry {name}" for name in sorted(set(described) - set(kinds))]
    if wrong:
        raise CheckpointError(f"{path}: in its description {'; '.join(wrong)}: {_AGAIN}")
    try:
        return CheckpointHeader(
            described["task"],
            Preprocessing.from_dict(described["preprocessing"]),
            NetworkConfig.from_dict(described["network"]),
            *(described[name] for name in ("data_hash", "commit", "created")),
            actions=tuple(described["actions"]),
            steps=ActionSteps(described["translation_m"], described["rotation_rad"]),
            objects=tuple(described["objects"]),
            kitchens=tuple(described["kitchens"]),
        )
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: in its description: {error}: {_AGAIN}") from error


def require_fit(path, header, task, steps):
    """CheckpointError unless a CheckpointHeader fits the task (a name; None for any), our actions and their steps.

    It names all that differs.
    """
    differences = list(_differences(header, task, steps))
    if differences:
        raise CheckpointError(f"{path} {'; it '.join(differences)}")


def _differences(header, task, steps):
    """What does not fit, as the ends of sentences that begin with the file's name."""
    if task is not None and header.task != task:
        yield (
            f"was trained for task '{header.task}', this run is '{task}': set task:={header.task} or choose another "
            "checkpoint"
        )
    if header.actions != ACTION_NAMES:
        yield (
            f"was trained on the actions {' '.join(map(str, header.actions))}; here they are {' '.join(ACTION_NAMES)}, "
            "in this order: train again on this action set"
        )
    if header.steps != steps:
        got, here = (f"{s.translation_m:g} m and {s.rotation_rad:g} rad" for s in (header.steps, steps))
        yield f"was trained on actions of {got}, here they go {here}: choose a checkpoint trained on these"
    try:
        low, high = task_named(header.task).crop
    except ValueError as error:
        yield f"has an {error}; update the software or choose another checkpoint"
        return
    p = header.preprocessing
    sides = zip(low, p.crop_low, p.crop_high, high, strict=True)
    if not all(
        outer_low <= inner_low and inner_high <= outer_high for outer_low, inner_low, inner_high, outer_high in sides
    ):
        yield (
            f"expects clouds of {p.crop_low} .. {p.crop_high} m, the cameras crop them to {low} .. {high} m for task "
            f"'{header.task}': train again inside this box"
        )


def _require_size(path, expected, size):
    if size < expected:
        raise CheckpointError(f"{path} is truncated: {expected} bytes expected, {size} there; copy it again")


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")
