"""One worker of `casher collect`: runs episodes of a scene, keeps the ones that count, and renders what was seen."""

import zlib
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named
from casher_training.clouds import VIEWS
from casher_training.episodes import run_episodes, trajectory
from casher_training.recorded_clouds import with_recorded_clouds
from casher_training.scene_clouds import SceneClouds
from casher_training.scenes import environment
from casher_training.seen_trajectory import (
    clouds_of,
    shortened,
    useful_length,
    view_choice,
    with_clouds,
)
from casher_training.shard import draw, world_seeds
from casher_training.student_episodes import Student, Teacher, quicker
from casher_training.trajectory import TrajectoryError

CHUNK = 40
"""Trajectories of a scene, at most, that a worker makes in one go: what is lost when it is killed."""
ATTEMPTS = 8
"""How many times the worlds of a chunk are run for the successes that are wanted."""
SPARE = 1.25
"""Worlds for each success that is wanted."""
UNUSABLE_BAG = "unusable bag"


@dataclass(frozen=True)
class CollectorPlan:
    """What all workers of a collection have in common."""

    task: str
    preset: str
    preprocessing: Preprocessing
    scenes: tuple
    """scenes.Scene, ..."""
    seed: int
    noise: float = 0.0
    """Share of the actions that are drawn at random instead of decided."""
    burst: int = 3
    """At most so many of them in a row."""
    beta: float = 0.0
    """Share of the episodes in which the teacher acts although there is a student."""
    teacher_id: str = ""
    student_id: str = ""
    robot: str = "sim"
    """Of the demonstrations: fr3 or panda have clouds of their own, in bags."""


@dataclass(frozen=True)
class Chunk:
    """Trajectories of one scene that are made in one go."""

    scene: int
    """Number of the scene."""
    number: int
    """No two chunks of a scene have the same one: it decides on the seeds."""
    views: tuple
    """Of clouds.VIEWS, one for each trajectory that is wanted."""


@dataclass
class Harvest:
    """What came of a chunk."""

    trajectories: list = field(default_factory=list)
    episodes: int = 0
    """That were run and count for the share of successes."""
    failures: Counter = field(default_factory=Counter)
    """Reason -> how many."""
    dropped_steps: int = 0
    """Of tails in which nothing happened, and actions that an arm refused."""
    problems: list = field(default_factory=list)
    """What was passed over, in words."""


class Collector:
    """Keeps the clouds of one scene at a time."""

    def __init__(self, plan, teacher=None, network=None):
        """plan: CollectorPlan; teacher: (TeacherConfig, weights) or None; network: PolicyNetwork of a student."""
        torch.set_num_threads(1)
        self._plan, self._teacher = plan, teacher
        self._network = None if network is None else quicker(network)
        self._clouds = None, None

    def teacher(self, chunk):
        """Successful episodes of the teacher -> Harvest; labels are its greedy choice."""
        plan, harvest = self._plan, Harvest()
        env, seeds = self._env(chunk, max(1, int(SPARE * len(chunk.views))), ATTEMPTS)
        teacher = Teacher(*self._teacher, env.single_observation_space)
        for own in seeds:
            episodes = run_episodes(
                env,
                lambda observations, step, own=own: draw(teacher.logits(observations), own, step),
                own,
                plan.noise,
                noise_seed=int(own[0]),
                burst=plan.burst,
                label=teacher.greedy,
            )
            harvest.episodes += len(own)
            harvest.failures.update(reason for reason in episodes.reasons if reason)
            good = np.flatnonzero(episodes.success)[: len(chunk.views) - len(harvest.trajectories)]
            for i in good:
                one = self._trajectory(episodes, i, chunk.scene, "teacher")
                view = chunk.views[len(harvest.trajectories)]
                harvest.trajectories.append(self._seen(one, chunk.scene, view, episodes.labels[: len(one), i]))
            if len(harvest.trajectories) == len(chunk.views):
                break
        return harvest

    def student(self, chunk):
        """Episodes of the student, whatever came of them, labelled by the teacher -> Harvest."""
        plan, n = self._plan, len(chunk.views)
        env, (seeds,) = self._env(chunk, n, 1)
        teacher = Teacher(*self._teacher, env.single_observation_space)
        student = Student(
            self._network, self._of_scene(chunk.scene, n), env, seeds, chunk.views, plain=False, keep=True
        )
        by_teacher = np.random.default_rng([plan.seed, chunk.number]).random(n) < plan.beta

        def act(observations, step):
            decided = student.act(observations, step)
            return np.where(by_teacher, draw(teacher.logits(observations), seeds, step), decided)

        episodes = run_episodes(
            env, act, seeds, plan.noise, noise_seed=int(seeds[0]), burst=plan.burst, label=teacher.greedy
        )
        harvest = Harvest(episodes=n, failures=Counter(reason for reason in episodes.reasons if reason))
        for i, view in enumerate(chunk.views):
            whole = self._trajectory(episodes, i, chunk.scene, "generalist")
            one = shortened(whole, useful_length(whole))
            harvest.dropped_steps += len(whole) - len(one)
            labels, seen = episodes.labels[: len(one), i], student.seen[i][: len(one)]
            clouds = clouds_of(one, labels, plan.preprocessing, view, seen)
            harvest.trajectories.append(replace(one, clouds=clouds))
        return harvest

    def demonstrations(self, scene, views, demonstrations):
        """[Trajectory] of scene number `scene` -> Harvest: the same, seen; labels are what was done."""
        pairs = zip(views, demonstrations, strict=True)
        return Harvest([self._seen(one, scene, view, one.actions) for view, one in pairs], len(demonstrations))

    def recorded(self, scene, views, demonstrations):
        """[(name, Trajectory of a real arm, its bag an absolute path or '')] -> Harvest of as many as there are views:
        the first whose bags have the clouds of all steps. Labels are what was done, without what the arm refused."""
        harvest = Harvest()
        for name, one in demonstrations:
            if len(harvest.trajectories) == len(views):
                break
            harvest.episodes += 1
            try:
                seen = with_recorded_clouds(one, self._plan.preprocessing)
            except TrajectoryError as error:
                harvest.failures[UNUSABLE_BAG] += 1
                harvest.problems.append(f"{name} is passed over: {error}")
            else:
                harvest.trajectories.append(seen)
                harvest.dropped_steps += len(one) - len(seen)
        return harvest

    def _env(self, chunk, worlds, batches):
        """-> KitchenEnv, [seeds (worlds,)] of so many batches of episodes."""
        plan = self._plan
        scene = plan.scenes[chunk.scene]
        env = environment(scene, plan.task, worlds, plan.preset, autoreset_mode=AutoresetMode.DISABLED)
        seeds = chunk_seeds(plan.seed, scene, chunk.number)[: worlds * batches]
        return env, np.split(seeds, batches)

    def _trajectory(self, episodes, i, scene, source):
        plan = self._plan
        return trajectory(
            episodes,
            i,
            plan.scenes[scene],
            task_named(plan.task),
            plan.preset,
            source,
            noise=plan.noise,
            policy=plan.teacher_id if source == "teacher" else plan.student_id,
        )

    def _seen(self, trajectory, scene, view, labels):
        clouds = self._of_scene(scene)
        return with_clouds(trajectory, labels, clouds, view_choice(clouds, trajectory.seed, view))

    def _of_scene(self, scene, side_by_side=1):
        key = scene, side_by_side
        if self._clouds[0] != key:
            plan = self._plan
            self._clouds = (
                key,
                SceneClouds(plan.scenes[scene], plan.task, plan.preprocessing, side_by_side=side_by_side),
            )
        return self._clouds[1]


def chunk_seeds(seed, scene, number):
    """Seeds of the episodes of a chunk, (n,) uint64: others for every scene, number and seed."""
    return world_seeds((seed, zlib.crc32(scene.name.encode()), number), 0, int(SPARE * CHUNK) * ATTEMPTS)


def views_of(n, cameras_share):
    """n of clouds.VIEWS in turn, so that any part of them has about that share of cameras."""
    counts = np.floor(np.arange(n + 1) * cameras_share + 0.5)
    return tuple(VIEWS[0] if more else VIEWS[1] for more in np.diff(counts) > 0)
