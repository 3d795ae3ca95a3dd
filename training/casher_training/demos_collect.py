"""`casher demos collect`: demonstrations by a person at the keyboard, or by the scripted expert."""

import contextlib
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from casher_policy.task import task_named
from casher_sim.environment import PRESETS
from casher_sim.objects import NO_OBJECT, OBJECTS, kind_of
from casher_sim.place import PlaceError, check_task
from casher_training.effort import Effort, append_effort
from casher_training.scenes import Scene, place, setting_of
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import ROBOTS, SIMULATED, TrajectoryError, action_set
from casher_training.twin_version import place_hash

LEDGER = "effort.jsonl"
MAX_SEED = 2**31
_TRIES = 4
"""Episodes an expert may take for each demonstration that is wanted, before it is given up."""


@dataclass(frozen=True)
class CollectArgs:
    """Give demonstrations: drive the arm with the keyboard while you watch it in the browser. --expert: a script does.

    Run again it goes on until there are as many as wanted.
    """

    twin: tyro.conf.Positional[str]
    """Folder of the twin, or 'demo' for the kitchen of primitives."""
    out: Path
    """Folder of the demonstrations."""
    task: str = "put_in_sink"
    """put_in_sink, put_in_cabinet or open_cabinet."""
    object: str = ""
    """What is handled; empty: the first that the task uses in this twin."""
    n: int = 10
    """How many successful demonstrations with this object there shall be."""
    preset: str = "released"
    """How far an action goes: released or paper."""
    seed: int = 0
    """Of the first scene; the others follow by ones."""
    expert: bool = False
    """The scripted expert gives them, nobody watches."""
    noise: float = 0.05
    """Share of the expert's actions that are slips and hesitations."""
    robot: str = "sim"
    """sim; or fr3, panda: the same keys drive the arm that offers /casher/execute_action."""
    bag: bool = True
    """Of a real arm: record what the cameras see, without which a student cannot learn from it."""
    bags: Path | None = None
    """Folder of these recordings; default: bags in the folder of the demonstrations."""
    ledger: Path | None = None
    """The effort ledger; default: effort.jsonl in the folder."""
    host: str = "127.0.0.1"
    """Address the page listens on; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Of the page; the next free one if it is taken."""


def main(args):
    """Entry point of `casher demos collect`."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        scene = scene_of_args(args)
        with TrajectoryStore(args.out, "a") as store:
            for problem in store.problems:
                console.print(problem, style="yellow", markup=False)
            source = "expert" if args.expert else "human"
            store.reserve(
                task=args.task,
                twin=scene.kitchen,
                twin_hash=place_hash(place(args.twin)),
                source=source,
                preset=args.preset,
                action_set=action_set(PRESETS[args.preset].steps),
            )
            about = {"task": args.task, "twin": scene.kitchen, "object": scene.object, "robot": args.robot}
            there = store.select(source=source, **about)
            missing = args.n - len(there)
            if missing <= 0:
                console.print(f"{len(there)} demonstrations are there, {args.n} wanted: nothing to do")
                return 0
            used = {store.header(i)["seed"] for i in there}
            seeds = (seed for seed in itertools.count(args.seed) if seed not in used)
            ledger = args.ledger or args.out / LEDGER
            collect = _by_expert if args.expert else _by_person
            return collect(args, scene, store, ledger, seeds, missing, console)
    except (ValueError, OSError) as error:
        console.print(str(error), style="red", markup=False)
        return 2


def scene_of_args(args):
    """CollectArgs -> scenes.Scene; ValueError (PlaceError for the twin) says what is wrong with them."""
    task_named(args.task)
    if args.n < 1:
        raise ValueError(f"n is how many demonstrations are wanted, at least 1, got {args.n}")
    if not 0 <= args.seed < MAX_SEED:
        raise ValueError(f"seed is 0 .. {MAX_SEED - 1}, got {args.seed}")
    if args.preset not in PRESETS:
        raise ValueError(f"unknown preset {args.preset!r}: known are {', '.join(PRESETS)}")
    if args.robot not in ROBOTS:
        raise ValueError(f"unknown robot {args.robot!r}: known are {', '.join(ROBOTS)}")
    if args.expert and args.robot != "sim":
        raise ValueError(f"the scripted expert reads the simulator's state: it cannot drive robot {args.robot!r}")
    if args.robot == "sim" and (args.bags or not args.bag):
        raise ValueError("only a real arm's cameras are recorded: leave out --bags and --no-bag")
    kitchen = place(args.twin)
    check_task(kitchen, args.task)
    kinds = kitchen.kinds(args.task)
    known = [name for name in OBJECTS if kind_of(name) in kinds] or [NO_OBJECT]
    chosen = args.object or known[0]
    if chosen not in known:
        raise PlaceError(f"unknown object {chosen!r} for {args.task} in {kitchen.name!r}: known are {', '.join(known)}")
    return Scene(args.twin, chosen)


def _by_expert(args, scene, store, ledger, seeds, missing, console):
    from casher_training.demos_expert import NoisyExpert
    from casher_training.demos_session import SimulatedDemo

    demo = SimulatedDemo(scene, args.task, args.preset)
    expert, saved = NoisyExpert(demo, args.noise), 0
    for tried, seed in enumerate(itertools.islice(seeds, _TRIES * missing), start=1):
        demo.start(seed)
        if expert.run():
            name = store.append(demo.trajectory("expert", noise=args.noise))
            append_effort(ledger, Effort(scene.kitchen, args.task, "demo", 0.0, "expert", name))
            saved += 1
        else:
            console.print(f"scene {seed}: no success, {demo.ended}", style="yellow", markup=False)
        if saved == missing:
            console.print(f"{saved} demonstrations by the expert in {tried} episodes, in {args.out}", markup=False)
            return 0
    raise TrajectoryError(
        f"the expert succeeded in {saved} of {_TRIES * missing} episodes, {missing} were wanted; those are kept. "
        "Lower --noise, or give demonstrations yourself"
    )


def _by_person(args, scene, store, ledger, seeds, missing, console):
    from casher_training.demos_collection import Collection
    from casher_training.demos_page import ROBOT_DETAIL_M, DemoPage
    from casher_training.scene_drawing import SceneDrawing

    setting = setting_of(scene)
    with contextlib.ExitStack() as leaving:
        demo = _demo(args, scene)
        leaving.callback(demo.close)
        if demo.robot != SIMULATED and demo.rehearsed:
            console.print(
                f"The arm is the simulator's: this is a rehearsal. What is saved says {demo.robot} all the same, so "
                "keep it in a folder of its own",
                style="yellow",
            )
        collection = Collection(demo, store, ledger, seeds, missing)
        leaving.callback(collection.close)
        drawing = SceneDrawing(setting.place, setting.object_model, ROBOT_DETAIL_M)
        page = DemoPage(collection, drawing, args.host, args.port)
        leaving.callback(page.close)
        print(f"give demonstrations at http://localhost:{page.port}; Ctrl-C ends it", flush=True)
        try:
            page.run()
        except KeyboardInterrupt:
            print(file=sys.stderr)
    for remark in collection.remarks:
        console.print(remark, style="yellow", markup=False)
    console.print(f"{collection.saved} demonstrations saved, {missing} were wanted, in {args.out}", markup=False)
    return 0 if collection.done else 1


def _demo(args, scene):
    if args.robot == "sim":
        from casher_training.demos_session import SimulatedDemo

        return SimulatedDemo(scene, args.task, args.preset)
    from casher_training.demos_arm_node import ArmDemo

    return ArmDemo(scene, args.task, args.robot, args.preset, store=args.out if args.bag else None, bags=args.bags)
