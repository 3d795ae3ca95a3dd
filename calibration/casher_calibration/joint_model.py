"""The measurement model of the joint calibration: where each corner must appear, and how that depends on everything.

A corner p of the board (its frame) appears at the projection of  X_c^-1 M_s Z p  where X_c = T_parent_camera,
Z = T_mover_board, and M_s = T_parent_mover of sample s is the arm's pose (inverted when the cameras ride on the
gripper). The arm's pose is  D_s J(o) T_base_gripper:  J(o) the joint offsets o as a twist about the reported axes, D_s
how this one pose fails to repeat. Unknown are X_c, Z, each camera's intrinsics, o, the board's scale and every D_s.

Perturbations are (translation [m], rotation vector [rad]): of X_c in the parent's frame about the camera, of Z in the
mover's frame about the board's origin, of D_s in the base frame about the gripper's origin.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from casher_perception.geometry import inverse


@dataclass(frozen=True, eq=False)
class Corners:
    """All corners of all views, ordered by sample. A slot is a camera between two of its moves."""

    sample: np.ndarray
    """(N,) int."""
    slot: np.ndarray
    """(N,) int."""
    points: np.ndarray
    """(N, 3) [m], board frame."""
    pixels: np.ndarray
    """(N, 2)."""


@dataclass(frozen=True, eq=False)
class Arm:
    """What the arm reported."""

    T_base_gripper: np.ndarray
    """(S, 4, 4)."""
    axes: np.ndarray | None
    """(S, 7, 3) of the joints; None: the joint angles are not known."""
    anchors: np.ndarray | None
    """(S, 7, 3) [m]."""
    eye_in_hand: bool


@dataclass(frozen=True, eq=False)
class State:
    """Everything unknown."""

    X: np.ndarray
    """(C, 4, 4) of each slot."""
    Z: np.ndarray
    """(4, 4)."""
    intrinsics: np.ndarray
    """(K, 4): log of the change of fx and of fy, change of cx and of cy [pixels], of each camera."""
    joints: np.ndarray
    """(7,) [rad]."""
    log_scale: float
    """Of the board."""
    poses: np.ndarray
    """(S, 6) of D_s."""

    def moved(self, step_global, step_poses):
        """After a step in the order X, Z, intrinsics, joints, scale; and (S, 6)."""
        c, k = 6 * len(self.X), self.intrinsics.size
        x, z, i, j = np.split(step_global, [c, c + 6, c + 6 + k])
        return replace(
            self,
            X=perturbed(self.X, x.reshape(-1, 6)),
            Z=self._moved_board(z),
            intrinsics=self.intrinsics + i.reshape(-1, 4),
            joints=self.joints + j[:7],
            log_scale=self.log_scale + j[7],
            poses=self.poses + step_poses,
        )

    def _moved_board(self, step):
        return perturbed(self.Z[None], step[None])[0]


def perturbed(T, step):
    """T (n, 4, 4), step (n, 6): translation added, rotation from the left -> (n, 4, 4)."""
    moved = T.copy()
    moved[:, :3, 3] += step[:, :3]
    moved[:, :3, :3] = Rotation.from_rotvec(step[:, 3:]).as_matrix() @ T[:, :3, :3]
    return moved


def arm_poses(arm, state):
    """T_base_gripper (S, 4, 4) as corrected by the joint offsets and D_s."""
    T = arm.T_base_gripper
    if arm.axes is not None:
        turn = np.einsum("j,sjk->sk", state.joints, arm.axes)
        shift = np.einsum("j,sjk->sk", state.joints, np.cross(arm.anchors, arm.axes))
        R = Rotation.from_rotvec(turn).as_matrix()
        T = T.copy()
        # of second order in the offsets (1e-3 rad): a micrometre
        T[:, :3, 3] = np.einsum("sij,sj->si", R, T[:, :3, 3]) + shift
        T[:, :3, :3] = R @ T[:, :3, :3]
    return perturbed(T, state.poses)


def predict(corners, arm, cameras, slot_camera, state):
    """-> predicted pixels (N, 2), Jacobians (N, 2, G) of all that is global and (N, 2, 6) of D_s.

    cameras: (K, 4) factory fx, fy, cx, cy; slot_camera: (C,) which camera each slot is.
    """
    T = arm_poses(arm, state)
    M = inverse(T) if arm.eye_in_hand else T
    s, c = corners.sample, corners.slot
    k = slot_camera[c]
    p = corners.points * np.exp(state.log_scale)
    q = p @ state.Z[:3, :3].T + state.Z[:3, 3]
    y = np.einsum("nij,nj->ni", M[s, :3, :3], q) + M[s, :3, 3]
    R_camera = np.swapaxes(state.X[c, :3, :3], 1, 2)
    from_camera = y - state.X[c, :3, 3]
    x = np.einsum("nij,nj->ni", R_camera, from_camera)
    focal = cameras[k, :2] * np.exp(state.intrinsics[k, :2])
    flat = x[:, :2] / x[:, 2:]
    pixels = focal * flat + cameras[k, 2:] + state.intrinsics[k, 2:]

    to_pixel = np.zeros((len(s), 2, 3))  # d pixel / d x
    to_pixel[:, [0, 1], [0, 1]] = focal / x[:, 2:]
    to_pixel[:, :, 2] = -focal * flat / x[:, 2:]
    by_point = to_pixel @ R_camera  # d pixel / d y

    slots, count = len(state.X), len(cameras)
    n = np.arange(len(s))
    J = np.zeros((len(s), 2, 6 * slots + 6 + 4 * count + 8))
    by_camera = np.concatenate([-by_point, by_point @ _cross(from_camera)], axis=2)
    for i in range(6):
        J[n, :, 6 * c + i] = by_camera[:, :, i]
    z = 6 * slots
    by_board = by_point @ M[s, :3, :3]
    J[:, :, z : z + 3] = by_board
    J[:, :, z + 3 : z + 6] = -by_board @ _cross(q - state.Z[:3, 3])
    i = z + 6 + 4 * k
    J[n, 0, i], J[n, 1, i + 1] = (focal * flat).T
    J[n, 0, i + 2] = J[n, 1, i + 3] = 1.0

    # motion of the arm, in the base frame, at the point w where it acts
    w = q if arm.eye_in_hand else y
    by_arm = -by_point @ M[s, :3, :3] if arm.eye_in_hand else by_point
    j = z + 6 + 4 * count
    if arm.axes is not None:
        speed = np.cross(arm.axes[s], w[:, None] - arm.anchors[s])
        J[:, :, j : j + 7] = np.einsum("nai,nji->naj", by_arm, speed)
    J[:, :, j + 7] = np.einsum("nai,ni->na", by_board @ state.Z[:3, :3], p)
    J_pose = np.concatenate([by_arm, -by_arm @ _cross(w - T[s, :3, 3])], axis=2)
    return pixels, J, J_pose


def _cross(v):
    """(n, 3) -> (n, 3, 3) with cross(v) @ a = v x a."""
    out = np.zeros((len(v), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    return out - np.swapaxes(out, 1, 2)
