"""`casher report`: recomputes everything from the bags alone; a table here, report.json and report.html beside the
bags."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from tyro.conf import Positional

from casher_bringup.episode_bags import read_episodes
from casher_bringup.report_html import moved, page
from casher_bringup.report_summary import summarise

TIME_NAMES = {
    "cloud_age_s": "cloud's age at the decision",
    "cloud_wait_s": "wait for a fresh cloud",
    "inference_s": "inference",
    "action_s": "action",
    "step_s": "whole step",
}


@dataclass(frozen=True)
class ReportArgs:
    """Recompute the report of a folder of bags."""

    directory: Positional[Path]
    """Folder under which the bags lie; report.html and report.json are written into it."""
    json: bool = False
    """Print report.json instead of the table."""


def main(args):
    """0: written; 2: there is no bag, or the report cannot be written."""
    errors = Console(stderr=True, highlight=False)
    if not args.directory.is_dir():
        errors.print(f"casher report: {escape(str(args.directory))} is not a folder", style="red")
        return 2
    bags = read_episodes(args.directory)
    if not bags:
        errors.print(f"casher report: there is no bag under {escape(str(args.directory))}", style="red")
        return 2
    summary = summarise(bags, args.directory)
    try:
        _write(args.directory / "report.json", json.dumps(summary, indent=1) + "\n")
        _write(args.directory / "report.html", page(summary, {bag.name: bag.pictures for bag in bags}, TIME_NAMES))
    except OSError as error:
        errors.print(f"casher report: cannot write {escape(str(error.filename))}: {error.strerror}", style="red")
        return 2
    if args.json:
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")
    else:
        print_summary(Console(highlight=False), summary)
    return 0


def print_summary(console, summary):
    """The report for a terminal."""
    for group in summary["groups"]:
        title = f"{group['task']} in {group['kitchen']}, {group['robot']}, policy {group['policy']}"
        console.print(f"\n[bold]{escape(title)}[/bold]")
        console.print(_successes(group, ("by_object", "by_side")))
        console.print(_times(group["times"]))
        for line in remarks(group):
            console.print(escape(line))
    for total in summary["over_kitchens"]:
        title = f"{total['task']} over {len(total['by_kitchen'])} kitchens, {total['robot']}, policy {total['policy']}"
        console.print(f"\n[bold]{escape(title)}[/bold]")
        console.print(_successes(total, ("by_kitchen", "by_object")))
    for problem in summary["problems"]:
        console.print(f"[yellow]not counted: {escape(problem['bag'])}: {escape(problem['problem'])}[/yellow]")
    if not summary["groups"]:
        console.print("[yellow]no episode to report on[/yellow]")
    console.print(f"\n{escape(summary['directory'])}/report.html and report.json", soft_wrap=True)


def remarks(group):
    """What else there is to say about a group, one sentence each."""
    apart = group["not_counted"]
    lines = []
    if any(apart.values()):
        words = " and ".join(f"{count} {name}" for name, count in apart.items() if count)
        lines.append(f"{words}: reported apart, not counted as trials")
        lines += [f"  fault: {reason} ({count}x)" for reason, count in group["faults"].items()]
    if group["messages_dropped"]:
        lines.append(f"{group['messages_dropped']} of {group['messages_recorded']} messages never reached the recorder")
    if group["actions_refused"]:
        lines.append(f"{group['actions_refused']} actions refused by the arm's safety check")
    if group["drift"]:
        lines.append(moved(group["drift"]))
    lines.append(f"checkpoint {group['checkpoint_id'] or 'none'}")
    for name, label in (("calibration_id", "calibration"), ("software", "software"), ("judge", "judged by")):
        values = group[name]
        lines.append(f"{label} {', '.join(values) or 'unknown'}" + (" (more than one!)" if len(values) > 1 else ""))
    return lines


def _successes(group, parts):
    names = "", "success", "rate", "95% Wilson", "95% Clopper-Pearson"
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, pad_edge=False)

    def row(label, rate, style=None):
        share = "-" if rate["rate"] is None else f"{rate['rate']:.0%}"
        low_high = [f"{low:.0%} .. {high:.0%}" for low, high in (rate["wilson"], rate["clopper_pearson"])]
        table.add_row(escape(label), f"{rate['successes']}/{rate['trials']}", share, *low_high, style=style)

    row("all", group["success"], "bold")
    for by in parts:
        for name, rate in group[by].items():
            row(name, rate)
    for name, sides in group.get("by_object_and_side", {}).items():
        for side, rate in sides.items():
            row(f"  {name}, {side}", rate, "dim")
    return table


def _times(times):
    table = Table(r"\[ms]", "p50", "p90", "p99", "max", "steps", box=None, pad_edge=False)
    for name, label in TIME_NAMES.items():
        t = times[name]
        values = ["-" if t[q] is None else f"{1e3 * t[q]:.0f}" for q in ("p50", "p90", "p99", "max")]
        table.add_row(label, *values, str(t["n"]))
    return table


def _write(path, text):
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
