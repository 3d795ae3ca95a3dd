"""What the student benchmarks share: kitchens, a teacher, its trajectories with clouds, a student, its success.

Everything lies in CASHER_STUDENT_FOLDER (default benchmarks/detail/student); what is there is not made again, and a
run that was cut off goes on from there. Training kitchens and unseen ones are of seeds that do not meet.
CASHER_STUDENT_PROCESSES collect and evaluate; a training may be made with more, too, by `casher train student` with
the same settings, and is then found here.
"""

import json
import os
import time
from pathlib import Path

import torch

from benchmarks import teacher_runs
from benchmarks.harness import ROOT
from casher_policy.checkpoint import load_checkpoint
from casher_training.collect_command import CollectArgs
from casher_training.collect_command import main as collect_main
from casher_training.scenes import scenes_of
from casher_training.student_episodes import student_workers
from casher_training.student_eval import evaluate
from casher_training.student_ranks import Ranks
from casher_training.student_training import STUDENT
from casher_training.teacher_eval import shares_of
from casher_training.teacher_training import TEACHER
from casher_training.train_student_command import TrainStudentArgs, prepare

FOLDER = Path(os.environ.get("CASHER_STUDENT_FOLDER", ROOT / "benchmarks" / "detail" / "student"))
TASK, OBJECTS = "put_in_sink", ("mug", "bowl")
TRAINING_FROM, UNSEEN_FROM = 1000, 6000
"""Seeds of the first kitchens. Kitchens from 5000 on were looked at while settings were chosen."""
KITCHENS, UNSEEN, EPISODES = 48, 20, 10
TEACHER_SETTINGS, TEACHER_STEPS = ("worlds=192", "batch_size=1620"), 388_800
EVALUATION_SEED = 3000
PROCESSES = int(os.environ.get("CASHER_STUDENT_PROCESSES", "1"))


def training_kitchens(number=KITCHENS):
    """-> [folder]."""
    return teacher_runs.kitchens(TASK, number, TRAINING_FROM, FOLDER)


def unseen_kitchens(number=UNSEEN):
    """-> [folder], of none of which anything was ever trained on."""
    return teacher_runs.kitchens(TASK, number, UNSEEN_FROM, FOLDER)


def teacher():
    """A teacher for all training kitchens -> its file."""
    twins = training_kitchens()
    teacher_runs.demonstrate(TASK, OBJECTS, twins, folder=FOLDER)
    options = {"settings": TEACHER_SETTINGS, "steps": TEACHER_STEPS, "target": 1, "folder": FOLDER}
    teacher_runs.train("teacher", TASK, OBJECTS, twins, episodes=0, **options)
    return FOLDER / "teacher" / TEACHER


def collect(name, per_twin, number=KITCHENS, **options):
    """Trajectories with clouds in FOLDER/NAME -> that folder; options: further fields of CollectArgs."""
    out = FOLDER / name
    arguments = CollectArgs(
        twins=tuple(training_kitchens(number)),
        out=out,
        per_twin=per_twin,
        objects=",".join(OBJECTS),
        processes=PROCESSES,
        **options,
    )
    if collect_main(arguments) == 2:
        raise SystemExit(f"nothing was collected in {out}")
    return out


def of_kitchens(folders, number):
    """The files of the first `number` training kitchens."""
    names = {folder.name for folder in training_kitchens(number)}
    return tuple(sorted(f for folder in folders for f in folder.glob("*.h5") if f.name.split(".")[0] in names))


def train(name, data, steps, settings=(), held_out="0", **options):
    """Train, or go on training, in FOLDER/NAME, in this process -> checkpoint, seconds of CPU in all.

    held_out: number of twins for the validation; options: further fields of TrainStudentArgs.
    """
    torch.set_num_threads(1)
    out = FOLDER / name
    arguments = TrainStudentArgs(
        data=tuple(data), out=out, task=TASK, steps=steps, set=settings, held_out=held_out, **options
    )
    training, problems = prepare(arguments, Ranks(), torch.device("cpu"))
    for problem in problems:
        print(problem, flush=True)

    def tell(progress):
        if progress.step % 100 == 0:
            print(f"{name}: step {progress.step}, loss {progress.numbers['loss']:.3f}", flush=True)

    training.run(tell)
    return out / STUDENT, training.cpu_s


def success(checkpoint, twins, episodes=EPISODES, view="cameras"):
    """A checkpoint in twins, as the simulator's cameras see them -> TeacherEvaluation, seconds of wall clock."""
    loaded = load_checkpoint(checkpoint, TASK)
    shares = shares_of(scenes_of([str(twin) for twin in twins], OBJECTS, TASK), TASK, episodes)
    begun = time.monotonic()
    workers = student_workers(loaded.network, loaded.config.preprocessing, shares, None, True, PROCESSES)
    try:
        evaluation = evaluate(workers, shares, EVALUATION_SEED, view)
    finally:
        workers.close()
    return evaluation, time.monotonic() - begun


def keep(name, detail):
    """Write what is known so far to FOLDER/NAME.json."""
    (FOLDER / f"{name}.json").write_text(json.dumps(detail, indent=1))
