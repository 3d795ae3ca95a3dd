"""Where every link of the FR3 and its hand is: forward kinematics of the whole robot, batched."""

import functools

import mujoco
import numpy as np

from casher_perception.compiled import compiled
from casher_sim import robot

_FIXED, _HINGE, _SLIDE = 0, 1, 2


class RobotFrames:
    """The links of the robot's model; get it from `robot_frames`, which builds it once."""

    def __init__(self, model):
        joints = [model.joint(name).id for name in (*robot.ARM_JOINTS, *robot.FINGER_JOINTS)]
        self.names = tuple(model.body(i).name for i in range(1, model.nbody))
        """Names of the frames, in the order of `poses`; a parent comes before its children."""
        n = len(self.names)
        self._parent = model.body_parentid[1:].astype(np.int64) - 1
        self._T_parent_link = np.tile(np.eye(4), (n, 1, 1))
        self._kind, self._joint = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._axis, self._anchor = np.zeros((n, 3)), np.zeros((n, 3))
        for link in range(n):
            body = link + 1
            R = np.empty(9)
            mujoco.mju_quat2Mat(R, model.body_quat[body])
            self._T_parent_link[link, :3, :3], self._T_parent_link[link, :3, 3] = R.reshape(3, 3), model.body_pos[body]
            if model.body_jntnum[body]:
                joint = model.body_jntadr[body]
                hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
                self._kind[link], self._joint[link] = _HINGE if hinge else _SLIDE, joints.index(joint)
                self._axis[link], self._anchor[link] = model.jnt_axis[joint], model.jnt_pos[joint]

    def poses(self, q, fingers):
        """Joints [rad] (..., 7) and each finger's way from closed [m] (..., 2) -> T_base_link (..., L, 4, 4)."""
        q, fingers = np.asarray(q, dtype=np.float64), np.asarray(fingers, dtype=np.float64)
        if q.shape[-1:] != (7,) or fingers.shape != (*q.shape[:-1], 2):
            raise ValueError(f"joints must be (..., 7) and fingers (..., 2), got {q.shape} and {fingers.shape}")
        positions = np.concatenate([q, fingers], axis=-1).reshape(-1, 9)
        T = _forward(positions, self._parent, self._T_parent_link, self._kind, self._joint, self._axis, self._anchor)
        return T.reshape(*q.shape[:-1], *T.shape[1:])

    def named(self, q, fingers):
        """Joints (7,) and fingers (2,) -> {frame: T_base_frame (4, 4)}."""
        return dict(zip(self.names, self.poses(q, fingers), strict=True))


@functools.cache
def robot_frames():
    """The RobotFrames of `robot.robot_spec()`; the first call takes half a second, later ones nothing."""
    return RobotFrames(robot.robot_spec().compile())


@compiled()
def _forward(positions, parents, T_parent_link, kinds, joints, axes, anchors):
    n = len(parents)
    T = np.zeros((len(positions), n, 4, 4))
    R = np.empty((3, 3))
    p = np.empty(3)
    for b in range(len(positions)):
        for i in range(n):
            R[:] = T_parent_link[i, :3, :3]
            p[:] = T_parent_link[i, :3, 3]
            if kinds[i] == _HINGE:
                turn = _rotation(axes[i], positions[b, joints[i]])
                a = anchors[i]
                for r in range(3):
                    for c in range(3):
                        p[r] += R[r, c] * (a[c] - turn[c, 0] * a[0] - turn[c, 1] * a[1] - turn[c, 2] * a[2])
                R[:] = _product(R, turn)
            elif kinds[i] == _SLIDE:
                for r in range(3):
                    for c in range(3):
                        p[r] += R[r, c] * axes[i, c] * positions[b, joints[i]]
            if parents[i] >= 0:
                up = T[b, parents[i]]
                T[b, i, :3, :3] = _product(up[:3, :3], R)
                for r in range(3):
                    T[b, i, r, 3] = up[r, 0] * p[0] + up[r, 1] * p[1] + up[r, 2] * p[2] + up[r, 3]
            else:
                T[b, i, :3, :3] = R
                T[b, i, :3, 3] = p
            T[b, i, 3, 3] = 1.0
    return T


@compiled()
def _product(a, b):
    # Nine dot products: for 3 x 3 a call of BLAS takes longer than the work.
    out = np.empty((3, 3))
    for r in range(3):
        for c in range(3):
            out[r, c] = a[r, 0] * b[0, c] + a[r, 1] * b[1, c] + a[r, 2] * b[2, c]
    return out


@compiled()
def _rotation(axis, angle):
    """Rodrigues' formula."""
    x, y, z = axis
    c, s = np.cos(angle), np.sin(angle)
    d = 1.0 - c
    return np.array(
        [
            [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
            [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
            [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
        ]
    )
