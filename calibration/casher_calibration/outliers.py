"""Views that do not fit: a wrong pose of the arm, a board that was turned, a camera that was moved.

Every view says where its camera stands: X_v = M_s Z B_v^-1. What is compared is (X_v, its covariance): within one
camera over time, for a move; with the camera's pose, for single views; among the cameras, for whose fault it is.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

LIMIT = 45.0
"""Squared Mahalanobis distance, 6 degrees of freedom, beyond which a view does not fit: one in 20 million."""
MOVE_GAIN = 80.0
"""By how much a move must improve the sum of (truncated) squared distances."""
_MEDIAN_CHI2_6 = 5.348
_FLOOR = np.diag(np.repeat([2e-4, 3e-4], 3) ** 2)
"""What the model leaves out: [m], [rad]."""


@dataclass(frozen=True, eq=False)
class Witness:
    """What each of n views says of its camera."""

    offset: np.ndarray
    """(n, 6) from the slot's X to X_v: translation [m], rotation vector [rad], parent frame, about the camera."""
    covariance: np.ndarray
    """(n, 6, 6)."""


def witness(views, B, X, Z, M, T_base_gripper, eye_in_hand, noise):
    """-> Witness. B (n, 4, 4) where each view sees the board, X (n, 4, 4) of its slot, M (S, 4, 4), noise: Noise."""
    rows = np.array([view.row for view in views])
    seen = M[rows] @ Z @ np.linalg.inv(B)
    offset = difference(seen, X)
    R = X[:, :3, :3]
    turn = np.zeros((len(views), 6, 6))
    turn[:, :3, :3] = turn[:, 3:, 3:] = R
    spread = np.array([view.spread for view in views]) * noise.corner_px**2
    covariance = turn @ spread @ np.swapaxes(turn, 1, 2)
    # the arm's pose error, given in the base frame about the gripper, moves the camera seen from it as a lever
    from_gripper = X[:, :3, 3] - M[rows, :3, 3]
    axes = np.broadcast_to(np.eye(3), R.shape)
    if eye_in_hand:
        axes = np.swapaxes(T_base_gripper[rows, :3, :3], 1, 2)
        from_gripper = X[:, :3, 3]
    lever = np.zeros((len(views), 6, 6))
    lever[:, :3, :3] = lever[:, 3:, 3:] = axes
    lever[:, :3, 3:] = -np.cross(from_gripper[:, None, :], np.swapaxes(axes, 1, 2)).swapaxes(1, 2)
    arm = np.diag(np.repeat([noise.pose_m, noise.pose_rad], 3) ** 2)
    return Witness(offset, covariance + lever @ (arm + _FLOOR) @ np.swapaxes(lever, 1, 2))


def difference(T_to, T_from):
    """(n, 4, 4) each -> (n, 6): translation [m] and rotation vector [rad] from the second to the first."""
    turn = T_to[:, :3, :3] @ np.swapaxes(T_from[:, :3, :3], 1, 2)
    return np.concatenate([T_to[:, :3, 3] - T_from[:, :3, 3], Rotation.from_matrix(turn).as_rotvec()], axis=1)


def squared_distance(offset, covariance):
    """(n, 6), (n, 6, 6) -> (n,)"""
    return np.einsum("ni,ni->n", offset, np.linalg.solve(covariance, offset[..., None])[..., 0])


def common_offset(found):
    """Witness -> the offset (6,) most of its views agree on, and each view's squared distance from it (n,)."""
    information = np.linalg.inv(found.covariance)
    centre = np.median(found.offset, axis=0)
    for _ in range(8):
        apart = squared_distance(found.offset - centre, found.covariance)
        weight = 1 / (1 + apart / LIMIT) ** 2
        total = np.einsum("n,nij->ij", weight, information)
        centre = np.linalg.solve(total, np.einsum("n,nij,nj->i", weight, information, found.offset))
    return centre, squared_distance(found.offset - centre, found.covariance)


def find_move(found, least_m, least_rad, least_views=2):
    """Views of one camera in order of time -> the first view after the camera was moved, or None.

    Compares the best explanation by two places with that by one. A move smaller than both `least_m` and `least_rad`
    is not one.
    """
    n = len(found.offset)
    if n < 2 * least_views + 1:
        return None

    def explained(part):
        centre, apart = common_offset(Witness(found.offset[part], found.covariance[part]))
        return centre, np.minimum(apart, LIMIT).sum()

    _, whole = explained(slice(None))
    best = (whole - MOVE_GAIN, None)
    for split in range(least_views, n - least_views + 1):
        before, cost_before = explained(slice(None, split))
        after, cost_after = explained(slice(split, None))
        moved = np.linalg.norm((after - before)[:3]) > least_m or np.linalg.norm((after - before)[3:]) > least_rad
        if moved and cost_before + cost_after < best[0]:
            best = (cost_before + cost_after, split)
    return best[1]


def unfit(found, used):
    """(n,) bool: views that do not fit. The limit widens where the used ones show more spread than they should."""
    apart = squared_distance(found.offset, found.covariance)
    scale = max(1.0, float(np.median(apart[used])) / _MEDIAN_CHI2_6) if used.any() else 1.0
    return apart > LIMIT * min(scale, 20.0)
