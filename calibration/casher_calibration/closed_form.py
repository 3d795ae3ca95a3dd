"""Closed-form starts: OpenCV's five hand-eye and two robot-world methods on M_i Z = X B_i, robustly.

Per sample M_i = T_parent_mover (from the arm) and B_i = T_camera_board (seen). Sought are X = T_parent_camera and
Z = T_mover_board. For cameras that stand, parent is the base and mover the gripper; for cameras on the gripper it is
the other way round, with M_i inverted. So both cases are one.
"""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.solution import SolveError
from casher_perception.geometry import inverse, rotation_angle

HAND_EYE = ("TSAI", "PARK", "HORAUD", "ANDREFF", "DANIILIDIS")
ROBOT_WORLD = ("SHAH", "LI")
MIN_POSES = 3
LEVER_M = 0.15
"""An angle counts like the distance by which it moves a point this far away: about the board's size."""
_MIN_SPREAD_RAD = np.deg2rad(3.0)


def require_rotation(M):
    """SolveError unless the poses M (n, 4, 4) turn about at least two axes."""
    if len(M) < MIN_POSES:
        raise SolveError(f"at least {MIN_POSES} poses are needed, got {len(M)}: take 20 or more, turned differently")
    i, j = np.triu_indices(len(M), 1)
    turns = Rotation.from_matrix(M[i, :3, :3].transpose(0, 2, 1) @ M[j, :3, :3]).as_rotvec()
    spread = np.sqrt(np.linalg.eigvalsh(turns.T @ turns / len(turns))[::-1])
    if spread[0] < _MIN_SPREAD_RAD:
        raise SolveError(
            f"the gripper hardly turns between the poses ({np.degrees(spread[0]):.1f} deg): the camera's position "
            "cannot be told from such poses; turn the gripper by 20 .. 40 deg about two different axes"
        )
    if spread[1] < _MIN_SPREAD_RAD:
        raise SolveError(
            f"the gripper turns about one axis only ({np.degrees(spread[0]):.0f} deg about it, "
            f"{np.degrees(spread[1]):.1f} deg about others): the camera's position along it cannot be told; turn the "
            "gripper by 20 .. 40 deg about a second axis, too"
        )


def methods(M, B):
    """M, B (n, 4, 4) -> {method's name: (X, Z)}; a method that fails or gives no rigid transform is left out."""
    M_inverse = inverse(M)
    found = {}
    for name in HAND_EYE:
        flag = getattr(cv2, f"CALIB_HAND_EYE_{name}")
        X = _rigid(
            _quietly(
                cv2.calibrateHandEye, M_inverse[:, :3, :3], M_inverse[:, :3, 3], B[:, :3, :3], B[:, :3, 3], method=flag
            )
        )
        if X is not None:
            found[name] = X, mean_pose(M_inverse @ X @ B)
    for name in ROBOT_WORLD:
        flag = getattr(cv2, f"CALIB_ROBOT_WORLD_HAND_EYE_{name}")
        answer = _quietly(
            cv2.calibrateRobotWorldHandEye, B[:, :3, :3], B[:, :3, 3], M[:, :3, :3], M[:, :3, 3], method=flag
        )
        Z, X = (None, None) if answer is None else (_rigid(answer[:2]), _rigid(answer[2:]))
        if X is not None and Z is not None:
            found[name] = inverse(X), inverse(Z)
    return found


def distances(X, Z, M, B):
    """How far each view is from M Z = X B: translation [m] and rotation [rad], (n,) each."""
    predicted, seen = M @ Z, X @ B
    turn = rotation_angle(np.swapaxes(predicted[:, :3, :3], 1, 2) @ seen[:, :3, :3])
    return np.linalg.norm(predicted[:, :3, 3] - seen[:, :3, 3], axis=1), turn


def consensus(M, B, rng, rounds=80):
    """The poses that most of the data agree on -> (X, Z, inside (n,) bool).

    Every method on all poses and one on many random fours; the one with the least truncated distance wins.
    """
    candidates = list(methods(M, B).values())
    sizes = [_combined(X, Z, M, B) for X, Z in candidates]
    if len(M) > 4 and not any(size.max() < 4 * np.median(size) for size in sizes):  # else nothing sticks out
        for _ in range(rounds):
            few = rng.choice(len(M), 4, replace=False)
            Mi, Bi = inverse(M[few]), B[few]
            X = _rigid(
                _quietly(cv2.calibrateHandEye, Mi[:, :3, :3], Mi[:, :3, 3], Bi[:, :3, :3], Bi[:, :3, 3], method=1)
            )
            if X is not None:
                candidates.append((X, mean_pose(Mi @ X @ Bi)))
    if not candidates:
        raise SolveError(
            "no closed-form method finds a solution: turn the gripper about two different axes, 20 deg or more"
        )
    apart = np.array([_combined(X, Z, M, B) for X, Z in candidates])
    scale = max(float(np.median(apart, axis=1).min()), 2e-4)
    X, Z = candidates[int(np.argmin(np.minimum(apart, 4 * scale).sum(axis=1)))]
    for _ in range(3):
        inside = _combined(X, Z, M, B) < max(4 * scale, 0.002)
        if inside.sum() < MIN_POSES:
            break
        better = methods(M[inside], B[inside]).values()
        found = min(better, key=lambda XZ: np.median(_combined(*XZ, M[inside], B[inside])), default=None)
        if found is None:
            break
        X, Z = found
        if np.array_equal(_combined(X, Z, M, B) < max(4 * scale, 0.002), inside):
            break
    return X, Z, _combined(X, Z, M, B) < max(5 * scale, 0.003)


def mean_pose(T):
    """Mean of (n, 4, 4) poses that are near each other -> (4, 4)."""
    mean = np.eye(4)
    mean[:3, :3] = Rotation.from_matrix(T[:, :3, :3]).mean().as_matrix()
    mean[:3, 3] = np.median(T[:, :3, 3], axis=0)
    return mean


def _combined(X, Z, M, B):
    along, turn = distances(X, Z, M, B)
    return along + LEVER_M * turn


def _quietly(function, *arguments, **options):
    """The function's answer, or None where OpenCV gives up."""
    try:
        return function(*(list(argument) for argument in arguments), **options)
    except cv2.error:
        return None


def _rigid(answer):
    """(R, t) -> (4, 4), or None unless R is a rotation."""
    if answer is None:
        return None
    R, t = np.asarray(answer[0], dtype=float), np.asarray(answer[1], dtype=float).ravel()
    if not (np.isfinite(R).all() and np.isfinite(t).all()) or np.linalg.det(R) < 0.5:
        return None
    U, _, Vt = np.linalg.svd(R)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = U @ Vt, t
    return T
