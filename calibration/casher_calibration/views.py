"""One camera's view of the board in one sample, as a pose with its precision."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.pnp import board_pose


@dataclass(frozen=True, eq=False)
class View:
    """Seen by one camera in one sample."""

    row: int
    """Of the sample in the session's list."""
    camera: int
    """Position of the camera in the session's order."""
    ids: np.ndarray
    """(k,)"""
    pixels: np.ndarray
    """(k, 2)"""
    T_camera_board: np.ndarray
    """(4, 4) by PnP with the factory's intrinsics."""
    T_flipped: np.ndarray | None
    spread: np.ndarray
    """(6, 6) covariance of T_camera_board, per squared pixel of corner noise: of (translation [m], rotation [rad]) of a
    perturbation from the left, in the camera's frame about the camera."""
    by_intrinsics: np.ndarray
    """(6, 4): how T_camera_board is perturbed by changes of log fx, log fy, cx [pixels], cy [pixels]."""


def views_of(session, rows=None):
    """-> [View] ordered by sample, [(sample's index, camera, why)] of the detections that give no pose."""
    views, without = [], []
    for row, sample in enumerate(session.samples):
        for camera, (name, mount) in enumerate(session.cameras.items()):
            detection = sample.detections.get(name)
            if detection is None:
                continue
            try:
                pose = board_pose(detection, session.board, mount.intrinsics)
            except ValueError as error:
                without.append((sample.index, name, str(error)))
                continue
            spread, by_intrinsics = _sensitivity(
                session.board.corners()[detection.ids], pose.T_camera_board, mount.intrinsics
            )
            views.append(
                View(
                    row,
                    camera,
                    detection.ids,
                    detection.pixels,
                    pose.T_camera_board,
                    pose.T_flipped,
                    spread,
                    by_intrinsics,
                )
            )
    return views, without


def seen_poses(views, intrinsics):
    """T_camera_board (V, 4, 4) of the views as changed intrinsics (K, 4) would have it, to first order."""
    T = np.array([view.T_camera_board for view in views])
    step = np.array([view.by_intrinsics @ intrinsics[view.camera] for view in views])
    R = Rotation.from_rotvec(step[:, 3:]).as_matrix()
    T[:, :3] = R @ T[:, :3]
    T[:, :3, 3] += step[:, :3]
    return T


def _sensitivity(points, T, intrinsics):
    x = points @ T[:3, :3].T + T[:3, 3]
    J = np.zeros((len(x), 2, 6))
    focal = np.array([intrinsics.fx, intrinsics.fy])
    J[:, [0, 1], [0, 1]] = focal / x[:, 2:]
    J[:, :, 2] = -focal * x[:, :2] / x[:, 2:] ** 2
    for axis in range(3):
        J[:, :, 3 + axis] = np.einsum("nij,nj->ni", J[:, :, :3], np.cross(np.eye(3)[axis], x))
    rows = J.reshape(-1, 6)
    by_change = np.zeros((len(x), 2, 4))
    by_change[:, [0, 1], [0, 1]] = focal * x[:, :2] / x[:, 2:]
    by_change[:, [0, 1], [2, 3]] = 1.0
    spread = np.linalg.inv(rows.T @ rows)
    return spread, -spread @ rows.T @ by_change.reshape(-1, 4)
