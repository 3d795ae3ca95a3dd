"""A few clouds of a data set as a picture: whoever is about to train on them should have seen them."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from casher_policy.action import ACTION_NAMES
from casher_training.cloud_index import read_rows
from casher_training.clouds import metres
from casher_training.trajectory import TrajectoryError

COLUMNS, ROWS = 4, 2
_FROM = np.deg2rad((55.0, 35.0))
"""Where the looker stands: turned about z from behind the robot, and up, both from the base's point of view."""


def write_picture(files, path):
    """One cloud each of up to eight CloudFiles, spread over all there are, early and late in an episode, into path.

    TrajectoryError when there is none.
    """
    files = [file for file in files if file.view]
    if not files:
        raise TrajectoryError("no clouds to draw: these trajectories have none, 'casher collect' makes some")
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, COLUMNS * ROWS).astype(int))]
    figure, axes = plt.subplots(ROWS, COLUMNS, figsize=(4 * COLUMNS, 3.4 * ROWS), layout="constrained", squeeze=False)
    for i, axis in enumerate(axes.flat):
        axis.set_axis_off()
        file = chosen[i % len(chosen)]
        row = min(i // len(chosen), len(file.keys) - 1)
        (_, clouds), = read_rows(file, [row])  # fmt: skip
        if isinstance(clouds, TrajectoryError):
            axis.set_title(f"{file.twin}, {file.view}: damaged", fontsize=8)
            continue
        step = int((i + 0.5) / (COLUMNS * ROWS) * len(clouds))
        _draw(axis, metres(clouds.points[step]), clouds.colours[step], clouds.robot_states[step])
        label = ACTION_NAMES[clouds.labels[step]]
        axis.set_title(f"{file.twin}, {file.view}, {file.source}\nstep {step} of {len(clouds)}: {label}", fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw(axis, points, colours, robot_state):
    across, up, depth = _projection()
    order = np.argsort(points @ depth)
    shown = points[order]
    axis.scatter(shown @ across, shown @ up, c=colours[order] / 255, s=3, linewidths=0)
    tool = robot_state[2:5]
    axis.plot(tool @ across, tool @ up, "+", color="magenta", markersize=12)
    axis.set_aspect("equal")


def _projection():
    """-> unit vectors (3,) of the picture's right, its up, and towards the looker, in the base frame."""
    azimuth, elevation = _FROM
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return right, np.cross(towards, right), towards
