"""Pose of the board from one detection: IPPE, both solutions refined by Levenberg-Marquardt, the better one kept.

A plane seen small or from afar can be explained almost as well by its mirror image about the line of sight (the
"flip"; Collins and Bartoli, IPPE, 2014). Where that is so the other pose is handed on and the arm decides.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_AMBIGUOUS = 2.0
"""Ratio of the reprojection errors below which the corners alone do not tell the pose from its flip."""


@dataclass(frozen=True, eq=False)
class BoardPose:
    """Where a camera sees the board."""

    T_camera_board: np.ndarray
    """(4, 4), the pose of the lower error."""
    error_px: float
    """Root mean square of the reprojection error."""
    T_flipped: np.ndarray | None
    """(4, 4), the other pose when it is almost as good."""


def board_pose(detection, board, intrinsics):
    """Detection -> BoardPose. ValueError for fewer than 4 corners or corners in one line."""
    objects = board.corners()[detection.ids]
    if len(objects) < 4 or np.linalg.matrix_rank(objects[:, :2] - objects[0, :2]) < 2:
        raise ValueError(f"a pose needs 4 corners that are not in one line, got {len(objects)}")
    pixels = np.ascontiguousarray(detection.pixels, dtype=np.float64)
    K = np.array([[intrinsics.fx, 0, intrinsics.cx], [0, intrinsics.fy, intrinsics.cy], [0, 0, 1]])
    _, turns, places, _ = cv2.solvePnPGeneric(objects, pixels, K, None, flags=cv2.SOLVEPNP_IPPE)
    found = []
    for turn, place in zip(turns, places, strict=True):
        turn, place = cv2.solvePnPRefineLM(objects, pixels, K, None, turn, place)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = cv2.Rodrigues(turn)[0], place.ravel()
        error = intrinsics.project(objects @ T[:3, :3].T + T[:3, 3]) - pixels
        if np.isfinite(error).all() and T[:3, 2] @ T[:3, 3] > 0:  # in front of the camera and seen from its front
            found.append((float(np.sqrt((error**2).sum(axis=1).mean())), T))
    if not found:
        raise ValueError("no pose of the board explains the corners")
    found.sort(key=lambda pair: pair[0])
    (error, T), others = found[0], found[1:]
    different = others and np.abs(others[0][1] - T).max() > 1e-3
    flipped = others[0][1] if different and others[0][0] < _AMBIGUOUS * error else None
    return BoardPose(T, error, flipped)
