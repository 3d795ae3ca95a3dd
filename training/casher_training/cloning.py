"""What a teacher is cloned from: the pairs (state, action) of the demonstrations of its scenes."""

import hashlib
from dataclasses import dataclass

import numpy as np

from casher_training.demonstrations import demonstrations
from casher_training.scenes import place
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError


@dataclass(frozen=True, eq=False)
class Pairs:
    """M pairs."""

    states: np.ndarray
    """(M, D) float32."""
    actions: np.ndarray
    """(M,) int64."""
    sha256: str
    """Of states and actions."""
    problems: list
    """What could not be read, in words."""
    human_s: float
    """[s] of people's time in the demonstrations."""


def load_pairs(folder, scenes, task, preset="released", per_twin=10):
    """`per_twin` demonstrations of every twin in the store at `folder`, of its scenes' objects in turn -> Pairs.

    TrajectoryError when they are missing or do not fit (see `demonstrations`), or hold a state that is not finite.
    What could not be read is passed over while there are enough others, and named in `problems`.
    """
    found = []
    with TrajectoryStore(folder) as store:
        for twin in dict.fromkeys(scene.twin for scene in scenes):
            objects = [scene.object for scene in scenes if scene.twin == twin]
            found += demonstrations(store, place(twin), task, preset, per_twin, objects=objects)
        problems = list(store.problems)
    states = np.concatenate([trajectory.observations[:-1] for trajectory in found])
    actions = np.concatenate([trajectory.actions for trajectory in found]).astype(np.int64)
    if not np.isfinite(states).all():
        raise TrajectoryError(f"{folder} has demonstrations with states that are not finite: collect them anew")
    digest = hashlib.sha256(states.tobytes() + actions.tobytes()).hexdigest()
    return Pairs(states, actions, digest, problems, sum(trajectory.human_s for trajectory in found))
