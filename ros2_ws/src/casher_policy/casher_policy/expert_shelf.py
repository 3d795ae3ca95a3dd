"""put_in_cabinet for the scripted expert: from the worktop up in front of the shelf, in over it, and down.

The hand leans forward all the way, so that it gets in below the board above and what it holds stays upright.
"""

import numpy as np

from casher_policy.action import Action
from casher_policy.expert_motion import OPEN_M, leaned, translate, turn

_SLACK_M = 0.001
_LOW_SLACK_M = 0.010
_HOVER_M = 0.03
_NEAR_M = 0.06
_RELEASE_M = 0.036
"""Highest the underside may be above the board when the fingers open."""
_GAP_M = 0.025
"""Between the object and the shelf's front, or the door's handle, on the way up."""
_SAFE_BELOW_M = 0.22
"""This far below the board the object may still be under it."""
_OVER_M = 0.004
"""An object that hangs this far above the board can go straight up wherever it is."""
INSIDE_M = 0.055
"""How far inside the shelf's front edge the object's middle has to come to stand firmly."""


def act(privileged, T_base_tcp, fingers, grasped, steps):
    """The next Action; see expert.Expert.act."""
    T_base_object = privileged.T_base_object
    p_grasp = T_base_object[:3, :3] @ privileged.p_object_grasp + T_base_object[:3, 3]
    if grasped and np.linalg.norm(p_grasp - T_base_tcp[:3, 3]) < _NEAR_M:
        return _carry(privileged, T_base_tcp, steps)
    if np.sum(fingers) <= OPEN_M or _is_placed(privileged):
        return Action.OPEN
    return _approach(privileged, p_grasp, T_base_tcp, steps)


def _is_placed(privileged):
    away = privileged.T_base_object[:3, 3] - privileged.p_base_site
    return bool((np.abs(away[:2]) <= privileged.site_half_size).all() and -0.01 < away[2] < 0.06)


def _carry(privileged, T_base_tcp, steps):
    p_object, half = privileged.T_base_object[:3, 3], steps.translation_m / 2
    to_site = privileged.p_base_site - p_object
    # The hand is longer than most objects: one that is held at its side shares the opening's middle with the hand.
    to_site[1] -= (T_base_tcp[1, 3] - p_object[1]) / 2
    front = privileged.p_base_site[0] - privileged.site_half_size[0]
    inside = p_object[0] > front + INSIDE_M - half
    if p_object[2] < privileged.clearance_z and not inside:
        reach = front if privileged.door is None else min(front, privileged.door.p_base_handle[0])
        below = privileged.clearance_z - p_object[2]
        under = below < _SAFE_BELOW_M and -to_site[2] < _OVER_M
        if under and p_object[0] + privileged.object_radius > reach - _GAP_M:
            return Action.MINUS_X
        return Action.PLUS_Z
    if not inside:
        if abs(to_site[1]) > half + _SLACK_M:
            return translate(to_site, (1,))
        return Action.PLUS_X
    return Action.MINUS_Z if -to_site[2] > _RELEASE_M else Action.OPEN


def _approach(privileged, p_grasp, T_base_tcp, steps):
    to_grasp = p_grasp - T_base_tcp[:3, 3]
    low = T_base_tcp[2, 3] < privileged.T_base_object[2, 3] + privileged.object_height + _HOVER_M
    away = np.abs(to_grasp[:2]).max() > steps.translation_m / 2 + (_LOW_SLACK_M if low else _SLACK_M)
    tilt = turn(leaned(privileged.lean_rad), T_base_tcp[:3, :3], steps)
    if low:
        if away or tilt is not None:
            return Action.PLUS_Z
    elif tilt is not None:
        return tilt
    elif away:
        return translate(to_grasp, (0, 1))
    return Action.MINUS_Z if -to_grasp[2] > steps.translation_m / 2 else Action.CLOSE
