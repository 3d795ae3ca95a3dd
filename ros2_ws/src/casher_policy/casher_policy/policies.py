"""The policies that can be chosen for a run: the scripted expert, random actions, the shipped student, or a checkpoint.

Choosing one is checked twice with the same words: by the command before anything starts, and by the node.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from casher_policy.action import ACTION_NAMES, Action
from casher_policy.checkpoint_header import PICKLES, SUFFIX, read_checkpoint
from casher_policy.expert import Expert, Privileged
from casher_policy.preprocess import preprocess
from casher_policy.task import task_named

STUDENT = "student"
"""The checkpoint that comes with this software for the task."""
MODELS = Path(__file__).with_name("models")
"""Where those are: TASK.safetensors."""


class PolicyError(ValueError):
    """A policy that cannot be run: which, why, what to do."""


@dataclass(frozen=True)
class Decision:
    """What a policy does next."""

    action: Action
    probabilities: np.ndarray
    """(14,) float32 of every action, sums to 1; one-hot for a scripted policy."""


@dataclass(frozen=True)
class ExpertView:
    """What the expert sees and no learned policy does: the simulator's truth, and the arm beyond the 9-d state."""

    scene: Privileged
    T_base_tcp: np.ndarray
    """(4, 4) measured."""
    fingers: np.ndarray
    """(2,) [m], each finger from closed."""
    grasped: bool
    """The fingers hold something."""


class Policy(Protocol):
    """Decides on one action at a time; used from one thread."""

    name: str
    checkpoint_id: str
    """SHA-256 of the checkpoint's file; empty for a policy without one."""
    needs_cloud: bool
    """Whether act reads points and colours; without, they may be None."""
    needs_privileged: bool
    """Whether act reads privileged; without, it may be None."""

    def warm_up(self) -> None:
        """Decide once on nothing, so that the first decision of an episode takes no longer than the others."""

    def reset(self, seed: int) -> None:
        """Begin an episode: the same seed and observations give the same decisions."""

    def act(self, points, colours, robot_state, privileged) -> Decision:
        """points (N, 3) float32 [m], base frame; colours (N, 3) uint8; robot_state (9,) float32; an ExpertView."""


class RandomPolicy:
    """Every action equally likely, whatever it sees: the floor any other policy must be above."""

    name = "random"
    checkpoint_id = ""
    needs_cloud = False
    needs_privileged = False

    def __init__(self):
        self.reset(0)

    def warm_up(self):
        """Nothing to load."""

    def reset(self, seed):
        self._generator = np.random.default_rng(seed)

    def act(self, points, colours, robot_state, privileged):
        action = Action(int(self._generator.integers(len(ACTION_NAMES))))
        return Decision(action, np.full(len(ACTION_NAMES), 1 / len(ACTION_NAMES), dtype=np.float32))


class ExpertPolicy:
    """The scripted expert on the simulator's privileged state: it shows that the stack works, not that it learned."""

    name = "expert"
    checkpoint_id = ""
    needs_cloud = False
    needs_privileged = True

    def __init__(self):
        self._expert = Expert()

    def warm_up(self):
        """Nothing to load."""

    def reset(self, seed):
        """The expert keeps nothing and draws nothing."""

    def act(self, points, colours, robot_state, privileged):
        view = privileged
        action = Action(self._expert.act(view.scene, view.T_base_tcp, view.fingers, view.grasped))
        return Decision(action, np.eye(len(ACTION_NAMES), dtype=np.float32)[action])


class CheckpointPolicy:
    """A trained network: prepares the cloud as in its training, then takes the likeliest action."""

    needs_cloud = True
    needs_privileged = False

    def __init__(self, path, task):
        """CheckpointError unless the file at path is a checkpoint for task (a name)."""
        from casher_policy.checkpoint import load_checkpoint  # torch only where a network runs
        from casher_policy.fast_inference import FastNetwork
        from casher_policy.network import probabilities, use_one_thread

        use_one_thread()
        loaded = load_checkpoint(path, task)
        self.name = str(path)
        self.checkpoint_id = loaded.id
        self._preprocessing = loaded.config.preprocessing
        self._voxels = self._preprocessing.voxels()
        self._network = FastNetwork(loaded.network)
        self._probabilities = probabilities
        self.reset(0)

    def warm_up(self):
        low, high = np.float32([self._preprocessing.crop_low, self._preprocessing.crop_high])
        # More than are sampled, and the tool among them: as in an episode, every part of the network has work.
        count = 4 * self._preprocessing.total
        points = np.random.default_rng(0).uniform(low, high, (count, 3)).astype(np.float32)
        state = np.float32([1, 1, *(low + high) / 2, 1, 0, 0, 0])
        for _ in range(2):  # the second call still picks kernels for the shapes of the first
            self.act(points, np.zeros_like(points, dtype=np.uint8), state, None)
        self.reset(0)

    def reset(self, seed):
        self._generator = np.random.default_rng(seed)

    def act(self, points, colours, robot_state, privileged):
        """EmptyCloudError when no point lies in the crop; PolicyError for a state or an answer that is not finite."""
        if not np.isfinite(robot_state).all():
            raise PolicyError(f"robot state {robot_state.tolist()} is not finite: nothing can be decided on it")
        seed = int(self._generator.integers(2**31))
        points, colours = preprocess(points, colours, self._preprocessing, seed, robot_state[2:5], self._voxels)
        probabilities = self._probabilities(self._network, points, colours, robot_state)
        if not np.isfinite(probabilities).all():
            raise PolicyError(f"{self.name} answers {probabilities.tolist()} to robot state {robot_state.tolist()}")
        return Decision(Action(int(probabilities.argmax())), probabilities)


_SCRIPTED = {RandomPolicy.name: RandomPolicy, ExpertPolicy.name: ExpertPolicy}


def check_policy(spec, task, robot):
    """The checkpoint's id (empty without one) of a policy that will run; PolicyError or CheckpointError otherwise.

    spec: 'expert', 'random', 'student' or the path of a checkpoint; task: name; robot: 'sim', 'fr3' or 'panda'. Needs
    no torch.
    """
    file = checkpoint_file(spec, task, robot)
    return file.id if file else ""


def checkpoint_file(spec, task, robot):
    """The checkpoint_header.CheckpointFile of a policy that will run, None without one; raises as check_policy does."""
    task_named(task)
    if spec == ExpertPolicy.name and robot != "sim":
        raise PolicyError(
            f"policy 'expert' reads the simulator's privileged state, which robot '{robot}' does not have: choose "
            "'random' or a checkpoint"
        )
    if spec in _SCRIPTED:
        return None
    if spec == STUDENT:
        return read_checkpoint(_shipped(task), task)
    # A bare word is a name mistyped; what looks like a path gets the checkpoint's own errors.
    if not spec or (not Path(spec).exists() and Path(spec).suffix not in (SUFFIX, *PICKLES)):
        raise PolicyError(
            f"unknown policy '{spec}': known are {', '.join(sorted([*_SCRIPTED, STUDENT]))}, or the path of a "
            f"checkpoint (*{SUFFIX}); no file of this name exists"
        )
    return read_checkpoint(spec, task)


def make_policy(spec, task, robot):
    """The Policy that check_policy(spec, task, robot) accepts; raises what it raises."""
    check_policy(spec, task, robot)
    if spec in _SCRIPTED:
        return _SCRIPTED[spec]()
    return CheckpointPolicy(_shipped(task) if spec == STUDENT else spec, task)


def _shipped(task):
    path = MODELS / f"{task}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in MODELS.glob(f"*{SUFFIX}"))) or "no task"
        raise PolicyError(
            f"no checkpoint for task '{task}' comes with this software, only for {known}: train one and give its path"
        )
    return path
