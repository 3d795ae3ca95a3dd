"""Forward kinematics of the Franka arms (FR3 and Panda have the same chain), pure numpy, batched.

Modified Denavit-Hartenberg parameters as the maker states them: T_{i-1,i} = Rx(alpha) Tx(a) Rz(q) Tz(d).
"""

import numpy as np

_A = np.array([0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088])
_D = np.array([0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0])
_ALPHA = np.array([0.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0]) * np.pi / 2
_FLANGE_M = 0.107


def flange_pose(q):
    """Joints [rad] (..., 7) -> T_base_flange (..., 4, 4)."""
    return _chain(q)[0]


def joint_axes(q):
    """Joints [rad] (..., 7) -> axes (..., 7, 3) and a point [m] (..., 7, 3) on each, in the base frame.

    Turning joint j by a small angle moves what hangs on it, at p, by angle * axis_j x (p - point_j).
    """
    return _chain(q)[1:]


def _chain(q):
    q = np.asarray(q, dtype=np.float64)
    if q.shape[-1:] != (7,):
        raise ValueError(f"joint angles must be (..., 7) [rad], got shape {q.shape}")
    R, p = np.broadcast_to(np.eye(3), (*q.shape[:-1], 3, 3)), np.zeros((*q.shape[:-1], 3))
    axes, points = [], []
    for i in range(7):
        c, s = np.cos(_ALPHA[i]), np.sin(_ALPHA[i])
        R_before = R @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        p = p + R[..., 0] * _A[i] + R_before[..., 2] * _D[i]
        axes.append(R_before[..., 2])
        points.append(p)
        cq, sq = np.cos(q[..., i, None]), np.sin(q[..., i, None])
        x, y, z = R_before[..., 0], R_before[..., 1], R_before[..., 2]
        R = np.stack([x * cq + y * sq, y * cq - x * sq, z], axis=-1)
    T = np.zeros((*q.shape[:-1], 4, 4))
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = R, p + R[..., 2] * _FLANGE_M, 1.0
    return T, np.stack(axes, axis=-2), np.stack(points, axis=-2)
