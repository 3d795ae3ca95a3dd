"""Sessions whose truth is known: an FR3 with joint offsets, a board in its gripper, cameras with wrong intrinsics."""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.board import Board
from casher_calibration.detect import detect
from casher_calibration.detection import BoardProblem, Detection
from casher_calibration.joint_model import perturbed
from casher_calibration.samples import Sample, Session, SessionCamera
from casher_calibration.synthetic import ImageNoise, render
from casher_franka.kinematics import flange_pose
from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import inverse

_HOME = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.9, 0.785])
_SPREAD = np.array([0.5, 0.4, 0.4, 0.4, 0.5, 0.5, 0.8])
_LOOKED_AT = np.array([0.45, 0.0, 0.3])
_MIN_CORNERS = 12


@dataclass(frozen=True)
class World:
    """What is wrong with the robot and the cameras; the default is what an FR3 and two D435i are like."""

    joint_offset_rad: float = float(np.deg2rad(0.03))
    """Standard deviation of each joint's zero."""
    repeat_m: float = 5e-5
    """Of each pose, each axis."""
    repeat_rad: float = 1e-4
    focal_relative: float = 0.0015
    """Of the factory's focal lengths."""
    centre_px: float = 1.0
    spread: float = 1.0
    """Of the joints about the middle pose; 0.4: narrow poses."""
    eye_in_hand: bool = False
    corner_px: float | None = None
    """Noise of the corners; None: images are rendered and the board really detected."""
    image: ImageNoise = field(default_factory=ImageNoise)
    bump: tuple | None = None
    """A knock to a camera: (camera, first sample after it, (6,) translation [m] and rotation vector [rad] in base)."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What the solver should find."""

    T_base_camera: dict
    """Camera's name -> (4, 4); T_gripper_camera for eye-in-hand."""
    T_gripper_board: np.ndarray
    """T_base_board for eye-in-hand."""
    intrinsics: dict
    joint_offsets: np.ndarray


def look_at(eye, target):
    """Pose of an optical frame at `eye` [m] that looks at `target` [m], upright -> T (4, 4)."""
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.stack([x, np.cross(z, x), z], axis=1), eye
    return T


def make_session(rng, samples, world=None, board=None, keep_image=None):
    """-> (Session, Truth). keep_image(index, camera, image), if given, gets every rendered image that is used.

    Only arm poses in which every camera sees the board are taken, as `casher calibrate collect` would.
    """
    world, board = world or World(), board or Board()
    truth, mounts = _truth(rng, world, board)
    before = truth
    if world.bump is not None:
        camera, _, step = world.bump
        moved = perturbed(truth.T_base_camera[camera][None], np.asarray(step, dtype=float)[None])[0]
        truth = replace(truth, T_base_camera={**truth.T_base_camera, camera: moved})
    session = Session(board, mounts, [], world.eye_in_hand)
    while len(session.samples) < samples:
        q = _HOME + world.spread * _SPREAD * rng.uniform(-1, 1, 7)
        T_true = flange_pose(q + truth.joint_offsets)
        T_true[:3, 3] += rng.normal(0, world.repeat_m, 3)
        T_true[:3, :3] = Rotation.from_rotvec(rng.normal(0, world.repeat_rad, 3)).as_matrix() @ T_true[:3, :3]
        index = len(session.samples)
        now = before if world.bump is not None and index < world.bump[1] else truth
        seen = _see(rng, board, T_true, now, world)
        if seen is None:
            continue
        detections = {name: detection for name, (detection, _) in seen.items()}
        session.samples.append(Sample(index, flange_pose(q), detections, 2.0 * index, q))
        if keep_image is not None:
            for name, (_, image) in seen.items():
                keep_image(index, name, image)
    return session, truth


def _truth(rng, world, board):
    exact = Intrinsics(1280, 720, 912.0, 911.0, 640.5, 358.2)
    middle = flange_pose(_HOME)
    facing = look_at(np.array([1.15, 0.0, 0.65]), _LOOKED_AT)
    shift = np.eye(4)
    shift[:3, 3] = -board.centre()
    T_gripper_board = np.eye(4)
    T_gripper_board[:3, :3] = middle[:3, :3].T @ facing[:3, :3]
    T_gripper_board[:3, 3] = [0.03, 0.0, 0.10]
    T_gripper_board = T_gripper_board @ shift
    cameras = {
        name: look_at(np.array([1.15, y, 0.65]) + rng.uniform(-0.1, 0.1, 3), _LOOKED_AT)
        for name, y in (("camera_left", 0.5), ("camera_right", -0.5))
    }
    if world.eye_in_hand:
        # the board lies before the robot, the camera sits on the gripper and looks at it in the middle pose
        T_base_board = look_at(middle[:3, 3] + [0.0, 0.0, 0.05], middle[:3, 3] + middle[:3, 2])
        T_base_board[:3, 3] = middle[:3, 3] + 0.55 * middle[:3, 2]
        T_gripper_board = T_base_board @ shift
        mounted = inverse(middle) @ T_base_board
        mounted[:3, 3] = [0.06, 0.02, 0.04]
        cameras = {"camera_hand": mounted}
    mounts = {}
    for number, name in enumerate(cameras):
        wrong = 1 + rng.normal(0, world.focal_relative, 2)
        off = rng.normal(0, world.centre_px, 2)
        factory = Intrinsics(1280, 720, exact.fx * wrong[0], exact.fy * wrong[1], exact.cx + off[0], exact.cy + off[1])
        mounts[name] = SessionCamera(f"{number + 1:012d}", factory)
    offsets = rng.normal(0, world.joint_offset_rad, 7)
    return Truth(cameras, T_gripper_board, dict.fromkeys(cameras, exact), offsets), mounts


def _see(rng, board, T_base_gripper, truth, world):
    """{camera: (Detection, image or None)}, or None unless every camera sees the board well."""
    T = inverse(T_base_gripper) if world.eye_in_hand else T_base_gripper
    poses = {name: inverse(X) @ T @ truth.T_gripper_board for name, X in truth.T_base_camera.items()}
    if not all(_visible(board, pose, truth.intrinsics[name]) for name, pose in poses.items()):
        return None
    seen = {}
    for name, pose in poses.items():
        camera = truth.intrinsics[name]
        if world.corner_px is not None:
            pixels = camera.project(board.corners() @ pose[:3, :3].T + pose[:3, 3])
            pixels += rng.normal(0, world.corner_px, pixels.shape)
            seen[name] = Detection(np.arange(len(pixels)), pixels, len(pixels)), None
            continue
        image = render(board, pose, camera, world.image, rng)
        try:
            detection = detect(image, board, diagnosis=False)
        except BoardProblem:
            return None
        if len(detection.ids) < _MIN_CORNERS:
            return None
        seen[name] = detection, image
    return seen


def _visible(board, T_camera_board, camera):
    """Wholly in the image, facing the camera by 65 deg or less."""
    width, height = board.size_m
    outer = np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]])
    points = outer @ T_camera_board[:3, :3].T + T_camera_board[:3, 3]
    if (points[:, 2] < 0.25).any():
        return False
    pixels = camera.project(points)
    inside = (pixels > 8).all() and (pixels < [camera.width - 8, camera.height - 8]).all()
    middle = points.mean(axis=0)
    return bool(inside and T_camera_board[:3, 2] @ middle / np.linalg.norm(middle) > np.cos(np.deg2rad(65)))
