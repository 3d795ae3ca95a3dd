"""A calibration session: a folder with session.yaml and one image per sample and camera, NNN_<camera>.png.

    version: 1
    kitchen: demo                     # may be left out
    robot: fr3                        # sim, fr3 or panda; without it a check refuses
    eye_in_hand: false
    board: {squares_x: 7, squares_y: 5, square_m: 0.036, marker_m: 0.027, dictionary: DICT_4X4_50}
    cameras:
      camera_left: {serial: '0001', width: 1280, height: 720, fx: 912.0, fy: 911.0, cx: 640.5, cy: 358.2}
    samples:
    - index: 0                        # of the images 000_camera_left.png, ...
      time: 12.5                      # [s], rising
      pose: {position: [0.4, 0.0, 0.5], quat_xyzw: [1.0, 0.0, 0.0, 0.0]}     # T_base_gripper
      joints: [0.0, -0.3, 0.0, -2.0, 0.0, 1.9, 0.785]                        # [rad], may be left out

The gripper's frame is any one that stays the same relative to the flange. A file written by hand is as good as one by
`casher calibrate collect`. Images must be free of distortion, as RealSense's rectified colour streams nearly are.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import yaml

from casher_calibration.board import Board, BoardError
from casher_calibration.detect import detect
from casher_calibration.detection import BoardProblem
from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import pose_matrix, position_quat, require_rigid

VERSION = 1
FILE = "session.yaml"
ROBOTS = ("sim", "fr3", "panda")
_WANT_A_PERSON = ("wrong_dictionary", "mirrored", "wrong_size")


class SessionError(ValueError):
    """A session that cannot be read or written: says what is wrong, what was got, and what to do."""


@dataclass(frozen=True)
class SessionCamera:
    """A camera as it reports itself."""

    serial: str
    intrinsics: Intrinsics


@dataclass(frozen=True, eq=False)
class Sample:
    """The arm at rest, once."""

    index: int
    T_base_gripper: np.ndarray
    """(4, 4) as the arm reports it."""
    detections: dict
    """Camera's name -> Detection; a camera that has no usable view of the board is absent."""
    time: float = 0.0
    """[s], rising through the session."""
    joints: np.ndarray | None = None
    """(7,) [rad]."""


@dataclass(eq=False)
class Session:
    """Everything the solver needs."""

    board: Board
    cameras: dict
    """Name -> SessionCamera."""
    samples: list = field(default_factory=list)
    eye_in_hand: bool = False
    """False: cameras stand, the gripper holds the board. True: cameras on the gripper, the board stands."""
    kitchen: str = ""
    unusable: list = field(default_factory=list)
    """(sample's index, camera, why) of every image without usable corners."""
    robot: str = ""
    """One of ROBOTS, sim being a rehearsal; empty in a file that does not say it."""


def image_path(folder, index, camera):
    """Where the image of that sample and camera lies."""
    return Path(folder) / f"{index:03d}_{camera}.png"


def create(folder, board, cameras, eye_in_hand=False, kitchen="", robot=""):
    """Begin a session in a folder that has none -> Session. To go on with one that exists: `load`."""
    folder = Path(folder)
    if (folder / FILE).exists():
        raise SessionError(f"{folder} already holds a session: resume it, or choose another folder")
    session = Session(board, dict(cameras), [], eye_in_hand, kitchen, robot=robot)
    folder.mkdir(parents=True, exist_ok=True)
    _write(session, folder)
    return session


def append(session, folder, T_base_gripper, images, time, joints=None):
    """Save one more sample, images first, then the file that names it -> Sample, also appended to the session.

    images: camera's name -> RGB (height, width, 3) uint8. An image without usable corners is saved too and noted in
    session.unusable. BoardProblem for a wrong board, before anything is written.
    """
    T_base_gripper = require_rigid(T_base_gripper, "T_base_gripper")
    if set(images) != set(session.cameras):
        raise SessionError(f"images of {sorted(session.cameras)} are needed, got {sorted(images)}")
    index = max((sample.index for sample in session.samples), default=-1) + 1
    detections, unusable = _detect(images, session.board, index)
    for name, image in images.items():
        _save_image(image, image_path(folder, index, name))
    sample = Sample(index, T_base_gripper, detections, float(time), None if joints is None else np.array(joints))
    session.samples.append(sample)
    session.unusable += unusable
    _write(session, folder)
    return sample


def load(folder):
    """Read a session and detect the board in its images -> Session.

    SessionError for a file that is missing or wrong; BoardProblem (naming the image) when a wrong board is in one.
    """
    folder = Path(folder)
    values, session = _read(folder)
    for number, entry in enumerate(values["samples"]):
        where = f"{folder / FILE}, sample {number}"
        index, T, time, joints = _entry(entry, where)
        if session.samples and index <= session.samples[-1].index:
            raise SessionError(f"{where}: index {index} does not rise: number the samples in their order in time")
        images = {name: _load_image(image_path(folder, index, name), session.cameras[name]) for name in session.cameras}
        detections, unusable = _detect(images, session.board, index)
        session.samples.append(Sample(index, T, detections, time, joints))
        session.unusable += unusable
    return session


def _detect(images, board, index):
    """-> ({camera: Detection}, [(index, camera, why)])"""
    found, unusable = {}, []
    for name, image in images.items():
        try:
            found[name] = detect(image, board)
        except BoardProblem as problem:
            if problem.kind in _WANT_A_PERSON:
                raise BoardProblem(problem.kind, f"sample {index}, {name}: {problem}") from None
            unusable.append((index, name, str(problem)))
    return found, unusable


def _read(folder):
    path = folder / FILE
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SessionError(f"there is no {path}: collect one with 'casher calibrate collect'") from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SessionError(f"cannot read {path}: {error}") from None
    needed = {"version", "eye_in_hand", "board", "cameras", "samples"}
    if not isinstance(values, dict) or not needed <= set(values) <= needed | {"kitchen", "robot"}:
        raise SessionError(
            f"{path} must hold {', '.join(sorted(needed))}, may hold kitchen, robot; got {_keys(values)}"
        )
    if values["version"] != VERSION:
        raise SessionError(f"{path}: version must be {VERSION}, got {values['version']!r}")
    if not isinstance(values["eye_in_hand"], bool) or not isinstance(values["samples"], list):
        raise SessionError(f"{path}: eye_in_hand must be true or false, samples a list")
    robot = str(values.get("robot") or "")
    if robot not in ("", *ROBOTS):
        raise SessionError(f"{path}: robot must be one of {', '.join(ROBOTS)}, got {robot!r}")
    if not isinstance(values["cameras"], dict) or not values["cameras"]:
        raise SessionError(f"{path}: cameras must be a mapping with at least one camera, got {values['cameras']!r}")
    try:
        board = Board.from_dict(values["board"])
        cameras = {name: _camera(name, camera) for name, camera in values["cameras"].items()}
    except (BoardError, ValueError) as error:
        raise SessionError(f"{path}: {error}") from None
    kitchen = str(values.get("kitchen") or "")
    return values, Session(board, cameras, [], values["eye_in_hand"], kitchen, robot=robot)


def _camera(name, values):
    keys = ("serial", "width", "height", "fx", "fy", "cx", "cy")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
        raise ValueError(f"a camera's name is lower case letters, digits and _, got {name!r}")
    if not isinstance(values, dict) or set(values) != set(keys):
        raise ValueError(f"camera {name} must be a mapping with {', '.join(keys)}, got {_keys(values)}")
    try:
        numbers = [float(values[key]) for key in keys[3:]]
        return SessionCamera(str(values["serial"]), Intrinsics(int(values["width"]), int(values["height"]), *numbers))
    except (TypeError, ValueError) as error:
        raise ValueError(f"camera {name}: {error}") from None


def _entry(entry, where):
    """-> index, T_base_gripper, time [s], joints or None"""
    needed = {"index", "time", "pose"}
    if not isinstance(entry, dict) or not needed <= set(entry) <= needed | {"joints"}:
        raise SessionError(f"{where} must hold {', '.join(sorted(needed))} and may hold joints, got {_keys(entry)}")
    if not isinstance(entry["index"], int) or entry["index"] < 0:
        raise SessionError(f"{where}: index must be a whole number from 0, got {entry['index']!r}")
    pose = entry["pose"]
    if not isinstance(pose, dict) or set(pose) != {"position", "quat_xyzw"}:
        raise SessionError(f"{where}: pose must hold position and quat_xyzw, got {_keys(pose)}")
    try:
        position, quat = np.array(pose["position"], dtype=float), np.array(pose["quat_xyzw"], dtype=float)
        if position.shape != (3,) or quat.shape != (4,):
            raise ValueError(f"position must be 3 numbers and quat_xyzw 4, got {position.shape} and {quat.shape}")
        T = require_rigid(pose_matrix(position, quat), "the pose")
        joints = None if entry.get("joints") is None else np.array(entry["joints"], dtype=float)
        if joints is not None and (joints.shape != (7,) or not np.isfinite(joints).all()):
            raise ValueError(f"joints must be 7 finite numbers [rad], got {entry['joints']!r}")
        return entry["index"], T, float(entry["time"]), joints
    except (TypeError, ValueError) as error:
        raise SessionError(f"{where}: {error}") from None


def _write(session, folder):
    """session.yaml; the old one stays whole until the new one is complete."""
    cameras = {
        name: {
            "serial": camera.serial,
            **{key: getattr(camera.intrinsics, key) for key in ("width", "height")},
            **{key: float(getattr(camera.intrinsics, key)) for key in ("fx", "fy", "cx", "cy")},
        }
        for name, camera in session.cameras.items()
    }
    samples = []
    for sample in session.samples:
        position, quat_xyzw = position_quat(sample.T_base_gripper)
        pose = {"position": position.tolist(), "quat_xyzw": quat_xyzw.tolist()}
        joints = {} if sample.joints is None else {"joints": np.asarray(sample.joints, dtype=float).tolist()}
        samples.append({"index": sample.index, "time": sample.time, "pose": pose, **joints})
    values = {
        "version": VERSION,
        "kitchen": session.kitchen,
        **({"robot": session.robot} if session.robot else {}),
        "eye_in_hand": session.eye_in_hand,
        "board": session.board.to_dict(),
        "cameras": cameras,
        "samples": samples,
    }
    partial = Path(folder) / f".{FILE}.partial"
    partial.write_text(yaml.safe_dump(values, sort_keys=False, default_flow_style=None), encoding="utf-8")
    partial.replace(Path(folder) / FILE)


def _save_image(image, path):
    encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(encoded.tobytes())
    partial.replace(path)


def _load_image(path, camera):
    """RGB (height, width, 3) uint8."""
    if not path.is_file():
        raise SessionError(f"there is no image {path}: every sample needs one of every camera")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SessionError(f"{path} is not an image: remove the sample, or take it again")
    size = (camera.intrinsics.width, camera.intrinsics.height)
    if image.shape[1::-1] != size:
        raise SessionError(
            f"{path} has {image.shape[1]} x {image.shape[0]} pixels, the camera's intrinsics are for "
            f"{size[0]} x {size[1]}: give the intrinsics of the stream the images come from"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _keys(value):
    return sorted(map(str, value)) if isinstance(value, dict) else repr(value)
