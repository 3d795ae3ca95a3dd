"""A demonstration on a real arm with what a student would have seen along it: the clouds that its bag has."""

from dataclasses import replace

import numpy as np

from casher_perception.bag_reader import BagError
from casher_policy.preprocess import preprocess
from casher_training.clouds import Clouds, quantise
from casher_training.demo_bag import read_clouds, read_steps
from casher_training.seen_trajectory import cloud_seed
from casher_training.trajectory import ARRAYS, TrajectoryError

BASE_FRAME = "base"


def with_recorded_clouds(trajectory, preprocessing):
    """Trajectory, its `bag` an absolute path or '' -> the same with Clouds; labels are what was done.

    Without the actions that the arm refused: they changed nothing, and a student that has learned one of them is still
    in the state in which it asks for it. TrajectoryError, and the reason in words, when the bag does not have the cloud
    of every step.
    """
    if not trajectory.bag:
        raise TrajectoryError("it has no bag: it was given with --no-bag")
    try:
        steps = read_steps(trajectory.bag, trajectory.actions)
        done = [k for k, step in enumerate(steps) if not step.refused]
        if not done:
            raise TrajectoryError(f"the arm refused each of its {len(steps)} actions: {steps[0].refused}")
        seen = {}
        for k, message in read_clouds(trajectory.bag, steps):
            if not steps[k].refused:
                seen[k] = _prepared(message, steps[k], preprocessing, cloud_seed(trajectory.seed, k))
        kept = _only(trajectory, done)
        return replace(
            kept,
            clouds=Clouds(
                view="cameras",
                preprocessing=preprocessing,
                points=quantise(np.stack([seen[k][0] for k in done])),
                colours=np.stack([seen[k][1] for k in done]),
                robot_states=np.array([steps[k].observation_state for k in done], dtype=np.float32),
                labels=kept.actions,
            ),
        )
    except (BagError, ValueError, AttributeError) as error:
        raise TrajectoryError(str(error)) from error


def _only(trajectory, steps):
    """The Trajectory with these of its steps; the others left everything as it was."""
    rows = {0: steps, 1: [*steps, len(trajectory)]}
    arrays = {name: getattr(trajectory, name)[rows[more]] for name, (_, more, _) in ARRAYS.items()}
    arrays["rewards"][-1] = trajectory.rewards[-1]  # for how it ended
    return replace(trajectory, **arrays)


def _prepared(message, step, preprocessing, generator):
    """As the policy node prepares it -> points [m], colours."""
    from casher_perception.conversions import cloud_arrays

    if message.header.frame_id != BASE_FRAME:
        raise ValueError(f"step {step.step}: the cloud's frame must be {BASE_FRAME!r}, got {message.header.frame_id!r}")
    seed = int(generator.integers(2**31))
    return preprocess(*cloud_arrays(message), preprocessing, seed, np.asarray(step.observation_state)[2:5])
