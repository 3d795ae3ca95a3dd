"""What the actuators are told during one action, for a batch.

The servos pull towards their target q_t with k (q_t - q) - d q', and MuJoCo compensates gravity. To follow q(t) without
lag the target leads by what damping and inertia M will cost: q_t = q + (d q' + M q'') / k. M is the one at the start
pose: elsewhere it is a little off, which leaves tenths of a millimetre instead of millimetres at the end of 100 ms.
"""

import mujoco
import numpy as np

from casher_franka.arm import HOME_JOINTS
from casher_policy.action import OPEN_WIDTH_M
from casher_sim.ramp import minimum_jerk
from casher_sim.robot import GRASP_CONTROL, OPEN_CONTROL, TIMESTEP_S


class Motion:
    """Of the arm in a scene."""

    def __init__(self, scene):
        model, arm = scene.model, scene.arm_qpos
        data = mujoco.MjData(model)
        data.qpos[arm] = HOME_JOINTS
        mujoco.mj_forward(model, data)
        inertia = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, inertia)
        stiffness = model.actuator_gainprm[scene.arm_ctrl, 0]
        damping = model.dof_damping[arm] - model.actuator_biasprm[scene.arm_ctrl, 2]
        self._lead_s = damping / stiffness
        """(7,)"""
        self._lead_s2 = inertia[np.ix_(arm, arm)] / stiffness
        """(7, 7) symmetric inertia over stiffness: row vectors of accelerations times this."""

    def controls(self, q_start, q_goal, ramp_steps, width, steps):
        """Joints (B, 7) to joints (B, 7) [rad] -> (B, steps, 8): a minimum jerk over ramp_steps (B,), then held.

        The last column is the gripper's, for a width (B,) [m] of which 0 grasps.
        """
        duration = (ramp_steps * TIMESTEP_S)[:, None]
        s = np.minimum(np.arange(1, steps + 1) / ramp_steps[:, None], 1.0)
        along, speed, acceleration = minimum_jerk(s)
        way = q_goal - q_start
        # einsum, not matmul: no BLAS, so the same bits whatever the batch.
        inert = np.einsum("bi,ij->bj", way, self._lead_s2)
        control = np.empty((len(s), steps, 8))
        control[:, :, :7] = q_start[:, None] + way[:, None] * along[:, :, None]
        control[:, :, :7] += (way * self._lead_s)[:, None] * (speed / duration)[:, :, None]
        control[:, :, :7] += inert[:, None] * (acceleration / duration**2)[:, :, None]
        gripper = np.where(width <= 0.0, GRASP_CONTROL, np.where(width >= OPEN_WIDTH_M, OPEN_CONTROL, width))
        control[:, :, 7] = gripper[:, None]
        return control
