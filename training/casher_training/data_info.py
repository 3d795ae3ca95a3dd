"""`casher data info`: what there is to learn from, for each twin, view and source."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from casher_policy.action import ACTION_NAMES
from casher_training.cloud_index import cloud_files, data_hash
from casher_training.clouds import VIEWS
from casher_training.data_picture import write_picture
from casher_training.trajectory import TrajectoryError

NO_CLOUDS = "no clouds"
_COLUMNS = ("task", "twin", "view", "source", "episodes", "failed", "pairs", "MB")
_BAR = 40
"""Characters of the longest bar of the histogram."""


@dataclass(frozen=True)
class InfoArgs:
    """Say what folders of trajectories and clouds hold."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of trajectories, or their .h5 files."""
    json: bool = False
    """As JSON."""
    png: Path | None = None
    """Draw a few of the clouds into this picture."""


def main(args):
    """Entry point of `casher data info`; 1 when something cannot be read, 2 when nothing is there."""
    try:
        files, problems = cloud_files(args.folders, views=(*VIEWS, ""))
        if args.png is not None:
            _draw(files, args.png)
    except TrajectoryError as error:
        print(error, file=sys.stderr)
        return 2
    rows, counts = summary(files), sum((file.label_counts for file in files), np.zeros(len(ACTION_NAMES), np.int64))
    if args.json:
        labels = dict(zip(ACTION_NAMES, counts.tolist(), strict=True))
        preprocessings = [json.loads(text) for text in sorted({file.preprocessing for file in files} - {""})]
        about = {"rows": rows, "labels": labels, "preprocessings": preprocessings, "data_hash": data_hash(files)}
        print(json.dumps({**about, "problems": problems}, indent=1))
    else:
        _show(rows, counts, files)
        if args.png is not None:
            print(f"wrote {args.png}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _draw(files, path):
    try:
        write_picture(files, path)
    except TrajectoryError:
        raise
    except (OSError, ValueError) as error:  # no such folder, no such kind of picture
        raise TrajectoryError(f"cannot write the picture: {error}") from error


def summary(files):
    """CloudFiles -> [{column: value}], one row for each task, twin, view and source."""
    rows = {}
    for file in files:
        about = (file.task, file.twin, file.view or NO_CLOUDS, file.source)
        row = rows.setdefault(about, dict(zip(_COLUMNS, (*about, 0, 0, 0, 0.0), strict=True)))
        row["episodes"] += len(file.keys)
        row["failed"] += file.failed
        row["pairs"] += int(file.steps.sum()) if file.view else 0
        row["MB"] += file.bytes / 1e6
    return [rows[about] for about in sorted(rows)]


def _show(rows, counts, files):
    tasks = {row["task"] for row in rows}
    names = _COLUMNS[len(tasks) == 1 :]
    table = Table(*names, box=SIMPLE_HEAD, padding=(0, 1))
    for column, name in zip(table.columns, names, strict=True):
        column.overflow = "fold"
        column.justify = "left" if isinstance(rows[0][name], str) else "right"
    for row in rows:
        table.add_row(*(f"{row[name]:.1f}" if name == "MB" else str(row[name]) for name in names))
    sums = [sum(row[name] for row in rows) for name in _COLUMNS[4:]]
    table.add_section()
    twins = f"{len({row['twin'] for row in rows})} twins"
    shown = dict(zip(_COLUMNS, ("all", twins, "", "", *map(str, sums[:3]), f"{sums[3]:.1f}"), strict=True))
    table.add_row(*(shown[name] for name in names))
    print(", ".join(sorted(tasks)))
    console = Console(highlight=False)
    console.print(table)
    if counts.sum():
        print("labels, the actions a teacher would take:")
        for name, count in zip(ACTION_NAMES, counts, strict=True):
            bar = "#" * round(_BAR * count / counts.max())
            print(f"  {name:>5} {count:>9} {100 * count / counts.sum():5.1f} %  {bar}")
    for text in sorted({file.preprocessing for file in files} - {""}):
        print(f"preprocessing {text}")
    print(f"data hash {data_hash(files)}")
