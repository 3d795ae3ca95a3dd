"""open_cabinet for the scripted expert: grasps the handle's bar from the front, pulls it along its arc, lets go.

The hand looks at the door and turns half as far as the door does: a bar may be held at an angle.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_policy.action import Action
from casher_policy.expert_motion import OPEN_M, leaned, translate, turn
from casher_policy.task import DOOR_OPEN_RAD

_OVERSHOOT_RAD = 0.07
"""Opened this much beyond what the task asks for, as the opening fingers push it back a little."""
_SLACK_M = 0.001
_LOW_SLACK_M = 0.010
"""The same once the bar is between the fingers, where going back costs more than it brings."""
_DEEP_M = -0.002
"""When the fingers close the tcp is beyond the bar by at least this, and by up to a step more."""
_ABOVE_M = 0.02
"""The fingers close within this above the bar's middle, give or take half a step."""
_BETWEEN_M = 0.035
"""Less across than this, a bar is between the open fingers."""
_END_M = 0.012
"""The fingers hold no bar whose end is nearer to the tcp."""
_AHEAD_M = 0.06
"""The tcp stays this far before the bar until it is level with it."""
_NEAR_M = 0.045
"""The tcp is nearer to the bar than this when the fingers hold it."""
HAND_TURN = 0.5
"""Share of the door's angle that the hand turns."""


def act(privileged, T_base_tcp, fingers, grasped, steps):
    """The next Action; see expert.Expert.act."""
    door = privileged.door
    to_handle = door.p_base_handle - T_base_tcp[:3, 3]
    # Rather above its middle, where the elbow has more room; once it is there, anywhere along the bar will do.
    up = door.handle_axis * (1.0 if door.handle_axis[2] >= 0.0 else -1.0)
    there = np.linalg.norm(np.cross(to_handle, up)) < _NEAR_M
    end = max(door.length / 2 - _END_M, _ABOVE_M)
    low, high = (-end, end) if there else (-_ABOVE_M, 0.0)
    to_bar = to_handle - np.clip(to_handle @ up, low, high) * up
    if grasped and np.linalg.norm(to_bar) < _NEAR_M:
        return _pull(door, privileged.lean_rad, to_bar, T_base_tcp, steps)
    if np.sum(fingers) <= OPEN_M or door.angle > DOOR_OPEN_RAD:
        return Action.OPEN
    return _approach(door, privileged.lean_rad, to_bar, T_base_tcp, steps)


def _goal_rotation(door, lean_rad):
    """(3, 3): the tool leans forward to the door, its fingers close across the bar."""
    ahead = -Rotation.from_rotvec(-(1 - HAND_TURN) * door.angle * door.hinge_axis).apply(door.outward)
    level = Rotation.from_euler("z", np.arctan2(ahead[1], ahead[0]))
    return level.as_matrix() @ leaned(lean_rad)


def _rotation(door, lean_rad, T_base_tcp, steps):
    R = _goal_rotation(door, lean_rad)
    # Fingers close both ways: half a turn about the tool's z is the same.
    if (R[:, 0] @ T_base_tcp[:3, 0]) < 0:
        R = R * [-1.0, -1.0, 1.0]
    return turn(R, T_base_tcp[:3, :3], steps)


def _approach(door, lean_rad, to_bar, T_base_tcp, steps):
    ahead = -door.outward
    across = to_bar - (to_bar @ ahead) * ahead
    distance = to_bar @ ahead
    before = distance > _AHEAD_M - steps.translation_m / 2
    level = np.abs(across).max() <= steps.translation_m / 2 + (_SLACK_M if before else _LOW_SLACK_M)
    turning = _rotation(door, lean_rad, T_base_tcp, steps)
    if not before and not level and np.abs(across).max() < _BETWEEN_M:
        return translate(across)
    if not (before or (level and turning is None)):
        return translate(-ahead)
    # First to the height of the bar: low and near to the base the arm cannot lean the hand forward.
    if not level:
        return translate(across)
    if turning is not None:
        return turning
    return translate(ahead) if distance > _DEEP_M else Action.CLOSE


def _pull(door, lean_rad, to_bar, T_base_tcp, steps):
    if door.angle > DOOR_OPEN_RAD + _OVERSHOOT_RAD:
        return Action.OPEN
    turning = _rotation(door, lean_rad, T_base_tcp, steps)
    if turning is not None:
        return turning
    return _along_the_arc(door, to_bar, steps)


def _along_the_arc(door, to_bar, steps):
    """Of the four horizontal steps the one that opens the door and leaves the tcp nearest to the bar's circle."""
    radial = _without(door.p_base_handle - door.p_base_hinge, door.hinge_axis)
    radius, forward = np.linalg.norm(radial), np.cross(door.hinge_axis, radial)
    best, least = Action.MINUS_X, np.inf
    # Where the tcp is as seen from the hinge: a bar with play in the fingers trails behind it.
    now = _without(radial - to_bar, door.hinge_axis)
    for action in (Action.PLUS_X, Action.MINUS_X, Action.PLUS_Y, Action.MINUS_Y):
        step = np.zeros(3)
        step[action // 2] = steps.translation_m * (1 if action % 2 == 0 else -1)
        arm = _without(now + step, door.hinge_axis)
        gain = (arm - now) @ forward / radius
        off = abs(np.linalg.norm(arm) - radius)
        if gain > 0.2 * steps.translation_m and off < least:
            best, least = action, off
    return best


def _without(v, axis):
    return v - (v @ axis) * axis
