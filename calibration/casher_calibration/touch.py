"""The touch test: the board lies in the kitchen, every camera sees it, and the tool's tip is put on a few corners.

The samples of a calibration share the arm's own errors, so their residuals flatter it. A touched corner does not: it
ties what the cameras say to where the tool really gets. Kept in the session's folder: touch.yaml, touch_<camera>.png
and, with depth, touch_<camera>_depth.png (16 bit, mm).
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from casher_calibration.detect import detect
from casher_calibration.detection import BoardProblem
from casher_calibration.pnp import board_pose
from casher_calibration.samples import SessionError
from casher_perception.camera_model import DEPTH_UNIT_M
from casher_perception.geometry import transform

FILE = "touch.yaml"
FEWEST = 3
FEWEST_POINTS = 500
"""Of a camera's depth on the board, for the plane."""


@dataclass(frozen=True, eq=False)
class Touch:
    """What was touched and what was seen."""

    corners: np.ndarray
    """(k,) ids of the touched corners."""
    positions: np.ndarray
    """(k, 3) [m] of the tool's tip in base."""
    images: dict
    """Camera -> RGB (H, W, 3) uint8."""
    depths: dict
    """Camera -> (H, W) uint16; absent for a camera without depth."""


@dataclass(frozen=True)
class TouchError:
    """One touched corner as one camera places it."""

    camera: str
    corner: int
    distance_m: float


@dataclass(frozen=True)
class PlaneError:
    """The board's plane in the cameras' depth, all in base."""

    rms_m: float
    """Of all points about the plane through them: noise and disagreement."""
    gap_m: float
    """Between the two cameras' planes, in the middle of the board."""


def corners_to_touch(board, seen):
    """Up to four corners near the board's outline, of those that every camera sees (a set) -> list of ids."""
    ids = sorted(seen)
    if len(ids) < FEWEST:
        raise SessionError(f"every camera must see the same {FEWEST} corners of the lying board, they share {len(ids)}")
    points = board.corners()[ids, :2] - board.centre()[:2]
    return [ids[int(np.argmax(points @ direction))] for direction in ([-1, -1], [1, -1], [1, 1], [-1, 1])]


def save_touch(touch, folder):
    """Write it into the session's folder, pictures first."""
    folder = Path(folder)
    for name, image in touch.images.items():
        _write_png(folder / f"touch_{name}.png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    for name, depth in touch.depths.items():
        _write_png(folder / f"touch_{name}_depth.png", depth)
    points = [
        {"corner": int(corner), "position": [float(v) for v in position]}
        for corner, position in zip(touch.corners, touch.positions, strict=True)
    ]
    values = {"version": 1, "cameras": list(touch.images), "points": points}
    (folder / FILE).write_text(yaml.safe_dump(values, sort_keys=False, default_flow_style=None), encoding="utf-8")


def load_touch(folder, session):
    """The touch test of a session's folder -> Touch, or None when there is none. SessionError for one that is wrong."""
    folder = Path(folder)
    path = folder / FILE
    if not path.exists():
        return None
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        ids = np.array([int(point["corner"]) for point in values["points"]])
        positions = np.array([[float(v) for v in point["position"]] for point in values["points"]]).reshape(-1, 3)
        cameras = [str(name) for name in values["cameras"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise SessionError(f"cannot read {path}: {error}; take it again with 'casher calibrate touch'") from None
    if set(cameras) != set(session.cameras) or len(ids) < FEWEST or not np.isfinite(positions).all():
        raise SessionError(f"{path} must hold {FEWEST} points or more and the cameras {', '.join(session.cameras)}")
    if ids.min() < 0 or ids.max() >= len(session.board.corners()):
        raise SessionError(f"{path}: corners are 0 .. {len(session.board.corners()) - 1}, got {ids.tolist()}")
    images = {name: _read_png(folder / f"touch_{name}.png", cv2.IMREAD_COLOR)[..., ::-1].copy() for name in cameras}
    with_depth = [name for name in cameras if (folder / f"touch_{name}_depth.png").exists()]
    depths = {name: _read_png(folder / f"touch_{name}_depth.png", cv2.IMREAD_UNCHANGED) for name in with_depth}
    return Touch(ids, positions, images, depths)


def touch_errors(touch, session, solution):
    """-> [TouchError] of every camera and corner. BoardProblem naming the camera that does not see the board."""
    found = []
    for name, image in touch.images.items():
        T_base_board = solution.T_base_camera[name] @ _lying(touch, session, solution, name, image)
        seen = transform(T_base_board, session.board.corners()[touch.corners])
        found += [
            TouchError(name, int(corner), float(distance))
            for corner, distance in zip(touch.corners, np.linalg.norm(seen - touch.positions, axis=1), strict=True)
        ]
    return found


def plane_error(touch, session, solution):
    """How thick the lying board is in the fused clouds -> PlaneError, or None without depth of both cameras."""
    clouds = []
    for name, depth in touch.depths.items():
        intrinsics = session.cameras[name].intrinsics
        T = _lying(touch, session, solution, name, touch.images[name])
        width, height = session.board.size_m
        outline = transform(T, np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]], float))
        mask = np.zeros(depth.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.rint(intrinsics.project(outline)).astype(np.int32), 1)
        rows, columns = np.nonzero((mask > 0) & (depth > 0))
        if len(rows) < FEWEST_POINTS:
            return None
        points = intrinsics.deproject(np.column_stack([columns, rows]), depth[rows, columns] * DEPTH_UNIT_M)
        clouds.append(transform(solution.T_base_camera[name], points))
    if len(clouds) < 2:
        return None
    every = np.concatenate(clouds)
    middle = every.mean(axis=0)
    normal = np.linalg.eigh(np.cov((every - middle).T))[1][:, 0]
    rms = float(np.sqrt((((every - middle) @ normal) ** 2).mean()))
    return PlaneError(rms, float(np.ptp([np.median((cloud - middle) @ normal) for cloud in clouds])))


def _lying(touch, session, solution, name, image):
    """T_camera_board (4, 4) of the lying board."""
    try:
        detection = detect(image, session.board)
    except BoardProblem as problem:
        raise BoardProblem(problem.kind, f"touch test, {name}: {problem}") from None
    return board_pose(detection, session.board, solution.intrinsics[name]).T_camera_board


def _write_png(path, image):
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    partial.replace(path)


def _read_png(path, flags):
    image = cv2.imread(str(path), flags)
    if image is None:
        raise SessionError(f"cannot read {path}: take the touch test again with 'casher calibrate touch'")
    return image
