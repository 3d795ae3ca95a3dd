"""`casher demos effort`: people's time, summed up; and entered, where no command measures it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Column, Table

from casher_training.effort import Effort, EffortError, append_effort, read_effort

_COLUMNS = ("twin", "task", "kind", "source", "entries", "kept", "human_s", "s/kept")


@dataclass(frozen=True)
class EffortArgs:
    """Show the effort ledger, or with --add enter a person's time in it."""

    ledger: tyro.conf.Positional[Path]
    """The ledger, effort.jsonl."""
    json: bool = False
    """The table as JSON."""
    add: str = ""
    """Enter time of this kind: scan, setup or demo."""
    twin: str = ""
    """With --add: name of the twin it was for."""
    task: str = ""
    """With --add: name of the task; empty for a scan."""
    seconds: float = 0.0
    """With --add: how long it took [s]."""


def main(args):
    """Entry point of `casher demos effort`; 1 when a line of the ledger cannot be read."""
    try:
        if args.add:
            if not args.twin or args.seconds <= 0:
                raise EffortError(
                    f"--add {args.add} needs --twin NAME and --seconds S, got {args.twin!r}, {args.seconds:g}"
                )
            append_effort(args.ledger, Effort(args.twin, args.task, args.add, args.seconds))
        entries, problems = read_effort(args.ledger)
    except EffortError as error:
        print(error, file=sys.stderr)
        return 2
    rows = summary(entries)
    if args.json:
        print(json.dumps({"rows": rows, "problems": problems}, indent=1))
    else:
        table = Table(*(Column(name, overflow="fold") for name in _COLUMNS), box=None, pad_edge=False)
        for row in rows:
            each = f"{row['human_s'] / row['kept']:.1f}" if row["kept"] else ""
            shown = (row["twin"], row["task"], row["kind"], row["source"], str(row["entries"]), str(row["kept"]))
            table.add_row(*shown, f"{row['human_s']:.1f}", each)
        Console(highlight=False).print(table)
        print(f"{sum(row['human_s'] for row in rows) / 60:.1f} minutes of people's time")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def summary(entries):
    """[Effort] -> one row for each twin, task, kind and source; kept: entries that something came of."""
    rows = {}
    for entry in entries:
        key = entry.twin, entry.task, entry.kind, entry.source
        row = rows.setdefault(key, dict(zip(("twin", "task", "kind", "source"), key, strict=True)))
        row["entries"] = row.get("entries", 0) + 1
        row["kept"] = row.get("kept", 0) + bool(entry.id)
        row["human_s"] = row.get("human_s", 0.0) + entry.human_s
    return [rows[key] for key in sorted(rows)]
