"""The robot as points, by forward kinematics: an input of the student beside the cameras' clouds.

The cameras see the arm half hidden and as well as they are calibrated; these points are whole and exact.
"""

import numpy as np

from casher_perception.compiled import compiled
from casher_sim.robot_frames import robot_frames
from casher_sim.surface_points import sample_surface
from casher_sim.visible_parts import robot_parts

POINT_DETAIL_M = 0.004
"""Of the meshes that points are drawn from: they lie within half of this of the real surface."""


class ArmPoints:
    """n points spread evenly over the outside of the FR3 and its hand, always the same ones for a seed."""

    def __init__(self, n, seed):
        parts, self._frames = robot_parts(POINT_DETAIL_M), robot_frames()
        points, _, self.colours, owner = sample_surface([p.mesh for p in parts], n, np.random.default_rng(seed))
        """colours: (n, 3) uint8, without any light."""
        self._points = points
        self._link = np.array([self._frames.names.index(part.frame) for part in parts])[owner]

    def points(self, q, fingers):
        """Joints [rad] (..., 7), each finger's way from closed [m] (..., 2) -> points [m] (..., n, 3) float32, base."""
        T = self._frames.poses(q, fingers)
        posed = _posed(self._points, self._link, T.reshape(-1, *T.shape[-3:]).astype(np.float32))
        return posed.reshape(*T.shape[:-3], *posed.shape[1:])


@compiled()
def _posed(points, link, T):
    out = np.empty((len(T), len(points), 3), np.float32)
    for b in range(len(T)):
        for i in range(len(points)):
            M = T[b, link[i]]
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            for r in range(3):
                out[b, i, r] = M[r, 0] * x + M[r, 1] * y + M[r, 2] * z + M[r, 3]
    return out
