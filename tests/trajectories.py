"""Trajectories for tests that care about the store, not about what is in them."""

import numpy as np

from casher_policy.preprocess import Preprocessing
from casher_training.clouds import Clouds
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


PREPROCESSING = Preprocessing((-0.5, -0.5, 0.0), (0.5, 0.5, 0.5), points=32)


def clouds(seed=0, steps=20, view="cameras", preprocessing=PREPROCESSING, **changes):
    """Clouds of noise; `changes` replace their fields."""
    random, n = np.random.default_rng([seed, 1]), preprocessing.total
    low, high = (np.array(corner) * 1e4 for corner in (preprocessing.crop_low, preprocessing.crop_high))
    states = random.random((steps, 9), dtype=np.float32)
    states[:, 5:] = (1, 0, 0, 0)
    fields = {
        "view": view,
        "preprocessing": preprocessing,
        "points": random.integers(low.astype(int), high.astype(int), (steps, n, 3)).astype(np.int16),
        "colours": random.integers(0, 256, (steps, n, 3), dtype=np.uint8),
        "robot_states": states,
        "labels": random.integers(0, 14, steps, dtype=np.uint8),
    }
    return Clouds(**{**fields, **changes})


def seen(seed=0, steps=20, view="cameras", preprocessing=PREPROCESSING, **changes):
    """A Trajectory of noise with clouds, by a teacher."""
    looked = clouds(seed, steps, view, preprocessing)
    return trajectory(seed, steps, **{"source": "teacher", "clouds": looked, **changes})
