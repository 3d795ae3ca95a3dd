"""The whole walk-through without hardware: a kinematic arm that holds a board, and cameras that are rendered.

What is simulated is what a calibration has to cope with (facts as in the benchmarks): joint offsets the arm does not
know of, focal lengths the factory got wrong, noise of pixels and of depth.
"""

import threading
import time

import numpy as np
from scipy.spatial.transform import Rotation

from casher_calibration.board import Board
from casher_calibration.information import Measure
from casher_calibration.reach import Reach, board_outline, straight
from casher_calibration.synthetic import render
from casher_franka.arm import HOME_JOINTS, ArmFault, ArmState
from casher_franka.kinematics import inverse as inverse_kinematics
from casher_franka.kinematics import tcp_pose
from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, DEPTH_UNIT_M, Intrinsics
from casher_perception.geometry import inverse
from casher_perception.rig import RigError
from casher_perception.sources import Frame

JOINT_OFFSET_RAD = np.deg2rad(0.03)
FOCAL_ERROR = 0.0015
DEPTH_NOISE = 0.0015
"""Standard deviation of a depth, per metre."""
WIDTH_M = 0.02
"""Of the fingers around the board."""


class RehearsalArm:
    """casher_franka.arm.Arm that goes where it is told at once, or in motion_s [s]."""

    def __init__(self, joints=HOME_JOINTS, offsets=(0.0,) * 7, motion_s=0.0):
        """offsets: (7,) [rad] by which the true joints differ from the reported ones."""
        self._joints, self.offsets, self._motion_s = np.array(joints, float), np.asarray(offsets), motion_s
        self._fault, self._moving, self._lock = "", False, threading.RLock()

    def state(self):
        """The reported state."""
        return ArmState(
            stamp_ns=time.time_ns(),
            T_base_tcp=tcp_pose(self._joints),
            joint_positions=self._joints.copy(),
            joint_velocities=np.zeros(7),
            fingers=np.full(2, WIDTH_M / 2),
            width_command=WIDTH_M,
            grasped=True,
            moving=self._moving,
            fault=self._fault,
        )

    @property
    def T_base_tcp_true(self):
        """(4, 4) where the tool really is."""
        return tcp_pose(self._joints + self.offsets)

    def move_to(self, target):
        """Straight there."""
        with self._lock:
            if self._fault:
                raise ArmFault(self._fault)
            q = self._joints
            for T in straight(tcp_pose(q), np.asarray(target.T_base_tcp)[None]):
                (q,), (reached,) = inverse_kinematics(T, q[None])
                if not reached:
                    raise ArmFault("unreachable")
            self._glide(q)
            return self.state()

    def guide_to(self, joints):
        """As a person's hand would."""
        self._glide(np.asarray(joints, float))

    def stop(self):
        """Stand still now and until `recover`."""
        self._fault = "stopped"

    def home(self):
        """To the start pose of the episodes."""
        with self._lock:
            self._glide(np.array(HOME_JOINTS))
            return self.state()

    def recover(self):
        """Clear a stop."""
        self._fault = ""

    def close(self):
        """Nothing is held."""
        self.stop()

    def _glide(self, joints):
        start, self._moving = self._joints, True
        try:
            for share in np.linspace(0, 1, max(2, int(self._motion_s * 50)))[1:]:
                if self._fault:
                    raise ArmFault(self._fault)
                time.sleep(0.02 if self._motion_s else 0.0)
                self._joints = start + share * (joints - start)
        finally:
            self._moving = False


class RehearsalCamera:
    """casher_perception.sources.CameraSource: sees the board in the gripper, or lying where `lying` says."""

    def __init__(self, mount, arm, board, T_gripper_board, rng, noise=None):
        self.serial = mount.serial
        true = mount.intrinsics or Intrinsics.from_fov(mount.width, mount.height, D435I_COLOUR_HFOV_RAD)
        self.true, (x, y) = true, 1.0 + rng.normal(0.0, FOCAL_ERROR, 2)
        cx, cy = rng.normal([true.cx, true.cy], 1.0)
        self.intrinsics = Intrinsics(true.width, true.height, true.fx * x, true.fy * y, cx, cy)
        self._T_base_camera = np.asarray(mount.T_base_camera)
        self.arm, self.board, self.T_gripper_board, self.noise = arm, board, T_gripper_board, noise
        self.lying = None
        """(4, 4) T_base_board when the board lies in the kitchen."""
        self.depth = False
        """Whether depth is rendered, too; else it is 0 everywhere."""
        self._rng = rng

    def read(self, timeout_s):
        """What is there now."""
        T_base_board = self.arm.T_base_tcp_true @ self.T_gripper_board if self.lying is None else self.lying
        T = inverse(self._T_base_camera) @ T_base_board
        colour = render(self.board, T, self.true, self.noise, self._rng)
        return Frame(colour, self._depth(T_base_board), time.time_ns())

    def close(self):
        """Nothing is held."""

    def _depth(self, T_base_board):
        """(H, W) uint16 of the endless plane of the board, with noise."""
        if not self.depth:
            return np.zeros((self.true.height, self.true.width), np.uint16)
        T = inverse(self._T_base_camera) @ T_base_board
        rays = self.true.rays()
        with np.errstate(divide="ignore"):
            z = (T[:3, 2] @ T[:3, 3]) / (rays @ T[:3, 2])
        z = z * (1.0 + DEPTH_NOISE * self._rng.standard_normal(z.shape, dtype=np.float32))
        return np.where((z > 0.1) & (z < 4.0), np.clip(z, 0, 60) / DEPTH_UNIT_M, 0).astype(np.uint16)


def rehearsal(rig, board=None, seed=0, motion_s=0.0):
    """Rig -> (RehearsalArm, {camera: RehearsalCamera}): the arm holds the board where every camera sees it."""
    board, rng = board or Board(), np.random.default_rng(seed)
    q_home = np.array(HOME_JOINTS)
    T_home = tcp_pose(q_home)
    eyes = np.mean([np.asarray(mount.T_base_camera)[:3, 3] for mount in rig.cameras.values()], axis=0)
    T_gripper_board = _held(T_home, board, eyes) @ _small(rng)
    arm = RehearsalArm(q_home, rng.normal(0.0, JOINT_OFFSET_RAD, 7), motion_s)
    cameras = {name: RehearsalCamera(mount, arm, board, T_gripper_board, rng) for name, mount in rig.cameras.items()}
    table_m = rig.workspace_low[2] if rig.table_m is None else rig.table_m
    reach = Reach(rig.workspace_low, rig.workspace_high, table_m, "fr3", board_outline(board, T_gripper_board))
    poses = {name: np.asarray(mount.T_base_camera) for name, mount in rig.cameras.items()}
    intrinsics = {name: camera.intrinsics for name, camera in cameras.items()}
    measure = Measure(board, intrinsics, poses, T_gripper_board, (rig.workspace_low, rig.workspace_high))
    arm.guide_to(_start(measure, reach, q_home, T_home, rng))
    return arm, cameras


def _held(T_base_tcp, board, eyes):
    """T_gripper_board of a board just below the fingertips whose print looks towards the point `eyes`."""
    centre = T_base_tcp[:3, 3] + [0.0, 0.0, -0.03]
    z = centre - eyes
    z /= np.linalg.norm(z)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    T[:3, 3] = centre - T[:3, :3] @ board.centre()
    return inverse(T_base_tcp) @ T


def _small(rng):
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rng.normal(0.0, 0.03, 3)).as_matrix()
    T[:3, 3] = rng.normal(0.0, 0.004, 3)
    return T


def _start(measure, reach, q_home, T_home, rng):
    """Joints (7,) near home from which every camera sees the board and small turns are possible."""
    T = np.tile(T_home, (4000, 1, 1))
    T[:, :3, 3] += rng.uniform(-1.0, 1.0, (4000, 3)) * [0.15, 0.1, 0.25]
    T = T[measure.visible(T).all(axis=1)]
    if len(T):
        T = T[np.argsort(np.linalg.norm(T[:, :3, 3] - np.median(T[:, :3, 3], axis=0), axis=1))][:600]
        q, words = reach.ways(q_home, T_home, T)
        if (words == "").any():
            return q[int(np.argmax(words == ""))]
    raise RigError(
        "the rig's cameras see no place together that the arm reaches with a board: rehearse with --kitchen demo"
    )


def lay_down(rig, cameras):
    """Lay the rehearsal's board flat where every camera sees it, with depth -> T_base_board (4, 4)."""
    board = next(iter(cameras.values())).board
    table_m = 0.0 if rig.table_m is None else rig.table_m
    poses = {name: np.asarray(mount.T_base_camera) for name, mount in rig.cameras.items()}
    intrinsics = {name: camera.intrinsics for name, camera in cameras.items()}
    measure = Measure(board, intrinsics, poses, np.eye(4), (rig.workspace_low, rig.workspace_high))
    for x in np.arange(0.35, 0.7, 0.02):
        T = np.eye(4)
        T[:3, :3] = [[0, -1, 0], [-1, 0, 0], [0, 0, -1]]  # print up, its rows along -y
        T[:3, 3] = np.array([x, 0.0, table_m]) - T[:3, :3] @ board.centre()
        if measure.visible(T[None]).all():
            for camera in cameras.values():
                camera.lying, camera.depth = T, True
            return T
    raise RigError("the rig's cameras see no place together where a board could lie")


def touch_point(arm, point, rng, error_m=0.0004):
    """Guide the rehearsal's arm until its true tip is at the point (3,), as well as a hand can -> reported tip (3,)."""
    T = arm.T_base_tcp_true
    T[:3, 3] = point + rng.normal(0.0, error_m, 3)
    true = np.asarray(arm.state().joint_positions) + arm.offsets
    (q,), (reached,) = inverse_kinematics(T[None], true[None], 200)
    if not reached:
        raise ArmFault("unreachable")
    arm.guide_to(q - arm.offsets)
    return arm.state().T_base_tcp[:3, 3]
