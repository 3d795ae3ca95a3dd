"""AX = XB from pairs of poses, without images: robust closed form, then least squares with Huber's loss.

Minimised is the distance between M_i Z and X B_i, rotations weighed by a lever as long as a board, so that metres and
radians compare (Strobl and Hirzinger, IROS 2006, estimate that ratio; here it is fixed and stated).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from casher_calibration.closed_form import LEVER_M, MIN_POSES, consensus, distances, methods, require_rotation
from casher_calibration.solution import SolveError
from casher_perception.geometry import inverse, require_rigid, rotation_angle

_OUTLIER_SIGMAS = 6.0
_SUSPICIOUS_M = 0.01
_NONSENSE_M = 0.05
_FLOOR_M = 1e-4
"""Residuals below this are never outliers."""


@dataclass(frozen=True, eq=False)
class PairSolution:
    """The camera from pairs of poses."""

    X: np.ndarray
    """(4, 4) T_base_camera; T_gripper_camera for eye-in-hand."""
    Z: np.ndarray
    """(4, 4) T_gripper_board; T_base_board for eye-in-hand."""
    translation_m: np.ndarray
    """(n,) residual of each pair, also of the outliers."""
    rotation_rad: np.ndarray
    """(n,)"""
    outliers: list
    """Positions of the pairs the result does not rest on."""
    sigma_m: float
    """Standard deviation [m] of the camera's position, as far as the residuals tell."""
    sigma_rad: float
    methods: dict
    """Closed-form method -> X, on the same pairs."""


def read_pairs(values):
    """[[T_base_gripper, T_camera_board], ...] -> (n, 4, 4), (n, 4, 4). SolveError names the pair that is wrong."""
    if not isinstance(values, list) or not values:
        raise SolveError("poses must be a list of pairs [T_base_gripper, T_camera_board] of 4 x 4 matrices")
    found = []
    for number, pair in enumerate(values):
        if not isinstance(pair, list) or len(pair) != 2:
            raise SolveError(f"pair {number} must be [T_base_gripper, T_camera_board], got {_short(pair)}")
        for matrix, name in zip(pair, ("T_base_gripper", "T_camera_board"), strict=True):
            try:
                found.append(require_rigid(np.array(matrix, dtype=np.float64), f"{name} of pair {number}"))
            except (TypeError, ValueError) as error:
                raise SolveError(f"{_named(error, name, number)}: give 4 x 4 rigid transforms in metres") from None
    pairs = np.array(found).reshape(-1, 2, 4, 4)
    if (largest := float(np.abs(pairs[..., :3, 3]).max())) > 20.0:
        raise SolveError(f"a translation of {largest:.0f} is too large for metres: are the poses in millimetres?")
    return pairs[:, 0], pairs[:, 1]


def solve_pairs(T_base_gripper, T_camera_board, eye_in_hand=False):
    """(n, 4, 4) each -> PairSolution. SolveError for poses that do not determine the camera."""
    M = inverse(T_base_gripper) if eye_in_hand else np.asarray(T_base_gripper)
    B = np.asarray(T_camera_board)
    require_rotation(M)
    require_rotation(inverse(B))
    X, Z, inside = consensus(M, B, np.random.default_rng(0))
    if inside.sum() < MIN_POSES:
        _refuse_nonsense(M, B, np.inf)
    for _ in range(6):
        _require_left(M[inside], len(M))
        X, Z, covariance = _refine(X, Z, M[inside], B[inside])
        along, turn = distances(X, Z, M, B)
        sizes = along + LEVER_M * turn
        # Rayleigh-like: the median of the lengths is about 1.5 standard deviations of a component
        scale = max(float(np.median(sizes[inside])) / 1.5, _FLOOR_M / _OUTLIER_SIGMAS)
        now = sizes < _OUTLIER_SIGMAS * scale
        if np.array_equal(now, inside):
            break
        inside = now
    if (typical_m := float(np.median(sizes))) > _SUSPICIOUS_M:
        _refuse_nonsense(M, B, typical_m)
    sigma = np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1]), np.sqrt(np.linalg.eigvalsh(covariance[3:, 3:])[-1])
    return PairSolution(
        X,
        Z,
        along,
        turn,
        [int(i) for i in np.flatnonzero(~inside)],
        float(sigma[0]),
        float(sigma[1]),
        {name: pair[0] for name, pair in methods(M[inside], B[inside]).items()},
    )


def _refuse_nonsense(M, B, typical_m):
    """SolveError when the arm's poses fit far better inverted, or do not fit at all."""
    try:
        X, Z, _ = consensus(inverse(M), B, np.random.default_rng(0))
        along, turn = distances(X, Z, inverse(M), B)
        other_m = float(np.median(along + LEVER_M * turn))
    except SolveError:
        other_m = np.inf
    if other_m < 0.2 * typical_m:
        raise SolveError(
            f"the pairs fit badly (typically {1e3 * typical_m:.0f} mm), but well ({1e3 * other_m:.1f} mm) the other "
            "way round: either the camera rides on the gripper where you say it stands, or stands where you say it "
            "rides (--eye-in-hand), or one of T_base_gripper and T_camera_board is given inverted"
        )
    if typical_m > _NONSENSE_M:
        raise SolveError(
            f"no {MIN_POSES} pairs or most of them do not fit together: check that both poses of a pair are of "
            "the same moment, in metres, and the board fixed"
        )


def spread_of_methods(solution):
    """Largest distance [m] and angle [rad] of a closed-form method from the result."""
    apart = [np.linalg.norm(X[:3, 3] - solution.X[:3, 3]) for X in solution.methods.values()]
    turn = [rotation_angle(X[:3, :3].T @ solution.X[:3, :3]) for X in solution.methods.values()]
    return float(max(apart, default=0.0)), float(max(turn, default=0.0))


def _require_left(M, total):
    try:
        require_rotation(M)
    except SolveError as error:
        raise SolveError(f"of {total} pairs {len(M)} fit together, and of these: {error}") from None


def _refine(X, Z, M, B):
    """-> X, Z, covariance (6, 6) of X from the residuals' own spread."""

    def at(step):
        return _moved(X, step[:6]), _moved(Z, step[6:])

    def residual(step):
        X_now, Z_now = at(step)
        predicted, seen = M @ Z_now, X_now @ B
        turn = Rotation.from_matrix(np.swapaxes(predicted[:, :3, :3], 1, 2) @ seen[:, :3, :3]).as_rotvec()
        return np.concatenate([predicted[:, :3, 3] - seen[:, :3, 3], LEVER_M * turn], axis=1).ravel()

    scale = max(float(np.median(np.abs(residual(np.zeros(12))))), 1e-7)
    found = least_squares(
        residual, np.zeros(12), loss="huber", f_scale=2 * scale, x_scale="jac", xtol=1e-14, ftol=1e-14
    )
    freedom = max(6 * len(M) - 12, 1)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * (residual(found.x) ** 2).sum() / freedom
    return *at(found.x), covariance[:6, :6]


def _moved(T, step):
    moved = T.copy()
    moved[:3, 3] += step[:3]
    moved[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix() @ T[:3, :3]
    return moved


def _named(error, name, number):
    """The error's text, which names the matrix when it is about its values, but not when it is no matrix at all."""
    text = str(error)
    return text if name in text else f"{name} of pair {number} is not a matrix of numbers ({text})"


def _short(value):
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
