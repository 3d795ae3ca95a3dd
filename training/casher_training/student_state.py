"""What a student's training goes on from: tensors and a description in one safetensors file. No pickle is read."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

KEY = "casher_student_training"
FORMAT = 1


class StudentError(ValueError):
    """A training that cannot be started or gone on with: what is wrong, what was got, what to do."""


def write_state(path, tensors, description):
    """{name: tensor} and a dict, complete or not at all: the old file stays until the new one is on disk."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with open(partial, "wb") as file:
        file.write(save(whole, {KEY: json.dumps({"format": FORMAT, **description})}))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_state(path):
    """-> ({name: tensor}, dict); StudentError."""
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get(KEY, "null"))
            if not isinstance(description, dict) or description.pop("format", None) != FORMAT:
                raise StudentError(f"{path} was written by other software: take another folder")
            return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118 no mapping
    except (SafetensorError, ValueError) as error:
        if isinstance(error, StudentError):
            raise
        raise StudentError(f"{path} cannot be read: {error}; delete it to begin anew, or take another folder") from None


def differences(was, now, prefix=""):
    """Two nested dicts -> ["name was A and is B"] for all that differs."""
    found = []
    for name in dict.fromkeys([*was, *now]):
        old, new = was.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name} was {json.dumps(old)} and is {json.dumps(new)}")
    return found
