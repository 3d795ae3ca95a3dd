"""Why episodes failed, in a word each: where on the way from the grasp to the goal they stopped."""

import numpy as np

LIFTED_M = 0.02
"""An object that is held and this much above its start has been picked up."""
MOVED_RAD = 0.05
"""A door that has been opened this far had been held."""
REASONS = ("never grasped", "dropped", "missed the site", "timeout", "physics")


class Watch:
    """Looks at every step of a batch of episodes; rows are worlds."""

    def __init__(self, world):
        """world: casher_sim.batch_world.BatchWorld after its reset."""
        self._start_z = world.object_qpos[:, 2].copy()
        self._held = np.zeros(world.size, dtype=bool)
        self._holds = np.zeros(world.size, dtype=bool)
        self._broken = np.zeros(world.size, dtype=bool)
        self._at_site = np.zeros(world.size, dtype=bool)

    def look(self, world, alive):
        """After a step; alive: (N,) bool, the worlds whose episode goes on."""
        if world.is_door_task:
            picked = world.grasped & (world.door_angle > MOVED_RAD)
            at_site = world.door_angle > 0.5
        else:
            picked = world.grasped & (world.object_qpos[:, 2] > self._start_z + LIFTED_M)
            away = np.abs(world.object_qpos[:, :2] - world.p_base_site[:, :2])
            at_site = (away < 0.25).all(axis=1)
        self._held |= picked & alive
        self._holds = np.where(alive, world.grasped, self._holds)
        self._at_site = np.where(alive, at_site, self._at_site)
        self._broken |= world.broken & alive

    def reasons(self):
        """-> [one of REASONS] for every world, as if it had failed."""
        return [self._reason(i) for i in range(len(self._held))]

    def _reason(self, i):
        if self._broken[i]:
            return "physics"
        if not self._held[i]:
            return "never grasped"
        if self._holds[i]:
            return "timeout"
        return "missed the site" if self._at_site[i] else "dropped"
