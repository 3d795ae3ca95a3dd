"""How far forward the scripted expert's hand leans at a shelf or a door: rehearsed with the arm's kinematics alone.

Some leans bring the arm past its reach, or past postures in which a step of the hand turns the elbow right round and
shakes out what it holds. Which ones depends on where everything is, so the whole script is gone through before it is
done: the object moves with the hand that holds it, the door with the hand on its handle, and nothing touches anything.
"""

from dataclasses import dataclass, replace

import numpy as np

from casher_franka.arm import HOME_JOINTS
from casher_policy.action import OPEN_WIDTH_M, Action, decode
from casher_policy.task import task_named

LEANS_RAD = {
    "put_in_cabinet": (0.585, 0.385, 0.785, 0.185, 0.985),
    "open_cabinet": (0.985, 1.185, 0.785, 1.385, 0.585),
}
"""Of a tool that points straight down, by task, in the order of preference; whole turns from the start pose."""
_SMOOTH_RAD = 0.35
"""A joint that turns further than this in one action leaves too little time to carry anything."""
_ELSEWHERE_M = ((0.0, 0.0, 0.0), (0.02, 0.015, 0.025), (-0.015, -0.015, -0.01))
"""It is rehearsed with everything there, too: the tool's positions lie on a grid, and no motion ends quite exactly."""


@dataclass(frozen=True)
class Rehearsal:
    """How a script went."""

    done: bool
    """It came to its end; else a pose was out of reach, or the horizon was."""
    steps: int
    """Actions until then."""
    largest_rad: float
    """That any joint turned in one action."""


def best_lean(expert, privileged, door_at, kinematics):
    """Angle [rad] of LEANS_RAD with which the script goes best; 0 for a task that does not lean.

    expert: casher_policy.expert.Expert; privileged: expert.Privileged at the start of an episode, whose lean does not
    count; door_at: angle [rad] -> DoorView or None; kinematics: kinematics.Kinematics.
    """
    best, least = 0.0, (np.inf,)
    for lean in LEANS_RAD.get(privileged.task, ()):
        ranks = [
            _rank(rehearse(expert, replace(privileged, lean_rad=lean), door_at, kinematics, by)) for by in _ELSEWHERE_M
        ]
        if max(ranks) < (False, _SMOOTH_RAD):
            return lean
        if max(ranks) < least:
            best, least = lean, max(ranks)
    return best


def _rank(rehearsal):
    """The less the better."""
    return not rehearsal.done, rehearsal.largest_rad if rehearsal.done else -rehearsal.steps


def rehearse(expert, privileged, door_at, kinematics, by=(0.0, 0.0, 0.0)):
    """Rehearsal of the whole script from the start pose, with everything but the arm moved by `by` (3,) [m].

    See best_lean.
    """
    q, by = np.array(HOME_JOINTS), np.array(by)
    # As seen by the script nothing has moved but the arm.
    T_base_tcp, width, held, largest = kinematics.forward(q), OPEN_WIDTH_M, None, 0.0
    T_base_tcp[:3, 3] -= by
    for step in range(task_named(privileged.task).horizon):
        fingers = np.full(2, width / 2)
        action = expert.act(privileged, T_base_tcp, fingers, held is not None)
        if action == Action.OPEN:
            return Rehearsal(held is not None, step, largest)
        target = decode(int(action), T_base_tcp, width, expert.steps)
        goal = target.T_base_tcp.copy()
        goal[:3, 3] += by
        found, reached = kinematics.inverse(goal[None], q, np.array(HOME_JOINTS))
        if not reached[0]:
            return Rehearsal(False, step, largest)
        largest = max(largest, np.abs(found[0] - q).max())
        q, T_base_tcp = found[0], target.T_base_tcp
        if action == Action.CLOSE:
            width = privileged.grasp_width if privileged.door is None else privileged.door.thickness
            held = _Held(privileged, T_base_tcp)
        if held is not None:
            privileged = held.moved(privileged, T_base_tcp, door_at)
    return Rehearsal(False, step, largest)


class _Held:
    """What moves with the hand from the moment at which the fingers close."""

    def __init__(self, privileged, T_base_tcp):
        self._T_tcp_object = np.linalg.inv(T_base_tcp) @ privileged.T_base_object
        self._is_door = privileged.task == "open_cabinet"
        self._start_rad = _bearing(privileged.door, T_base_tcp) if self._is_door else 0.0

    def moved(self, privileged, T_base_tcp, door_at):
        """Privileged with the hand there."""
        if not self._is_door:
            return replace(privileged, T_base_object=T_base_tcp @ self._T_tcp_object)
        turned = _bearing(privileged.door, T_base_tcp) - self._start_rad
        return replace(privileged, door=door_at((turned + np.pi) % (2 * np.pi) - np.pi))


def _bearing(door, T_base_tcp):
    """[rad] of the tcp about the door's axis, from an arbitrary but fixed direction."""
    axis = door.hinge_axis
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    arm = T_base_tcp[:3, 3] - door.p_base_hinge
    return np.arctan2(arm @ np.cross(axis, across), arm @ across)
