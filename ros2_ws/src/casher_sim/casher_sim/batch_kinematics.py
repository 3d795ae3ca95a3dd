"""Kinematics of many arms at once, compiled: the equations of `kinematics`, one arm after the other.

Numpy's cost there is that of its many small calls, which is more than the physics of an action costs. Here each arm
also stops when it has arrived, and comes out bit for bit the same whatever else is in the batch.
"""

import numpy as np

from casher_perception.compiled import compiled
from casher_sim import kinematics
from casher_sim.kinematics import Kinematics


class BatchKinematics(Kinematics):
    """A Kinematics with faster `forward` and `inverse`."""

    def __init__(self, model):
        super().__init__(model)
        offsets, turns, joints = zip(*self._segments, strict=True)
        tcp = (self._p_tcp, self._R_tcp)
        self._chain = (
            np.array([*offsets, tcp[0]]),
            np.array([*turns, tcp[1]]),
            np.array([-1 if joint is None else joint for joint in (*joints, None)], dtype=np.int64),
        )

    def forward(self, q):
        """Joints [rad] (..., 7) -> T_base_tcp (..., 4, 4)."""
        q = np.asarray(q, dtype=np.float64)
        T = _forward_all(*self._chain, np.ascontiguousarray(q.reshape(-1, 7)))
        return T.reshape(*q.shape[:-1], 4, 4)

    def inverse(self, T_base_tcp, q_start, q_posture, iterations=60):
        """See Kinematics.inverse."""
        T = np.ascontiguousarray(T_base_tcp, dtype=np.float64)
        shape = (len(T), 7)
        q = np.clip(np.broadcast_to(q_start, shape), self.low, self.high)
        q_posture = np.ascontiguousarray(np.broadcast_to(q_posture, shape), dtype=np.float64)
        converged = np.zeros(len(T), dtype=np.bool_)
        _inverse_all(*self._chain, T, q_posture, self.low, self.high, iterations, q, converged)
        return q, converged


_POSITION_TOLERANCE_M = kinematics.POSITION_TOLERANCE_M
_ROTATION_TOLERANCE_RAD = kinematics.ROTATION_TOLERANCE_RAD
_DAMPING = kinematics._DAMPING
_POSTURE_GAIN = kinematics._POSTURE_GAIN
_STEP_LIMIT_RAD = kinematics._STEP_LIMIT_RAD


@compiled()
def _chain_pose(offsets, turns, joints, q, p, R, axes, anchors, scratch):
    """The tcp's position p (3,) and rotation R (3, 3), and each joint's axis and a point on it, (7, 3)."""
    for a in range(3):
        p[a] = 0.0
        for b in range(3):
            R[a, b] = 1.0 if a == b else 0.0
    for i in range(len(joints)):
        for a in range(3):
            p[a] += R[a, 0] * offsets[i, 0] + R[a, 1] * offsets[i, 1] + R[a, 2] * offsets[i, 2]
        for a in range(3):
            for b in range(3):
                scratch[a, b] = R[a, 0] * turns[i, 0, b] + R[a, 1] * turns[i, 1, b] + R[a, 2] * turns[i, 2, b]
        j = joints[i]
        if j < 0:
            R[:] = scratch
            continue
        c, s = np.cos(q[j]), np.sin(q[j])
        for a in range(3):
            axes[j, a], anchors[j, a] = scratch[a, 2], p[a]
            R[a, 0] = c * scratch[a, 0] + s * scratch[a, 1]
            R[a, 1] = c * scratch[a, 1] - s * scratch[a, 0]
            R[a, 2] = scratch[a, 2]


@compiled()
def _forward_all(offsets, turns, joints, q):
    T = np.zeros((len(q), 4, 4))
    axes, anchors, scratch = np.empty((7, 3)), np.empty((7, 3)), np.empty((3, 3))
    p, R = np.empty(3), np.empty((3, 3))
    for n in range(len(q)):
        _chain_pose(offsets, turns, joints, q[n], p, R, axes, anchors, scratch)
        T[n, :3, :3], T[n, :3, 3], T[n, 3, 3] = R, p, 1.0
    return T


@compiled()
def _error(T, p, R, error):
    """Of a pose: translation and rotation vector, (6,), in the base frame."""
    E = np.zeros((3, 3))
    for a in range(3):
        error[a] = T[a, 3] - p[a]
        for b in range(3):
            E[a, b] = T[a, 0] * R[b, 0] + T[a, 1] * R[b, 1] + T[a, 2] * R[b, 2]
    x, y, z = 0.5 * (E[2, 1] - E[1, 2]), 0.5 * (E[0, 2] - E[2, 0]), 0.5 * (E[1, 0] - E[0, 1])
    sine = np.sqrt(x * x + y * y + z * z)
    angle = np.arctan2(sine, 0.5 * (E[0, 0] + E[1, 1] + E[2, 2] - 1.0))
    factor = angle / sine if sine > 1e-9 else 1.0
    error[3], error[4], error[5] = factor * x, factor * y, factor * z


@compiled()
def _solve(A, b):
    """b (6,) becomes A^-1 b for a symmetric, positive definite A (6, 6), which is overwritten: Cholesky."""
    for i in range(6):
        for j in range(i + 1):
            total = A[i, j]
            for k in range(j):
                total -= A[i, k] * A[j, k]
            A[i, j] = np.sqrt(total) if i == j else total / A[j, j]
    for i in range(6):
        for k in range(i):
            b[i] -= A[i, k] * b[k]
        b[i] /= A[i, i]
    for i in range(5, -1, -1):
        for k in range(i + 1, 6):
            b[i] -= A[k, i] * b[k]
        b[i] /= A[i, i]


@compiled()
def _inverse_all(offsets, turns, joints, T, q_posture, low, high, iterations, q, converged):
    axes, anchors, scratch = np.empty((7, 3)), np.empty((7, 3)), np.empty((3, 3))
    p, R = np.empty(3), np.empty((3, 3))
    J, A, e, pull, dq = np.empty((6, 7)), np.empty((6, 6)), np.empty(6), np.empty(7), np.empty(7)
    for n in range(len(T)):
        for i in range(iterations):
            _chain_pose(offsets, turns, joints, q[n], p, R, axes, anchors, scratch)
            _error(T[n], p, R, e)
            far = np.sqrt(e[0] ** 2 + e[1] ** 2 + e[2] ** 2)
            turned = np.sqrt(e[3] ** 2 + e[4] ** 2 + e[5] ** 2)
            if far < _POSITION_TOLERANCE_M and turned < _ROTATION_TOLERANCE_RAD:
                converged[n] = True
                break
            gain = _POSTURE_GAIN if i < 3 else 0.0
            for j in range(7):
                x, y, z = axes[j]
                u, v, w = p[0] - anchors[j, 0], p[1] - anchors[j, 1], p[2] - anchors[j, 2]
                J[0, j], J[1, j], J[2, j] = y * w - z * v, z * u - x * w, x * v - y * u
                J[3, j], J[4, j], J[5, j] = x, y, z
                pull[j] = gain * (q_posture[n, j] - q[n, j])
            for a in range(6):
                for b in range(a + 1):
                    total = _DAMPING**2 if a == b else 0.0
                    for j in range(7):
                        total += J[a, j] * J[b, j]
                    A[a, b] = total
                for j in range(7):
                    e[a] -= J[a, j] * pull[j]
            _solve(A, e)
            largest = 1e-9
            for j in range(7):
                dq[j] = pull[j]
                for a in range(6):
                    dq[j] += J[a, j] * e[a]
                largest = max(largest, abs(dq[j]))
            limit = min(1.0, _STEP_LIMIT_RAD / largest)
            for j in range(7):
                q[n, j] = min(max(q[n, j] + limit * dq[j], low[j]), high[j])
