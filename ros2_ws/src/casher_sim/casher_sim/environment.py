"""The three tasks as a Gymnasium vector environment: many worlds over several kitchens and objects in one step call.

Observation, (OBSERVATION,) float32, base frame: what the paper's teacher sees (section VIII) and where the goal is.

| entries | what |
|---|---|
| 0:3, 3:7 | object: position [m] (centre of its underside), orientation quat_xyzw with w >= 0 |
| 7:9 | gripper DOFs, scaled to 0..1 |
| 9:13, 13:16 | tcp: orientation quat_xyzw, position [m] |
| 16:19 | goal: centre of the basin's floor or of the shelf [m]; the hinge of open_cabinet's door |
| 19:21 | size: the object's radius and height; length and thickness of the handle's bar [m] |

Of the tcp's quaternion the sign is that which is nearer to the start pose's. There the tool points down and w is 0:
with w >= 0 the smallest turn would flip all signs. In open_cabinet the object is the door: the middle of its handle,
turned as the door is. Goal and size are not in the paper's list. Each kitchen has its sink elsewhere and every episode
shifts it (Table II), and a mug is held by its handle, a bowl by its rim: one policy for several kitchens and objects
could not know where to put what it holds, nor where to hold it; `Preset.beyond_paper` turns them off.

An episode ends by success (terminated, reward 1), by the loss of the object or a failure of the physics (terminated,
reward 0), or by the task's horizon (truncated, reward 0). All other rewards are 0. Autoreset is SAME_STEP: where an
episode ends, `step` returns the first observation of the next, and the last one is in info["final_obs"]; or DISABLED: a
world that ended stands still, at no cost, with its flags as they were and reward 0, until the caller resets it.
"""

from dataclasses import dataclass

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import position_quat
from casher_policy.action import PAPER, RELEASED, ActionSteps
from casher_policy.observation import FINGER_MAX_M
from casher_sim.batch_world import BatchWorld
from casher_sim.placement import Placement

OBSERVATION = 21
_BEYOND_PAPER = 5
_LOST_BELOW_M, _LOST_BEYOND_M = 0.5, 1.5
"""An object this far below both its start and the goal, or this far from the base, is not coming back."""


@dataclass(frozen=True)
class Preset:
    """What differs between the paper as printed and the paper's released trajectories."""

    steps: ActionSteps
    """How far an action goes."""
    background_scale: float | None
    """Share of Table II's shift of the kitchen; None: as much as each kitchen says its arm can serve."""
    beyond_paper: bool
    """The observation has goal and size."""


PRESETS = {"released": Preset(RELEASED, None, True), "paper": Preset(PAPER, 1.0, False)}


class KitchenEnv(VectorEnv):
    """World i is of setting i modulo their number, and its episodes depend on its own seed only."""

    def __init__(self, settings, task, num_envs, preset="released", threads=1, autoreset_mode=AutoresetMode.SAME_STEP):
        """settings: batch_world.Setting, ...; task: casher_policy.task.Task; preset: of PRESETS.

        threads: of the physics; autoreset_mode: SAME_STEP or DISABLED.
        ValueError for an unknown preset or mode, or fewer worlds than settings.
        """
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}: known are {', '.join(PRESETS)}")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            raise ValueError("autoreset is SAME_STEP or DISABLED here, got NEXT_STEP")
        self.preset, self.task, self.num_envs = PRESETS[preset], task, num_envs
        self.world = BatchWorld(settings, task, num_envs, self.preset.steps, threads)
        self._placement = Placement(settings, task, num_envs, self.preset.background_scale)
        _, self._quat_start = position_quat(self.world.kinematics.forward(np.array(HOME_JOINTS)))
        size = OBSERVATION if self.preset.beyond_paper else OBSERVATION - _BEYOND_PAPER
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(14)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        self.render_mode, self.spec = None, None
        self.steps_done = np.zeros(num_envs, dtype=np.int64)
        """(num_envs,) actions in each world's episode so far."""
        self._seeds, self._episodes = None, np.zeros(num_envs, dtype=np.int64)
        self._ended = np.ones(num_envs, dtype=bool)
        self._start_z = np.zeros(num_envs)

    def reset(self, *, seed=None, options=None):
        """-> observations (num_envs, size) float32, info.

        seed: an integer, of which world i gets seed + i; or one for each world; None: the next episode of each world's
        sequence, which at first comes from the system's entropy.
        options: {"ids": mask (num_envs,) bool or indices} resets only those worlds ("reset_mask", as Gymnasium calls a
        mask, too). The other worlds stay as they are, bit for bit.
        """
        ids = self._ids(options)
        if seed is not None or self._seeds is None:
            self._reseed(ids, seed)
        self._start(ids)
        return self._observe(), {}

    def step(self, actions):
        """Actions (num_envs,) -> observations, rewards float64, terminated and truncated bool (num_envs,), info.

        info: success, lost, broken, unreachable (num_envs,) bool, of the episodes as they were before any reset; steps
        (num_envs,); unfulfilled: by condition of the task, how many of the episodes that failed in this step lacked it.
        Where episodes ended and autoreset is SAME_STEP: final_obs (num_envs, size) and its mask _final_obs.
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions are ({self.num_envs},) integers, got shape {actions.shape}")
        if self._seeds is None:
            raise RuntimeError("no world has an episode: call reset first")
        going = ~self._ended
        self.world.act(actions, np.flatnonzero(going))
        self.steps_done += going
        state, broken = self.world.task_state(), self.world.broken.copy()
        success = self.task.success(state) & ~broken
        lost = self._lost() & ~broken
        terminated = success | lost | broken
        truncated = (self.steps_done >= self.task.horizon) & ~terminated
        ended = terminated | truncated
        observations = self._observe()
        info = {
            "success": success,
            "lost": lost,
            "broken": broken,
            "unreachable": ~self.world.reached,
            "steps": self.steps_done.copy(),
            "unfulfilled": self._unfulfilled(state, ended & going & ~success),
        }
        if ended.any():
            if self.autoreset_mode == AutoresetMode.SAME_STEP:
                info |= {"final_obs": observations, "_final_obs": ended}
                self._start(np.flatnonzero(ended))
                observations = self._observe()
            else:
                self._ended = ended
        return observations, (success & going).astype(np.float64), terminated, truncated, info

    @property
    def ended(self):
        """(num_envs,) bool: worlds that stand still until they are reset; never any with SAME_STEP."""
        return self._ended.copy()

    def close(self, **kwargs):
        """Nothing has to be released."""

    def _ids(self, options):
        options = options or {}
        if unknown := set(options) - {"ids", "reset_mask"}:
            raise ValueError(f"unknown options {', '.join(sorted(unknown))}: known are ids, reset_mask")
        chosen = options.get("ids", options.get("reset_mask"))
        if chosen is None:
            return np.arange(self.num_envs)
        chosen = np.asarray(chosen)
        if chosen.dtype == bool and chosen.shape == (self.num_envs,):
            return np.flatnonzero(chosen)
        if chosen.dtype == bool or not np.isin(chosen, np.arange(self.num_envs)).all():
            raise ValueError(
                f"ids are a mask ({self.num_envs},) or indices below {self.num_envs}, got {chosen.tolist()}"
            )
        return np.unique(chosen)

    def _reseed(self, ids, seed):
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
        if self._seeds is None:
            self._seeds = np.zeros(self.num_envs, dtype=np.uint64)
        if np.ndim(seed) == 0:
            seeds = np.uint64(seed) + np.arange(self.num_envs, dtype=np.uint64)
        elif len(seed) == self.num_envs:
            seeds = np.asarray(seed, dtype=np.uint64)
        else:
            raise ValueError(f"seed is an integer or {self.num_envs} of them, got {len(seed)}")
        self._seeds[ids], self._episodes[ids] = seeds[ids], 0

    def _start(self, ids):
        if len(ids):
            self.world.reset(ids, *self._placement.draw(ids, self._seeds[ids], self._episodes[ids]))
            self._start_z[ids] = self.world.object_qpos[ids, 2]
        self._episodes[ids] += 1
        self.steps_done[ids], self._ended[ids] = 0, False

    def _observe(self):
        world = self.world
        door = world.T_base_handle if world.is_door_task else None
        p_object, quat_object = position_quat(world.T_base_object if door is None else door)
        p_tcp, quat_tcp = position_quat(world.T_base_tcp)
        quat_tcp = np.where((quat_tcp * self._quat_start).sum(axis=1, keepdims=True) < 0, -quat_tcp, quat_tcp)
        parts = [p_object, quat_object, world.fingers / FINGER_MAX_M, quat_tcp, p_tcp]
        if self.preset.beyond_paper:
            parts += [world.p_base_site if door is None else world.p_base_hinge, world.size_m]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _lost(self):
        if not self.world.has_object:
            return np.zeros(self.num_envs, dtype=bool)
        p = self.world.object_qpos[:, :3]
        below = p[:, 2] < np.minimum(self._start_z, self.world.p_base_site[:, 2]) - _LOST_BELOW_M
        return below | (np.linalg.norm(p[:, :2], axis=1) > _LOST_BEYOND_M)

    def _unfulfilled(self, state, failed):
        if not failed.any():
            return dict.fromkeys(self.task.conditions, 0)
        return {name: int((failed & ~holds(state)).sum()) for name, holds in self.task.conditions.items()}
