"""Training a student: batches, steps, checkpoints, validation, and the record of it all.

Everything random in step k depends on (seed, k) alone. So a run that was killed goes on from its last checkpoint to
the very bits that it would have reached.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from casher_policy.action import PAPER, RELEASED
from casher_policy.checkpoint import load_checkpoint, save_checkpoint
from casher_policy.network import PolicyNetwork
from casher_policy.software import software_id
from casher_training.ppo_bc import NotFinite
from casher_training.progress_log import append_line, drop_after
from casher_training.student_config import StudentConfig
from casher_training.student_learner import StepNotFinite, StudentLearner
from casher_training.student_ranks import Ranks
from casher_training.student_state import StudentError, differences, read_state, write_state
from casher_training.student_validation import validate
from casher_training.trajectory import action_set

STUDENT, STATE, PROGRESS = "student.safetensors", "training.safetensors", "progress.jsonl"


@dataclass(frozen=True)
class StudentPlan:
    """What is trained, for how long."""

    task: str
    config: StudentConfig
    steps: int
    """Optimiser steps after which it ends."""
    seed: int = 0
    held_out: tuple = ()
    """Names of the twins of the validation."""
    start: Path | None = None
    """Checkpoint whose weights are trained on."""
    freeze_encoder: bool = False
    """Train the head alone."""
    checkpoint_every: int = 100
    """Steps."""
    validate_every: int = 250
    """Steps."""


@dataclass
class Progress:
    """What is told after every step."""

    step: int
    """Steps that are done."""
    numbers: dict
    """Loss, accuracy and the like of this step."""
    validations: dict = field(default_factory=dict)
    """{name: Validation}, after a step that had one."""


class StudentTraining:
    """`run` trains, from the beginning or from where a run in the same folder stopped."""

    def __init__(self, plan, loader, validation, out, ranks=None, device=None):
        """loader: CloudLoader of the batches; validation: {name: [PairBatch]}; out: folder.

        StudentError when the folder has a run with other settings, or the start does not fit the data.
        """
        plan.config.check()
        self.out, self.loader, self.validation = Path(out), loader, validation
        self.ranks = ranks or Ranks()
        self._action_steps = _action_steps(loader)
        network, self.start = _network(plan, loader, self._action_steps)
        self.plan = plan
        self._settings = {**plan.config.to_dict(), "network": network.config.to_dict()}
        self.learner = StudentLearner(
            network, plan.config, loader.label_counts, plan.seed, plan.freeze_encoder, device, self.ranks
        )
        self.step, self.cpu_s, self.resumed = 0, 0.0, False
        self.validations = {}
        self._restore()

    def run(self, tell=lambda progress: None):
        """Train until `steps` are done, at once if they are.

        tell: called with Progress after every step; the state is saved and it ends there if that returns True.
        NotFinite leaves the last good state in place.
        """
        plan, first = self.plan, self.ranks.rank == 0
        self.out.mkdir(parents=True, exist_ok=True)
        board = SummaryWriter(self.out / "tensorboard", purge_step=self.step) if first else None
        batches, cpu = self._batches(), time.process_time() - self.cpu_s
        try:
            while self.step < plan.steps:
                begun = time.perf_counter()
                batch = next(batches)
                waited = time.perf_counter() - begun
                numbers = self._learn(batch)
                self.step += 1
                self.cpu_s = time.process_time() - cpu
                progress = Progress(self.step, {**asdict(numbers), "wait_s": waited})
                if self.step % plan.validate_every == 0 or self.step == plan.steps:
                    progress.validations = self.validations = self.validate()
                progress.numbers["wall_s"] = time.perf_counter() - begun
                progress.numbers["cpu_s"] = self.cpu_s
                if first:
                    self._note(progress, board)
                done = bool(tell(progress))
                if first and (done or self.step % plan.checkpoint_every == 0 or self.step == plan.steps):
                    self._save()
                if done:
                    break
        finally:
            batches.close()
            if first:
                board.close()

    def validate(self):
        """The averaged weights as they are -> {name: Validation}."""
        if not self.validation:
            return {}
        network = self.learner.averaged()
        return {
            name: validate(network, batches, self.ranks, self.learner.bf16) for name, batches in self.validation.items()
        }

    def _learn(self, batch):
        try:
            return self.learner.learn(batch, self.step, self.plan.steps)
        except StepNotFinite as error:
            names = dict.fromkeys(self.loader.name(int(i)) for i in batch.trajectories[error.pairs])
            shown = ", ".join(list(names)[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            left = f"the last good state is {self.out / STATE}" if (self.out / STATE).exists() else "nothing was saved"
            raise NotFinite(f"{error}; it happened with pairs of {shown}; {left}") from None

    def _batches(self):
        """The batch of every step from now on."""
        if not self.plan.freeze_encoder:
            yield from self.loader.batches(self.step)
        count = min(self.plan.config.frozen_batches, self.plan.steps)
        kept = [self.learner.embed(self.loader.batch(step), step) for step in range(count)]
        while True:
            yield kept[self.step % count]

    def _description(self):
        """What must stay the same in a continuation."""
        plan = self.plan
        return {
            "task": plan.task,
            "settings": self._settings,
            "data": self.loader.data_hash,
            "preprocessing": self.loader.preprocessing.to_dict(),
            "seed": plan.seed,
            "held_out": list(plan.held_out),
            "start": self.start.id if self.start else "",
            "freeze_encoder": plan.freeze_encoder,
        }

    def _save(self):
        """The continuation's state, and the averaged weights as a checkpoint."""
        about = {"step": self.step, "steps": self.plan.steps, "cpu_s": self.cpu_s}
        # The state last: killed in between, what goes on from the old one writes this checkpoint again.
        save_checkpoint(
            self.out / STUDENT,
            self.learner.averaged(),
            task=self.plan.task,
            preprocessing=self.loader.preprocessing,
            commit=software_id(),
            steps=self._action_steps,
            **_learned_from(self.loader, self.start),
        )
        write_state(self.out / STATE, self.learner.tensors(), {"same": self._description(), **about})

    def _restore(self):
        path = self.out / STATE
        if not path.exists():
            return
        tensors, about = read_state(path)
        changed = differences(about["same"], _as_json(self._description()))
        if changed:
            raise StudentError(
                f"{self.out} has a run with other settings: {'; '.join(changed)}. Take another folder, or the same "
                "settings; to train on with others, give --start and another folder"
            )
        self.learner.restore(tensors)
        self.step, self.cpu_s, self.resumed = about["step"], about["cpu_s"], True
        if self.ranks.rank == 0:
            drop_after(self.out / PROGRESS, "step", self.step)

    def _note(self, progress, board):
        """One line of JSON, and TensorBoard's curves."""
        line = {"step": progress.step, **progress.numbers}
        for name, value in progress.numbers.items():
            board.add_scalar(name, value, progress.step)
        for name, result in progress.validations.items():
            board.add_scalar(f"validation/{name}/loss", result.loss, progress.step)
            board.add_scalar(f"validation/{name}/accuracy", result.accuracy, progress.step)
        if progress.validations:
            line["validation"] = {name: result.to_dict() for name, result in progress.validations.items()}
        append_line(self.out / PROGRESS, line)


def _action_steps(loader):
    """-> ActionSteps of the data."""
    for steps in (RELEASED, PAPER):
        if action_set(steps) == loader.action_set:
            return steps
    raise StudentError(
        f"the data has the actions {loader.action_set!r}, a policy here has {action_set(RELEASED)!r}: collect anew"
    )


def _learned_from(loader, start):
    """CloudLoader, LoadedCheckpoint or None -> {field of a checkpoint's header}: of this training and all before it."""
    if start is None:
        return {"objects": loader.objects, "kitchens": loader.twins, "data_hash": loader.data_hash}
    before = start.config
    both = f"{before.data_hash} {loader.data_hash}"
    return {
        # Not told stays not told: a list of some would make the others look unseen.
        "objects": before.objects and tuple(sorted({*before.objects, *loader.objects})),
        "kitchens": before.kitchens and tuple(sorted({*before.kitchens, *loader.twins})),
        "data_hash": hashlib.sha256(both.encode()).hexdigest(),
    }


def _network(plan, loader, steps):
    """-> PolicyNetwork to begin with, the LoadedCheckpoint it comes from or None."""
    if plan.start is None:
        if plan.freeze_encoder:
            raise StudentError("freeze_encoder keeps the encoder of a checkpoint: give --start")
        try:
            torch.manual_seed(plan.seed)
            return PolicyNetwork(plan.config.network, loader.preprocessing), None
        except ValueError as error:
            raise StudentError(f"{error}: set network.near_grid, or collect other clouds") from None
    start = load_checkpoint(plan.start, plan.task, steps)
    changed = differences(_as_json(start.config.preprocessing.to_dict()), _as_json(loader.preprocessing.to_dict()))
    if changed:
        raise StudentError(
            f"{plan.start} does not fit the data, whose preprocessing is another: {'; '.join(changed)}. Collect with "
            "the checkpoint's, or train from the beginning"
        )
    return start.network, start


def _as_json(values):
    """As they come back from a file: tuples are lists there."""
    return json.loads(json.dumps(values))
