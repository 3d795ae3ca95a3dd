"""The whole pipeline: session -> PnP -> closed-form starts -> joint robust least squares -> outliers -> uncertainty."""

from dataclasses import replace

import numpy as np

from casher_calibration.advice import advise
from casher_calibration.closed_form import mean_pose, require_rotation
from casher_calibration.judge import held_out, outliers_of, residuals_of
from casher_calibration.pipeline import data_of, solve_views
from casher_calibration.solution import Options, Solution, SolveError, Start
from casher_calibration.uncertainty import camera_covariance
from casher_calibration.views import views_of
from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import inverse, rotation_angle

MIN_SAMPLES = 5
"""Views a camera needs; 20 or more make a calibration that can pass its check."""
_WRONG_SCALE = 0.01
_AGREE_M, _AGREE_RAD = 0.01, np.deg2rad(1.0)


def solve(session, options=None):
    """Session -> Solution. SolveError for data that cannot be calibrated from, with what to do."""
    options = options or Options()
    views, without = views_of(session)
    _require_enough(session, views)
    data, result = solve_views(data_of(session, views, options), options)
    fit, last = result.fit, result.last_slot
    if abs(fit.scale_offset) > max(_WRONG_SCALE, 5 * fit.scale_sigma):
        raise SolveError(_wrong_scale(session, options, 1 + fit.scale_offset))
    covariance_all = camera_covariance(data, result, options)
    names = data.names
    residuals = residuals_of(data, result, session)
    held, between = held_out(data, result, session, options)
    joints = data.has_joints
    sigma = np.sqrt(np.diag(fit.covariance))
    first_joint = 6 * len(result.slot_camera) + 6 + 4 * len(names)
    solution = Solution(
        eye_in_hand=session.eye_in_hand,
        T_base_camera={name: fit.state.X[last[k]].copy() for k, name in enumerate(names)},
        intrinsics={
            name: _refined(session.cameras[name].intrinsics, fit.state.intrinsics[k]) for k, name in enumerate(names)
        },
        T_gripper_board=fit.state.Z.copy(),
        joint_offsets=fit.state.joints.copy() if joints else None,
        joint_offsets_sigma=sigma[first_joint : first_joint + 7] if joints else None,
        covariance={name: covariance_all[6 * k : 6 * k + 6, 6 * k : 6 * k + 6] for k, name in enumerate(names)},
        covariance_all=covariance_all,
        corner_sigma_px=fit.noise.corner_px,
        pose_sigma=(fit.noise.pose_m, fit.noise.pose_rad),
        residuals=residuals,
        held_out=held,
        camera_to_camera=between,
        outliers=outliers_of(data, result, session),
        starts=_starts(result.starts),
        scale=1 + fit.scale_offset,
        scale_sigma=fit.scale_sigma,
        samples_used=len({data.views[v].row for v in np.flatnonzero(result.used)}),
        advice=advise(data, result, options) if options.advice else [],
        warnings=[],
    )
    return replace(solution, warnings=_warnings(session, views, without, solution))


def _require_enough(session, views):
    for camera, name in enumerate(session.cameras):
        rows = sorted({view.row for view in views if view.camera == camera})
        if len(rows) < MIN_SAMPLES:
            raise SolveError(
                f"{name} sees the board in {len(rows)} samples, at least {MIN_SAMPLES} are needed, better 20: take "
                "more, with the board wholly in its image"
            )
        T = np.array([session.samples[row].T_base_gripper for row in rows])
        try:
            require_rotation(inverse(T) if session.eye_in_hand else T)
        except SolveError as error:
            raise SolveError(f"{name}: {error}") from None


def _wrong_scale(session, options, scale):
    """What to say of a board that is `scale` times as large as stated, the scale found more exactly first."""
    stated = session.board
    printed = replace(stated, square_m=stated.square_m * scale, marker_m=stated.marker_m * scale)
    anew = replace(session, board=printed)
    _, result = solve_views(data_of(anew, views_of(anew)[0], options), options)
    scale *= 1 + result.fit.scale_offset
    return (
        f"the board has {100 * scale:.1f} % of the stated size, going by the arm's motion: its squares measure "
        f"{1e3 * stated.square_m * scale:.2f} mm, not {1e3 * stated.square_m:.2f} mm; measure the print with a ruler "
        "and state square_m and marker_m, or print at 100 %"
    )


def _refined(factory, change):
    fx, fy = factory.fx * np.exp(change[0]), factory.fy * np.exp(change[1])
    cx, cy = factory.cx + change[2], factory.cy + change[3]
    return Intrinsics(factory.width, factory.height, float(fx), float(fy), float(cx), float(cy))


def _starts(found):
    """[(camera, method, X)] -> [Start], each compared with the median of its camera's."""
    starts = []
    for name in dict.fromkeys(name for name, _, _ in found):
        mine = [(method, X) for camera, method, X in found if camera == name]
        middle = mean_pose(np.array([X for _, X in mine]))
        for method, X in mine:
            distance = float(np.linalg.norm(X[:3, 3] - middle[:3, 3]))
            angle = float(rotation_angle(middle[:3, :3].T @ X[:3, :3]))
            starts.append(Start(name, method, X, distance, angle, distance < _AGREE_M and angle < _AGREE_RAD))
    return starts


def _warnings(session, views, without, solution):
    found = [f"sample {index}, {name}: {why}" for index, name, why in without]
    for name in session.cameras:
        apart = [start.method for start in solution.starts if start.camera == name and not start.agrees]
        if len(apart) > 1:
            found.append(
                f"{name}: the closed-form methods {', '.join(apart)} disagree with the others: poses turn too little"
            )
    never = set(range(len(session.board.corners()))) - {int(i) for view in views for i in view.ids}
    if never:
        found.append(
            f"{len(never)} corners of the board were never seen (ids {', '.join(map(str, sorted(never)[:8]))}): is it "
            f"{session.board.squares_x} x {session.board.squares_y} squares, and uncovered?"
        )
    if abs(solution.scale - 1) > max(0.003, 3 * solution.scale_sigma):
        found.append(
            f"the arm's motion suggests a board of {100 * solution.scale:.2f} % of the stated size: measure the print"
        )
    if solution.joint_offsets is None:
        found.append("joint angles were not all recorded: the joint offsets could not be estimated")
    return found
