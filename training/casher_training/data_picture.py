"""A few clouds of a data set as a picture: whoever is about to train on them should have seen them."""

import numpy as np
from PIL import Image

from casher_policy.action import ACTION_NAMES
from casher_training.cloud_index import read_rows
from casher_training.cloud_picture import captioned, cloud_picture, near_tool, sheet
from casher_training.clouds import metres
from casher_training.trajectory import TrajectoryError

COLUMNS, ROWS = 4, 2
SIZE = (400, 300)


def write_picture(files, path):
    """Eight clouds of CloudFiles, from all over the set, early and late in episodes; below each what is near its tool.

    TrajectoryError when there is none.
    """
    files = [file for file in files if file.view]
    if not files:
        raise TrajectoryError("no clouds to draw: these trajectories have none, 'casher collect' makes some")
    count = COLUMNS * ROWS
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, count).astype(int))]
    pairs = []
    for i in range(count):
        file = chosen[i % len(chosen)]
        row = min(i // len(chosen), len(file.keys) - 1)
        pairs.append(_pictures(file, row, (i + 0.5) / count))
    rows = [pairs[i : i + COLUMNS] for i in range(0, count, COLUMNS)]
    Image.fromarray(sheet([pair[k] for row in rows for k in (0, 1) for pair in row], COLUMNS)).save(path)


def _pictures(file, row, when):
    """The cloud at that part of a trajectory -> two pictures (H, W, 3): all of it, and what is near the tool."""
    ((_, clouds),) = read_rows(file, [row])
    of = f"{file.twin}, {file.view}, {file.source}"
    if isinstance(clouds, TrajectoryError):
        blank = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
        return captioned(blank, f"{of}: damaged"), blank
    step = int(when * len(clouds))
    points, colours = metres(clouds.points[step]), clouds.colours[step]
    text = f"{of}, step {step} of {len(clouds)}: {ACTION_NAMES[clouds.labels[step]]}"
    tool = clouds.robot_states[step, 2:5]
    return captioned(cloud_picture(points, colours, SIZE, dot=3), text), near_tool(points, colours, tool, SIZE)
