"""One share of a rollout: all worlds of one scene, run by whichever process it falls to.

A share is always of the same worlds, whoever runs it, so its numbers are the same bits in one process, in many, or on a
cluster: network and physics see the same batches, and actions are drawn from a hash of (seed, episode's step).
"""

from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from casher_sim.episode_draw import uniforms
from casher_training.scenes import Scene, environment
from casher_training.teacher_policy import build_policy


@dataclass(frozen=True)
class Share:
    """Which worlds."""

    scene: Scene
    task: str
    worlds: int
    preset: str = "released"


@dataclass(frozen=True)
class Rollout:
    """`steps` actions in every world of a share, from a reset; T steps, N worlds."""

    states: np.ndarray
    """(T, N, D) float32."""
    actions: np.ndarray
    """(T, N) int64."""
    rewards: np.ndarray
    """(T, N) float32; where the horizon cut an episode off, the discounted value of what came next is added."""
    starts: np.ndarray
    """(T, N) float32: 1 where an episode began."""
    values: np.ndarray
    """(T, N) float32."""
    log_probs: np.ndarray
    """(T, N) float32."""
    last_values: np.ndarray
    """(N,) float32, of the state after the last action."""
    last_dones: np.ndarray
    """(N,) float32: 1 where the last action ended an episode."""
    first_success: np.ndarray
    """(N,) bool, of each world's first episode: all of them had the whole horizon."""


class ShareRunner:
    """Makes a share's worlds when they are first needed, and keeps them."""

    def __init__(self, config, shares, discount):
        """config: TeacherConfig; shares: [Share]; discount: of the value of a cut-off episode's rest."""
        torch.set_num_threads(1)
        self._config, self._shares, self._discount = config, shares, discount
        self._worlds, self._policy = {}, None

    def rollout(self, index, weights, seed, steps):
        """Share number `index` with the policy's weights {name: array} -> Rollout."""
        share = self._shares[index]
        if index not in self._worlds:
            self._worlds[index] = environment(
                share.scene, share.task, share.worlds, share.preset, autoreset_mode=AutoresetMode.SAME_STEP
            )
        env = self._worlds[index]
        if self._policy is None:
            self._policy = build_policy(self._config, env.single_observation_space)
        self._policy.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()})
        return roll(env, self._policy, world_seeds(seed, index, share.worlds), steps, self._discount)


def world_seeds(seed, share, worlds):
    """(N,) uint64, different for every share of every seed; seed: an integer or a tuple of them."""
    seeds = np.random.SeedSequence([*np.atleast_1d(seed).tolist(), share]).generate_state(worlds, np.uint64)
    return seeds >> np.uint64(1)


@torch.no_grad()
def roll(env, policy, seeds, steps, discount):
    """`steps` actions drawn from the policy in every world, from a reset with these seeds -> Rollout."""
    n = env.num_envs
    state, _ = env.reset(seed=seeds)
    starting, first, first_success = np.ones(n, np.float32), np.ones(n, bool), np.zeros(n, bool)
    columns = {name: [] for name in ("states", "actions", "rewards", "starts", "values", "log_probs")}
    for t in range(steps):
        logits, value = logits_and_value(policy, state)
        action = draw(logits, seeds, t)
        log_prob = torch.log_softmax(logits, 1).numpy()[np.arange(n), action]
        after, reward, terminated, truncated, info = env.step(action)
        reward, done = reward.astype(np.float32), terminated | truncated
        if truncated.any():
            rest = logits_and_value(policy, info["final_obs"])[1]
            reward[truncated] += discount * rest[truncated]
        first_success |= first & done & info["success"]
        first &= ~done
        for name, value_of in zip(columns, (state, action, reward, starting, value, log_prob), strict=True):
            columns[name].append(value_of)
        state, starting = after, done.astype(np.float32)
    arrays = {name: np.stack(rows) for name, rows in columns.items()}
    last_values = logits_and_value(policy, state)[1]
    return Rollout(**arrays, last_values=last_values, last_dones=starting, first_success=first_success)


@torch.no_grad()
def logits_and_value(policy, state):
    """States (N, D) -> logits (N, 14) tensor, values (N,) array."""
    tensor = torch.as_tensor(state)
    features = policy.extract_features(tensor)
    actor, critic = policy.mlp_extractor(features)
    return policy.action_net(actor), policy.value_net(critic)[:, 0].numpy()


def draw(logits, seeds, step):
    """An action for each row of logits (N, 14), from its seed and the number of the step alone -> (N,) int64."""
    u = uniforms(seeds, np.full(len(seeds), step), logits.shape[1])
    return np.argmax(logits.numpy() - np.log(-np.log(u + 1e-300)), axis=1)
