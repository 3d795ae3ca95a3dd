"""What the solver takes besides a session, and what it answers."""

from dataclasses import dataclass, field

import numpy as np


class SolveError(ValueError):
    """Data that cannot be calibrated from: says what is wrong, what was got, and what to do."""


@dataclass(frozen=True)
class Options:
    """Standard deviations known beforehand, and what may be left out."""

    joint_offset_rad: float = float(np.deg2rad(0.03))
    """Of each joint's zero. A Franka's absolute accuracy of about 1 mm corresponds to 0.03 deg."""
    focal_relative: float = 0.0015
    """Of the factory's focal lengths."""
    centre_px: float = 1.0
    """Of the factory's principal point."""
    pose_m: float = 6e-5
    """How well a reported gripper pose repeats, each axis (datasheet of the FR3: within 0.1 mm); data correct it."""
    pose_rad: float = 1.2e-4
    """The same for rotation."""
    joint_offsets: bool = True
    """Estimate them where every sample has its joint angles."""
    intrinsics: bool = True
    """Refine the factory's intrinsics."""
    folds: int = 3
    """Parts of the samples that are held out in turn."""
    reject_outliers: bool = True
    advice: bool = True
    """Find out which motion would help, a third of the time that solving takes."""


@dataclass(frozen=True)
class Outlier:
    """An observation the result does not rest on."""

    sample: int
    """The sample's index."""
    camera: str | None
    """None: what every camera saw, so the arm's pose or the board in the gripper."""
    why: str


@dataclass(frozen=True)
class Residual:
    """How far one camera's view of the board is from what the result predicts."""

    sample: int
    camera: str
    board_centre_m: float
    """Distance of the board's centre, seen by this camera and by the arm."""
    rotation_rad: float
    reprojection_px: float
    """Root mean square over the corners; with the arm's pose as reported, so it includes the arm's error."""


@dataclass(frozen=True)
class Start:
    """A closed-form answer of one method for one camera."""

    camera: str
    method: str
    T: np.ndarray
    """(4, 4) T_base_camera, or T_gripper_camera."""
    distance_m: float
    """From the median of the methods."""
    angle_rad: float
    agrees: bool


@dataclass(frozen=True, eq=False)
class Solution:
    """Calibrated cameras.

    Covariances are of (translation [m], rotation vector [rad]) of a perturbation in the frame the camera is expressed
    in (base; the gripper's for eye-in-hand): true position = position + translation, true R = exp(rotation) R.
    They include the arm's joint offsets, which no residual shows.
    """

    eye_in_hand: bool
    T_base_camera: dict
    """Camera's name -> (4, 4); T_gripper_camera when eye_in_hand."""
    intrinsics: dict
    """Camera's name -> Intrinsics, as refined."""
    T_gripper_board: np.ndarray
    """(4, 4); T_base_board when eye_in_hand."""
    joint_offsets: np.ndarray | None
    """(7,) [rad], to be added to the reported angles; None when they were not estimated."""
    joint_offsets_sigma: np.ndarray | None
    """(7,) [rad]; as large as the prior where the data say nothing (the first and the last joint)."""
    covariance: dict
    """Camera's name -> (6, 6)."""
    covariance_all: np.ndarray
    """(6 C, 6 C) of all cameras in the order of T_base_camera."""
    corner_sigma_px: float
    """Noise of a detected corner, each axis, from the data."""
    pose_sigma: tuple
    """([m], [rad]) of a reported gripper pose, each axis, beyond the joint offsets; from the data."""
    residuals: list
    """Residual of every view used."""
    held_out: list
    """Residual of every view used, predicted by a solution that did not use its sample; [] with too few samples."""
    camera_to_camera: list
    """(sample, distance [m]) of the held-out board centre as two cameras place it in the base frame."""
    outliers: list
    """Outlier, each left out."""
    starts: list
    """Start of every method and camera."""
    scale: float
    """Size of the board that the arm's motion suggests, relative to the stated one; near 1."""
    scale_sigma: float
    samples_used: int
    advice: list
    """Sentences: the motion that would reduce the uncertainty most first."""
    warnings: list = field(default_factory=list)

    def sigma_m(self, camera):
        """Largest standard deviation [m] of the camera's position in any direction."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance[camera][:3, :3])[-1]))

    def sigma_rad(self, camera):
        """Largest standard deviation [rad] of the camera's rotation about any axis."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance[camera][3:, 3:])[-1]))
