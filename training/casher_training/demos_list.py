"""`casher demos list`: what a folder of trajectories holds."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError

_COLUMNS = ("twin", "task", "object", "source", "robot", "seed", "success", "human_s")


@dataclass(frozen=True)
class ListArgs:
    """List demonstrations and other trajectories."""

    folder: tyro.conf.Positional[Path]
    """Folder of the trajectories, or one of its .h5 files."""
    json: bool = False
    """As JSON: all that is known of each."""


def main(args):
    """Entry point of `casher demos list`; 1 when something cannot be read."""
    try:
        with TrajectoryStore(args.folder) as store:
            rows = [{"index": i, "id": store.name(i), **store.header(i)} for i in range(len(store))]
            problems = store.problems
    except TrajectoryError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps({"trajectories": rows, "problems": problems}, indent=1))
    else:
        table = Table("", *_COLUMNS, box=SIMPLE_HEAD, padding=(0, 1))
        for column in table.columns:
            column.overflow = "fold"
        for row in rows:
            table.add_row(str(row["index"]), *(_shown(row[name]) for name in _COLUMNS))
        Console(highlight=False).print(table)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _shown(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
