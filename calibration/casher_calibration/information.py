"""How much a pose of the arm would tell about where the cameras are, before it is taken.

The information of a pose is J^T S^-1 J of the solver's own measurement model (joint_model), the pose's failure to
repeat marginalised; information adds up over poses. What is made small is the error of points in the workspace as the
cameras place them in base: that is what the calibration is for (A-optimality, Pukelsheim 1993).
"""

import numpy as np

from casher_calibration.joint_model import Arm, Corners, State, predict
from casher_calibration.solution import Options
from casher_franka.kinematics import joint_axes

CORNER_PX = 0.15
"""Standard deviation of a detected corner, each axis."""
SCALE = 0.002
"""Relative standard deviation of the board's stated size."""
LOOSE_M, LOOSE_RAD = 0.1, 0.3
"""How little is known of the poses sought before the first image."""
INSIDE_PX = 12.0
"""Corners nearer to the image's edge are not counted on."""
STEEPEST = np.cos(np.deg2rad(62.0))
"""Boards seen flatter than this give poor corners."""
NEAREST_M = 0.3


class Measure:
    """The information of poses, for cameras and a board whose places are roughly known."""

    def __init__(self, board, intrinsics, T_base_camera, T_gripper_board, workspace, options=None):
        """intrinsics, T_base_camera: camera -> Intrinsics, (4, 4); workspace: ((3,) low, (3,) high) [m] in base."""
        self._board, self._Z = board, np.asarray(T_gripper_board)
        self._intrinsics = list(intrinsics.values())
        self._factory = np.array([[i.fx, i.fy, i.cx, i.cy] for i in self._intrinsics])
        self._X = np.array([T_base_camera[name] for name in intrinsics])
        self._options = options or Options()
        self._points = np.stack(np.meshgrid(*np.transpose(workspace)), axis=-1).reshape(-1, 3)

    def prior(self):
        """(P, P): what is known before the first image."""
        options, count = self._options, len(self._X)
        sigma = [
            *([LOOSE_M] * 3 + [LOOSE_RAD] * 3) * (count + 1),
            *([options.focal_relative] * 2 + [options.centre_px] * 2) * count,
            *[options.joint_offset_rad] * 7,
            SCALE,
        ]
        return np.diag(1.0 / np.square(sigma))

    def visible(self, T_base_gripper):
        """(S, 4, 4) -> (S, C) bool: the camera would see the whole board, not too flat, not too near."""
        T_base_board = np.asarray(T_base_gripper) @ self._Z
        width, height = self._board.size_m
        outline = np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]], dtype=float)
        seen = np.zeros((len(T_base_board), len(self._X)), dtype=bool)
        for c, (T, intrinsics) in enumerate(zip(self._X, self._intrinsics, strict=True)):
            T_camera_board = np.linalg.inv(T) @ T_base_board
            points = np.einsum("sij,kj->ski", T_camera_board[:, :3, :3], outline) + T_camera_board[:, None, :3, 3]
            pixels = intrinsics.project(points)
            with np.errstate(invalid="ignore"):
                inside = (pixels > INSIDE_PX) & (pixels < [intrinsics.width - INSIDE_PX, intrinsics.height - INSIDE_PX])
            sight = points.mean(axis=1)
            facing = np.einsum("si,si->s", T_camera_board[:, :3, 2], sight) / np.linalg.norm(sight, axis=1)
            near = points[..., 2].min(axis=1)
            seen[:, c] = inside.all(axis=(1, 2)) & (facing > STEEPEST) & (near > NEAREST_M)
        return seen

    def of(self, T_base_gripper, joints):
        """Poses (S, 4, 4) and their joints [rad] (S, 7) -> information (S, P, P); of the cameras that see the board."""
        T_base_gripper, joints = np.asarray(T_base_gripper, float), np.asarray(joints, float)
        seen, corners = self.visible(T_base_gripper), self._board.corners()
        sample, slot = np.nonzero(seen)
        n = len(corners)
        views = Corners(
            np.repeat(sample, n), np.repeat(slot, n), np.tile(corners, (len(sample), 1)), np.zeros((n * len(sample), 2))
        )
        arm = Arm(T_base_gripper, *joint_axes(joints), False)
        state = State(
            self._X, self._Z, np.zeros((len(self._X), 4)), np.zeros(7), 0.0, np.zeros((len(T_base_gripper), 6))
        )
        _, J, J_pose = predict(views, arm, self._factory, np.arange(len(self._X)), state)
        P = J.shape[2]
        total = np.zeros((len(T_base_gripper), P, P))
        cross, own = np.zeros((len(total), P, 6)), np.zeros((len(total), 6, 6))
        rows = len(sample)
        J, J_pose = (A.reshape(rows, -1, A.shape[2]) / CORNER_PX for A in (J, J_pose))
        np.add.at(total, sample, J.swapaxes(1, 2) @ J)
        np.add.at(cross, sample, J.swapaxes(1, 2) @ J_pose)
        np.add.at(own, sample, J_pose.swapaxes(1, 2) @ J_pose)
        own += np.diag(1.0 / np.square([self._options.pose_m] * 3 + [self._options.pose_rad] * 3))
        return total - cross @ np.linalg.solve(own, cross.swapaxes(1, 2))

    def error_m(self, information):
        """(..., P, P) with the prior in it -> expected error [m] (...) of points of the workspace, root mean square."""
        count = len(self._X)
        weight = np.zeros((information.shape[-1],) * 2)
        for c, X in enumerate(self._X):
            for arm in self._points - X[:3, 3]:
                x, y, z = arm
                L = np.hstack([np.eye(3), [[0, z, -y], [-z, 0, x], [y, -x, 0]]])
                weight[6 * c : 6 * c + 6, 6 * c : 6 * c + 6] += L.T @ L / (count * len(self._points))
        return np.sqrt(np.einsum("ij,...ji->...", weight, np.linalg.inv(information)))
