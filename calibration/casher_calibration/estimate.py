"""A rough calibration from the first few samples: enough to choose the next poses, not to evaluate on."""

from dataclasses import dataclass

import numpy as np

from casher_calibration.closed_form import consensus, mean_pose, require_rotation
from casher_calibration.pnp import board_pose
from casher_calibration.solution import SolveError

FEWEST_VIEWS = 4


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where things roughly are."""

    T_base_camera: dict
    """Camera -> (4, 4)."""
    T_gripper_board: np.ndarray
    """(4, 4)."""


def rough_estimate(session, rng):
    """Session -> Estimate; SolveError names the camera that saw too little, or the rotation that is missing."""
    T_base_camera, boards = {}, []
    for name, camera in session.cameras.items():
        views = [
            (
                sample.T_base_gripper,
                board_pose(sample.detections[name], session.board, camera.intrinsics).T_camera_board,
            )
            for sample in session.samples
            if name in sample.detections
        ]
        if len(views) < FEWEST_VIEWS:
            raise SolveError(
                f"{name} has seen the board in {len(views)} poses, {FEWEST_VIEWS} are needed: guide the arm to where "
                "every camera sees the whole board"
            )
        M, B = (np.array(poses) for poses in zip(*views, strict=True))
        require_rotation(M)
        T_base_camera[name], Z, _ = consensus(M, B, rng)
        boards.append(Z)
    return Estimate(T_base_camera, mean_pose(np.array(boards)))
