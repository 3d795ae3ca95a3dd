"""How well a fit predicts: residuals of its own views, of samples held out, and what was left out and why."""

import numpy as np

from casher_calibration.pipeline import agree, mover_poses, run_fit
from casher_calibration.solution import Outlier, Residual, SolveError
from casher_calibration.views import seen_poses
from casher_perception.geometry import inverse, rotation_angle

_MIN_FOR_FOLDS = 8


def residuals_of(data, result, session):
    """[Residual] of the views used."""
    return [_residual(data, result.slot, result.fit.state, v, session) for v in np.flatnonzero(result.used)]


def held_out(data, result, session, options):
    """Every sample predicted by a fit without it -> [Residual], [(sample, distance [m] between two cameras)]."""
    rows = sorted({data.views[v].row for v in np.flatnonzero(result.used)})
    if options.folds < 2 or len(rows) < max(_MIN_FOR_FOLDS, 2 * options.folds):
        return [], []
    row_of = np.array([view.row for view in data.views])
    residuals, between = [], []
    for fold in range(options.folds):
        mine = rows[fold :: options.folds]
        kept = result.used & ~np.isin(row_of, mine)
        try:
            fit = run_fit(
                data, result.slot, result.slot_camera, kept, result.fit.state, result.fit.noise, options, rounds=0
            )
        except SolveError:  # without these samples a camera is undetermined
            continue
        for row in mine:
            views = np.flatnonzero(result.used & (row_of == row) & np.isin(result.slot, result.slot[kept]))
            residuals += [_residual(data, result.slot, fit.state, v, session) for v in views]
            centres = [_centre(data, result.slot, fit.state, v, session) for v in views]
            between += [
                (session.samples[row].index, float(np.linalg.norm(a - b)))
                for i, a in enumerate(centres)
                for b in centres[:i]
            ]
    residuals.sort(key=lambda residual: residual.sample)
    return residuals, sorted(between)


def _reported(data, row):
    T = data.arm.T_base_gripper[row]
    return inverse(T) if data.arm.eye_in_hand else T


def _seen(data, state, v):
    """T_camera_board of a view with the refined intrinsics."""
    return seen_poses([data.views[v]], state.intrinsics)[0]


def _centre(data, slot, state, v, session):
    return (state.X[slot[v]] @ _seen(data, state, v) @ np.append(session.board.centre(), 1.0))[:3]


def _residual(data, slot, state, v, session):
    view = data.views[v]
    T, X = _seen(data, state, v), state.X[slot[v]]
    by_arm, by_camera = _reported(data, view.row) @ state.Z, X @ T
    centre = np.append(session.board.centre(), 1.0)
    predicted = inverse(X) @ by_arm
    points = data.points[view.ids] @ predicted[:3, :3].T + predicted[:3, 3]
    change = state.intrinsics[view.camera]
    focal = data.cameras[view.camera, :2] * np.exp(change[:2])
    error = points[:, :2] / points[:, 2:] * focal + data.cameras[view.camera, 2:] + change[2:] - view.pixels
    return Residual(
        sample=session.samples[view.row].index,
        camera=data.names[view.camera],
        board_centre_m=float(np.linalg.norm(((by_arm - by_camera) @ centre)[:3])),
        rotation_rad=float(rotation_angle(by_arm[:3, :3].T @ by_camera[:3, :3])),
        reprojection_px=float(np.sqrt((error**2).sum(axis=1).mean())),
    )


def outliers_of(data, result, session):
    """[Outlier] of every view that the result does not rest on, one for all cameras where the arm is at fault."""
    slot, state = result.slot, result.fit.state
    found = []
    row_of = np.array([view.row for view in data.views])
    M = mover_poses(data, state)
    several = len(data.names) > 1
    for row in np.unique(row_of[~result.used]):
        mine = np.flatnonzero(row_of == row)
        bad = mine[~result.used[mine]]
        index = session.samples[row].index
        apart = [_apart(data, slot, state, M, v) for v in bad]
        if len(mine) > 1 and len(bad) == len(mine) and agree(data, slot, state, mine):
            text = _sizes(*apart[0])
            turned = apart[0][1] > np.deg2rad(60)
            why = (
                f"the board was turned in the gripper ({text})"
                if turned
                else f"the board is not where the arm says ({text}): not yet at rest, or a wrong pose"
            )
            found.append(Outlier(index, None, why))
            continue
        for v, size in zip(bad, apart, strict=True):
            others = len(mine) > len(bad)
            cause = "the other camera agrees with the arm" if others else "a wrong pose of the arm, or of the camera"
            if not several:
                cause = "a wrong pose of the arm, a board or a camera that was moved"
            found.append(
                Outlier(index, data.names[data.views[v].camera], f"sees the board {_sizes(*size)} away: {cause}")
            )
    for v in np.flatnonzero(result.used & (slot != result.last_slot[[view.camera for view in data.views]])):
        camera = data.views[v].camera
        first = min(data.views[u].row for u in np.flatnonzero(slot == result.last_slot[camera]))
        X_before, X_after = state.X[slot[v]], state.X[result.last_slot[camera]]
        size = _sizes(
            np.linalg.norm(X_after[:3, 3] - X_before[:3, 3]), rotation_angle(X_before[:3, :3].T @ X_after[:3, :3])
        )
        found.append(
            Outlier(
                session.samples[data.views[v].row].index,
                data.names[camera],
                f"the camera was moved by {size} before sample {session.samples[first].index}: the result is where it "
                "stands now",
            )
        )
    return sorted(found, key=lambda outlier: (outlier.sample, outlier.camera or ""))


def _apart(data, slot, state, M, v):
    view = data.views[v]
    by_arm, by_camera = M[view.row] @ state.Z, state.X[slot[v]] @ _seen(data, state, v)
    middle = data.points.mean(axis=0)
    along = (by_arm - by_camera)[:3, :3] @ middle + (by_arm - by_camera)[:3, 3]
    return float(np.linalg.norm(along)), float(rotation_angle(by_arm[:3, :3].T @ by_camera[:3, :3]))


def _sizes(metres, radians):
    return f"{1e3 * metres:.1f} mm, {np.degrees(radians):.2f} deg"
