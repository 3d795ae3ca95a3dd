"""Taking samples: wait for rest, look with every camera, keep what is good, say at once what is wrong."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.detect import detect
from casher_calibration.detection import BoardProblem
from casher_calibration.samples import append
from casher_perception.geometry import rotation_angle

REST_S, REST_M, REST_RAD = 0.3, 1e-4, 5e-4
"""The arm rests when its pose changed by no more than this for so long."""
SLOW_RAD_S = 0.02
PATIENCE_S = 10.0
PICTURE_S = 5.0
SAME_M, SAME_RAD = 0.005, float(np.deg2rad(3.0))
"""A pose no further from an earlier one tells nothing new."""
GRID = (8, 5)
"""Cells of a camera's image in which coverage is counted, columns and rows."""
WANT_A_PERSON = ("wrong_dictionary", "mirrored", "wrong_size", "bad_image")
"""Problems that no other pose cures."""


class CollectError(RuntimeError):
    """Why no sample could be taken, and what to do."""


@dataclass(frozen=True, eq=False)
class View:
    """What one camera sees now."""

    image: np.ndarray
    """(H, W, 3) uint8."""
    detection: object
    """Detection or None."""
    problem: str
    """Empty, or why there is none, and what to do."""
    kind: str
    """Of the problem (detection.PROBLEMS), or empty."""


@dataclass
class Progress:
    """What the operator is shown; replaced piece by piece, read by the page."""

    phase: str = "starting"
    said: list = field(default_factory=list)
    """Messages, the newest last."""
    views: dict = field(default_factory=dict)
    """Camera -> View."""
    expected_mm: float | None = None
    """Error of a point in the workspace that the samples so far make likely."""

    def say(self, text):
        """A message for the operator."""
        self.said.append(text)


def wait_for_rest(arm, patience_s=PATIENCE_S, clock=time.monotonic, sleep=time.sleep):
    """Until the arm stands still -> ArmState; CollectError when it does not, or has a fault."""
    end, since, first = clock() + patience_s, None, None
    while clock() < end:
        state = arm.state()
        if state.fault and state.fault != "user_stop":  # so it is while a person guides the arm
            raise CollectError(f"the arm reports the fault '{state.fault}': clear it, then go on")
        fast = state.moving or np.abs(state.joint_velocities).max() > SLOW_RAD_S
        if fast or first is None or not _near(state.T_base_tcp, first.T_base_tcp, REST_M, REST_RAD):
            since, first = clock(), state
        elif clock() - since >= REST_S:
            return state
        sleep(0.02)
    raise CollectError(f"the arm did not come to rest within {patience_s:g} s: let go of it, or stop what moves it")


class Collector:
    """Takes samples of one session with an arm and cameras. Methods may be called from any thread."""

    def __init__(self, folder, session, arm, cameras, progress=None):
        """folder: of the session (samples.Session); cameras: camera's name -> CameraSource, of the same names."""
        if set(cameras) != set(session.cameras):
            raise CollectError(f"the session has the cameras {sorted(session.cameras)}, opened are {sorted(cameras)}")
        self.folder, self.session, self.arm, self.progress = folder, session, arm, progress or Progress()
        self._cameras, self._lock = cameras, threading.RLock()

    def look(self, diagnosis=True):
        """What every camera sees now, for the page -> {camera: View}; taken samples wait meanwhile."""
        with self._lock:
            frames = self._frames(0)
        views = {name: self._view(frame.colour, diagnosis) for name, frame in frames.items()}
        self.progress.views = views
        return views

    def take(self):
        """One sample from where the arm stands -> Sample. Nothing is kept when CollectError or BoardProblem is raised.

        BoardProblem: the board is not the one stated, or is mirrored. CollectError: the arm moves or is where it was
        before, a camera is silent, or no camera sees the board.
        """
        with self._lock:
            state = wait_for_rest(self.arm)
            self._require_new(state.T_base_tcp)
            frames = self._frames(time.time_ns())
            after = self.arm.state()
            if not _near(after.T_base_tcp, state.T_base_tcp, 2 * REST_M, 2 * REST_RAD):
                raise CollectError("the arm moved while the pictures were taken: hold it still and take it again")
            self.progress.views = views = {name: self._view(frame.colour) for name, frame in frames.items()}
            for name, view in views.items():
                if view.kind in WANT_A_PERSON:
                    if any(name in sample.detections for sample in self.session.samples):
                        # The board was right before, so it is: this picture misleads, by blur or reflections.
                        raise CollectError(f"this picture of {name} is not used: {view.problem}")
                    raise BoardProblem(view.kind, f"{name}: {view.problem}")
            if all(view.detection is None for view in views.values()):
                raise CollectError("; ".join(f"{name}: {view.problem}" for name, view in views.items()))
            images = {name: frame.colour for name, frame in frames.items()}
            sample = append(
                self.session, self.folder, state.T_base_tcp, images, time.time(), np.asarray(state.joint_positions)
            )
        unseen = [f"{name}: {view.problem}" for name, view in views.items() if view.detection is None]
        self.progress.say(f"sample {sample.index} taken" + (f", but {'; '.join(unseen)}" if unseen else ""))
        return sample

    def whole(self):
        """How many samples every camera has seen."""
        return sum(len(sample.detections) == len(self.session.cameras) for sample in self.session.samples)

    def _frames(self, after_ns):
        """{camera: Frame} taken later than after_ns."""
        frames, end = {}, time.monotonic() + PICTURE_S
        for name, camera in self._cameras.items():
            while name not in frames:
                frame = camera.read(max(0.05, end - time.monotonic()))
                if frame is not None and frame.stamp_ns >= after_ns:
                    frames[name] = frame
                elif time.monotonic() > end:
                    raise CollectError(f"{name} gave no picture for {PICTURE_S:g} s: check its cable and its serial")
        return frames

    def _view(self, image, diagnosis=True):
        try:
            return View(image, detect(image, self.session.board, diagnosis=diagnosis), "", "")
        except BoardProblem as problem:
            return View(image, None, str(problem), problem.kind)

    def _require_new(self, T):
        for sample in self.session.samples:
            if _near(sample.T_base_gripper, T, SAME_M, SAME_RAD):
                raise CollectError(
                    f"this is the pose of sample {sample.index} again: turn the board by 20 .. 40 deg or move it 10 cm"
                )


def coverage(session):
    """Camera -> (rows, columns) of GRID: how many corners fell into each cell of its image."""
    counts = {}
    for name, camera in session.cameras.items():
        size = [camera.intrinsics.width, camera.intrinsics.height]
        pixels = [sample.detections[name].pixels for sample in session.samples if name in sample.detections]
        where = np.concatenate([np.zeros((0, 2)), *pixels]) / size * GRID
        cells = np.clip(where.astype(int), 0, np.array(GRID) - 1)
        counts[name] = np.zeros(GRID[::-1], int)
        np.add.at(counts[name], (cells[:, 1], cells[:, 0]), 1)
    return counts


def rotation_spread(session):
    """Largest angle [rad] between the gripper's orientations about its first, second and third axis of turning."""
    R = np.array([sample.T_base_gripper[:3, :3] for sample in session.samples])
    if len(R) < 2:
        return np.zeros(3)
    i, j = np.triu_indices(len(R), 1)
    turns = Rotation.from_matrix(R[i].transpose(0, 2, 1) @ R[j]).as_rotvec()
    _, axes = np.linalg.eigh(turns.T @ turns)
    return np.abs(turns @ axes[:, ::-1]).max(axis=0)


def _near(T_a, T_b, position_m, angle_rad):
    return (
        np.linalg.norm(T_a[:3, 3] - T_b[:3, 3]) <= position_m
        and rotation_angle(T_a[:3, :3].T @ T_b[:3, :3]) <= angle_rad
    )
