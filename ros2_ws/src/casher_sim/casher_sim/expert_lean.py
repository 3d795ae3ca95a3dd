"""How far forward the scripted expert's hand leans at a shelf or a door: at it the arm reaches all it has to."""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.arm import HOME_JOINTS
from casher_policy.expert_door import HAND_TURN
from casher_policy.expert_motion import leaned
from casher_policy.task import DOOR_OPEN_RAD

SHELF_LEANS_RAD = (0.585, 0.385, 0.785, 0.185)
"""Of a tool that points straight down, in the order of preference; whole turns from the start pose."""
DOOR_LEANS_RAD = (0.985, 1.185, 0.785, 1.385)
_OFF_M = 0.015
"""The grid of the tool's positions is off by up to half a step."""
_LOW_M = 0.015
"""How far below the bar's middle the tcp may hold it."""
_LIFT_M = 0.09
_BEFORE_M = 0.12
_ITERATIONS = 100


def shelf_lean(kinematics, p_base_grasp, p_base_put, front_x):
    """Angle [rad] of SHELF_LEANS_RAD that serves most of the way from grasp to put.

    kinematics.Kinematics; p_base_grasp, p_base_put (3,) [m]: the tcp where it grasps and where it lets go; front_x [m]:
    of the shelf.
    """
    before = np.array([min(front_x - _BEFORE_M, p_base_grasp[0]), p_base_put[1], p_base_put[2]])
    up, off = np.array([0.0, 0.0, _LIFT_M]), np.array([_OFF_M, 0.0, 0.0])
    way = (
        *(p_base_grasp + 2 * up - off, p_base_grasp + up - off, p_base_grasp - off, p_base_grasp + off),
        *(before, p_base_put + off, p_base_put + up / 2),
    )
    return _best(kinematics, SHELF_LEANS_RAD, [(p, np.eye(3)) for p in way])


def door_lean(kinematics, p_base_handle, p_base_hinge, hinge_axis, outward):
    """Angle [rad] of DOOR_LEANS_RAD that serves most of the way along the door's arc. The door is closed; (3,) each."""
    way = [(p_base_handle + 0.08 * outward, np.eye(3)), (p_base_handle - _OFF_M * outward, np.eye(3))]
    for angle in np.linspace(0.0, DOOR_OPEN_RAD + 0.1, 6):
        p = p_base_hinge + Rotation.from_rotvec(angle * hinge_axis).apply(p_base_handle - p_base_hinge)
        turn = Rotation.from_rotvec(HAND_TURN * angle * hinge_axis).as_matrix()
        way += [(p, turn), (p + 2 * _OFF_M * outward - [0.0, 0.0, _LOW_M], turn)]
    return _best(kinematics, DOOR_LEANS_RAD, way)


def _best(kinematics, leans, way):
    """way: (position, rotation about the vertical) of the tcp, in the order in which it gets there."""
    q, reached = np.tile(HOME_JOINTS, (len(leans), 1)), np.zeros(len(leans))
    for p, turn in way:
        T = np.tile(np.eye(4), (len(leans), 1, 1))
        T[:, :3, :3], T[:, :3, 3] = [turn @ leaned(angle) for angle in leans], p
        found, converged = kinematics.inverse(T, q, np.array(HOME_JOINTS), iterations=_ITERATIONS)
        q = np.where(converged[:, None], found, q)
        reached += converged
    return leans[int(np.argmax(reached))]
