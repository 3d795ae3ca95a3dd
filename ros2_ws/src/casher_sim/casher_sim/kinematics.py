"""Forward and inverse kinematics of the tcp, batched, from the chain in the MuJoCo model.

Inverse: damped least squares, dq = J^T (J J^T + lambda^2 I)^-1 e with e = (translation, rotation vector) of the error
in the base frame, plus a pull towards a posture in the null space that keeps the elbow where it is.
"""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from casher_sim import robot

POSITION_TOLERANCE_M = 1e-5
ROTATION_TOLERANCE_RAD = 1e-4
_DAMPING = 0.03
_POSTURE_GAIN = 0.1
_STEP_LIMIT_RAD = 0.2


class Kinematics:
    """Of the arm in `model`; knows nothing of its state."""

    def __init__(self, model):
        site = model.site(robot.TCP).id
        body, chain = model.site_bodyid[site], []
        while body > 0:
            chain.append(body)
            body = model.body_parentid[body]
        names = {model.joint(name).id: i for i, name in enumerate(robot.ARM_JOINTS)}
        self._segments = [
            (model.body_pos[b].copy(), _matrix(model.body_quat[b]), names.get(model.body_jntadr[b]))
            for b in chain[::-1]
        ]
        self._p_tcp, self._R_tcp = model.site_pos[site].copy(), _matrix(model.site_quat[site])
        joints = [model.joint(name).id for name in robot.ARM_JOINTS]
        self.low, self.high = model.jnt_range[joints].T.copy()

    def forward(self, q):
        """Joints [rad] (..., 7) -> T_base_tcp (..., 4, 4)."""
        q = np.asarray(q, dtype=np.float64)
        p, R, _ = self._forward(q.reshape(-1, 7))
        T = np.zeros((len(p), 4, 4))
        T[:, :3, :3], T[:, :3, 3], T[:, 3, 3] = R, p, 1.0
        return T.reshape(*q.shape[:-1], 4, 4)

    def inverse(self, T_base_tcp, q_start, q_posture, iterations=60):
        """T_base_tcp (B, 4, 4), q_start and q_posture (B, 7) or (7,) [rad] -> joints (B, 7) [rad], converged (B,) bool.

        A joint that would leave its range stays at its end. Where `converged` is False nothing was found near q_start.
        """
        T = np.asarray(T_base_tcp, dtype=np.float64)
        q = np.clip(np.broadcast_to(q_start, (len(T), 7)), self.low, self.high)
        q_posture = np.broadcast_to(q_posture, q.shape)
        for i in range(iterations):
            p, R, J = self._forward(q)
            error = np.concatenate([T[:, :3, 3] - p, _rotation_error(T[:, :3, :3], R)], axis=1)
            converged = (np.linalg.norm(error[:, :3], axis=1) < POSITION_TOLERANCE_M) & (
                np.linalg.norm(error[:, 3:], axis=1) < ROTATION_TOLERANCE_RAD
            )
            if converged.all():
                break
            JT = J.transpose(0, 2, 1)
            pinv = JT @ np.linalg.inv(J @ JT + _DAMPING**2 * np.eye(6))
            pull = (q_posture - q) * (_POSTURE_GAIN if i < 3 else 0.0)
            dq = (pinv @ (error - (J @ pull[..., None])[..., 0])[..., None])[..., 0] + pull
            dq *= np.minimum(1.0, _STEP_LIMIT_RAD / np.maximum(np.abs(dq).max(axis=1, keepdims=True), 1e-9))
            q = np.where(converged[:, None], q, np.clip(q + dq, self.low, self.high))
        return q, converged

    def _forward(self, q):
        """(B, 7) -> position (B, 3), rotation (B, 3, 3), geometric Jacobian (B, 6, 7) in the base frame."""
        p, R = np.zeros((len(q), 3)), np.broadcast_to(np.eye(3), (len(q), 3, 3))
        axes, anchors = [], []
        for offset, turn, joint in self._segments:
            p, R = p + R @ offset, R @ turn
            if joint is not None:
                axes.append(R[:, :, 2])
                anchors.append(p)
                R = R @ _about_z(q[:, joint])
        p, R = p + R @ self._p_tcp, R @ self._R_tcp
        axes, anchors = np.stack(axes, axis=-1), np.stack(anchors, axis=-1)
        return p, R, np.concatenate([np.cross(axes, p[:, :, None] - anchors, axis=1), axes], axis=1)


def _about_z(angle):
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=-1).reshape(-1, 3, 3)


def _rotation_error(R_target, R):
    return Rotation.from_matrix(R_target @ R.transpose(0, 2, 1)).as_rotvec()


def _matrix(quat_wxyz):
    R = np.zeros(9)
    mujoco.mju_quat2Mat(R, np.asarray(quat_wxyz, dtype=np.float64))
    return R.reshape(3, 3)
