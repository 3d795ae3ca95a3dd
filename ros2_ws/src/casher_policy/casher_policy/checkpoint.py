"""A policy's weights on disk, with everything needed to run them as they were trained.

The file's format is described and checked in checkpoint_header.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from casher_policy.action import RELEASED
from casher_policy.checkpoint_header import (
    METADATA_KEY,
    SUFFIX,
    CheckpointError,
    CheckpointHeader,
    read_checkpoint,
    require_fit,
)
from casher_policy.network import PolicyNetwork


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A policy ready to be asked."""

    network: PolicyNetwork
    """In evaluation mode, on the CPU."""
    config: CheckpointHeader
    id: str
    """SHA-256 of the file."""


def save_checkpoint(
    path, network, *, task, preprocessing, data_hash, commit, objects=(), kitchens=(), steps=RELEASED, created=None
):
    """Write network, a PolicyNetwork, to path (*.safetensors) -> its id. Appears complete or not at all.

    task: name; preprocessing: Preprocessing, the network's; data_hash: of the training data; commit: of the software;
    objects, kitchens: names of those in the training data; steps: its ActionSteps; created: datetime with time zone,
    now if None. CheckpointError for what could not be loaded again.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise CheckpointError(f"a checkpoint's name ends in {SUFFIX}, got {path.name}")
    if network.preprocessing != preprocessing:
        raise CheckpointError(
            f"the network was made for {network.preprocessing}, got {preprocessing}: save it with its own preprocessing"
        )
    _require_finite(path, network.state_dict())
    created = (created or datetime.now().astimezone()).isoformat(timespec="seconds")
    header = CheckpointHeader(
        task,
        preprocessing,
        network.config,
        data_hash,
        commit,
        created,
        steps=steps,
        objects=tuple(objects),
        kitchens=tuple(kitchens),
    )
    require_fit(path, header, task, steps)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = save(tensors, {METADATA_KEY: header.to_json()})
    # In the same folder, so that the rename cannot become a copy; named by process, so that two writers do not mix.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def load_checkpoint(path, task=None, steps=RELEASED):
    """The LoadedCheckpoint at path; CheckpointError unless whole and fit for task (a name; None for any) and steps."""
    file = read_checkpoint(path, task, steps)
    try:
        tensors = load(file.content)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): copy it again") from error
    try:
        network = PolicyNetwork(file.header.network, file.header.preprocessing)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}: export it again with save_checkpoint") from error
    _require_fitting(path, tensors, network.state_dict())
    _require_finite(path, tensors)
    network.load_state_dict(tensors)
    return LoadedCheckpoint(network.eval(), file.header, file.id)


def _require_fitting(path, tensors, expected):
    wrong = [f"{name} is missing" for name in expected if name not in tensors]
    wrong += [f"{name} is not of this network" for name in tensors if name not in expected]
    for name in expected.keys() & tensors.keys():
        got, want = tensors[name], expected[name]
        if got.shape != want.shape or got.dtype != want.dtype:
            wrong.append(f"{name} is {tuple(got.shape)} {got.dtype}, not {tuple(want.shape)} {want.dtype}")
    if wrong:
        shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise CheckpointError(
            f"{path}: the weights do not fit the network its description asks for: {shown}. Other software wrote it: "
            "export it again with save_checkpoint"
        )


def _require_finite(path, tensors):
    wrong = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise CheckpointError(
            f"{path}: weights that are not finite numbers in {', '.join(wrong[:5])}: the training diverged; take an "
            "earlier checkpoint"
        )
