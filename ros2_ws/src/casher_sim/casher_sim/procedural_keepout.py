"""The part of a worktop that the gripper passes over: from the start pose to the objects and on to the sink."""

import numpy as np
from scipy.spatial import ConvexHull

HAND_M = 0.115
"""Half the hand's length (0.103 m) and a margin: whatever way the hand is turned, it stays this near to the tcp."""
HOME = (0.46, 0.0)
"""(x, y) of the tcp in the start pose."""
_ANGLES = 2 * np.pi * np.arange(16) / 16


class Keepout:
    """A convex region of the plane."""

    def __init__(self, basin, spawns):
        """basin: procedural_layout.Basin; spawns: {side: twin.Spawn}."""
        points = [HOME, (0.15, 0.0), basin.center]
        for spawn in spawns.values():
            (x, y, _), (a, b) = spawn.center, spawn.half_size
            points += [(x + i * a, y + j * b) for i in (-1, 1) for j in (-1, 1)]
        discs = np.array(points)[:, None] + HAND_M * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
        self.corners = discs.reshape(-1, 2)
        self.equations = ConvexHull(self.corners).equations

    def distance(self, points):
        """(N, 2) -> (N,) [m]: negative inside; outside at most the true distance."""
        return (np.asarray(points) @ self.equations[:, :2].T + self.equations[:, 2]).max(axis=1)

    def clear_of(self, points, radius):
        """Whether discs of that radius about all points (N, 2) stay outside."""
        return bool((self.distance(points) > radius).all())
