"""Training a teacher: rollouts of all scenes, PPO updates, checkpoints, and when to stop.

Everything random in update k depends on (seed, k) alone, and every rollout begins with a reset. So a run that was
killed goes on from its last checkpoint to the very bits that it would have reached.
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from casher_policy.software import software_id
from casher_policy.task import task_named
from casher_training.ppo_bc import PPOBC, NotFinite
from casher_training.progress_log import append_line, drop_after
from casher_training.scenes import environment, place
from casher_training.shard import Share
from casher_training.teacher_config import TeacherConfig
from casher_training.teacher_episodes import episode_workers
from casher_training.teacher_eval import evaluate, shares_of
from casher_training.teacher_policy import (
    TeacherError,
    TeacherHeader,
    read_tensors,
    save_teacher,
    weights_of,
    write_tensors,
)
from casher_training.twin_version import place_hash
from casher_training.workers import share_workers

TEACHER, STATE, PROGRESS = "teacher.safetensors", "training.safetensors", "progress.jsonl"
_WEIGHTS, _MOMENTS = "policy.", "adam."
_SAME = ("task", "preset", "observation", "config", "scenes", "demonstrations", "seed")
"""Of the header: what must not change between a run and its continuation."""


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained, for how long."""

    task: str
    scenes: tuple
    """scenes.Scene, ..."""
    config: TeacherConfig
    steps: int
    """Environment steps after which it ends."""
    seed: int = 0
    preset: str = "released"
    """Of casher_sim.environment.PRESETS."""
    target: float = 1.0
    """It ends earlier when the lower bound of every twin's success rate has passed this."""
    episodes: int = 200
    """For each twin, in the evaluation that decides so."""
    checkpoint_every: int = 5
    """Updates."""
    processes: int = 1
    ray_address: str = ""


@dataclass
class Progress:
    """What is told after every update."""

    update: int
    steps: int
    success: float
    """Of the first episodes in the last rollout, with drawn actions."""
    seconds: dict = field(default_factory=dict)
    """CPU seconds of this process since the start, by what they went into."""
    numbers: dict = field(default_factory=dict)
    """PPO's own."""
    evaluation: object = None
    """TeacherEvaluation, after an update that had one."""


class TeacherTraining:
    """`run` trains, from the beginning or from where a run in the same folder stopped."""

    def __init__(self, plan, demonstrations, out):
        """demonstrations: cloning.Pairs, or None when the plan's bc_weight and warm_start are 0.

        TeacherError when the folder `out` has a run with other settings.
        """
        per_scene = plan.config.worlds // len(plan.scenes)
        if per_scene < 1:
            raise TeacherError(f"{plan.config.worlds} worlds for {len(plan.scenes)} scenes: take at least one each")
        self.plan = replace(plan, config=replace(plan.config, worlds=per_scene * len(plan.scenes)))
        self.out, self.task = Path(out), task_named(plan.task)
        self._shares = [Share(scene, plan.task, per_scene, plan.preset) for scene in plan.scenes]
        env = environment(plan.scenes[0], plan.task, 1, plan.preset)
        pairs = None if demonstrations is None else (demonstrations.states, demonstrations.actions)
        self.model = PPOBC(
            self.plan.config, env.single_observation_space, env.single_action_space, self.task.horizon, plan.seed, pairs
        )
        if demonstrations is None:
            self.model.fit_features(np.concatenate([_random_states(share, plan.seed) for share in self._shares]))
        self._sha256 = "" if demonstrations is None else demonstrations.sha256
        self.update, self.steps, self.resumed, self._reached = 0, 0, False, None
        self._restore()

    def run(self, tell=lambda progress: None):
        """Train until steps or target are reached, at once if they were -> the last TeacherEvaluation or None.

        tell: called with Progress after every update; it ends there if that returns True. NotFinite leaves the last
        good checkpoint in place.
        """
        plan, config = self.plan, self.plan.config
        if self._reached is not None and self._reached >= plan.target:
            return None
        self.out.mkdir(parents=True, exist_ok=True)
        if not self.resumed and config.warm_start:
            self.model.clone(config.warm_start, plan.seed)
            self._save()
        elif not self.resumed:
            self._save()
        board = SummaryWriter(self.out / "tensorboard", purge_step=self.steps)
        workers = share_workers(config, self._shares, plan.processes, plan.ray_address)
        evaluation, spent = None, {"rollout": 0.0, "update": 0.0}
        try:
            while config.ppo and self.steps < plan.steps:
                progress = self._update(workers, spent)
                if plan.target < 1 and progress.success >= plan.target:
                    progress.evaluation = evaluation = self.evaluate()
                done = evaluation is not None and evaluation.worst_bound >= plan.target
                done |= bool(tell(progress))
                self._reached = plan.target if done else None
                if done or self.update % plan.checkpoint_every == 0 or self.steps >= plan.steps:
                    self._save()
                self._note(progress, board)
                if done:
                    break
        finally:
            workers.close()
            board.close()
        return evaluation

    @property
    def evaluated(self):
        """[Share] of an evaluation."""
        return shares_of(self.plan.scenes, self.plan.task, self.plan.episodes, self.plan.preset)

    def evaluate(self, done=lambda share, episodes: None):
        """The policy as it is, `episodes` for each twin, on seeds that no rollout has -> TeacherEvaluation.

        done: see `teacher_eval.evaluate`.
        """
        plan, shares = self.plan, self.evaluated
        workers = episode_workers(plan.config, shares, plan.processes, plan.ray_address)
        try:
            return evaluate(workers, shares, weights_of(self.model.policy), (plan.seed, 1, self.update), done=done)
        finally:
            workers.close()

    def _update(self, workers, spent):
        plan = self.plan
        weights, begun, cpu = weights_of(self.model.policy), time.perf_counter(), time.process_time()
        rollouts = workers.map(
            "rollout", [(i, weights, (plan.seed, 0, self.update), self.task.horizon) for i in range(len(self._shares))]
        )
        between = time.process_time()
        seed = int(np.random.SeedSequence((plan.seed, 2, self.update)).generate_state(1)[0])
        try:
            numbers = self.model.learn_from(rollouts, seed, value_only=self.update < plan.config.value_only)
        except NotFinite as error:
            raise NotFinite(
                f"update {self.update + 1}, step {self.steps}: {error}; the last good state is {self.out / STATE}"
            ) from None
        spent["rollout"] += between - cpu
        spent["update"] += time.process_time() - between
        self.update += 1
        self.steps += sum(r.actions.size for r in rollouts)
        success = float(np.mean(np.concatenate([r.first_success for r in rollouts])))
        numbers["wall_s"] = time.perf_counter() - begun
        return Progress(self.update, self.steps, success, dict(spent), numbers)

    def _header(self):
        plan = self.plan
        scenes = [
            {"twin": scene.kitchen, "hash": place_hash(place(scene.twin)), "object": scene.object}
            for scene in plan.scenes
        ]
        return TeacherHeader(
            task=plan.task,
            preset=plan.preset,
            observation=self.model.observation_space.shape[0],
            config=plan.config,
            scenes=scenes,
            steps=self.steps,
            update=self.update,
            commit=software_id(),
            demonstrations=self._sha256,
            seed=plan.seed,
            reached=self._reached,
        )

    def _save(self):
        weights, header = weights_of(self.model.policy), self._header()
        tensors = {f"{_WEIGHTS}{name}": array for name, array in weights.items()}
        for index, moments in self.model.policy.optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                tensors[f"{_MOMENTS}{index}.{name}"] = np.asarray(value)
        write_tensors(self.out / STATE, tensors, header.to_json())
        save_teacher(self.out / TEACHER, weights, header)

    def _restore(self):
        if not (self.out / STATE).exists():
            return
        tensors, header = read_tensors(self.out / STATE)
        now = self._header()
        differ = [name for name in _SAME if getattr(header, name) != getattr(now, name)]
        if differ:
            raise TeacherError(
                f"{self.out} has a run that differs in {', '.join(differ)}: take another folder, or the same settings"
            )
        policy = self.model.policy
        weights = {n.removeprefix(_WEIGHTS): torch.as_tensor(a) for n, a in tensors.items() if n.startswith(_WEIGHTS)}
        policy.load_state_dict(weights)
        moments = {}
        for name, array in tensors.items():
            if name.startswith(_MOMENTS):
                index, key = name.removeprefix(_MOMENTS).split(".")
                moments.setdefault(int(index), {})[key] = torch.as_tensor(array)
        policy.optimizer.load_state_dict({**policy.optimizer.state_dict(), "state": moments})
        self.update, self.steps, self.resumed, self._reached = header.update, header.steps, True, header.reached
        drop_after(self.out / PROGRESS, "update", self.update)

    def _note(self, progress, board):
        """One line of JSON, and TensorBoard's curves."""
        for name, value in {"success": progress.success, **progress.numbers}.items():
            board.add_scalar(name, value, progress.steps)
        line = {"update": progress.update, "steps": progress.steps, "success": progress.success, **progress.numbers}
        if progress.evaluation is not None:
            line["twins"] = [result.to_dict() for result in progress.evaluation.twins]
        append_line(self.out / PROGRESS, line)


def _random_states(share, seed, worlds=2, steps=40):
    """States (M, D) that random actions come through."""
    env, random = environment(share.scene, share.task, worlds, share.preset), np.random.default_rng(seed)
    states = [env.reset(seed=seed)[0]]
    states += [env.step(random.integers(0, 14, worlds))[0] for _ in range(steps)]
    return np.concatenate(states)
