"""A trajectory with what a student sees along it."""

from dataclasses import replace

import numpy as np

from casher_policy.observation import robot_state
from casher_training.clouds import Clouds, quantise
from casher_training.demos_replay import state_at
from casher_training.scene_clouds import tool_poses
from casher_training.trajectory import ARRAYS

COPIES = 4
"""Of states in which nothing differs but the sensors' noise; what comes after so many is no news."""
_SAME_M, _SAME_RAD = 0.005, 0.02


def view_choice(clouds, seed, view, plain=False):
    """How the episode of that seed is seen -> scene_clouds.ViewChoice; clouds: SceneClouds."""
    return clouds.plain(view) if plain else clouds.draw([int(seed), 0], view)


def cloud_seed(seed, step):
    """Of the sensors' noise and the sampling in one step of an episode: the same cloud whoever asks for it again."""
    return np.random.default_rng([int(seed), 1, int(step)])


def with_clouds(trajectory, labels, clouds, choice):
    """Trajectory, labels (T,) -> the same with Clouds of its T states before an action; clouds: SceneClouds."""
    seen = [
        clouds.cloud(choice, state_at(trajectory, t), cloud_seed(trajectory.seed, t)) for t in range(len(trajectory))
    ]
    return replace(trajectory, clouds=clouds_of(trajectory, labels, clouds.preprocessing, choice.view, seen))


def clouds_of(trajectory, labels, preprocessing, view, seen):
    """T (points [m], colours) -> Clouds of the Trajectory."""
    joints, fingers = trajectory.robot_joints[:-1], trajectory.fingers[:-1]
    return Clouds(
        view=view,
        preprocessing=preprocessing,
        points=quantise(np.stack([points for points, _ in seen])),
        colours=np.stack([colours for _, colours in seen]),
        robot_states=robot_state(fingers, tool_poses(joints, fingers)),
        labels=labels,
    )


def useful_length(trajectory):
    """How many of its actions to keep: a tail of states that have all been there COPIES times teaches nothing."""
    poses = np.nan_to_num(trajectory.object_poses)
    columns = [
        trajectory.robot_joints / _SAME_RAD,
        trajectory.fingers / _SAME_M,
        poses[:, :3] / _SAME_M,
        trajectory.door_angles[:, None] / _SAME_RAD,
    ]
    cells = np.rint(np.concatenate(columns, axis=1)[:-1]).astype(np.int64)
    counts, length = {}, 0
    for t, cell in enumerate(map(bytes, cells)):
        counts[cell] = counts.get(cell, 0) + 1
        if counts[cell] <= COPIES:
            length = t + 1
    return length


def shortened(trajectory, length):
    """Its first `length` actions and the states around them; an end that is cut off is no success."""
    if length == len(trajectory):
        return trajectory
    arrays = {name: getattr(trajectory, name)[: length + more] for name, (_, more, _) in ARRAYS.items()}
    return replace(trajectory, **arrays, success=False)
