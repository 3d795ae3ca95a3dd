"""Where the links of an FR3 or a Panda (FER) are, and which joints near given ones reach a pose. Batched, pure numpy.

Both arms have the same lengths (Franka's "Denavit-Hartenberg parameters" page, Craig's convention) and differ in the
ranges of their joints: T_i-1_i = RotX(alpha) TransX(a) RotZ(q) TransZ(d).
"""

import numpy as np

A_M = np.array([0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088])
D_M = np.array([0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0])
ALPHA_RAD = np.pi / 2 * np.array([0, -1, 1, 1, -1, 1, 1])
FLANGE_M = 0.107
"""From link 7 to the flange, along z."""
T_FLANGE_TCP = np.array([[0.5**0.5, 0.5**0.5, 0, 0], [-(0.5**0.5), 0.5**0.5, 0, 0], [0, 0, 1, 0.1034], [0, 0, 0, 1]])
"""Between the fingertips of the Franka hand as its maker mounts it: turned by 45 degrees, 0.1034 m ahead."""
LINKS = (*(f"link{i}" for i in range(8)), "flange", "tcp")
"""The frames of `link_frames`, in their order."""

JOINT_RANGES = {
    "fr3": (
        np.array([-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159]),
        np.array([2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159]),
    ),
    "panda": (
        np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]),
        np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]),
    ),
}
"""Robot -> lowest and highest joint positions (7,) [rad], from Franka's "Robot limits" page."""

POSITION_TOLERANCE_M, ROTATION_TOLERANCE_RAD = 1e-4, 1e-3
"""Within these `inverse` has reached its pose."""
_DAMPING, _LEAST_DAMPING = 0.1, 1e-6
_STEP_RAD = 0.3
_COS, _SIN = np.cos(ALPHA_RAD), np.sin(ALPHA_RAD)


def link_frames(q):
    """Joints [rad] (..., 7) -> T_base_link (..., 10, 4, 4), ordered as LINKS; link0 is the base itself."""
    q = np.asarray(q, dtype=np.float64)
    if q.shape[-1:] != (7,):
        raise ValueError(f"joints must be (..., 7), got {q.shape}")
    flat = q.reshape(-1, 7)
    T = np.zeros((len(flat), 10, 4, 4))
    T[:, 0] = np.eye(4)
    c, s = np.cos(flat), np.sin(flat)
    step = np.zeros((len(flat), 4, 4))
    step[:, 3, 3] = 1.0
    for i in range(7):
        step[:, 0, 0], step[:, 0, 1], step[:, 0, 3] = c[:, i], -s[:, i], A_M[i]
        step[:, 1, 0], step[:, 1, 1] = s[:, i] * _COS[i], c[:, i] * _COS[i]
        step[:, 2, 0], step[:, 2, 1] = s[:, i] * _SIN[i], c[:, i] * _SIN[i]
        step[:, 1, 2], step[:, 1, 3] = -_SIN[i], -_SIN[i] * D_M[i]
        step[:, 2, 2], step[:, 2, 3] = _COS[i], _COS[i] * D_M[i]
        T[:, i + 1] = T[:, i] @ step
    T[:, 8] = T[:, 7]
    T[:, 8, :3, 3] += FLANGE_M * T[:, 7, :3, 2]
    T[:, 9] = T[:, 8] @ T_FLANGE_TCP
    return T.reshape(*q.shape[:-1], 10, 4, 4)


def flange_pose(q):
    """Joints [rad] (..., 7) -> T_base_flange (..., 4, 4)."""
    return link_frames(q)[..., 8, :, :]


def tcp_pose(q):
    """Joints [rad] (..., 7) -> T_base_tcp (..., 4, 4) of the Franka hand."""
    return link_frames(q)[..., 9, :, :]


def joint_axes(q):
    """Joints [rad] (..., 7) -> axes (..., 7, 3) and a point [m] (..., 7, 3) on each, in the base frame.

    Turning joint j by a small angle moves what hangs on it, at p, by angle * axis_j x (p - point_j).
    """
    T = link_frames(q)[..., 1:8, :3, :]
    return T[..., 2], T[..., 3]


def jacobian(T_base_link):
    """Frames of `link_frames` (B, 10, 4, 4) -> geometric Jacobian of the tcp (B, 6, 7), translation above rotation."""
    axes, anchors = T_base_link[:, 1:8, :3, 2], T_base_link[:, 1:8, :3, 3]
    linear = np.cross(axes, T_base_link[:, 9:, :3, 3] - anchors)
    return np.concatenate([linear, axes], axis=-1).swapaxes(1, 2)


def inverse(T_base_tcp, q_start, iterations=20):
    """T_base_tcp (B, 4, 4), q_start (B, 7) [rad] -> the joints near q_start that reach it (B, 7), whether (B,) bool.

    Damped least squares, dq = J^T (J J^T + lambda I)^-1 e with e = (translation, rotation vector) in the base frame and
    lambda in proportion to e^2 (Sugihara 2011), which crosses singularities and still converges fast. It minds no
    joint's range, so that who asks sees which one would be left.
    """
    T_base_tcp, q = np.asarray(T_base_tcp, dtype=np.float64), np.array(q_start, dtype=np.float64)
    reached, open_ = np.zeros(len(q), dtype=bool), np.arange(len(q))
    for iteration in range(iterations + 1):
        frames = link_frames(q[open_])
        error = _error(T_base_tcp[open_], frames[:, 9])
        near = (np.linalg.norm(error[:, :3], axis=1) < POSITION_TOLERANCE_M) & (
            np.linalg.norm(error[:, 3:], axis=1) < ROTATION_TOLERANCE_RAD
        )
        reached[open_[near]] = True
        open_, frames, error = open_[~near], frames[~near], error[~near]
        if not len(open_) or iteration == iterations:
            break
        J = jacobian(frames)
        JT = J.swapaxes(1, 2)
        damping = _DAMPING * (error**2).sum(axis=1) + _LEAST_DAMPING
        dq = (JT @ np.linalg.solve(J @ JT + damping[:, None, None] * np.eye(6), error[..., None]))[..., 0]
        q[open_] += dq * np.minimum(1.0, _STEP_RAD / np.maximum(np.abs(dq).max(axis=1, keepdims=True), 1e-12))
    return q, reached


def _error(T_target, T):
    """Translation [m] and rotation vector [rad] (B, 6) from T to T_target, in the base frame."""
    R = T_target[:, :3, :3] @ T[:, :3, :3].swapaxes(1, 2)
    skew = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=-1)
    sine = np.linalg.norm(skew, axis=1)
    angle = np.arctan2(sine, np.trace(R, axis1=1, axis2=2) - 1.0)
    turn = skew * (angle / np.maximum(sine, 1e-12))[:, None]
    return np.concatenate([T_target[:, :3, 3] - T[:, :3, 3], turn], axis=1)
