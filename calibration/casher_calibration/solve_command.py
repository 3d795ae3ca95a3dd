"""`casher calibrate solve`: cameras from a session's folder, or from a file of pose pairs (AX = XB)."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from casher_calibration.board import BoardError
from casher_calibration.detection import BoardProblem
from casher_calibration.pose_pairs import read_pairs, solve_pairs, spread_of_methods
from casher_calibration.samples import SessionError, load
from casher_calibration.solution import SolveError
from casher_calibration.solve import solve
from casher_perception.geometry import position_quat


@dataclass(frozen=True)
class SolveArgs:
    """Cameras' poses from a session, or from pairs of poses. Writes nothing: `casher calibrate check` does."""

    session: tyro.conf.Positional[Path | None] = None
    """Folder with session.yaml and its images."""
    poses: Path | None = None
    """JSON file [[T_base_gripper, T_camera_board], ...] of 4 x 4 lists, metres; prints JSON."""
    eye_in_hand: bool = False
    """With --poses: the camera rides on the gripper. A session's file says so itself."""
    json: bool = False
    """Print JSON instead of a summary."""


def main(args):
    """0: solved; 2: refused, with what to do."""
    try:
        if (args.session is None) == (args.poses is None):
            raise SolveError("give either a session's folder or --poses FILE.json")
        if args.poses is not None:
            print(json.dumps(pairs_report(_read_json(args.poses), args.eye_in_hand), indent=1))
            return 0
        if args.eye_in_hand:
            raise SolveError("--eye-in-hand goes with --poses; a session says it in session.yaml (eye_in_hand: true)")
        session = load(args.session)
        solution = solve(session)
    except (SolveError, SessionError, BoardError, BoardProblem) as error:
        print(f"casher calibrate solve: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report(session, solution), indent=1) if args.json else summary(session, solution))
    return 0


def pairs_report(values, eye_in_hand):
    """Pairs of poses as read from JSON -> what is printed, plain values."""
    solution = solve_pairs(*read_pairs(values), eye_in_hand)
    kept = np.setdiff1d(np.arange(len(values)), solution.outliers)
    along, turn = solution.translation_m[kept], solution.rotation_rad[kept]
    distance, angle = spread_of_methods(solution)
    names = ("T_gripper_camera", "T_base_board") if eye_in_hand else ("T_base_camera", "T_gripper_board")
    return {
        names[0]: solution.X.tolist(),
        names[1]: solution.Z.tolist(),
        "pairs": len(values),
        "residuals": {
            "translation_rms_m": float(np.sqrt((along**2).mean())),
            "rotation_rms_rad": float(np.sqrt((turn**2).mean())),
            "translation_m": solution.translation_m.tolist(),
            "rotation_rad": solution.rotation_rad.tolist(),
        },
        "outliers": [
            {
                "index": i,
                "translation_m": float(solution.translation_m[i]),
                "rotation_rad": float(solution.rotation_rad[i]),
                "why": "the two poses of this pair do not fit the others: a wrong pose, a flipped or a moved board",
            }
            for i in solution.outliers
        ],
        "sigma_m": solution.sigma_m,
        "sigma_rad": solution.sigma_rad,
        "methods_differ_m": distance,
        "methods_differ_rad": angle,
    }


def report(session, solution):
    """What --json prints of a session, plain values."""
    mode = "T_gripper_camera" if solution.eye_in_hand else "T_base_camera"
    cameras = {}
    for name, T in solution.T_base_camera.items():
        position, quat_xyzw = position_quat(T)
        k = solution.intrinsics[name]
        cameras[name] = {
            "serial": session.cameras[name].serial,
            mode: T.tolist(),
            "position": position.tolist(),
            "quat_xyzw": quat_xyzw.tolist(),
            "sigma_m": solution.sigma_m(name),
            "sigma_rad": solution.sigma_rad(name),
            "covariance": solution.covariance[name].tolist(),
            "intrinsics": {key: getattr(k, key) for key in ("fx", "fy", "cx", "cy")},
        }
    joints = solution.joint_offsets
    return {
        "cameras": cameras,
        "T_base_board" if solution.eye_in_hand else "T_gripper_board": solution.T_gripper_board.tolist(),
        "samples": len(session.samples),
        "samples_used": solution.samples_used,
        "joint_offsets_rad": None if joints is None else joints.tolist(),
        "corner_sigma_px": solution.corner_sigma_px,
        "board_scale": solution.scale,
        "residuals": _residuals(solution.residuals),
        "held_out": _residuals(solution.held_out),
        "camera_to_camera_m": [distance for _, distance in solution.camera_to_camera],
        "outliers": [{"sample": o.sample, "camera": o.camera, "why": o.why} for o in solution.outliers],
        "unusable_images": [{"sample": i, "camera": name, "why": why} for i, name, why in session.unusable],
        "advice": solution.advice,
        "warnings": solution.warnings,
    }


def summary(session, solution):
    """For a person, several lines."""
    frame = "gripper" if solution.eye_in_hand else "base"
    lines = [f"{solution.samples_used} of {len(session.samples)} samples used"]
    for name, T in solution.T_base_camera.items():
        x, y, z = T[:3, 3]
        lines.append(
            f"  {name}: at {x:.4f} {y:.4f} {z:.4f} m in {frame}, standard deviation up to "
            f"{1e3 * solution.sigma_m(name):.1f} mm, {np.degrees(solution.sigma_rad(name)):.3f} deg"
        )
    if solution.held_out:
        centre = np.array([residual.board_centre_m for residual in solution.held_out])
        lines.append(f"  held out: board's centre {1e3 * centre.mean():.1f} mm (largest {1e3 * centre.max():.1f})")
    if solution.camera_to_camera:
        apart = np.array([distance for _, distance in solution.camera_to_camera])
        lines.append(f"  camera to camera: {1e3 * apart.mean():.1f} mm (largest {1e3 * apart.max():.1f})")
    lines += [f"  left out: sample {o.sample}, {o.camera or 'all cameras'}: {o.why}" for o in solution.outliers]
    lines += [f"  no corners: sample {index}, {name}: {why}" for index, name, why in session.unusable]
    lines += [f"  warning: {text}" for text in solution.warnings]
    lines += [f"  to know more: {text}" for text in solution.advice]
    return "\n".join(lines)


def _residuals(residuals):
    keys = ("sample", "camera", "board_centre_m", "rotation_rad", "reprojection_px")
    return [{key: getattr(residual, key) for key in keys} for residual in residuals]


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SolveError(f"cannot read {path}: {error}") from None
    except json.JSONDecodeError as error:
        raise SolveError(f"{path} is not JSON ({error})") from None
