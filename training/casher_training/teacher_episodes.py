"""Episodes acted by a teacher, for evaluation and data collection, in whichever process they fall to."""

import torch
from gymnasium.vector import AutoresetMode

from casher_training.episodes import run_episodes
from casher_training.scenes import environment
from casher_training.shard import draw, logits_and_value, world_seeds
from casher_training.teacher_policy import build_policy
from casher_training.workers import workers_for


class EpisodeRunner:
    """Makes a share's worlds when they are first needed, and keeps them."""

    def __init__(self, config, shares):
        """config: TeacherConfig of the policy; shares: [shard.Share]."""
        torch.set_num_threads(1)
        self._config, self._shares = config, shares
        self._worlds, self._policy = {}, None

    def run(self, index, weights, seed, greedy=False, noise=0.0):
        """One episode in each world of share `index` -> Episodes.

        greedy: the likeliest action instead of a drawn one; noise: see run_episodes.
        """
        share = self._shares[index]
        if index not in self._worlds:
            self._worlds[index] = environment(
                share.scene, share.task, share.worlds, share.preset, autoreset_mode=AutoresetMode.DISABLED
            )
        env = self._worlds[index]
        if self._policy is None:
            self._policy = build_policy(self._config, env.single_observation_space)
        self._policy.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()})
        seeds = world_seeds(seed, index, share.worlds)

        def act(observations, step):
            logits, _ = logits_and_value(self._policy, observations)
            return logits.argmax(1).numpy() if greedy else draw(logits, seeds, step)

        return run_episodes(env, act, seeds, noise, noise_seed=int(seeds[0]))


def episode_workers(config, shares, processes=1, ray_address=""):
    """Workers that run `EpisodeRunner.run`."""
    return workers_for(EpisodeRunner, (config, shares), processes, ray_address)
