"""A student's episode as a film: the two cameras' pictures of the scene and, below, the cloud that the policy saw."""

import numpy as np
from PIL import Image

from casher_training.cloud_picture import captioned, cloud_picture, near_tool, sheet
from casher_training.demos_replay import film, state_at
from casher_training.scene_clouds import SceneClouds, tool_poses
from casher_training.seen_trajectory import cloud_seed, view_choice

SIZE = (320, 240)
"""Pixels of each of the four pictures."""


def student_film(trajectory, scene, preprocessing, view, plain):
    """-> [(2 H, 2 W, 3) uint8], one for each state; view: of clouds.VIEWS; plain: see SceneClouds.plain."""
    clouds = SceneClouds(scene, trajectory.task, preprocessing)
    choice = view_choice(clouds, trajectory.seed, view, plain)
    frames = []
    for t, above in enumerate(film(trajectory, scene, SIZE)):
        state = state_at(trajectory, t)
        points, colours = clouds.cloud(choice, state, cloud_seed(trajectory.seed, t))
        p_base_tcp = tool_poses(state.joints, state.fingers)[:3, 3]
        below = [
            captioned(cloud_picture(points, colours, SIZE), "what the policy sees"),
            captioned(near_tool(points, colours, p_base_tcp, SIZE, preprocessing.near_m), "about the tool"),
        ]
        frames.append(np.vstack([above, np.hstack(below)]))
    return frames


def write_stills(path, frames, n=6):
    """n of the frames, from the first to the last, as one picture."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, n).astype(int))
    Image.fromarray(sheet([frames[t] for t in chosen], 3)).save(path)
