"""put_in_sink for the scripted expert: picks the object up and puts it into the basin.

The tool's position lies on a grid of 30 mm steps and its yaw on one of 0.2 rad: the expert goes to the grid point next
to the grasp, and where the object allows several closing directions takes the one that makes the best of the remaining
error.
"""

import numpy as np

from casher_policy.action import OPEN_WIDTH_M, Action
from casher_policy.expert_motion import OPEN_M, translate

_SLACK_M = 0.001
"""Beyond half a step, so that an error of exactly half a step does not make the tool step to and fro."""
_LOW_SLACK_M = 0.010
"""The same once the tool is down around the object, where going up again costs more than it brings."""
_HOVER_M = 0.03
"""The tcp stays this far above the object's top while it travels."""
_HIGH_M = 0.06
"""Higher above that than this it goes down before it travels or turns: there may be a cabinet in front of the hand."""
_TILT_RAD = 0.12
_SLACK_RAD, _TURN_SLACK_RAD = 0.02, 0.005
"""Of the closing direction beyond half a step, as it is and after turning."""
_WORTH_A_TURN_M = 0.0007
"""A turn has to bring the tool this much nearer the middle of the object."""
_FINGER_MARGIN_M = 0.002
_NEAR_M = 0.06
"""A held object's grasp point is nearer to the tcp than this."""
_CLOSE_M = 0.36
"""Nearer to the base than this the elbow cannot bend enough to carry anything past it: first away from it."""
_RELEASE_M = 0.036
"""Highest the underside may be above the site's floor when the fingers open."""


def act(privileged, T_base_tcp, fingers, grasped, steps):
    """The next Action; see expert.Expert.act."""
    T_base_object = privileged.T_base_object
    p_grasp = T_base_object[:3, :3] @ privileged.p_object_grasp + T_base_object[:3, 3]
    is_open = np.sum(fingers) > OPEN_M
    if grasped and np.linalg.norm(p_grasp - T_base_tcp[:3, 3]) < _NEAR_M:
        return _carry(privileged, T_base_tcp, steps)
    if not is_open or _is_placed(privileged):
        return Action.OPEN
    return _approach(privileged, p_grasp, T_base_tcp, steps)


def _is_placed(privileged):
    away = privileged.T_base_object[:3, 3] - privileged.p_base_site
    return np.linalg.norm(away[:2]) < 0.25 and away[2] < 0.06


def _carry(privileged, T_base_tcp, steps):
    p_object = privileged.T_base_object[:3, 3]
    to_site = privileged.p_base_site - p_object
    # The hand is longer than most objects: one that is held at its side shares the basin's middle with the hand.
    to_site[:2] -= (T_base_tcp[:2, 3] - p_object[:2]) / 2
    lowering = p_object[2] < privileged.clearance_z
    tolerance = steps.translation_m / 2 + (3 * _LOW_SLACK_M if lowering else _SLACK_M)
    if to_site[0] > tolerance and T_base_tcp[0, 3] < _CLOSE_M and not lowering:
        return Action.PLUS_X
    if np.abs(to_site[:2]).max() > tolerance:
        return Action.PLUS_Z if lowering else translate(to_site, (0, 1))
    return Action.MINUS_Z if -to_site[2] > _RELEASE_M else Action.OPEN


def _approach(privileged, p_grasp, T_base_tcp, steps):
    to_grasp = p_grasp - T_base_tcp[:3, 3]
    hover_z = privileged.T_base_object[2, 3] + privileged.object_height + _HOVER_M
    low = T_base_tcp[2, 3] < hover_z
    away = np.abs(to_grasp[:2]).max() > steps.translation_m / 2 + (_LOW_SLACK_M if low else _SLACK_M)
    tilt = _tilt(T_base_tcp)
    if low:
        if away or tilt is not None:
            return Action.PLUS_Z
    elif (away or tilt is not None) and T_base_tcp[2, 3] > hover_z + _HIGH_M:
        return Action.MINUS_Z
    elif tilt is not None:
        return tilt
    elif away:
        return translate(to_grasp, (0, 1))
    else:
        turns = _turns(privileged, to_grasp, T_base_tcp, steps)
        if turns != 0:
            return Action.MINUS_RZ if turns > 0 else Action.PLUS_RZ  # the tool's z points down
    return Action.MINUS_Z if -to_grasp[2] > steps.translation_m / 2 else Action.CLOSE


def _tilt(T_base_tcp):
    """The rotation that brings the tool's z nearer to straight down, or None when it is there."""
    # Down in the tool's own frame: z x down = (-down_y, down_x, 0) turns the tool's z onto it.
    down = T_base_tcp[:3, :3].T @ np.array([0.0, 0.0, -1.0])
    about = np.arctan2([-down[1], down[0]], down[2])
    if np.abs(about).max() <= _TILT_RAD:
        return None
    axis = int(np.argmax(np.abs(about)))
    return Action(Action.PLUS_RX + 2 * axis + (0 if about[axis] > 0 else 1))


def _turns(privileged, to_grasp, T_base_tcp, steps):
    """Number of yaw steps, positive about base z, to the best closing direction for a tool `to_grasp` off."""
    closing, x_object = T_base_tcp[:2, 1], privileged.T_base_object[:2, 0]
    yaw = np.arctan2(closing[1], closing[0])
    nominal = np.arctan2(x_object[1], x_object[0]) + privileged.grasp_yaw
    # Fingers close both ways: directions half a turn apart are the same.
    off = (nominal - yaw + np.pi / 2) % np.pi - np.pi / 2
    counts = np.arange(np.floor(-np.pi / steps.rotation_rad), np.ceil(np.pi / steps.rotation_rad) + 1)
    # A turn's own error must not make the direction it came from look better than where it led to.
    slack = np.where(counts == 0, _SLACK_RAD, _TURN_SLACK_RAD)
    within = np.maximum(privileged.grasp_yaw_freedom, steps.rotation_rad / 2 + slack)
    allowed = counts[np.abs(counts * steps.rotation_rad - off) <= within]
    direction = yaw + allowed * steps.rotation_rad
    along = np.abs(to_grasp[0] * np.cos(direction) + to_grasp[1] * np.sin(direction))
    across = np.abs(to_grasp[1] * np.cos(direction) - to_grasp[0] * np.sin(direction))
    # Along the closing direction an error is harmless while the fingers still go down beside the object; across it
    # they pinch a round object off its middle. A turn costs a step, so it has to bring something.
    room = (OPEN_WIDTH_M - privileged.grasp_width) / 2 - _FINGER_MARGIN_M
    cost = across + 10.0 * np.maximum(along - room, 0.0) + _WORTH_A_TURN_M * np.abs(allowed)
    return int(allowed[np.argmin(cost)])
