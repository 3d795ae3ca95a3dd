"""What a training step of the teacher costs: simulator, policy, PPO's update, Python; and the same in plain SB3.

Both sides train the same network on the same scene, with the same number of worlds, horizon, minibatches and epochs:
ours with its shares, SB3 with PPO on its own DummyVecEnv of single environments. CPU seconds of one thread, after an
update that does not count. Holds when ours makes at least as many steps per CPU second.
"""

import time
from collections import defaultdict
from dataclasses import replace

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.harness import finish
from casher_sim import batch_group
from casher_training import shard
from casher_training.ppo_bc import PPOBC
from casher_training.scenes import DEMO, Scene, environment
from casher_training.shard import Share, ShareRunner
from casher_training.teacher_config import CPU
from casher_training.teacher_policy import policy_options, weights_of

WORLDS, STEPS = 32, 135
SCENE, TASK = Scene(DEMO, "mug"), "put_in_sink"
CONFIG = replace(CPU, worlds=WORLDS, bc_weight=0.0)
PHYSICS = ("advance", "reset")
"""Methods of BatchGroup whose time is MuJoCo's."""


class OneKitchen(gymnasium.Env):
    """A single world as SB3's own vectorised environments want it."""

    def __init__(self):
        self._env = environment(SCENE, TASK, 1, autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED)
        self.observation_space, self.action_space = self._env.single_observation_space, gymnasium.spaces.Discrete(14)

    def reset(self, *, seed=None, options=None):
        observation, _ = self._env.reset(seed=seed)
        return observation[0], {}

    def step(self, action):
        observation, reward, terminated, truncated, _ = self._env.step(np.array([action]))
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}


def main():
    torch.set_num_threads(1)
    shares, total_s = ours()
    plain_s = plain()
    steps = WORLDS * STEPS
    ratio = plain_s / total_s
    detail = {
        "worlds": WORLDS,
        "steps_of_an_update": steps,
        "cpu_s_of_an_update": {"ours": round(total_s, 3), "plain_sb3": round(plain_s, 3)},
        "steps_per_cpu_s": {"ours": round(steps / total_s), "plain_sb3": round(steps / plain_s)},
        "shares_of_ours": {name: round(seconds / total_s, 4) for name, seconds in shares.items()},
    }
    print(detail)
    return finish("teacher_cost", ratio, "x plain SB3's steps per CPU-s", ">= 1", ratio >= 1, detail)


def ours():
    """-> ({part: CPU seconds}, CPU seconds of a whole update)."""
    spent = defaultdict(float)
    for name in PHYSICS:
        setattr(batch_group.BatchGroup, name, timed(getattr(batch_group.BatchGroup, name), spent, "physics"))
    shard.logits_and_value = timed(shard.logits_and_value, spent, "policy")
    env = environment(SCENE, TASK, 1)
    model = PPOBC(CONFIG, env.single_observation_space, env.single_action_space, STEPS, 0)
    runner = ShareRunner(CONFIG, [Share(SCENE, TASK, WORLDS)], CONFIG.discount)
    for update in range(2):
        spent.clear()
        begun = time.thread_time()
        rollout = runner.rollout(0, weights_of(model.policy), (0, update), STEPS)
        collected = time.thread_time()
        model.learn_from([rollout], update)
        ended = time.thread_time()
    shares = {"simulator: MuJoCo": spent["physics"], "policy": spent["policy"], "PPO update": ended - collected}
    shares["simulator and rollout: Python"] = ended - begun - sum(shares.values())
    return shares, ended - begun


def timed(function, spent, name):
    """The function, its CPU seconds added to spent[name]."""

    def wrapped(*arguments, **options):
        begun = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += time.thread_time() - begun

    return wrapped


def plain():
    """CPU seconds of one update of SB3's PPO."""
    model = PPO(
        "MlpPolicy",
        DummyVecEnv([OneKitchen] * WORLDS),
        n_steps=STEPS,
        batch_size=CONFIG.batch_size,
        n_epochs=CONFIG.epochs,
        learning_rate=CONFIG.learning_rate,
        policy_kwargs=policy_options(CONFIG),
        device="cpu",
        seed=0,
    )
    model.learn(WORLDS * STEPS)
    begun = time.thread_time()
    model.learn(WORLDS * STEPS, reset_num_timesteps=False)
    return time.thread_time() - begun


if __name__ == "__main__":
    raise SystemExit(main())
