"""Between an arm's messages and a demonstration."""

import numpy as np

from casher_perception.conversions import transform_from_pose
from casher_perception.geometry import position_quat
from casher_policy.conversions import state_vector
from casher_sim.environment import OBSERVATION
from casher_training.demos_session import SceneState

_START_QUAT_XYZW = np.array([0.92, 0.02, 0.39, 0.01])
"""Of the tool at the start pose, with the sign that KitchenEnv gives it there."""


def measurement(message):
    """RobotState -> observation (D,) float32 and SceneState, NaN where only a simulator knows; a policy's (9,)."""
    p_tcp, quat_tcp = position_quat(transform_from_pose(message.tcp_pose))
    quat_tcp = quat_tcp if quat_tcp @ _START_QUAT_XYZW >= 0 else -quat_tcp
    fingers = np.array(message.finger_positions)
    observation = np.full(OBSERVATION, np.nan, dtype=np.float32)
    observation[7:16] = [*(fingers / message.finger_max), *quat_tcp, *p_tcp]
    state = SceneState(np.array(message.joint_positions), fingers, np.full(7, np.nan), 0.0, np.zeros(3))
    return observation, state, state_vector(message)
