"""`casher data check`: read everything, and name what is damaged or cannot be meant."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from casher_training.clouds import POINT_UNIT_M, metres
from casher_training.trajectories import TrajectoryStore, bytes_of, files_of
from casher_training.trajectory import TrajectoryError

_QUAT_TOLERANCE = 1e-3
_SHOWN = 20
"""Problems of one file that are printed."""


@dataclass(frozen=True)
class CheckArgs:
    """Read every trajectory and cloud, with its checksum."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of trajectories, or their .h5 files."""


def main(args):
    """Entry point of `casher data check`; 1 when something is wrong, 2 when nothing is there."""
    paths = []
    for folder in args.folders:
        found = files_of(folder)
        if not found:
            print(f"no trajectories at {folder}: 'casher collect' makes some", file=sys.stderr)
            return 2
        paths += found
    wrong, read, pairs, size, started, seen = 0, 0, 0, 0, time.monotonic(), {}
    for path in paths:
        problems = []
        with TrajectoryStore(path) as store:
            for i in range(len(store)):
                name, checksum = store.name(i), store.header(i)["checksum"]
                try:
                    trajectory = store.read(i)
                except TrajectoryError as error:
                    problems.append(str(error))
                    continue
                problems += [f"{name}: {problem}" for problem in odd(trajectory)]
                if checksum in seen:
                    problems.append(f"{name} is the same as {seen[checksum]}: keep one of them")
                seen[checksum] = f"{path}: {name}"
                read, pairs = read + 1, pairs + len(trajectory.clouds or ())
            problems += store.problems
            print(f"{'ok   ' if not problems else 'WRONG'} {path}: {len(store)} trajectories", flush=True)
        for problem in problems[:_SHOWN]:
            print(f"      {problem}")
        if len(problems) > _SHOWN:
            print(f"      and {len(problems) - _SHOWN} more")
        wrong, size = wrong + len(problems), size + bytes_of(path)
    seconds = time.monotonic() - started
    print(f"read {read} trajectories, {pairs} pairs, {size / 1e6:.1f} MB in {seconds:.1f} s; problems: {wrong}")
    return 1 if wrong else 0


def odd(trajectory):
    """What a Trajectory whose checksum is right says that cannot be meant -> [words]."""
    states = np.concatenate([trajectory.robot_joints, trajectory.fingers], axis=1)
    found = [] if np.isfinite(states).all() else ["joints or fingers that are not finite numbers"]
    if trajectory.clouds is None:
        return found
    clouds = trajectory.clouds
    low, high = np.array(clouds.preprocessing.crop_low), np.array(clouds.preprocessing.crop_high)
    points = metres(clouds.points)
    outside = ((points < low - POINT_UNIT_M) | (points > high + POINT_UNIT_M)).any(axis=(1, 2))
    if outside.any():
        found.append(f"points outside of the crop {low} .. {high} m in {outside.sum()} of {len(clouds)} clouds")
    norms = np.linalg.norm(clouds.robot_states[:, 5:9], axis=1)
    if (np.abs(norms - 1) > _QUAT_TOLERANCE).any():
        found.append(f"the tool's quaternions should have length 1 and have {norms.min():.3f} .. {norms.max():.3f}")
    one_point = (clouds.points == clouds.points[:, :1]).all(axis=(1, 2))
    if one_point.any():
        found.append(f"{one_point.sum()} of {len(clouds)} clouds are one point only")
    return found
