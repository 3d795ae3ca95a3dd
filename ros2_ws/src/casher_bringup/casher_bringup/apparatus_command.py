"""`casher apparatus`: what an evaluation works with, without the evaluation, for a person who drives the arm."""

import os
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from casher_bringup.arguments import ArgumentError, EvalArgs, plan
from casher_bringup.graph import build_apparatus
from casher_bringup.runner import INTERRUPTED, RunnerError, claim_domain, print_end, run
from casher_perception.rig_trust import MAX_AGE_DAYS


@dataclass(frozen=True)
class ApparatusArgs:
    """Start arm, cameras, fusion and recorder, and nobody who decides: for `casher demos collect --robot`."""

    robot: str = "sim"
    """sim: the simulator; fr3 or panda: the arm at `host`."""
    kitchen: str = "demo"
    """Name of a kitchen's rig file, or a path to one."""
    twin: str = ""
    """Folder of a digital twin, with the cameras of `kitchen`'s rig file; simulator only."""
    task: str = "put_in_sink"
    """put_in_sink, put_in_cabinet or open_cabinet: what the cameras crop to."""
    host: str = ""
    """Address of the robot; not used in simulation."""
    dynamics_factor: float = EvalArgs.dynamics_factor
    """Fraction of the robot's highest speed, acceleration and jerk; not used in simulation."""
    cameras: str = ""
    """Rehearsal: folder with a recording <camera>.db3 for each camera; only with an arm server on this machine."""
    viewer: bool = False
    """Show the simulation in the browser."""
    calibration: str = ""
    """What is wrong with the cameras' calibration and is accepted: accept-failed, accept-stale, accept-mismatched."""
    calibration_days: int = MAX_AGE_DAYS
    """A calibration older than this many days is stale."""
    out: str = ""
    """Folder for the logs; by default runs/<date and time>."""


def main(args):
    """0: ended with Ctrl-C; 1: a node died; 2: bad arguments."""
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    lock = None
    try:
        checked = plan(EvalArgs(**vars(args), policy="random"))  # as if it were one: the same arguments are refused
        specs, logs = build_apparatus(checked), checked.out / "logs"
        domain, lock = claim_domain(os.environ.get("ROS_DOMAIN_ID"))
        console.print(
            f"{', '.join(spec.name for spec in specs)} on ROS domain {domain}; logs: {escape(str(logs))}; Ctrl-C ends "
            f"it\n\n    ROS_DOMAIN_ID={domain} casher demos collect TWIN --robot "
            f"{'fr3' if args.robot == 'sim' else args.robot} --task {args.task} --out demos\n"
        )
        if checked.viewer_port:
            console.print(f"viewer: http://localhost:{checked.viewer_port}\n")
        sys.stdout.flush()
        end = run(specs, logs, domain)
    except (ArgumentError, RunnerError, OSError) as error:
        errors.print(f"casher apparatus: {escape(str(error))}", style="red")
        return 2
    finally:
        if lock:
            lock.close()
    print_end(errors, end, logs)
    return 0 if end.code == INTERRUPTED else end.code
