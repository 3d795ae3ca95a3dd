"""Trajectories for tests that care about the store, not about what is in them."""

import numpy as np

from casher_training.trajectory import Trajectory


def trajectory(seed=0, steps=20, **changes):
    """A Trajectory of noise; `changes` replace its fields."""
    random = np.random.default_rng(seed)
    fields = {
        "task": "put_in_sink",
        "twin": "demo",
        "twin_hash": "0123456789abcdef",
        "object": "mug",
        "seed": seed,
        "preset": "released",
        "action_set": "14 of them",
        "horizon": 135,
        "source": "human",
        "observations": random.normal(size=(steps + 1, 21)),
        "actions": random.integers(0, 14, steps),
        "rewards": np.eye(steps)[-1],
        "success": True,
        "robot_joints": random.normal(size=(steps + 1, 7)),
        "fingers": random.random((steps + 1, 2)),
        "object_poses": random.normal(size=(steps + 1, 7)),
        "door_angles": np.zeros(steps + 1),
        "shift": (0.01, -0.02, 0.0),
        "software": "test",
        "human_s": 12.5,
    }
    return Trajectory(**{**fields, **changes})
