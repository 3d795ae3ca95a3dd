"""A KitchenEnv as Stable-Baselines3 sees environments: its VecEnv, without a Python loop over the worlds.

SB3 wants a list of one dict for each world at every step. Worlds whose episode goes on share one empty dict, so that
the list costs nothing; where an episode ended there is a new one with what SB3 reads: terminal_observation,
TimeLimit.truncated, episode (return, length, time) and is_success.
"""

import time

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv


class Sb3KitchenEnv(VecEnv):
    """Rewards are float32. Read infos, do not write into them: the empty one is shared."""

    def __init__(self, env):
        """env: environment.KitchenEnv with SAME_STEP autoreset; ValueError for another."""
        if env.autoreset_mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"SB3 needs SAME_STEP autoreset, got {env.autoreset_mode.name}: make the KitchenEnv with it"
            )
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._no_infos = [{}] * env.num_envs
        self._started_s = time.perf_counter()

    def reset(self):
        """-> observations. The seed is that of `seed`, once; afterwards each world's sequence of episodes goes on."""
        observations, _ = self.env.reset(seed=None if None in self._seeds else self._seeds)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = self._no_infos
        return observations

    def step_async(self, actions):
        """See VecEnv."""
        self._actions = actions

    def step_wait(self):
        """-> observations, rewards (num_envs,) float32, dones (num_envs,) bool, infos."""
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        dones = terminated | truncated
        infos = self._no_infos
        if dones.any():
            infos = infos.copy()
            elapsed = round(time.perf_counter() - self._started_s, 6)
            for i in np.flatnonzero(dones):
                infos[i] = {
                    "terminal_observation": info["final_obs"][i],
                    "TimeLimit.truncated": bool(truncated[i]),
                    "is_success": bool(info["success"][i]),
                    "episode": {"r": float(rewards[i]), "l": int(info["steps"][i]), "t": elapsed},
                }
        return observations, rewards.astype(np.float32), dones, infos

    def close(self):
        """See VecEnv."""
        self.env.close()

    def get_attr(self, attr_name, indices=None):
        """The KitchenEnv's attribute, once for each of the worlds asked for."""
        return [getattr(self.env, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name, value, indices=None):
        """Set the KitchenEnv's attribute; it has one for all worlds. ValueError for indices."""
        if indices is not None:
            raise ValueError(f"{attr_name} is one for all worlds, got indices {indices}: set it without")
        setattr(self.env, attr_name, value)

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        """Call the KitchenEnv's method, once. ValueError for indices. -> the result, once for each world."""
        if indices is not None:
            raise ValueError(f"{method_name} is one for all worlds, got indices {indices}: call it without")
        return [getattr(self.env, method_name)(*method_args, **method_kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class, indices=None):
        """No world is wrapped; episodes are reported as Monitor reports them."""
        return [False] * len(list(self._get_indices(indices)))
