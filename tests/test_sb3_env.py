from dataclasses import replace

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from casher_policy.action import Action
from casher_policy.task import task_named
from casher_sim.batch_world import Setting
from casher_sim.environment import KitchenEnv
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.sb3_env import Sb3KitchenEnv

TASK = task_named("put_in_sink")
BOX = Setting(kitchen_named("demo"), object_named("box"))


def make(num_envs=2, horizon=3, **options):
    return Sb3KitchenEnv(KitchenEnv([BOX], replace(TASK, horizon=horizon), num_envs, **options))


def test_it_shows_what_the_environment_shows():
    env, other = make(), KitchenEnv([BOX], replace(TASK, horizon=3), 2)
    env.seed(4)
    assert np.array_equal(env.reset(), other.reset(seed=4)[0])
    actions = np.array([Action.PLUS_X, Action.MINUS_Z])
    observations, rewards, dones, infos = env.step(actions)
    assert np.array_equal(observations, other.step(actions)[0])
    assert rewards.dtype == np.float32 and dones.dtype == bool and infos == [{}, {}]


def test_only_worlds_whose_episode_ended_get_an_info_of_their_own():
    env = make(3)
    env.reset()
    env.env.reset(options={"ids": [0, 2]})
    for _ in range(2):
        _, _, _, going_on = env.step(np.full(3, Action.OPEN))
    env.env.reset(options={"ids": [0, 2]})
    observations, _, dones, infos = env.step(np.full(3, Action.OPEN))
    assert dones.tolist() == [False, True, False]
    assert infos[0] == infos[2] == {} and infos[0] is going_on[0] is infos[2]
    assert infos[1]["TimeLimit.truncated"] is True and infos[1]["is_success"] is False
    assert infos[1]["episode"]["l"] == 3 and infos[1]["episode"]["r"] == 0.0
    assert not np.allclose(infos[1]["terminal_observation"], observations[1])
    assert going_on == [{}, {}, {}]


def test_one_update_of_ppo_runs_and_hears_of_episodes():
    env = make(4, horizon=5)
    model = PPO(
        "MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=2, seed=0, device="cpu", policy_kwargs={"net_arch": [16]}
    )
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(32)
    assert any((p != q).any() for p, q in zip(model.policy.parameters(), before, strict=True))
    assert [episode["l"] for episode in model.ep_info_buffer] == [5, 5, 5, 5]
    assert list(model.ep_success_buffer) == [False] * 4


def test_sb3s_own_wrappers_accept_it():
    env = VecNormalize(make())
    assert env.reset().shape == (2, 21)
    assert env.step(np.zeros(2, dtype=int))[0].shape == (2, 21)
    assert env.env_is_wrapped(VecNormalize) == [False, False]
    assert env.get_attr("num_envs", [0]) == [2]


def test_an_environment_that_does_not_reset_itself_is_refused():
    with pytest.raises(ValueError, match="SB3 needs SAME_STEP autoreset, got DISABLED"):
        make(autoreset_mode=AutoresetMode.DISABLED)
