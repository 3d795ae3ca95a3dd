"""`casher calibrate check`: solve, judge, write the kitchen's rig file and a report."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from casher_calibration import gate
from casher_calibration.check_report import write_report
from casher_calibration.collect_command import REFUSALS
from casher_calibration.kitchen_rig import own_folder, rig_of_session
from casher_calibration.resume import robot_of
from casher_calibration.rig_writing import calibrated_rig, made_at, write_rig
from casher_calibration.samples import SessionError, load
from casher_calibration.solve import solve
from casher_calibration.touch import load_touch, plane_error, touch_errors


@dataclass(frozen=True)
class CheckArgs:
    """Judge a calibration: residuals on samples held out, camera against camera, touch test. Writes rig and report."""

    session: tyro.conf.Positional[Path | None] = None
    """Folder of the session; by default the kitchen's newest."""
    kitchen: str = ""
    """Name of the kitchen; by default the session's."""
    rig: Path | None = None
    """Folder for KITCHEN.yaml; by default $CASHER_KITCHENS or kitchens."""
    write: bool = True
    """Write the rig file."""


def main(args):
    """0: passed; 1: failed, the report says what; 2: refused, with what to do."""
    try:
        return _check(args)
    except (*REFUSALS, OSError) as error:
        print(f"casher calibrate check: {error}", file=sys.stderr)
        return 2


def _check(args):
    folder = args.session or _newest(args.kitchen)
    session = load(folder)
    kitchen = args.kitchen or session.kitchen
    if not kitchen:
        raise SessionError(f"{folder} does not say whose kitchen it is: state --kitchen")
    if session.kitchen and session.kitchen != Path(kitchen).stem:
        raise SessionError(f"{folder} is of kitchen {session.kitchen!r}, not {kitchen!r}")
    if session.eye_in_hand:
        raise SessionError(f"{folder} has its cameras on the gripper: only cameras that stand go into a rig file")
    rehearsed = robot_of(session, folder) == "sim"
    solution = solve(session)
    touch = load_touch(folder, session)
    errors = None if touch is None else touch_errors(touch, session, solution)
    plane = None if touch is None else plane_error(touch, session, solution)
    criteria = gate.judge(solution, errors)
    good = gate.passed(criteria)
    extra = {} if plane is None else {"plane_rms_mm": 1e3 * plane.rms_m, "plane_gap_mm": 1e3 * plane.gap_m}
    extra = {name: round(value, 2) for name, value in extra.items()}
    rig = calibrated_rig(
        rig_of_session(session, kitchen), session, solution, criteria, good, rehearsed, made_at(session, folder), extra
    )
    report = Path(folder) / "report.html"
    write_report(report, folder, session, solution, criteria, rig, touch, errors, plane)
    for criterion in criteria:
        print(f"  {criterion}")
    for text in [*solution.warnings, *(f"advice: {text}" for text in solution.advice[:1])]:
        print(f"  {text}")
    print(f"report: {report}")
    if rehearsed and not good:
        print("no rig file is written: a rehearsal that failed is of no use to anybody")
    elif args.write:
        path, kept = write_rig(rig, args.rig or own_folder())
        print(f"rig file: {path}, status {rig.calibration.status}" + (f"; the one before: {kept}" if kept else ""))
    if good and rehearsed:
        print("a rehearsal without hardware: the rig file is for the simulator, a real arm refuses it")
    refused = "" if rehearsed else ": 'casher eval' refuses this rig unless told calibration:=accept-failed"
    print("passed" if good else f"FAILED{refused}")
    return 0 if good else 1


def _newest(kitchen):
    if not kitchen:
        raise SessionError("state the session's folder, or --kitchen")
    found = sorted(Path("calibrations").glob(f"{Path(kitchen).stem}_*/session.yaml"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise SessionError(f"no session of {kitchen!r} in calibrations/: collect one with 'casher calibrate collect'")
    return found[-1].parent
