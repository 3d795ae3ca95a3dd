"""`casher demos replay`: a trajectory as a film, seen by the two cameras."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image, ImageDraw

from casher_policy.action import ACTION_NAMES
from casher_training.demos_session import SceneState
from casher_training.scene_drawing import SceneDrawing, paper_views
from casher_training.scenes import DEMO, Scene, place, setting_of
from casher_training.trajectories import TrajectoryStore
from casher_training.twin_version import place_hash


@dataclass(frozen=True)
class ReplayArgs:
    """Draw a trajectory as a film."""

    folder: tyro.conf.Positional[Path]
    """Folder of the trajectories, or one of its .h5 files."""
    index: tyro.conf.Positional[int]
    """Which, as `casher demos list` counts."""
    gif: Path
    """File to write; its folder is made."""
    twin: str = ""
    """Folder of its twin; not needed for the kitchen 'demo'."""
    size: tuple[int, int] = (320, 240)
    """Pixels of each camera's picture."""
    every: int = 1
    """Show every so many states; the last one always."""
    frame_ms: int = 120
    """[ms] each is shown."""


def main(args):
    """Entry point of `casher demos replay`; 2 when there is no such trajectory, or the film cannot be written."""
    try:
        if args.every < 1:
            raise ValueError(f"every must be at least 1, got {args.every}")
        with TrajectoryStore(args.folder) as store:
            trajectory = store.read(args.index)
        frames = film(trajectory, _scene(trajectory, args.twin), args.size, args.every)
    except (ValueError, IndexError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        args.gif.parent.mkdir(parents=True, exist_ok=True)
        write_gif(args.gif, frames, args.frame_ms)
    except (OSError, ValueError) as error:  # a folder that cannot be made, no such kind of picture
        print(f"cannot write the film: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.gif}: {len(frames)} pictures of {len(trajectory)} actions")
    return 0


def write_gif(path, frames, frame_ms=120):
    """Frames [(H, W, 3) uint8] -> an animated picture that starts over; frame_ms [ms]: how long each is shown."""
    pictures = [Image.fromarray(frame).quantize(128) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=frame_ms, loop=0)


def film(trajectory, scene, size, every=1):
    """-> [(H, 2 W, 3) uint8], both cameras side by side; scene: scenes.Scene."""
    setting = setting_of(scene)
    drawing, views = SceneDrawing(setting.place, setting.object_model), paper_views(*size)
    last = len(trajectory)
    shown = sorted({*range(0, last + 1, every), last})
    return [_captioned(drawing.pictures(state_at(trajectory, t), views.values()), trajectory, t) for t in shown]


def state_at(trajectory, t):
    """demos_session.SceneState after t actions."""
    return SceneState(
        trajectory.robot_joints[t], trajectory.fingers[t], trajectory.object_poses[t].astype(np.float64),
        float(trajectory.door_angles[t]), np.array(trajectory.shift),
    )  # fmt: skip


def _scene(trajectory, twin):
    scene = Scene(twin or DEMO, trajectory.object)
    if not twin and trajectory.twin != place(DEMO).name:
        raise ValueError(f"the trajectory is of the twin {trajectory.twin!r}: give its folder with --twin")
    if (found := place_hash(place(scene.twin))) != trajectory.twin_hash:
        raise ValueError(
            f"the trajectory was made in {trajectory.twin!r}, version {trajectory.twin_hash}; this is "
            f"{scene.kitchen!r}, version {found}: give the folder as it was then"
        )
    return scene


def _captioned(pictures, trajectory, t):
    picture = Image.fromarray(np.hstack([colour for colour, _ in pictures]))
    action = ACTION_NAMES[trajectory.actions[t - 1]] if t else "start"
    end = ("success" if trajectory.success else "no success") if t == len(trajectory) else ""
    ImageDraw.Draw(picture).text((6, 4), f"{t}/{trajectory.horizon}  {action}  {end}", fill=(20, 30, 60))
    return np.asarray(picture)
