"""`casher train teacher`: PPO + BC on privileged state, from demonstrations."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from casher_policy.task import task_named
from casher_sim.objects import object_named
from casher_training.cloning import load_pairs
from casher_training.evaluation_bar import evaluation_bar
from casher_training.ppo_bc import NotFinite
from casher_training.scenes import scenes_of
from casher_training.settings import with_settings
from casher_training.teacher_config import PRESETS, TeacherConfig
from casher_training.teacher_report import table
from casher_training.teacher_training import TEACHER, TeacherTraining, TrainingPlan


@dataclass(frozen=True)
class TrainTeacherArgs:
    """Train one teacher for several kitchens with PPO + BC. Run it again to go on where it stopped."""

    twins: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the digital twins."""
    demos: Path
    """Store of demonstrations: `casher demos collect` makes it."""
    out: Path
    """Folder for checkpoints, curves and figures."""
    task: str = "put_in_sink"
    objects: str = "mug,bowl"
    """Names of the objects, with commas; not read for open_cabinet."""
    per_twin: int = 10
    """Demonstrations of each twin that are used."""
    steps: int = 2_000_000
    """Environment steps at most; the update that reaches them is finished."""
    target: float = 0.9
    """Ends earlier, once the lower 95 % bound of every twin's success rate is this; 1: never."""
    episodes: int = 200
    """For each twin, in the evaluations that decide so."""
    preset: Literal["cpu", "paper"] = "cpu"
    """Settings of the training; `paper` is Table IV."""
    world_preset: Literal["released", "paper"] = "released"
    """How far actions go and what the state holds."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """Single settings of the preset, such as bc_weight=0."""
    seed: int = 0
    processes: int = 1
    """That make the rollouts; the results do not depend on it."""
    ray: str = ""
    """Address of a Ray cluster for the rollouts ('local' starts one); --processes says how many actors."""
    json: bool = False
    """Print the figures as JSON."""


def main(args):
    """0: the steps are done or the target is reached; 1: the training broke down; 2: bad arguments."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    torch.set_num_threads(1)
    try:
        training, problems = prepare(args)
    except (ValueError, OSError) as error:
        console.print(f"[red]casher train teacher: {escape(str(error))}")
        return 2
    for problem in problems:
        console.print(f"[yellow]{escape(problem)}")
    if training.resumed:
        console.print(f"going on after update {training.update}, {training.steps} steps, in {escape(str(args.out))}")
    try:
        with _bar(console) as bar:
            bar_task = bar.add_task(args.task, total=args.steps, completed=training.steps, success="")
            evaluation = training.run(
                lambda p: bar.update(bar_task, completed=p.steps, success=f"success {p.success:.0%}")
            )
    except NotFinite as error:
        console.print(f"[red]casher train teacher: {escape(str(error))}")
        return 1
    if evaluation is None:
        with evaluation_bar(console, training.evaluated) as done:
            evaluation = training.evaluate(done)
    if args.json:
        json.dump(
            {"steps": training.steps, "updates": training.update, "twins": [r.to_dict() for r in evaluation.twins]},
            sys.stdout,
        )
        print()
    else:
        Console(highlight=False).print(table(evaluation))
        print(f"{training.steps} steps, {training.update} updates; {args.out / TEACHER}")
    return 0


def prepare(args):
    """TrainTeacherArgs -> TeacherTraining, what of the demonstrations could not be read; ValueError."""
    task_named(args.task)
    objects = [name for name in args.objects.split(",") if name]
    for name in objects:
        object_named(name)
    for name, least in (("per_twin", 1), ("steps", 1), ("episodes", 1), ("processes", 1)):
        if getattr(args, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(args, name)}")
    config = configured(PRESETS[args.preset], args.set)
    scenes = tuple(scenes_of([str(twin) for twin in args.twins], objects, args.task))
    demonstrations = None
    if config.bc_weight > 0 or config.warm_start > 0:
        demonstrations = load_pairs(args.demos, scenes, args.task, args.world_preset, args.per_twin)
    plan = TrainingPlan(
        task=args.task,
        scenes=scenes,
        config=config,
        steps=args.steps,
        seed=args.seed,
        preset=args.world_preset,
        target=args.target,
        episodes=args.episodes,
        processes=args.processes,
        ray_address=args.ray,
    )
    return TeacherTraining(plan, demonstrations, args.out), demonstrations.problems if demonstrations else []


def configured(preset, settings):
    """TeacherConfig with NAME=VALUE settings applied; ValueError lists the known names."""
    config = TeacherConfig.from_dict(with_settings(preset.to_dict(), settings))
    config.check()
    return config


def _bar(console):
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} steps"),
        TextColumn("{task.fields[success]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
