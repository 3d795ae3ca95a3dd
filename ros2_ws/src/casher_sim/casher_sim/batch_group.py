"""Copies of one scene in a `mujoco.batch.Batch`: what of a batch of worlds depends on the scene's model."""

import mujoco
import numpy as np
from mujoco.batch import Batch

from casher_franka.arm import HOME_JOINTS
from casher_policy.observation import FINGER_MAX_M
from casher_sim.robot import OPEN_CONTROL

SETTLE_STEPS = 100
"""At most so many physics steps after a reset until the object lies; most need only SETTLE_CHUNK."""
SETTLE_CHUNK = 20
_AT_REST_M_S = 0.02


class BatchGroup:
    """`own` below: (B,) increasing indices of copies, or a slice."""

    def __init__(self, scene, size, threads):
        """scene: scene.Scene; size: number of copies; threads: of the physics."""
        if scene.model.nu != 8:
            raise ValueError(f"a scene has 8 actuators, the arm's and the gripper's, got {scene.model.nu}")
        self.scene, self.size = scene, size
        self._batch = Batch(scene.model, size, min(threads, size))
        self._qpos, self._qvel, self._ctrl = (self._batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self._body_pos = self._batch.expand("body_pos")
        self._order = np.argsort([*scene.arm_ctrl, scene.gripper_ctrl])

    @property
    def warned(self):
        """(size,) bool: MuJoCo met a bad state or an overflow since the reset."""
        return (self._batch.warning[:, :, 1] > 0).any(axis=1) | ~np.isfinite(self._qpos).all(axis=1)

    def reset(self, own, shift, object_qpos):
        """Arm at home, hand open, place at shift (B, 3), object at object_qpos (B, 7), then until it lies."""
        scene, rows = self.scene, own[:, None]
        self._batch.reset(own, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._batch.warning[own] = 0
        self._body_pos[own, scene.kitchen_body] = shift
        self._qpos[rows, scene.arm_qpos], self._qpos[rows, scene.finger_qpos] = HOME_JOINTS, FINGER_MAX_M
        self._ctrl[rows, scene.arm_ctrl], self._ctrl[own, scene.gripper_ctrl] = HOME_JOINTS, OPEN_CONTROL
        if scene.object_qpos is None:
            self._batch.step(own, nstep=SETTLE_CHUNK)
            return
        self._qpos[own, scene.object_qpos] = object_qpos
        moving = own
        for _ in range(0, SETTLE_STEPS, SETTLE_CHUNK):
            self._batch.step(moving, nstep=SETTLE_CHUNK)
            speed = np.linalg.norm(self._qvel[moving, scene.object_qvel][:, :3], axis=1)
            moving = moving[speed > _AT_REST_M_S]
            if not len(moving):
                break

    def advance(self, own, control):
        """One physics step for each of control (B, steps, 8), arm and gripper; own: None for all."""
        self._batch.rollout(control.shape[1], control[:, :, self._order], record=(), ids=own)

    def measure(self, own):
        """-> joints (B, 7), fingers (B, 2), object's qpos (B, 7) and velocity (B, 3), door's angle (B,); None for what
        the scene lacks."""
        scene, qpos = self.scene, self._qpos[own]
        # A world that broke has no state; whoever looks at all worlds at once must not trip over it.
        qpos = np.where(np.isfinite(qpos).all(axis=1, keepdims=True), qpos, scene.model.qpos0)
        things = (None, None)
        if scene.object_qpos is not None:
            things = qpos[:, scene.object_qpos], self._qvel[own, scene.object_qvel][:, :3]
        door = None if scene.door_qpos is None else qpos[:, scene.door_qpos]
        return qpos[:, scene.arm_qpos], qpos[:, scene.finger_qpos], *things, door

    def data(self, index):
        """MjModel and MjData of one copy with everything derived."""
        model, data = self._batch.get_model(index), self._batch.get_data(index)
        mujoco.mj_forward(model, data)
        return model, data
