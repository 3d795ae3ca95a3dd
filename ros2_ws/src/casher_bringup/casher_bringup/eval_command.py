"""`casher eval`: the evaluation without `ros2 launch`, started, watched over and reported by one command."""

import dataclasses
import json
import os
import sys
import time
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from casher_bringup.arguments import ArgumentError, EvalArgs, plan
from casher_bringup.graph import build
from casher_bringup.runner import INTERRUPTED, RunnerError, claim_domain, print_end, run

__all__ = ["EvalArgs", "main"]


def main(args):
    """0: every episode was judged; 1: a node died; 2: bad arguments; 3: episodes ended in a fault; 130: interrupted."""
    console = Console(highlight=False, soft_wrap=True)  # what is broken into lines cannot be copied
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    lock = None
    try:
        checked = plan(args)
        specs = build(checked)
        domain, lock = claim_domain(os.environ.get("ROS_DOMAIN_ID"))
        _announce(console, checked, domain)
        logs = checked.out / "logs"
        started = datetime.now().astimezone()
        end = run(specs, logs, domain)
    except (ArgumentError, RunnerError) as error:
        errors.print(f"casher eval: {escape(str(error))}", style="red")
        return 2
    except OSError as error:
        errors.print(f"casher eval: cannot write the logs {escape(str(error.filename))}: {error.strerror}", style="red")
        return 2
    finally:
        if lock:
            lock.close()
    try:
        _write_run(checked, started, end)
    except OSError as error:
        errors.print(f"cannot write {escape(str(checked.out))}/run.json: {error.strerror}", style="red")
    if end.code == INTERRUPTED and not end.died:
        errors.print("\ninterrupted: the episode that was running is marked aborted, its bag is closed (exit code 130)")
    print_end(errors, end, logs)
    _report(console, errors, checked.out)
    return end.code


def _announce(console, checked, domain):
    args = checked.args
    console.print(
        f"[bold]{args.episodes} episodes of {args.task}[/bold] in {escape(_where(checked))}, robot {args.robot}, "
        f"policy {escape(args.policy)}"
    )
    if args.policy == "expert":
        console.print(
            "policy 'expert' is a script that reads the simulator's privileged state: "
            "it shows that the stack works, not that anything was learned"
        )
    for remark in checked.remarks:
        console.print(f"note: {escape(remark)}", style="yellow")
    if checked.viewer_port:
        console.print(f"viewer: http://localhost:{checked.viewer_port}")
    console.print(f"bags and report: {checked.out}  (ROS domain {domain})\n")


def _where(checked):
    if len(checked.twins) > 1:
        return f"{len(checked.twins)} kitchens"
    return f"kitchen '{checked.twins[0].name if checked.twins else checked.args.kitchen}'"


def _write_run(checked, started, end):
    record = {
        "version": 1,
        "arguments": dataclasses.asdict(checked.args),
        "command": sys.argv,
        "started": started.isoformat(),
        "seconds": round(time.time() - started.timestamp(), 3),
        "exit_code": end.code,
        "ended": end.reason,
        "killed": list(end.killed),
    }
    (checked.out / "run.json").write_text(json.dumps(record, indent=2) + "\n")


def _report(console, errors, folder):
    from casher_bringup.report import ReportArgs
    from casher_bringup.report import main as report

    if not any(folder.glob("*/*.mcap")):
        errors.print("no episode was recorded", style="yellow")
        return
    console.print()
    report(ReportArgs(folder))
