"""Joint robust least squares over everything the corners depend on, and how far its answer may be off.

Levenberg-Marquardt on the normal equations; each sample's own pose error is eliminated first (Schur complement), so a
step costs little more than one for the cameras alone. Huber's loss on the reprojection; Gaussian priors on joint
offsets, intrinsics and the poses' repeatability. The noise of corners and poses is estimated from the data, too
(expectation maximisation), with the stated values as a prior, so the covariance does not depend on a guess.
"""

from dataclasses import astuple, dataclass, replace

import numpy as np

from casher_calibration.joint_model import State, predict

HUBER = 2.0
"""Reprojection errors beyond this many standard deviations count linearly."""
_PRIOR_POSES = 8
"""The stated repeatability counts like that many poses."""
_FIXED = 1e-7
"""Standard deviation of what is held in place."""
_MIN_SIGMA_PX = 0.01


@dataclass(frozen=True)
class Noise:
    """Standard deviations, each axis."""

    corner_px: float
    pose_m: float
    pose_rad: float


@dataclass(frozen=True, eq=False)
class Fit:
    """The answer."""

    state: State
    noise: Noise
    covariance: np.ndarray
    """(G, G) of the global unknowns, in the order of State.moved."""
    information_poses: np.ndarray
    """(S, 6, 6) of each pose error given the global unknowns."""
    scale_offset: float
    """Relative size of the board, less 1, that the data ask for; the fit itself uses the stated size."""
    scale_sigma: float


def fit(corners, arm, cameras, slot_camera, state, noise, options, rounds=4):
    """Refine `state` -> Fit. The noise is estimated in `rounds` rounds (0: taken as given).

    Raises numpy.linalg.LinAlgError when the data leave something undetermined.
    """
    stated = noise
    problem = (corners, arm, cameras, slot_camera)
    for turn in range(rounds + 1):
        state, equations = _minimise(problem, state, noise, options)
        if turn == rounds:
            break
        before, noise = noise, _estimated_noise(problem, state, equations, noise, stated)
        if np.allclose(astuple(noise), astuple(before), rtol=0.01):
            break
    covariance = np.linalg.inv(equations.schur)
    # the prior that holds the scale in place taken away again: what would it be?
    free = equations.schur.copy()
    free[-1, -1] -= 1 / _FIXED**2
    free_covariance = np.linalg.inv(free)
    pull = np.zeros(len(free))
    pull[-1] = -state.log_scale / _FIXED**2
    scale_offset = float(state.log_scale - (free_covariance @ (equations.gradient + pull))[-1])
    return Fit(
        state, noise, covariance, equations.pose_block, scale_offset, float(np.sqrt(max(free_covariance[-1, -1], 0)))
    )


@dataclass(frozen=True, eq=False)
class _Equations:
    """Normal equations at a state, the poses eliminated."""

    cost: float
    schur: np.ndarray
    """(G, G)"""
    gradient: np.ndarray
    """(G,)"""
    pose_block: np.ndarray
    """(S, 6, 6)"""
    pose_gradient: np.ndarray
    """(S, 6)"""
    coupling: np.ndarray
    """(S, G, 6)"""
    residual: np.ndarray
    """(N, 2) [pixels]"""

    def step(self, damping):
        step = -np.linalg.solve(self.schur + damping * np.diag(np.diag(self.schur)), self.gradient)
        back = self.pose_gradient + np.einsum("sgi,g->si", self.coupling, step)
        return step, -np.linalg.solve(self.pose_block, back[..., None])[..., 0]


def _minimise(problem, state, noise, options, iterations=30):
    """-> state of least cost, its equations"""
    damping = 1e-4
    equations = _equations(problem, state, noise, options)
    for _ in range(iterations):
        try:
            tried = state.moved(*equations.step(damping))
            after = _equations(problem, tried, noise, options)
        except np.linalg.LinAlgError:
            damping *= 10
            if damping > 1e6:
                raise
            continue
        if not after.cost < equations.cost:
            damping *= 10
            if damping > 1e6:
                break
            continue
        gain = equations.cost - after.cost
        state, equations, damping = tried, after, max(damping / 10, 1e-9)
        if gain < 1e-7 * (1 + equations.cost):
            break
    return state, equations


def _equations(problem, state, noise, options):
    corners, arm, _, _ = problem
    pixels, J, J_pose = predict(*problem, state)
    residual = pixels - corners.pixels
    size = np.linalg.norm(residual, axis=1) / noise.corner_px
    weight = np.minimum(1.0, HUBER / np.maximum(size, 1e-12)) / noise.corner_px**2
    cost = np.where(size < HUBER, 0.5 * size**2, HUBER * size - 0.5 * HUBER**2).sum()

    total, samples = J.shape[2], len(arm.T_base_gripper)
    weighted = J * weight[:, None, None]
    rows = J.reshape(-1, total)
    schur = rows.T @ weighted.reshape(-1, total)
    gradient = weighted.reshape(-1, total).T @ residual.ravel()
    value, precision = _prior(state, options, arm.axes is not None)
    schur[np.diag_indices(total)] += precision
    gradient += precision * value
    cost += 0.5 * (precision * value**2).sum()

    starts = np.searchsorted(corners.sample, np.arange(samples))
    filled = np.diff(np.append(starts, len(corners.sample))) > 0
    pose_precision = np.repeat([1 / noise.pose_m**2, 1 / noise.pose_rad**2], 3)
    block = np.broadcast_to(np.diag(pose_precision), (samples, 6, 6)).copy()
    coupling, back = np.zeros((samples, total, 6)), state.poses * pose_precision
    weighted_pose = J_pose * weight[:, None, None]
    for out, values in (
        (block, np.einsum("nai,naj->nij", J_pose, weighted_pose)),
        (coupling, np.einsum("nag,naj->ngj", J, weighted_pose)),
        (back, np.einsum("nai,na->ni", weighted_pose, residual)),
    ):
        out[filled] += np.add.reduceat(values, starts[filled], axis=0)
    cost += 0.5 * (pose_precision * state.poses**2).sum()

    solved = np.linalg.solve(block, np.swapaxes(coupling, 1, 2))  # (S, 6, G)
    schur -= np.einsum("sgi,sih->gh", coupling, solved)
    gradient -= np.einsum("sig,si->g", solved, back)
    return _Equations(cost if np.isfinite(cost) else np.inf, schur, gradient, block, back, coupling, residual)


def _prior(state, options, has_joints):
    """(value, 1 / variance) of every global unknown, (G,) each."""
    none = np.zeros(6 * len(state.X) + 6)
    sigma = np.tile(
        [options.focal_relative] * 2 + [options.centre_px] * 2 if options.intrinsics else [_FIXED] * 4,
        len(state.intrinsics),
    )
    joints = np.full(7, options.joint_offset_rad if options.joint_offsets and has_joints else _FIXED)
    value = np.concatenate([none, state.intrinsics.ravel(), state.joints, [state.log_scale]])
    precision = np.concatenate([none, 1 / sigma**2, 1 / joints**2, [1 / _FIXED**2]])
    return value, precision


def _estimated_noise(problem, state, equations, noise, stated):
    """Noise that explains the residuals, allowing for what the fit absorbed."""
    covariance = np.linalg.inv(equations.schur)
    own = np.linalg.inv(equations.pose_block)
    through = own @ np.swapaxes(equations.coupling, 1, 2)  # (S, 6, G)
    spread = own + through @ covariance @ np.swapaxes(through, 1, 2)
    variance = np.diagonal(spread, axis1=1, axis2=2)
    seen = np.isin(np.arange(len(variance)), problem[0].sample)
    squares = state.poses[seen] ** 2 + variance[seen]
    prior = 3 * _PRIOR_POSES
    count = prior + 3 * seen.sum()
    pose_m = np.sqrt((prior * stated.pose_m**2 + squares[:, :3].sum()) / count)
    pose_rad = np.sqrt((prior * stated.pose_rad**2 + squares[:, 3:].sum()) / count)

    precision = np.repeat([1 / noise.pose_m**2, 1 / noise.pose_rad**2], 3)
    absorbed = (1 - precision * variance[seen]).sum() + len(covariance)
    values = equations.residual.size
    # the median of a 2-D Gaussian's squared length is 2 ln 2 variances
    corner = np.sqrt(np.median((equations.residual**2).sum(axis=1)) / (2 * np.log(2)))
    corner *= np.sqrt(values / max(values - absorbed, values / 4))
    return replace(noise, corner_px=float(max(corner, _MIN_SIGMA_PX)), pose_m=float(pose_m), pose_rad=float(pose_rad))
