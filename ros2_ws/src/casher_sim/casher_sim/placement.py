"""Where episodes start (Table II), drawn for many worlds at once: shift of the place, side, position and yaw."""

import numpy as np

from casher_sim.episode_draw import between, uniforms


class Placement:
    """Of a batch of worlds; world i is of setting i modulo their number."""

    def __init__(self, settings, task, size, background_scale=None):
        """settings: batch_world.Setting, ...; task: casher_policy.task.Task; size: number of worlds.

        background_scale: share of the task's background shift; None: each place's own.
        """
        setting_of = np.arange(size) % len(settings)
        self._ranges, places = task.randomisation, [setting.place for setting in settings]
        scales = [place.background_scale if background_scale is None else background_scale for place in places]
        self._scale = np.array(scales)[setting_of]
        starts = [
            []
            if setting.object_model is None
            else [setting.place.start(side) for side in setting.place.sides(task.name)]
            for setting in settings
        ]
        self._sides = np.array([len(row) for row in starts])[setting_of]
        most = max(map(len, starts))
        rows = np.zeros((len(settings), most, 6))
        for i, row in enumerate(starts):
            for j, start in enumerate(row):
                rows[i, j] = *start.position, *start.half_size, start.yaw
        self._starts = rows[setting_of]
        """(size, most, 6): position, half_size, yaw; by world and side."""

    def draw(self, ids, seeds, episodes):
        """Worlds (B,), their seeds and numbers of episodes -> shift (B, 3), p_base_object (B, 3) [m], yaw (B,) [rad].

        Without an object the latter two mean nothing.
        """
        u = uniforms(seeds, episodes, 8)
        shift = self._scale[ids, None] * between(u[:, :3], self._ranges.background_m)
        if not self._starts.shape[1]:
            return shift, np.zeros((len(ids), 3)), np.zeros(len(ids))
        side = np.minimum((u[:, 7] * self._sides[ids]).astype(int), self._sides[ids] - 1)
        start = self._starts[ids, side]
        offset, yaw = between(u[:, 3:6], self._ranges.object_m), start[:, 5]
        # An object starts on its patch, which may be smaller than Table II's range.
        offset[:, :2] = np.clip(offset[:, :2], -start[:, 3:5], start[:, 3:5])
        c, s = np.cos(yaw), np.sin(yaw)
        turned = np.stack([c * offset[:, 0] - s * offset[:, 1], s * offset[:, 0] + c * offset[:, 1]], axis=1)
        p = start[:, :3] + shift + np.concatenate([turned, offset[:, 2:]], axis=1)
        return shift, p, yaw + between(u[:, 6:7], np.asarray(self._ranges.yaw_rad)[:, None])[:, 0]
