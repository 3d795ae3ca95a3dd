"""The teacher's network, an actor-critic of Stable-Baselines3, and its file: safetensors with a JSON description.

Nothing here reads or writes a pickle.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from casher_policy.action import ACTION_NAMES
from casher_training.teacher_config import TeacherConfig
from casher_training.teacher_features import TeacherFeatures

KEY = "casher_teacher"
FORMAT = 1
_ACTIVATION = {"relu": nn.ReLU, "tanh": nn.Tanh}


class TeacherError(ValueError):
    """A teacher's file that cannot be used: what is wrong, what was got, what to do."""


@dataclass(frozen=True)
class TeacherHeader:
    """What a teacher's file says about itself."""

    task: str
    preset: str
    """Of casher_sim.environment.PRESETS: how far actions go and what the state holds."""
    observation: int
    """Entries of the state."""
    config: TeacherConfig
    scenes: list
    """[{"twin": name, "hash": content, "object": name}] it was trained in."""
    steps: int
    """Environment steps so far."""
    update: int
    """PPO updates so far."""
    commit: str
    """Of the software that trained it."""
    demonstrations: str
    """SHA-256 of the demonstrations."""
    seed: int
    reached: float | None = None
    """The target at which the training ended, if it did."""
    actions: tuple = ACTION_NAMES

    def to_json(self):
        """One JSON object."""
        return json.dumps({"format": FORMAT, **vars(self), "config": self.config.to_dict()})

    @classmethod
    def from_json(cls, path, text):
        """TeacherError for a description that does not fit."""
        try:
            values = json.loads(text)
            if values.pop("format") != FORMAT:
                raise ValueError("it was written by another version of this software")
            header = cls(**{**values, "config": TeacherConfig.from_dict(values["config"])})
        except (ValueError, KeyError, TypeError) as error:
            raise TeacherError(f"{path}: its description cannot be read ({error}): train it again") from None
        if tuple(header.actions) != ACTION_NAMES:
            raise TeacherError(
                f"{path}: trained for the actions {', '.join(header.actions)}; this software has "
                f"{', '.join(ACTION_NAMES)}: train it again"
            )
        return header


def build_policy(config, observation_space):
    """TeacherConfig, the state's Box -> ActorCriticPolicy for 14 discrete actions, in training mode off."""
    policy = ActorCriticPolicy(
        observation_space,
        gymnasium.spaces.Discrete(len(ACTION_NAMES)),
        lambda _: config.learning_rate,
        **policy_options(config),
    )
    policy.set_training_mode(False)
    return policy


def policy_options(config):
    """TeacherConfig -> keyword arguments of ActorCriticPolicy."""
    layers = list(config.layers)
    return {
        "net_arch": {"pi": layers, "vf": layers},
        "activation_fn": _ACTIVATION[config.activation],
        "features_extractor_class": TeacherFeatures,
    }


def weights_of(policy):
    """-> {name: array}, copied: the network goes on learning."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in policy.state_dict().items()}


def write_tensors(path, tensors, text):
    """{name: array} and the description, complete or not at all: the old file stays until the new one is on disk."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, {KEY: text})
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_tensors(path):
    """-> ({name: array}, TeacherHeader); TeacherError."""
    path = Path(path)
    if not path.is_file():
        raise TeacherError(f"no teacher at {path}: give the path of a teacher.safetensors")
    try:
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise TeacherError(f"{path} is no teacher: it lacks our description; give a teacher.safetensors")
            header = TeacherHeader.from_json(path, text)
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 no mapping
    except SafetensorError as error:
        raise TeacherError(f"{path} cannot be read: {error}; copy or train it again") from None


def save_teacher(path, weights, header):
    """Weights {name: array} and TeacherHeader -> file."""
    write_tensors(path, weights, header.to_json())


def new_to(header, scenes):
    """What of [Scene] is in no scene of a TeacherHeader -> a sentence, '' when the teacher knows it all."""
    objects = {scene.object for scene in scenes} - {known["object"] for known in header.scenes}
    kitchens = {scene.kitchen for scene in scenes} - {known["twin"] for known in header.scenes}
    parts = [f"{what} {_some(names)}" for what, names in (("with", objects), ("in", kitchens)) if names]
    return f"the teacher was not trained {' or '.join(parts)}" if parts else ""


def _some(names, most=5):
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def load_teacher(path):
    """-> (policy, TeacherHeader); TeacherError."""
    import torch

    weights, header = read_tensors(path)
    space = gymnasium.spaces.Box(-np.inf, np.inf, (header.observation,), np.float32)
    policy = build_policy(header.config, space)
    if strange := policy.state_dict().keys() ^ weights.keys():
        raise TeacherError(
            f"{path}: its tensors are not those of a teacher ({min(strange)}, for one): give the path of a "
            "teacher.safetensors"
        )
    try:
        policy.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()})
    except RuntimeError as error:
        raise TeacherError(f"{path}: its weights do not fit its description: {error}") from None
    return policy, header
