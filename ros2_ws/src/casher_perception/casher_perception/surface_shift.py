"""Whether cameras still stand where the calibration found them: how one cloud lies against another, in base.

Point-to-plane ICP (Chen and Medioni 1992) with Tukey weights, so that the arm and what was carried away do not pull.
Directions in which the surfaces can slide along one another are left alone: a motion is claimed only where it can be
seen (solution remapping, Zhang, Kaess and Singh, ICRA 2016).
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

MOST_POINTS, MOST_SPOTS = 30_000, 1500
"""Of a cloud and of its surface; more make the answer no better and the check dearer."""
FEWEST_MATCHES = 150
LEAST_SHARE = 0.15
"""Of the smaller cloud's points that must have a partner."""
REACH_M = (0.04, 0.03, 0.02, 0.02, 0.015, 0.015, 0.012, 0.012)
"""Farthest partner in each iteration."""
SAME_NORMAL = np.cos(np.deg2rad(30.0))
NEIGHBOURS = 40
"""Points that a spot of the surface is the mean of: a depth camera's noise at 1 m is 3 mm, an alarm is due at 5 mm."""
FLAT = 0.08
"""Largest share of the variance that may lie along the normal: edges and flying points have none."""
WEAKEST = 0.02
"""Least information a direction needs, as a share of that of a plane seen face on by every point."""
TUKEY = 4.0
"""Residuals beyond this many robust standard deviations do not count ..."""
LEAST_SIGMA_M = (0.006, 0.005, 0.004, 0.003, 0.002, 0.0015, 0.001, 0.001)
"""... which are at least this in each iteration: what fixes a direction may be few points that lie far off at first."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A cloud prepared for comparison, in the base frame."""

    points: np.ndarray
    """(N, 3) [m]."""
    normals: np.ndarray
    """(N, 3), towards the camera."""
    tree: cKDTree


@dataclass(frozen=True, eq=False)
class Shift:
    """The motion that would lay one cloud onto the other."""

    translation: np.ndarray
    """(3,) [m], of the middle of what both see."""
    rotation: np.ndarray
    """(3,) [rad], rotation vector in the base frame."""
    share: float
    """Of the points that have a partner."""
    seen: int
    """Of the six directions of a rigid motion, how many the surfaces fix; the motion along the others reads 0."""
    residual_m: float
    """Robust standard deviation of the distances that remain."""

    @property
    def distance_m(self):
        return float(np.linalg.norm(self.translation))

    @property
    def angle_rad(self):
        return float(np.linalg.norm(self.rotation))


def surface(points_base, p_base_camera, seed=0):
    """Points [m] (N, 3) in base as seen from p_base_camera (3,) -> Surface of at most MOST_SPOTS flat spots.

    None with too few.
    """
    points = np.asarray(points_base, dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < FEWEST_MATCHES:
        return None
    points = points[np.random.default_rng(seed).permutation(len(points))[:MOST_POINTS]]
    _, near = cKDTree(points).query(points[:MOST_SPOTS], k=NEIGHBOURS)
    spots = points[near].mean(axis=1)
    offsets = points[near] - spots[:, None]
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))
    normals = axes[:, :, 0]
    normals *= np.sign(np.einsum("ni,ni->n", normals, p_base_camera - spots))[:, None]
    flat = spread[:, 0] < FLAT * spread.sum(axis=1)
    if flat.sum() < FEWEST_MATCHES:
        return None
    return Surface(spots[flat], normals[flat], cKDTree(spots[flat]))


def compare(moved, reference):
    """How far `moved` lies from `reference` (both Surface or None) -> Shift, or None: too little in common to tell.

    The Shift is the motion that `moved` has made: p_moved = p_reference + translation + rotation x (p - middle).
    """
    if moved is None or reference is None:
        return None
    T = np.eye(4)
    middle = np.median(reference.points, axis=0)
    smaller = min(len(moved.points), len(reference.points))
    for reach_m, least_m in zip(REACH_M, LEAST_SIGMA_M, strict=True):
        points = moved.points @ T[:3, :3].T + T[:3, 3]
        normals = moved.normals @ T[:3, :3].T
        distance, partner = reference.tree.query(points, distance_upper_bound=reach_m)
        found = np.flatnonzero(np.isfinite(distance))
        facing = np.einsum("ni,ni->n", normals[found], reference.normals[partner[found]]) > SAME_NORMAL
        found = found[facing]
        if len(found) < max(FEWEST_MATCHES, LEAST_SHARE * smaller):
            return None
        p, q, n = points[found], reference.points[partner[found]], reference.normals[partner[found]]
        residual = np.einsum("ni,ni->n", n, q - p)
        sigma = max(1.4826 * float(np.median(np.abs(residual - np.median(residual)))), least_m)
        weight = np.clip(1.0 - (residual / (TUKEY * sigma + np.abs(np.median(residual)))) ** 2, 0.0, None) ** 2
        radius = float(np.sqrt(((p - middle) ** 2).sum(axis=1).mean()))
        J = np.hstack([n, np.cross(p - middle, n) / radius])
        information = (J * weight[:, None]).T @ J / weight.sum()
        values, vectors = np.linalg.eigh(information)
        fixed = values > WEAKEST
        step = vectors[:, fixed] @ ((vectors[:, fixed].T @ (J.T @ (weight * residual) / weight.sum())) / values[fixed])
        T = _motion(step[:3], step[3:] / radius, middle) @ T
    # T lays `moved` onto the reference; what `moved` has done is the inverse.
    R = T[:3, :3].T
    at_middle = R @ (middle - T[:3, 3]) - middle
    return Shift(at_middle, _rotation_vector(R), len(found) / smaller, int(fixed.sum()), sigma)


def _motion(translation, rotation, middle):
    """(4, 4): turn about `middle` by a rotation vector, then translate."""
    T = np.eye(4)
    angle = np.linalg.norm(rotation)
    if angle > 0:
        x, y, z = rotation / angle
        K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        T[:3, :3] += np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    T[:3, 3] = middle - T[:3, :3] @ middle + translation
    return T


def _rotation_vector(R):
    """Of a small rotation (3, 3) -> (3,)."""
    return 0.5 * np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
