"""The expert's course through a task in some engine, as a file; and how far two of them are apart."""

from dataclasses import dataclass, fields

import numpy as np

from casher_policy.expert import Expert


@dataclass(frozen=True, eq=False)
class Rollout:
    """T actions in B scenes, and what was measured after each of them."""

    actions: np.ndarray
    """(T, B) int"""
    T_base_tcp: np.ndarray
    """(T, B, 4, 4)"""
    T_base_object: np.ndarray
    """(T, B, 4, 4)"""
    fingers: np.ndarray
    """(T, B, 2) [m]"""
    reward: np.ndarray
    """(T, B)"""

    def first(self, steps):
        """The Rollout of the first `steps` actions."""
        return Rollout(*(getattr(self, field.name)[:steps] for field in fields(self)))


@dataclass(frozen=True)
class Difference:
    """Between two rollouts, the largest over all steps and scenes."""

    first_other_action: int | None
    """Step of the first action that is not the same; None: all are. The rest is measured up to there."""
    steps: int
    """That were compared."""
    tcp_m: float
    object_m: float
    finger_m: float
    rewards: bool
    """All rewards are the same."""


def roll_out(task, positions, yaws, actions):
    """Reset an EngineTask as its `reset` says and let the expert act; at most `actions`, or until all succeed."""
    expert, record = Expert(task.steps), []
    task.reset(positions, yaws)
    for _ in range(actions):
        chosen = np.array(
            [
                expert.act(task.privileged(i), task.T_base_tcp[i], task.state.fingers[i], task.grasped[i])
                for i in range(task.engine.size)
            ]
        )
        reward, success = task.act(chosen)
        record.append((chosen, task.T_base_tcp, task.state.T_base_object, task.state.fingers, reward))
        if success.all():
            break
    return Rollout(*(np.stack(column) for column in zip(*record, strict=True)))


def save_rollout(path, rollout):
    """Write a .npz file."""
    np.savez(path, **{field.name: getattr(rollout, field.name) for field in fields(Rollout)})


def load_rollout(path):
    """The .npz file that `save_rollout` wrote -> Rollout."""
    with np.load(path) as arrays:
        return Rollout(**{field.name: arrays[field.name] for field in fields(Rollout)})


def difference(a, b):
    """Two Rollouts of the same start -> Difference."""
    steps = min(len(a.actions), len(b.actions))
    other = np.flatnonzero((a.actions[:steps] != b.actions[:steps]).any(axis=1))
    first = int(other[0]) if len(other) else None
    if first is None and len(a.actions) != len(b.actions):
        first = steps
    steps = steps if first is None else first

    def apart(name):
        p, q = getattr(a, name)[:steps], getattr(b, name)[:steps]
        if name.startswith("T_"):
            p, q = p[..., :3, 3], q[..., :3, 3]
        return float(np.linalg.norm(p - q, axis=-1).max()) if steps else 0.0

    return Difference(
        first,
        steps,
        apart("T_base_tcp"),
        apart("T_base_object"),
        apart("fingers"),
        bool((a.reward[:steps] == b.reward[:steps]).all()),
    )
