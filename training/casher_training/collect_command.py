"""`casher collect`: trajectories with what a student sees along them, from which it learns."""

import hashlib
import json
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from casher_policy.action import ACTION_NAMES
from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named
from casher_training.cloud_picture import captioned, cloud_picture, near_tool, sheet
from casher_training.clouds import metres
from casher_training.collection import Collection
from casher_training.collector import Collector, CollectorPlan
from casher_training.in_order import in_order
from casher_training.scenes import scenes_of
from casher_training.teacher_policy import load_teacher, new_to, weights_of
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import ROBOTS, SIMULATED
from casher_training.workers import workers_for

NOISE = 0.1
SHEET = "clouds.png"
_SHOWN = 12
_COLUMNS = ("scene", "there", "made", "missing", "pairs", "episodes", "failures")


@dataclass(frozen=True)
class CollectArgs:
    """Collect trajectories with the clouds a student sees: of a teacher, of demonstrations, or of a student."""

    twins: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the digital twins."""
    out: Path
    """Folder of the trajectories. What is there counts: the same command goes on where it was interrupted."""
    teacher: Path | None = None
    """teacher.safetensors: acts, or labels what a student does."""
    demos: Path | None = None
    """Instead of a teacher: folder of demonstrations to be seen as they are."""
    student: Path | None = None
    """Checkpoint of a student that acts while the teacher labels; its failures are kept, too."""
    per_twin: int = 40
    """Trajectories of each twin, spread evenly over its objects."""
    objects: str = "mug,bowl"
    """Names of the objects, with commas; not read for open_cabinet."""
    source: str = "expert"
    """Whose demonstrations: human or expert."""
    robot: str = ""
    """Demonstrations on which robot: sim, or fr3, panda, whose clouds are in their bags. Empty: there is only one."""
    task: str = "put_in_sink"
    """Of the demonstrations; a teacher knows its own."""
    cameras_share: float = 0.5
    """Of the trajectories that are seen by the two cameras; the others are sampled from the meshes."""
    noise: float | None = None
    """Share of the actions that are drawn at random, so that the student sees recoveries. By default 0.1, and 0 with a
    student, who errs by itself."""
    burst: int = 3
    """At most so many of them in a row."""
    beta: float = 0.0
    """With a student: share of the episodes in which the teacher acts."""
    points: int = 1024
    """Points of a cloud, from all of the crop; a student brings its own settings."""
    near_points: int = 768
    """Further points, from the cube about the tool."""
    near_m: float = 0.16
    """Half the edge of that cube [m]."""
    voxel_m: float = 0.005
    """Edge of the voxels [m]."""
    sampling: str = "farthest"
    """farthest or random."""
    round: int = 0
    """Number of the collection; each has its own files."""
    seed: int = 0
    processes: int = 1
    ray: str = ""
    """Address of a Ray cluster ('local' starts one)."""
    json: bool = False
    """Print the figures as JSON."""


def main(args):
    """0: all is there; 1: some trajectories are missing; 2: bad arguments."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    torch.set_num_threads(1)
    began = time.monotonic()
    try:
        method, plan, source, workers_of, remark = _prepare(args)
        if remark:
            console.print(f"[yellow]{escape(remark)}")
        with TrajectoryStore(args.out, "a", args.round) as store:
            share = args.cameras_share if plan.robot == SIMULATED else 1.0
            collection = Collection(store, plan, source, args.per_twin, share)
            if method == "demonstrations":
                with TrajectoryStore(args.demos) as demos:
                    calls = collection.demonstrations(demos)
                method = "recorded" if plan.robot != SIMULATED else method
            else:
                calls = collection.chunks()
            for problem in store.problems:
                console.print(f"[yellow]{escape(problem)}")
            complaint = _run(console, collection, method, calls, workers_of)
            given_up = collection.given_up() if method == "teacher" and not complaint else ()
            for problem in (*collection.problems, *given_up):
                console.print(f"[yellow]{escape(problem)}")
    except (ValueError, OSError) as error:
        console.print(f"[red]casher collect: {escape(str(error))}")
        return 2
    if complaint:
        console.print(f"[red]casher collect: {escape(complaint)}")
    picture = draw_sheet(args.out, args.out / SHEET)
    _report(args, collection, picture, time.monotonic() - began)
    return 1 if complaint or any(count.missing for count in collection.counts) else 0


def _prepare(args):
    """-> method of the workers, CollectorPlan, source, function that makes the workers, what the teacher does not
    know."""
    for name, least in (("per_twin", 1), ("processes", 1), ("burst", 1), ("round", 0), ("seed", 0)):
        if getattr(args, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(args, name)}")
    for name in ("cameras_share", "beta"):
        if not 0.0 <= getattr(args, name) <= 1.0:
            raise ValueError(f"{name} is a share, 0 .. 1, got {getattr(args, name)}")
    noise = args.noise if args.noise is not None else 0.0 if args.student else NOISE
    if not 0.0 <= noise < 1.0:
        raise ValueError(f"noise is a share of the actions, 0 or more and less than 1, got {noise}")
    if (args.teacher is None) == (args.demos is None):
        raise ValueError("give --teacher, who acts or labels, or --demos, which are taken as they are")
    if args.robot and not args.demos:
        raise ValueError(f"--robot {args.robot} says which demonstrations to take: give --demos, or leave it out")
    if args.student and not args.teacher:
        raise ValueError("a student's episodes need a teacher who labels them: give --teacher, too")
    teacher, header, task, preset, teacher_id = None, None, args.task, "released", ""
    if args.teacher:
        policy, header = load_teacher(args.teacher)
        teacher, teacher_id = (header.config, weights_of(policy)), hashlib.sha256(args.teacher.read_bytes()).hexdigest()
        task, preset = header.task, header.preset
    low, high = task_named(task).crop
    network, student_id = None, ""
    if args.student:
        from casher_policy.checkpoint import load_checkpoint

        loaded = load_checkpoint(args.student, task)
        network, preprocessing, student_id = loaded.network, loaded.config.preprocessing, loaded.id
    else:
        preprocessing = Preprocessing(
            low, high, args.voxel_m, args.points, args.sampling, args.near_points, args.near_m
        )  # fmt: skip
    objects = [name for name in args.objects.split(",") if name]
    plan = CollectorPlan(
        task=task,
        preset=preset,
        preprocessing=preprocessing,
        scenes=tuple(scenes_of([str(twin) for twin in args.twins], objects, task)),
        seed=args.seed,
        noise=noise,
        burst=args.burst,
        beta=args.beta,
        teacher_id=teacher_id,
        student_id=student_id,
        robot=_robot(args, task) if args.demos else SIMULATED,
    )
    method = "demonstrations" if args.demos else "student" if args.student else "teacher"
    source = {"demonstrations": args.source, "student": "generalist", "teacher": "teacher"}[method]
    remark = new_to(header, plan.scenes) if header else ""
    return (
        method,
        plan,
        source,
        lambda: workers_for(Collector, (plan, teacher, network), args.processes, args.ray),
        remark,
    )


def _robot(args, task):
    """The robot of the demonstrations that are asked for; ValueError when that is not clear."""
    if args.robot not in ("", *ROBOTS):
        raise ValueError(f"unknown robot {args.robot!r}: known are {', '.join(ROBOTS)}")
    with TrajectoryStore(args.demos) as demos:
        found = demos.select(robot=None, task=task, source=args.source)
        there = sorted({demos.header(i)["robot"] for i in found})
    if not args.robot and len(there) > 1:
        raise ValueError(f"{args.demos} has demonstrations on {', '.join(there)}: say which with --robot")
    return args.robot or (there or [SIMULATED])[0]


def _run(console, collection, method, calls, workers_of):
    """Make what is missing -> '' or why not all of it could be made."""
    if not calls:
        return ""
    workers = workers_of()
    scenes = [call[0].scene if method in ("teacher", "student") else call[0] for call in calls]
    kitchens = [collection.kitchens[scene] for scene in scenes]  # each has files of its own, the same whoever runs it
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}")]
    columns += [TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn()]
    try:
        with Progress(*columns, console=console) as bar:
            task, pairs, began = bar.add_task("trajectories", total=collection.missing, rate=""), 0, time.monotonic()
            for i, harvest in in_order(workers.each(method, calls), kitchens):
                collection.add(scenes[i], harvest)
                pairs += sum(map(len, harvest.trajectories))
                rate = pairs / (time.monotonic() - began)
                bar.update(task, advance=len(harvest.trajectories), rate=f"{rate:.0f} clouds/s")
    except BrokenProcessPool:
        return "a worker was killed, perhaps for its memory: the same command goes on from here"
    finally:
        workers.close()
    return ""


def draw_sheet(folder, path):
    """Some clouds of a store, spread over it, each beside what lies about the tool -> the picture's path, None without
    a cloud."""
    random, pictures = np.random.default_rng(0), []
    with TrajectoryStore(folder) as store:
        seen = [i for i in range(len(store)) if store.header(i)["view"]]
        for i in np.unique(np.linspace(0, len(seen) - 1, _SHOWN).astype(int)) if seen else ():
            one = store.read(seen[i])
            t = int(random.integers(len(one)))
            points, colours = metres(one.clouds.points[t]), one.clouds.colours[t]
            about = f"{one.twin} {one.object} {one.clouds.view} {t}: {ACTION_NAMES[one.clouds.labels[t]]}"
            pictures.append(captioned(cloud_picture(points, colours), about))
            pictures.append(near_tool(points, colours, one.clouds.robot_states[t, 2:5]))
    if not pictures:
        return None
    Image.fromarray(sheet(pictures, 4)).save(path)
    return path


def _report(args, collection, picture, wall_s):
    counts = collection.counts
    if args.json:
        rows = [count.to_dict() for count in counts]
        json.dump({"scenes": rows, "picture": picture and str(picture), "wall_s": round(wall_s, 1)}, sys.stdout)
        print()
        return
    rows = Table(*(Column(name, overflow="fold") for name in _COLUMNS), box=None, pad_edge=False)
    for count in counts:
        failures = ", ".join(f"{reason} {n}" for reason, n in count.failures.most_common())
        numbers = count.there, count.made, count.missing, count.pairs, count.episodes
        rows.add_row(count.name, *map(str, numbers), failures)
    Console(highlight=False).print(rows)
    made, pairs = sum(count.made for count in counts), sum(count.pairs for count in counts)
    print(f"{made} trajectories, {pairs} pairs in {wall_s:.0f} s; {args.out}{f', {picture}' if picture else ''}")
