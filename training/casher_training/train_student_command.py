"""`casher train student`: from clouds and a teacher's labels to a policy that sees."""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from casher_policy.action import ACTION_NAMES
from casher_policy.task import task_named
from casher_training.cloud_loader import CloudLoader
from casher_training.clouds import VIEWS
from casher_training.ppo_bc import NotFinite
from casher_training.settings import with_settings
from casher_training.student_config import PRESETS, StudentConfig
from casher_training.student_figure import draw_curves
from casher_training.student_ranks import device_named, join, leave
from casher_training.student_training import PROGRESS, STUDENT, StudentPlan, StudentTraining

CURVES = "curves.png"


@dataclass(frozen=True)
class TrainStudentArgs:
    """Train the student on clouds with a teacher's labels, or on demonstrations. Run it again to go on."""

    data: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of trajectories with clouds: `casher collect` makes them."""
    out: Path
    """Folder for checkpoints and curves."""
    task: str = "put_in_sink"
    preset: Literal["cpu", "paper"] = "cpu"
    """Sizes and settings."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """Single settings of the preset, such as batch_size=128, network.channels=16, augmentation.dropout=0."""
    steps: int = 6000
    """Optimiser steps."""
    seed: int = 0
    held_out: str = "auto"
    """Twins of the validation: how many, or their names with commas; auto: a tenth, one at least, of four or more."""
    views: str = ",".join(VIEWS)
    """Clouds to train on, with commas."""
    sources: str = ""
    """Trajectories to train on, with commas, such as human,expert for imitation alone; nothing: all."""
    start: Path | None = None
    """Checkpoint to train on, such as a student that is to learn a new kitchen."""
    freeze_encoder: bool = False
    """Train the last layers alone; what the encoder sees is computed once."""
    checkpoint_every: int = 100
    """Steps."""
    validate_every: int = 250
    """Steps."""
    validation_pairs: int = 1024
    """Of each view."""
    processes: int = 1
    """On this machine, through torchrun; on several machines call torchrun yourself."""
    threads: int = 1
    """Of each process."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    json: bool = False
    """Print the figures as JSON."""


def main(args):
    """0: the steps are done; 1: the training broke down; 2: bad arguments; 130: it was interrupted, and saved."""
    if args.processes > 1 and "WORLD_SIZE" not in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.execv(sys.executable, torchrun(args.processes, sys.argv[1:]))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    torch.set_num_threads(max(1, args.threads))
    try:
        device = device_named(args.device)
        ranks = join(device)
        console.quiet = ranks.rank > 0
        training, problems = prepare(args, ranks, device)
    except (ValueError, OSError) as error:
        console.print(f"[red]casher train student: {escape(str(error))}")
        leave()
        return 2
    for problem in problems:
        console.print(f"[yellow]{escape(problem)}")
    console.print(escape(_about(args, training)))
    try:
        interrupted = _run(training, args, console)
    except NotFinite as error:
        console.print(f"[red]casher train student: {escape(str(error))}")
        return 1
    finally:
        leave()
    if interrupted:
        console.print(f"[yellow]interrupted after step {training.step}, and saved: the same command goes on from there")
    if ranks.rank == 0:
        _finish(training, args)
    return 130 if interrupted else 0


def prepare(args, ranks, device):
    """TrainStudentArgs -> StudentTraining, what of the data could not be read; ValueError."""
    task_named(args.task)
    least = {"steps": 1, "checkpoint_every": 1, "validate_every": 1, "validation_pairs": 1, "processes": 1}
    for name, lowest in {**least, "threads": 1}.items():
        if getattr(args, name) < lowest:
            raise ValueError(f"{name} must be at least {lowest}, got {getattr(args, name)}")
    config = StudentConfig.from_dict(with_settings(PRESETS[args.preset].to_dict(), args.set))
    views = _names(args.views)
    options = {"seed": args.seed, "per_scene": config.per_scene, "sources": _names(args.sources) or None}
    loader = CloudLoader(args.data, args.task, config.batch_size, views=views, **options)
    held_out = held_out_of(args.held_out, loader.twins)
    validation = {}
    if held_out:
        twins = tuple(twin for twin in loader.twins if twin not in held_out)
        loader = CloudLoader(args.data, args.task, config.batch_size, views=views, twins=twins, **options)
        validation = _validation(args, held_out, views, config.batch_size)
    plan = StudentPlan(
        task=args.task,
        config=config,
        steps=args.steps,
        seed=args.seed,
        held_out=held_out,
        start=args.start,
        freeze_encoder=args.freeze_encoder,
        checkpoint_every=args.checkpoint_every,
        validate_every=args.validate_every,
    )
    training = StudentTraining(plan, loader, validation, args.out, ranks, device)
    known = sorted(set(held_out) & set(training.start.config.kitchens)) if training.start else []
    if known:
        loader.problems.append(
            f"{args.start} was trained in {', '.join(known)}, held out now: the validation is not of new kitchens"
        )
    return training, loader.problems


def held_out_of(text, twins):
    """'auto', a number, or names with commas, and the twins' names -> those of the validation; ValueError."""
    twins = sorted(twins)
    if text == "auto":
        count = max(1, len(twins) // 10) if len(twins) >= 4 else 0
    elif text.isdecimal():
        count = int(text)
    else:
        names = _names(text)
        unknown = [name for name in names if name not in twins]
        if unknown:
            raise ValueError(f"held_out: no twin {', '.join(unknown)} in the data; there are {', '.join(twins)}")
        count, twins = len(names), [name for name in twins if name not in names] + list(names)
    if count >= len(twins):
        raise ValueError(f"held_out: {count} of {len(twins)} twins leave none to train on: take fewer")
    return tuple(twins[len(twins) - count :])


def _validation(args, held_out, views, batch):
    """-> {view: [PairBatch]} of twins that are not learned from; whole batches, validation_pairs at least."""
    found = {}
    for view in views:
        with CloudLoader(
            args.data,
            args.task,
            batch,
            views=(view,),
            twins=held_out,
            sources=_names(args.sources) or None,
            prefetch=False,
        ) as loader:
            found[view] = [loader.batch(step) for step in range(-(-args.validation_pairs // batch))]
    return found


def _run(training, args, console):
    """Train with a bar -> whether it was interrupted."""
    stopped = []
    if training.ranks.size == 1:  # several would stop at different steps, and wait for one another
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.append(True))
    with _bar(console) as bar:
        task = bar.add_task(args.task, total=args.steps, completed=training.step, figures="")
        recent = []

        def tell(progress):
            recent.append(progress.numbers)
            del recent[:-50]
            loss, accuracy, wall = (
                sum(n[name] for n in recent) / len(recent) for name in ("loss", "accuracy", "wall_s")
            )
            figures = f"loss {loss:.2f}, {accuracy:.0%} right, {training.plan.config.batch_size / wall:.0f} pairs/s"
            bar.update(task, completed=progress.step, figures=figures)
            for name, result in progress.validations.items():
                console.print(
                    f"step {progress.step}: loss {loss:.3f}, right {accuracy:.1%}; held out, {name}: "
                    f"loss {result.loss:.3f}, right {result.accuracy:.1%}"
                )
            return bool(stopped)

        training.run(tell)
    return bool(stopped) and training.step < args.steps


def _finish(training, args):
    """The record as a picture, and the figures of the end."""
    draw_curves(args.out / PROGRESS, args.out / CURVES)
    validations = training.validations or training.validate()
    figures = {
        "steps": training.step,
        "cpu_s": training.cpu_s,
        "validation": {name: result.to_dict() for name, result in validations.items()},
    }
    if args.json:
        json.dump(figures, sys.stdout)
        print()
        return
    for name, result in validations.items():
        print(f"held out, {name}: loss {result.loss:.3f}, right {result.accuracy:.1%}; of each action")
        print("  " + ", ".join(f"{action} {share:.0%}" for action, share in result.recalls.items()))
    print(f"{training.step} steps, {training.cpu_s:.0f} s of CPU; {args.out / STUDENT}, {args.out / CURVES}")


def _about(args, training):
    loader = training.loader
    counts = ", ".join(f"{name} {n}" for name, n in zip(ACTION_NAMES, loader.label_counts, strict=True) if n)
    words = f"{loader.pairs} pairs of {len(loader.twins)} twins ({counts})"
    if training.plan.held_out:
        words += f"; held out: {', '.join(training.plan.held_out)}"
    if training.resumed:
        words += f"; going on after step {training.step} in {args.out}"
    return words


def torchrun(processes, words):
    """The same command, `casher` followed by these words, in several processes -> argv."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    # After -- nothing is torchrun's: it would take --start for its own --start-method.
    return [*run, "-m", "--", "casher_bringup.cli", *words]


def _names(text):
    return tuple(name for name in text.split(",") if name)


def _bar(console):
    """Of 80 columns at most: what does not fit is cut off, the time that is left first."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=300,
    )
