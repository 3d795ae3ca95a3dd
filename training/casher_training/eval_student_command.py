"""`casher eval student`: how well a checkpoint does in batch, why it fails, and films of both."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.markup import escape

from casher_policy.checkpoint import load_checkpoint
from casher_policy.task import task_named
from casher_training.clouds import VIEWS
from casher_training.demos_replay import write_gif
from casher_training.episodes import trajectory
from casher_training.eval_teacher_command import best, worst
from casher_training.evaluation_bar import evaluation_bar
from casher_training.scenes import scenes_of
from casher_training.student_episodes import NoAnswer, student_workers
from casher_training.student_eval import agreement, evaluate
from casher_training.student_film import student_film, write_stills
from casher_training.teacher_eval import shares_of
from casher_training.teacher_policy import load_teacher, weights_of
from casher_training.teacher_report import table

_PRESET = "released"


@dataclass(frozen=True)
class EvalStudentArgs:
    """Evaluate a student's checkpoint in digital twins, many episodes side by side, without ROS."""

    checkpoint: tyro.conf.Positional[Path]
    """*.safetensors of `casher train student`."""
    twins: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the digital twins."""
    objects: str = "mug,bowl"
    """Names of the objects, with commas; not read for open_cabinet."""
    episodes: int = 10
    """For each twin, spread evenly over its objects."""
    view: str = "cameras"
    """What it sees: cameras, or meshes."""
    randomised: bool = False
    """With the depth cameras' noise, calibration errors, other light and colours, as in its training; otherwise as the
    simulator's cameras are."""
    teacher: Path | None = None
    """teacher.safetensors: says how often the student does what it would do."""
    seed: int = 2000
    processes: int = 1
    ray: str = ""
    """Address of a Ray cluster ('local' starts one)."""
    films: Path | None = None
    """Folder for success.gif and failure.gif."""
    json: bool = False
    """Print the figures as JSON."""


def main(args):
    """0: evaluated; 1: the student's answers are not finite; 2: bad arguments."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    torch.set_num_threads(1)
    try:
        if args.episodes < 1 or args.processes < 1:
            raise ValueError(f"episodes and processes are at least 1, got {args.episodes} and {args.processes}")
        if args.view not in VIEWS:
            raise ValueError(f"unknown view {args.view!r}: known are {', '.join(VIEWS)}")
        loaded = load_checkpoint(args.checkpoint)
        task = loaded.config.task
        teacher = _teacher(args.teacher, task)
        objects = [name for name in args.objects.split(",") if name]
        scenes = scenes_of([str(twin) for twin in args.twins], objects, task)
    except (ValueError, OSError) as error:
        console.print(f"[red]casher eval student: {escape(str(error))}")
        return 2
    if known := sorted({scene.kitchen for scene in scenes} & set(loaded.config.kitchens)):
        shown = escape(", ".join(known))
        console.print(f"[yellow]the checkpoint was trained in {shown}: success there says nothing about new kitchens")
    shares = shares_of(scenes, task, args.episodes, _PRESET)
    began = time.monotonic()
    preprocessing = loaded.config.preprocessing
    workers = student_workers(
        loaded.network, preprocessing, shares, teacher, not args.randomised, args.processes, args.ray
    )
    try:
        with evaluation_bar(console, shares) as done:
            evaluation = evaluate(workers, shares, args.seed, args.view, done)
    except NoAnswer as error:
        console.print(f"[red]casher eval student: {escape(str(error))}")
        return 1
    finally:
        workers.close()
    agreed = agreement(evaluation.episodes) if teacher else None
    films = _films(args, evaluation, scenes, task, loaded) if args.films else {}
    if args.json:
        rows = {"twins": evaluation.twins, "scenes": evaluation.scenes, "overall": [evaluation.overall]}
        figures = {name: [row.to_dict() for row in group] for name, group in rows.items()} | films
        figures |= {"checkpoint": loaded.id, "view": args.view, "randomised": args.randomised, "seed": args.seed}
        figures |= {"agreement": agreed.to_dict()} if agreed else {}
        json.dump(figures, sys.stdout)
        print()
        return 0
    Console(highlight=False).print(table(evaluation))
    if agreed:
        worst_pairs = ", ".join(f"{a} -> {b} {n}" for a, b, n in agreed.worst())
        print(f"as the teacher in {agreed.rate:.0%} of the states; most often not: {worst_pairs or 'none'}")
    steps = sum(int(e.steps.sum()) for e in evaluation.episodes)
    print(f"{steps} steps in {time.monotonic() - began:.0f} s")
    for what, path in films.items():
        print(f"{what}: {path}")
    return 0


def _teacher(path, task):
    """-> (TeacherConfig, weights), None without a path; ValueError for one of another task or preset."""
    if path is None:
        return None
    policy, header = load_teacher(path)
    if (header.task, header.preset) != (task, _PRESET):
        raise ValueError(
            f"{path} is a teacher of {header.task!r}, preset {header.preset!r}; the checkpoint is of {task!r}, preset "
            f"{_PRESET!r}: give its own teacher"
        )
    return header.config, weights_of(policy)


def _films(args, evaluation, scenes, task, loaded):
    """Films and a few of their pictures of the quickest success and the worst failure -> {what: path}."""
    args.films.mkdir(parents=True, exist_ok=True)
    written = {}
    for what, found in (("success", best(evaluation)), ("failure", worst(evaluation))):
        path = args.films / f"{what}.gif"
        for old in (path, path.with_suffix(".png")):
            old.unlink(missing_ok=True)  # of another evaluation: it would pass for this one's
        if found is None:
            continue
        share, world = found
        shown = trajectory(
            evaluation.episodes[share], world, scenes[share], task_named(task), _PRESET, "generalist", policy=loaded.id
        )
        frames = student_film(shown, scenes[share], loaded.config.preprocessing, args.view, not args.randomised)
        write_gif(path, frames)
        write_stills(path.with_suffix(".png"), frames)
        written[what] = str(path)
    return written
