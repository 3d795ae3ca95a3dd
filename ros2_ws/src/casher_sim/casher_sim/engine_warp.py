"""An Engine of mujoco-warp: the MjModel of the reference, compiled for a GPU, or for the CPU, which is slow but needs
none. Needs the extra `warp`."""

import numpy as np

from casher_sim.engine_mujoco import gripper_control, measured, start

CONTACTS, CONSTRAINTS = 120, 400
"""Most of them that one scene may have."""


class WarpEngine:
    """Implements engine.Engine; arithmetic in 32 bits. The first step on a device compiles its kernels."""

    def __init__(self, scene, size, device="cpu"):
        """scene: scene.Scene; size: number of equal scenes; device: 'cpu' or 'cuda:0'."""
        import warp

        warp.config.quiet = True  # before mujoco_warp, which starts it; it prints every kernel that it compiles
        import mujoco
        import mujoco_warp

        self._mjw, self._warp = mujoco_warp, warp
        self.scene, self.size, self.device = scene, size, device
        data = mujoco.MjData(scene.model)
        mujoco.mj_forward(scene.model, data)
        with warp.ScopedDevice(device):
            self._model = mujoco_warp.put_model(scene.model)
            self._data = mujoco_warp.put_data(scene.model, data, nworld=size, nconmax=CONTACTS, njmax=CONSTRAINTS)

    def reset(self, joints, T_base_object):
        """See engine.Engine."""
        with self._warp.ScopedDevice(self.device):
            self._mjw.reset_data(self._model, self._data)
            self._data.qpos.assign(start(self.scene, joints, T_base_object).astype(np.float32))
            self._mjw.forward(self._model, self._data)

    def advance(self, joint_targets, width):
        """See engine.Engine."""
        control = np.zeros((self.size, self.scene.model.nu), dtype=np.float32)
        control[:, self.scene.gripper_ctrl] = gripper_control(np.asarray(width))
        with self._warp.ScopedDevice(self.device):
            for targets in joint_targets:
                control[:, self.scene.arm_ctrl] = targets
                self._data.ctrl.assign(control)
                self._mjw.step(self._model, self._data)
            self._warp.synchronize_device(self.device)

    def state(self):
        """See engine.Engine."""
        return measured(self.scene, self._data.qpos.numpy().astype(float), self._data.qvel.numpy().astype(float))
