"""`casher eval teacher`: how well a teacher does in each twin, why it fails, and a film of both."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.markup import escape

from casher_policy.task import task_named
from casher_training.episodes import trajectory
from casher_training.evaluation_bar import evaluation_bar
from casher_training.failure_reasons import REASONS
from casher_training.scenes import scenes_of
from casher_training.teacher_episodes import episode_workers
from casher_training.teacher_eval import evaluate, shares_of
from casher_training.teacher_policy import load_teacher, new_to, weights_of
from casher_training.teacher_report import table

FILM_SIZE = (320, 240)
"""Pixels of each camera's picture."""


@dataclass(frozen=True)
class EvalTeacherArgs:
    """Evaluate a teacher in digital twins: success with intervals for each, why it failed, and films."""

    teacher: tyro.conf.Positional[Path]
    """teacher.safetensors."""
    twins: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the digital twins."""
    objects: str = "mug,bowl"
    """Names of the objects, with commas; not read for open_cabinet."""
    episodes: int = 200
    """For each twin."""
    seed: int = 1000
    greedy: bool = False
    """Take the likeliest action instead of drawing one: sure of itself, and caught in loops more often."""
    processes: int = 1
    ray: str = ""
    """Address of a Ray cluster ('local' starts one)."""
    films: Path | None = None
    """Folder for success.gif and failure.gif."""
    json: bool = False
    """Print the figures as JSON."""


def main(args):
    """0: evaluated; 2: bad arguments."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    torch.set_num_threads(1)
    try:
        if args.episodes < 1 or args.processes < 1:
            raise ValueError(f"episodes and processes are at least 1, got {args.episodes} and {args.processes}")
        policy, header = load_teacher(args.teacher)
        objects = [name for name in args.objects.split(",") if name]
        scenes = scenes_of([str(twin) for twin in args.twins], objects, header.task)
    except (ValueError, OSError) as error:
        console.print(f"[red]casher eval teacher: {escape(str(error))}")
        return 2
    if remark := new_to(header, scenes):
        console.print(f"[yellow]{escape(remark)}")
    shares = shares_of(scenes, header.task, args.episodes, header.preset)
    workers = episode_workers(header.config, shares, args.processes, args.ray)
    try:
        with evaluation_bar(console, shares) as done:
            evaluation = evaluate(workers, shares, weights_of(policy), args.seed, args.greedy, done)
    finally:
        workers.close()
    films = _films(args.films, evaluation, scenes, header) if args.films else {}
    if args.json:
        rows = {"twins": evaluation.twins, "scenes": evaluation.scenes, "overall": [evaluation.overall]}
        json.dump({name: [row.to_dict() for row in group] for name, group in rows.items()} | films, sys.stdout)
        print()
        return 0
    Console(highlight=False).print(table(evaluation))
    for what, path in films.items():
        print(f"{what}: {path}")
    return 0


def _films(folder, evaluation, scenes, header):
    """Write a film of the quickest success and one of the worst failure -> {what: path}."""
    from casher_training.demos_replay import film, write_gif

    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for what, found in (("success", best(evaluation)), ("failure", worst(evaluation))):
        path = folder / f"{what}.gif"
        path.unlink(missing_ok=True)  # of another evaluation: it would pass for this one's
        if found is not None:
            share, world = found
            shown = trajectory(
                evaluation.episodes[share], world, scenes[share], task_named(header.task), header.preset, "teacher"
            )
            write_gif(path, film(shown, scenes[share], FILM_SIZE))
            written[what] = str(path)
    return written


def best(evaluation):
    """(share, world) of the quickest success, or None."""
    found = [(e.steps[i], s, i) for s, e in enumerate(evaluation.episodes) for i in e.success.nonzero()[0]]
    return min(found)[1:] if found else None


def worst(evaluation):
    """(share, world) of a failure that got the least far, in the scene that fails most often; None without one."""
    failing = min(range(len(evaluation.scenes)), key=lambda s: evaluation.scenes[s].rate)
    reasons = evaluation.episodes[failing].reasons
    failures = [i for i, reason in enumerate(reasons) if reason]
    return (failing, min(failures, key=lambda i: REASONS.index(reasons[i]))) if failures else None
