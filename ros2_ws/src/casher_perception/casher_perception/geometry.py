"""Rigid transforms. `T_a_b` is (..., 4, 4) and maps coordinates in frame b to frame a; metres and radians."""

import numpy as np
from scipy.spatial.transform import Rotation


def pose_matrix(position, quat_xyzw):
    """Position [m] (..., 3) and unit quaternion (x, y, z, w) (..., 4) -> T (..., 4, 4).

    Raises ValueError for a quaternion whose norm is not 1 within 1e-3: it is more likely a wrong field than a rotation.
    """
    position = np.asarray(position, dtype=np.float64)
    quat_xyzw = np.asarray(quat_xyzw, dtype=np.float64)
    norm = np.linalg.norm(quat_xyzw, axis=-1)
    if not np.allclose(norm, 1.0, atol=1e-3):
        raise ValueError(f"quat_xyzw must have norm 1, got {quat_xyzw.tolist()} with norm {np.round(norm, 4).tolist()}")
    T = np.zeros((*position.shape[:-1], 4, 4))
    T[..., :3, :3] = Rotation.from_quat(quat_xyzw.reshape(-1, 4)).as_matrix().reshape(*position.shape[:-1], 3, 3)
    T[..., :3, 3] = position
    T[..., 3, 3] = 1.0
    return T


def position_quat(T):
    """T (..., 4, 4) -> position [m] (..., 3) and quat_xyzw (..., 4) with w >= 0."""
    T = np.asarray(T, dtype=np.float64)
    quat = Rotation.from_matrix(T[..., :3, :3].reshape(-1, 3, 3)).as_quat(canonical=True)
    return T[..., :3, 3].copy(), quat.reshape(*T.shape[:-2], 4)


def inverse(T_a_b):
    """T_a_b (..., 4, 4) -> T_b_a (..., 4, 4)."""
    T_a_b = np.asarray(T_a_b, dtype=np.float64)
    R_b_a = np.swapaxes(T_a_b[..., :3, :3], -1, -2)
    T_b_a = np.zeros_like(T_a_b)
    T_b_a[..., :3, :3] = R_b_a
    T_b_a[..., :3, 3] = -np.einsum("...ij,...j->...i", R_b_a, T_a_b[..., :3, 3])
    T_b_a[..., 3, 3] = 1.0
    return T_b_a


def transform(T_a_b, points_b):
    """Express points [m] (N, 3) given in frame b in frame a -> (N, 3), in the points' own dtype."""
    points_b = np.asarray(points_b)
    if points_b.ndim != 2 or points_b.shape[1] != 3:
        raise ValueError(f"points must be (N, 3), got {points_b.shape}")
    T = np.asarray(T_a_b).astype(points_b.dtype)
    return points_b @ T[:3, :3].T + T[:3, 3]


def rotation_angle(R_a_b):
    """Angle [rad] (...) of the rotations R_a_b (..., 3, 3), in 0 .. pi; accurate near 0, unlike arccos of the trace."""
    R = np.asarray(R_a_b, dtype=np.float64)
    skew = np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], axis=-1)
    return np.arctan2(np.linalg.norm(skew, axis=-1), np.trace(R, axis1=-2, axis2=-1) - 1.0)


def require_rigid(T, name, tolerance=1e-4):
    """Return T as float64 (4, 4), or raise ValueError naming `name` if it is not a rigid transform."""
    T = np.asarray(T, dtype=np.float64)
    if T.shape != (4, 4):
        raise ValueError(f"{name} must be a 4 x 4 matrix, got shape {T.shape}")
    if not np.all(np.isfinite(T)):
        raise ValueError(f"{name} has entries that are not finite")
    R = T[:3, :3]
    if not np.allclose(R @ R.T, np.eye(3), atol=tolerance) or np.linalg.det(R) < 0:
        raise ValueError(f"the rotation of {name} is not orthonormal and right-handed: {np.round(R, 4).tolist()}")
    if not np.allclose(T[3], [0, 0, 0, 1]):
        raise ValueError(f"the last row of {name} must be 0 0 0 1, got {T[3].tolist()}: is it transposed?")
    return T
