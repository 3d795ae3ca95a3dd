"""The scripted expert for all worlds of a KitchenEnv: the demonstrator, from the same scripts as everywhere."""

import numpy as np

from casher_policy.expert import Expert
from casher_sim.expert_view import ExpertView


class BatchExpert:
    """`env.step(expert.actions())` as often as wanted, autoreset or not."""

    def __init__(self, env):
        """env: environment.KitchenEnv, which has to be reset before `actions` is called."""
        world = env.world
        self._env, self._world, self._expert = env, world, Expert(world.steps)
        settings = [world.settings[i] for i in world.setting_of]
        self._views = [
            ExpertView(world.task.name, s.place, s.object_model, world.kinematics, world.steps) for s in settings
        ]

    def actions(self):
        """-> (num_envs,) int64. Of worlds at the start of an episode it looks at the scene anew."""
        self.reset(np.flatnonzero(self._env.steps_done == 0))
        world, T = self._world, self._world.T_base_object
        found = np.empty(world.size, dtype=np.int64)
        for i, view in enumerate(self._views):
            privileged = view.privileged(T[i], world.door_angle[i])
            found[i] = self._expert.act(privileged, world.T_base_tcp[i], world.fingers[i], world.grasped[i])
        return found

    def reset(self, ids):
        """Choose grasp and lean for the scene as it now is; `actions` does so by itself. ids: (B,) indices."""
        T = self._world.T_base_object
        for i in ids:
            self._views[i].start(T[i], self._world.shift[i])
