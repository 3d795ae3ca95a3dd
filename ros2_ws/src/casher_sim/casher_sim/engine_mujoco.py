"""The reference: an Engine of MuJoCo, one MjData after the other."""

import mujoco
import numpy as np

from casher_perception.geometry import pose_matrix, position_quat
from casher_policy.observation import FINGER_MAX_M
from casher_sim.engine import EngineState
from casher_sim.robot import GRASP_CONTROL


class MujocoEngine:
    """Implements engine.Engine."""

    def __init__(self, scene, size):
        """scene: scene.Scene; size: number of equal scenes."""
        self.scene, self.size = scene, size
        self._data = [mujoco.MjData(scene.model) for _ in range(size)]

    def reset(self, joints, T_base_object):
        """See engine.Engine."""
        for data, qpos in zip(self._data, start(self.scene, joints, T_base_object), strict=True):
            mujoco.mj_resetData(self.scene.model, data)
            data.qpos = qpos
            mujoco.mj_forward(self.scene.model, data)

    def advance(self, joint_targets, width):
        """See engine.Engine."""
        for i, data in enumerate(self._data):
            data.ctrl[self.scene.gripper_ctrl] = gripper_control(width[i])
            for targets in joint_targets[:, i]:
                data.ctrl[self.scene.arm_ctrl] = targets
                mujoco.mj_step(self.scene.model, data)

    def state(self):
        """See engine.Engine."""
        qpos, qvel = np.stack([d.qpos for d in self._data]), np.stack([d.qvel for d in self._data])
        return measured(self.scene, qpos, qvel)


def start(scene, joints, T_base_object):
    """-> qpos (B, nq) with the hand open."""
    qpos = np.tile(scene.model.qpos0, (len(joints), 1))
    qpos[:, scene.arm_qpos], qpos[:, scene.finger_qpos] = joints, FINGER_MAX_M
    position, quat_xyzw = position_quat(T_base_object)
    qpos[:, scene.object_qpos] = np.concatenate([position, np.roll(quat_xyzw, 1, axis=-1)], axis=-1)
    return qpos


def gripper_control(width):
    """Distance of the fingers [m] (...), 0 grasps -> control of the gripper's actuator (...)."""
    return np.where(width > 0.0, width, GRASP_CONTROL)


def measured(scene, qpos, qvel):
    """qpos (B, nq), qvel (B, nv) -> EngineState."""
    position, quat_wxyz = np.split(qpos[:, scene.object_qpos], [3], axis=-1)
    return EngineState(
        joints=qpos[:, scene.arm_qpos],
        fingers=np.clip(qpos[:, scene.finger_qpos], 0.0, FINGER_MAX_M),
        T_base_object=pose_matrix(position, np.roll(quat_wxyz, -1, axis=-1)),
        object_velocity=qvel[:, scene.object_qvel][:, :3],
    )
