"""One demonstration in the simulator: act, undo, look, and what is kept of it. No page, no keys, no clock."""

from dataclasses import dataclass

import numpy as np
from gymnasium.vector import AutoresetMode

from casher_policy.task import task_named
from casher_training.demo_trajectory import demo_trajectory
from casher_training.scenes import environment


class DemoError(ValueError):
    """What cannot be done now, in words for the person at the keyboard."""


@dataclass(frozen=True, eq=False)
class SceneState:
    """Where everything is; base frame."""

    joints: np.ndarray
    """(7,) [rad]."""
    fingers: np.ndarray
    """(2,) [m], each from closed."""
    object_pose: np.ndarray
    """(7,) position [m], quat_xyzw; NaN where unknown or absent."""
    door_angle: float
    """[rad], 0 without a door."""
    shift: np.ndarray
    """(3,) [m] of the whole kitchen."""


class SimulatedDemo:
    """The same episodes as the teacher's: a KitchenEnv of one world."""

    robot = "sim"
    judged_by_person = False

    def __init__(self, scene, task, preset="released"):
        """scene: scenes.Scene; task: name; preset: of environment.PRESETS. PlaceError for a twin without the task."""
        self.scene, self.task, self.preset = scene, task_named(task), preset
        self._env = environment(scene, task, 1, preset, autoreset_mode=AutoresetMode.DISABLED)
        self.seed = None

    @property
    def env(self):
        """The KitchenEnv, for a BatchExpert to read; whoever steps it does so through `act`."""
        return self._env

    @property
    def steps(self):
        """Actions so far."""
        return len(self._actions)

    @property
    def state(self):
        """SceneState of now."""
        return self._states[-1]

    def start(self, seed):
        """The scene of that seed, nothing done yet."""
        self.seed, self._actions, self._rewards = int(seed), [], []
        observation, _ = self._env.reset(seed=[self.seed])
        self.success, self.ended, self.note = False, "", ""
        self._observations, self._states = [observation[0].copy()], [self._look()]

    def act(self, action):
        """One action; DemoError when the episode has ended. `note` says what was odd about it."""
        if self.ended:
            raise DemoError(f"the episode has ended ({self.ended}): save, undo or discard")
        observation, reward, terminated, truncated, info = self._env.step(np.array([int(action)]))
        self._actions.append(int(action))
        self._rewards.append(float(reward[0]))
        self._observations.append(observation[0].copy())
        self._states.append(self._look())
        self.success = bool(info["success"][0])
        self.note = "out of the arm's reach: nothing moved" if info["unreachable"][0] else ""
        if terminated[0] or truncated[0]:
            self.ended = (
                "success" if self.success
                else "the object is out of reach" if info["lost"][0]
                else "the physics failed" if info["broken"][0]
                else f"all {self.task.horizon} steps are used up"
            )  # fmt: skip

    def keep(self):
        """It is about to be saved -> what the person should know of that."""
        return ""

    def discard(self):
        """It will not be saved."""

    def undo(self):
        """Take the last action back: the episode from its seed again, without it. DemoError when there is none."""
        if not self._actions:
            raise DemoError("nothing to undo")
        actions = self._actions[:-1]
        self.start(self.seed)
        for action in actions:
            self.act(action)

    def unfulfilled(self):
        """Names of the conditions of the task that do not hold now."""
        return self.task.unfulfilled(self._env.world.task_state())

    def trajectory(self, source, human_s=0.0, noise=0.0):
        """What happened since `start` -> Trajectory."""
        about = {"source": source, "human_s": human_s, "noise": noise}
        return demo_trajectory(self, self._observations, self._actions, self._rewards, self._states, **about)

    def close(self):
        """Nothing has to be released."""

    def _look(self):
        world, pose = self._env.world, np.full(7, np.nan)
        if world.has_object:
            pose = world.object_qpos[0, [0, 1, 2, 4, 5, 6, 3]]
        return SceneState(
            world.joints[0].copy(), world.fingers[0].copy(), pose, float(world.door_angle[0]), world.shift[0].copy()
        )
