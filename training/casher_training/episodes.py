"""Episodes of one scene, one in each world, acted by anything: for evaluation, films and data collection."""

from dataclasses import dataclass

import numpy as np

from casher_policy.action import Action
from casher_policy.software import software_id
from casher_sim.environment import PRESETS
from casher_training.failure_reasons import Watch
from casher_training.scenes import place
from casher_training.trajectory import Trajectory, action_set
from casher_training.twin_version import place_hash


@dataclass(frozen=True, eq=False)
class Episodes:
    """N episodes, side by side; T steps, the longest."""

    success: np.ndarray
    """(N,) bool."""
    steps: np.ndarray
    """(N,) actions until it ended."""
    reasons: list
    """N of failure_reasons.REASONS; '' for a success."""
    seeds: np.ndarray
    """(N,) uint64."""
    actions: np.ndarray
    """(T, N) uint8."""
    rewards: np.ndarray
    """(T, N) float32."""
    noisy: np.ndarray
    """(T, N) bool: drawn at random instead of decided."""
    labels: np.ndarray
    """(T, N) uint8: what should have been done, says whoever was asked; `decided` where nobody was."""
    observations: np.ndarray
    """(T + 1, N, D) float32."""
    robot_joints: np.ndarray
    """(T + 1, N, 7) [rad]."""
    fingers: np.ndarray
    """(T + 1, N, 2) [m]."""
    object_poses: np.ndarray
    """(T + 1, N, 7): position [m], quat_xyzw; NaN without an object."""
    door_angles: np.ndarray
    """(T + 1, N) [rad]."""
    shift: np.ndarray
    """(N, 3) [m] of the kitchen."""


def run_episodes(env, act, seeds, noise=0.0, noise_seed=0, burst=1, label=None):
    """One episode in every world of a KitchenEnv (autoreset DISABLED) -> Episodes.

    act: (observations (N, D), step) -> actions (N,); seeds: (N,); noise: share of the actions that are drawn at random
    from the 12 motions instead, after which whoever acts has to find back; burst: at most so many times in a row the
    same motion; label: like act, what to note as Episodes.labels instead of what was decided. `env.ended` tells act
    and label which worlds do not matter any more.
    """
    random = np.random.default_rng(noise_seed)
    n = env.num_envs
    observation, _ = env.reset(seed=seeds)
    watch, alive, slips = Watch(env.world), np.ones(n, dtype=bool), _Slips(n, noise, burst)
    columns = {name: [] for name in ("actions", "rewards", "noisy", "labels")}
    states = [_state(env, observation)]
    while alive.any():
        step = len(states) - 1
        decided = np.asarray(act(observation, step))
        labels = decided if label is None else np.asarray(label(observation, step))
        noisy, motion = slips.draw(random)
        action = np.where(noisy, motion, decided).astype(np.uint8)
        observation, reward, terminated, truncated, info = env.step(action)
        watch.look(env.world, alive)
        alive = ~(terminated | truncated)
        rows = action, reward.astype(np.float32), noisy, labels.astype(np.uint8)
        for column, row in zip(columns.values(), rows, strict=True):
            column.append(row)
        states.append(_state(env, observation))
    success = info["success"]
    return Episodes(
        success=success,
        steps=info["steps"],
        reasons=["" if good else reason for good, reason in zip(success, watch.reasons(), strict=True)],
        seeds=np.asarray(seeds),
        shift=env.world.shift.copy(),
        **{name: np.stack(column) for name, column in columns.items()},
        **{name: np.stack(column) for name, column in zip(_STATE, zip(*states, strict=True), strict=True)},
    )


class _Slips:
    """Motions that nobody decided on, in N worlds."""

    def __init__(self, n, noise, burst):
        if not (0.0 <= noise < 1.0 and burst >= 1):
            raise ValueError(f"noise is a share below 1 and a burst at least 1 action, got {noise} and {burst}")
        mean = (1 + burst) / 2
        # So that `noise` of all actions are slips, whatever their length.
        self._begin = noise / (mean * (1.0 - noise) + noise)
        self._burst, self._left, self._motion = burst, np.zeros(n, np.int64), np.zeros(n, np.int64)

    def draw(self, random):
        """-> (N,) bool: slips now; (N,) which motion."""
        n = len(self._left)
        begins = (random.random(n) < self._begin) & (self._left == 0)
        self._motion = np.where(begins, random.integers(0, Action.OPEN, n), self._motion)
        lengths = random.integers(1, self._burst + 1, n) if self._burst > 1 else 1
        self._left = np.where(begins, lengths, self._left)
        slips = self._left > 0
        self._left -= slips
        return slips, self._motion


def trajectory(episodes, i, scene, task, preset, source, **about):
    """World i of Episodes -> Trajectory; about: further fields of Trajectory."""
    steps = int(episodes.steps[i])
    arrays = {name: getattr(episodes, name)[: steps + 1, i] for name in _STATE}
    return Trajectory(
        task=task.name,
        twin=scene.kitchen,
        twin_hash=place_hash(place(scene.twin)),
        object=scene.object,
        seed=int(episodes.seeds[i]),
        preset=preset,
        action_set=action_set(PRESETS[preset].steps),
        horizon=task.horizon,
        source=source,
        actions=episodes.actions[:steps, i],
        rewards=episodes.rewards[:steps, i],
        success=bool(episodes.success[i]),
        shift=tuple(episodes.shift[i]),
        software=software_id(),
        **arrays,
        **about,
    )


_STATE = ("observations", "robot_joints", "fingers", "object_poses", "door_angles")


def _state(env, observation):
    world = env.world
    return observation, world.joints.copy(), world.fingers.copy(), object_poses(world), world.door_angle.copy()


def object_poses(world):
    """batch_world.BatchWorld -> (N, 7) position [m] and quat_xyzw; NaN without an object."""
    poses = np.full((world.size, 7), np.nan)
    if world.has_object:
        poses[:, :3], poses[:, 3:] = world.object_qpos[:, :3], world.object_qpos[:, [4, 5, 6, 3]]
    return poses
