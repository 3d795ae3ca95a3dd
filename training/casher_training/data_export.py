"""`casher data export --lerobot`: trajectories and clouds for other people's trainers."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from casher_training.lerobot_export import LeRobotWriter
from casher_training.trajectories import TrajectoryStore, files_of
from casher_training.trajectory import TrajectoryError


@dataclass(frozen=True)
class ExportArgs:
    """Write trajectories as a LeRobotDataset v3.0."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of trajectories, or their .h5 files."""
    lerobot: Path
    """Folder to write: a new one."""
    view: str | None = None
    """Only trajectories with clouds of this view, cameras or meshes; '' for those without clouds."""
    task: str | None = None
    """Only those of this task."""
    source: str | None = None
    """Only those of this source: human, expert, teacher or generalist."""
    failures: bool = False
    """Attempts that failed, too."""


def main(args):
    """Entry point of `casher data export`; 1 when something could not be read, 2 when nothing was written."""
    problems = []
    try:
        paths = [path for folder in args.folders for path in files_of(folder)]
        if not paths:
            raise TrajectoryError(
                f"no trajectories at {', '.join(map(str, args.folders))}: 'casher collect' makes some"
            )
        writer = LeRobotWriter(args.lerobot)
        try:
            count = sum(_append_all(writer, path, args, problems) for path in paths)
            writer.close()
        finally:
            writer.discard()
    except TrajectoryError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        for problem in problems:
            print(problem, file=sys.stderr)
    print(f"wrote {count} episodes to {args.lerobot}")
    return 1 if problems else 0


def _append_all(writer, path, args, problems):
    """What is wanted of one file -> how many; what cannot be read is added to problems."""
    count, success = 0, None if args.failures else True
    with TrajectoryStore(path) as store:
        for i in store.select(success=success, robot=None, task=args.task, view=args.view, source=args.source):
            try:
                trajectory = store.read(i)
            except TrajectoryError as error:
                problems.append(str(error))
                continue
            writer.append(trajectory, store.name(i))
            count += 1
        problems += store.problems
    return count
