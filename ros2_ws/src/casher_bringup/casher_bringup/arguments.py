"""The arguments of an evaluation, shared by `casher eval` and `ros2 launch casher_bringup eval.launch.py`.

Everything that can be checked is checked here, before a node is started.
"""

import dataclasses
import importlib.util
import itertools
import os
import re
import shutil
import tempfile
import typing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from casher_bringup import rehearsal, twins
from casher_bringup.viewer_port import viewer_port
from casher_franka.franka_config import FrankaConfig
from casher_perception.rig import RigError, find_rig, is_path, load_rig, save_rig
from casher_perception.rig_trust import MAX_AGE_DAYS, WORDS, accepted, doubts, words_in
from casher_policy.episode import SIDES
from casher_policy.policies import PolicyError, checkpoint_file
from casher_policy.task import task_named

ROBOTS = ("sim", "fr3", "panda")
MAX_SEED = 2**63 - 1
"""Of ROS parameters."""
MIN_FREE_BYTES = 500_000_000
"""An episode's bag is about 10 MB; below this a run is more likely to fill the disk than to finish."""


class ArgumentError(ValueError):
    """An argument that cannot work: what it is, what was got, what to do."""


@dataclass(frozen=True)
class EvalArgs:
    """Evaluate a policy: run episodes, record each as a bag, report."""

    robot: str = "sim"
    """sim: the simulator; fr3 or panda: the arm at `host`."""
    kitchen: str = "demo"
    """Name of a kitchen's rig file, or a path to one."""
    twin: str = ""
    """Folder of a digital twin to work in, with the cameras of `kitchen`'s rig file, or several with commas between
    them; unseen or unseen:N makes N (3) kitchens that nothing was trained in; simulator only."""
    task: str = "put_in_sink"
    """put_in_sink, put_in_cabinet or open_cabinet."""
    policy: str = "expert"
    """expert (scripted, simulator only), random, student (the shipped checkpoint), or the path of a checkpoint."""
    episodes: int = 10
    """How many episodes to run, in all kitchens together."""
    objects: str = ""
    """Objects to take in turn, separated by commas; by default those of mug,bowl,box that task, kitchen and checkpoint
    know."""
    sides: str = ""
    """Sides of the goal to start the object on, in turn, seen from the robot; by default all of task and kitchen."""
    seed: int = 0
    """Of the first episode; each further one adds 1."""
    out: str = ""
    """Folder for the bags and the report; by default runs/<date and time>."""
    host: str = ""
    """Address of the robot; not used in simulation."""
    dynamics_factor: float = FrankaConfig.dynamics_factor
    """Fraction of the robot's highest speed, acceleration and jerk; not used in simulation."""
    cameras: str = ""
    """Rehearsal: folder with a recording <camera>.db3 for each camera; only with an arm server on this machine."""
    judge: str = ""
    """predicate (the simulator's task predicate) or operator (`casher judge`); by default what the robot allows."""
    speed: float = 0.0
    """Of the simulation, 1 is real time; 0 as fast as it goes."""
    viewer: bool = False
    """Show the simulation in the browser."""
    calibration: str = ""
    """What is wrong with the cameras' calibration and is accepted: accept-failed, accept-stale, accept-mismatched."""
    calibration_days: int = MAX_AGE_DAYS
    """A calibration older than this many days is stale."""


@dataclass(frozen=True)
class EvalPlan:
    """Checked arguments with everything looked up."""

    args: EvalArgs
    rig_path: Path
    out: Path
    objects: tuple
    sides: tuple
    judge: str
    twins: tuple = ()
    """Folders (absolute Paths) of the digital twins to work in; empty: the rig's own kitchen, or a real one."""
    remarks: tuple = ()
    """What a person should know about this choice of policy, objects and kitchens, a sentence each."""
    viewer_port: int = 0
    """Where the simulation is shown; 0: nowhere."""


def kitchen_folders():
    """Where rig files are looked for: the operator's own, then the shipped ones."""
    own = os.environ.get("CASHER_KITCHENS")
    shipped = Path(get_package_share_directory("casher_bringup")) / "config" / "kitchens"
    return [*([Path(own)] if own else []), Path("kitchens"), shipped]


def from_strings(values):
    """EvalArgs from name -> text, as launch files and `name:=value` give them. Raises ArgumentError."""
    types = typing.get_type_hints(EvalArgs)
    parsed = {}
    for name, text in values.items():
        if name not in types:
            raise ArgumentError(f"unknown argument '{name}': known are {', '.join(types)}")
        parsed[name] = _parse(name, text, types[name])
    return EvalArgs(**parsed)


def _parse(name, text, kind):
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ArgumentError(f"{name} must be true or false, got '{text}'")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ArgumentError(f"{name} must be {'a whole number' if kind is int else 'a number'}, got '{text}'") from None


def plan(args, now=None):
    """EvalArgs -> EvalPlan; makes the output folder. Raises ArgumentError before anything has been started."""
    with tempfile.TemporaryDirectory(prefix="casher-kitchens-") as scratch:
        return _plan(args, now, Path(scratch))


def _plan(args, now, scratch):
    if args.robot not in ROBOTS:
        raise ArgumentError(f"unknown robot '{args.robot}': known are {', '.join(ROBOTS)}")
    if args.episodes < 1:
        raise ArgumentError(f"episodes must be at least 1, got {args.episodes}")
    if args.seed < 0 or args.speed < 0:
        raise ArgumentError(f"seed and speed must not be negative, got seed {args.seed} and speed {args.speed}")
    if args.seed + args.episodes > MAX_SEED:
        most = MAX_SEED - args.episodes
        raise ArgumentError(f"seed must be at most {most} for {args.episodes} episodes, got {args.seed}")
    if args.robot != "sim" and not args.host:
        raise ArgumentError(f"robot '{args.robot}' needs host:=ADDRESS, the robot's address on the network")
    if args.robot != "sim" and args.viewer:
        raise ArgumentError("the viewer shows the simulation: leave out viewer:= with a robot")
    if args.robot != "sim" and args.speed != EvalArgs.speed:
        raise ArgumentError("speed is the simulation's: leave it out with a robot, whose speed is dynamics_factor:=")
    _check_dynamics(args)
    judge = args.judge or ("predicate" if args.robot == "sim" else "operator")
    if judge not in ("predicate", "operator"):
        raise ArgumentError(f"judge must be predicate or operator, got '{judge}'")
    if judge == "predicate" and args.robot != "sim":
        raise ArgumentError(f"only the simulator knows where the object is: judge:=operator with robot '{args.robot}'")
    try:
        task_named(args.task)
        checkpoint = checkpoint_file(args.policy, args.task, args.robot)
        rig_path = find_rig(args.kitchen, kitchen_folders())
        rig, chosen = _trusted(rig_path, args, now or datetime.now())
    except (RigError, PolicyError, ValueError) as error:
        raise ArgumentError(str(error)) from error
    objects, sides, known_objects, known_sides = ("mug", "bowl", "box"), SIDES, None, (*SIDES, "front")
    folders = ()
    if args.cameras:
        _check_rehearsal(args, rig)
    if args.robot == "sim":
        try:
            folders = twins.folders(args.twin, scratch, args.task)
        except ValueError as error:
            raise ArgumentError(str(error)) from error
        objects, sides, known_objects, known_sides = _simulated(args, rig, folders)
    elif args.twin:
        raise ArgumentError(
            f"a twin is for the simulator, robot '{args.robot}' stands in a real kitchen: leave out twin:="
        )
    elif importlib.util.find_spec("pyrealsense2") is None:
        raise ArgumentError(
            f"pyrealsense2 is not installed, so robot '{args.robot}' would be blind: pip install pyrealsense2"
        )
    elif rig.calibration.status == "simulated":
        raise ArgumentError(
            f"the cameras of kitchen '{rig.kitchen}' are not calibrated (status '{rig.calibration.status}' in "
            f"{rig_path}): a real arm moves only on a calibration of real cameras; run 'casher calibrate collect'"
        )
    trained = checkpoint and checkpoint.header
    objects = _listed("objects", args.objects, known_objects) if args.objects else twins.familiar(objects, trained)
    remarks = twins.remarks(trained, objects, folders)
    odd = [name for name in objects if not re.fullmatch(r"\w[\w .-]*", name)]
    if odd:  # they name the bags' folders
        raise ArgumentError(f"objects: letters, digits, spaces and . - _ make a name, got {', '.join(map(repr, odd))}")
    if args.sides:
        sides = _listed("sides", args.sides, known_sides)
    try:
        port = viewer_port() if args.viewer else 0
    except OSError as error:
        raise ArgumentError(str(error)) from error
    # Last, so that an argument that is refused leaves no folder behind.
    out = _output_folder(args.out, now or datetime.now())
    if chosen:
        rig_path = out / "rig.yaml"
        save_rig(rig, rig_path)
    if twins.is_unseen(args.twin):
        folders = twins.move(folders, out / "kitchens")
    return EvalPlan(args, rig_path, out, objects, sides, judge, folders, remarks, port)


def _check_dynamics(args):
    if args.robot != "sim":
        try:
            FrankaConfig(args.host, dynamics_factor=args.dynamics_factor)
        except ValueError as error:
            raise ArgumentError(str(error)) from error
    elif args.dynamics_factor != FrankaConfig.dynamics_factor:
        raise ArgumentError("dynamics_factor is for a robot, the simulator has speed:=: leave it out")


def _trusted(path, args, now):
    """-> the rig to evaluate on, and whether it is one whose faults a person accepted in words; else RigError."""
    said = words_in(args.calibration)
    rig = load_rig(path, calibrated=False)
    if rig.calibration.status == "uncalibrated":
        load_rig(path)  # refuses: poses that nobody measured cannot be accepted
    if rig.calibration.status == "accepted":
        raise RigError(f"{path} is the copy of a run whose faults were accepted: name the kitchen's own rig file")
    asked = "" if is_path(args.kitchen) else args.kitchen
    found = doubts(rig, now.date(), args.calibration_days, asked, args.robot != "sim")
    refused = [doubt for doubt in found if doubt not in said]
    if refused:
        raise RigError(
            f"the calibration in {path} is not to be relied on: {'; '.join(found[doubt] for doubt in refused)}. "
            f"Calibrate again ('casher calibrate collect --kitchen {rig.kitchen}'), or go on all the same with "
            f"calibration:={','.join(WORDS[doubt] for doubt in found)}"
        )
    if found:
        return accepted(rig, found), True
    return load_rig(path), False


def _check_rehearsal(args, rig):
    if args.robot == "sim":
        raise ArgumentError("the simulator has its own cameras: leave out cameras:=")
    try:
        rehearsal.check(args.cameras, rig.cameras, args.host)
    except ValueError as error:
        raise ArgumentError(str(error)) from error


def _simulated(args, rig, folders):
    """-> the objects and sides to take by default, then all that are known; what all the kitchens have."""
    from casher_sim.objects import KINDS, NO_OBJECT, OBJECTS, kind_of
    from casher_sim.place import check_task
    from casher_sim.places import place_of

    try:
        places = [place_of(rig.kitchen, str(folder)) for folder in folders or ("",)]
        for place in places:
            check_task(place, args.task)
    except ValueError as error:
        raise ArgumentError(str(error) if args.twin else f"{args.kitchen}: {error}") from error
    kinds = [kind for kind in places[0].kinds(args.task) if all(kind in place.kinds(args.task) for place in places)]
    sides = tuple(side for side in places[0].sides(args.task) if all(side in p.sides(args.task) for p in places))
    if not sides or (not kinds and any(place.kinds(args.task) for place in places)):
        lacking = "object" if sides else "side"
        raise ArgumentError(f"the kitchens {args.twin} have no {lacking} in common for {args.task}: name fewer of them")
    first = tuple(kind for kind in KINDS if kind in kinds)
    known = tuple(name for name in OBJECTS if kind_of(name) in kinds)
    return first or (NO_OBJECT,), sides, known or (NO_OBJECT,), sides


def _listed(name, text, known=None):
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    wrong = [item for item in items if known and item not in known]
    if not items or wrong:
        got = f"unknown {', '.join(wrong)}" if wrong else "nothing"
        raise ArgumentError(f"{name}: {got} in '{text}'" + (f"; known are {', '.join(known)}" if known else ""))
    return items


def _output_folder(out, now):
    # No shell replaces a ~ behind := .
    folder = (Path(out).expanduser() if out else Path("runs") / f"{now:%Y-%m-%d_%H-%M-%S}").absolute()
    try:
        if out:
            if folder.is_dir() and any(folder.iterdir()):
                raise ArgumentError(
                    f"the output folder {folder} is not empty: name a new one, nothing is ever overwritten"
                )
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = _new_folder(folder)
        probe = folder / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise ArgumentError(f"cannot write to the output folder {folder}: {error.strerror}") from error
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise ArgumentError(
            f"only {free / 1e6:.0f} MB are free at {folder}, {MIN_FREE_BYTES / 1e6:.0f} MB are needed: "
            "free some or set out:="
        )
    return folder


def _new_folder(folder):
    """Make `folder`, or, when a run that began in the same second has made it, the next free of folder_2, _3 ..."""
    for candidate in itertools.chain([folder], (folder.with_name(f"{folder.name}_{i}") for i in itertools.count(2))):
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            if not candidate.is_dir():
                raise
        else:
            return candidate


def described():
    """(name, default as text, description) of every argument, for launch files."""
    from casher_perception.parameters import field_docs

    docs = field_docs(EvalArgs)
    return [
        (f.name, str(f.default).lower() if f.type is bool else str(f.default), docs[f.name])
        for f in dataclasses.fields(EvalArgs)
    ]
