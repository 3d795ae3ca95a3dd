"""Episodes acted by a student, which sees clouds: many worlds of one scene side by side, asked in one batch."""

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from casher_policy.observation import robot_state
from casher_training.demos_session import SceneState
from casher_training.episodes import object_poses, run_episodes
from casher_training.scene_clouds import SceneClouds
from casher_training.scenes import environment
from casher_training.seen_trajectory import cloud_seed, view_choice
from casher_training.shard import logits_and_value, world_seeds
from casher_training.teacher_policy import build_policy
from casher_training.workers import workers_for


class NoAnswer(ValueError):
    """The student's answer is not a finite number."""


class Student:
    """A network that is shown what its worlds look like."""

    def __init__(self, network, clouds, env, seeds, views, plain, keep=False):
        """network: PolicyNetwork; clouds: SceneClouds; env: KitchenEnv, seeds: (N,), views: N of clouds.VIEWS.

        plain: see SceneClouds.plain; keep: note what was seen in `seen`.
        """
        self._network, self._clouds, self._env, self._seeds = network, clouds, env, seeds
        self._choices = [view_choice(clouds, seed, view, plain) for seed, view in zip(seeds, views, strict=True)]
        self._keep, self.seen = keep, [[] for _ in seeds]
        """Of every world [(points [m], colours)], one for each action, if they are kept."""

    def act(self, _, step):
        """The likeliest action in every world -> (N,) int64."""
        world, worlds = self._env.world, np.flatnonzero(~self._env.ended)
        poses = object_poses(world)
        seen = []
        for i in worlds:
            state = SceneState(world.joints[i], world.fingers[i], poses[i], float(world.door_angle[i]), world.shift[i])
            seen.append(self._clouds.cloud(self._choices[i], state, cloud_seed(self._seeds[i], step)))
        if self._keep:
            for i, one in zip(worlds, seen, strict=True):
                self.seen[i].append(one)
        actions = np.zeros(len(self._seeds), np.int64)
        states = robot_state(world.fingers[worlds], world.T_base_tcp[worlds])
        actions[worlds] = decide(self._network, seen, states)
        return actions


@torch.inference_mode()
def decide(network, seen, robot_states):
    """[(points [m], colours)] and robot states (B, 9) -> the likeliest action of each, (B,) int64. NoAnswer."""
    points, colours = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*seen, strict=True))
    logits = network(points, colours, torch.from_numpy(robot_states))
    if not torch.isfinite(logits).all():
        raise NoAnswer("the student answers with numbers that are not finite: take an earlier checkpoint")
    return logits.argmax(1).numpy()


def quicker(network):
    """The PolicyNetwork, to be asked in batches: with the channels last its convolutions take three quarters."""
    return network.eval().to(memory_format=torch.channels_last_3d)


class Teacher:
    """The labels, and what a teacher would do."""

    def __init__(self, config, weights, observation_space):
        """config: TeacherConfig; weights: {name: array}."""
        self._policy = build_policy(config, observation_space)
        self._policy.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()})

    def greedy(self, observations, _=None):
        """The likeliest action in each state (N, D) -> (N,) int64."""
        return self.logits(observations).argmax(1).numpy()

    def logits(self, observations):
        """(N, D) -> (N, 14) tensor."""
        return logits_and_value(self._policy, observations)[0]


class StudentRunner:
    """Makes the worlds of one share at a time."""

    def __init__(self, network, preprocessing, shares, teacher=None, plain=True):
        """network: PolicyNetwork; shares: [shard.Share]; teacher: (TeacherConfig, weights) who labels, or None."""
        torch.set_num_threads(1)
        self._network, self._preprocessing, self._shares = quicker(network), preprocessing, shares
        self._teacher, self._plain = teacher, plain

    def run(self, index, seed, view):
        """One episode in each world of share `index` -> Episodes, with the teacher's labels if there is one."""
        share = self._shares[index]
        env = environment(share.scene, share.task, share.worlds, share.preset, autoreset_mode=AutoresetMode.DISABLED)
        clouds = SceneClouds(share.scene, share.task, self._preprocessing, side_by_side=share.worlds)
        seeds = world_seeds(seed, index, share.worlds)
        student = Student(self._network, clouds, env, seeds, [view] * share.worlds, self._plain)
        label = None if self._teacher is None else Teacher(*self._teacher, env.single_observation_space).greedy
        return run_episodes(env, student.act, seeds, label=label)


def student_workers(network, preprocessing, shares, teacher=None, plain=True, processes=1, ray_address=""):
    """Workers that run `StudentRunner.run`."""
    return workers_for(StudentRunner, (network, preprocessing, shares, teacher, plain), processes, ray_address)
