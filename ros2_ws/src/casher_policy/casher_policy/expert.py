"""The scripted expert: does each of the three tasks with the 14 actions, from the simulator's privileged state.

It decides afresh from the measured state at every step, so a slipped object is simply approached again. What each task
takes is in expert_sink.py, expert_shelf.py and expert_door.py.
"""

from dataclasses import dataclass

import numpy as np

from casher_policy import expert_door, expert_shelf, expert_sink
from casher_policy.action import RELEASED

_SCRIPTS = {
    "put_in_sink": expert_sink.act,
    "put_in_cabinet": expert_shelf.act,
    "open_cabinet": expert_door.act,
}


@dataclass(frozen=True)
class DoorView:
    """The door as it is now; base frame."""

    angle: float
    """[rad], 0 closed."""
    p_base_handle: np.ndarray
    """(3,) [m], middle of the bar."""
    handle_axis: np.ndarray
    """(3,) unit, along the bar."""
    outward: np.ndarray
    """(3,) unit, away from the door."""
    length: float
    """[m] of the bar that can be grasped."""
    thickness: float
    """[m] between the fingers."""
    p_base_hinge: np.ndarray
    """(3,) [m], a point on the hinge's axis."""
    hinge_axis: np.ndarray
    """(3,) unit: the door opens right-handed about it."""


@dataclass(frozen=True)
class Privileged:
    """What the expert knows and no learned policy does; base frame, one scene.

    Without an object its fields are 0 or NaN.
    """

    T_base_object: np.ndarray
    """(4, 4); origin at the centre of the object's underside, z up."""
    object_height: float
    """[m]"""
    grasp_width: float
    """[m] between the fingers when they hold it."""
    p_object_grasp: np.ndarray
    """(3,) [m]: where the tcp goes."""
    grasp_yaw: float
    """[rad] about the object's z: direction along which the fingers close."""
    grasp_yaw_freedom: float
    """[rad] by which that direction may deviate, either way."""
    p_base_site: np.ndarray
    """(3,) [m]: centre of the basin's floor or of the shelf."""
    clearance_z: float
    """[m] above which a held object's underside travels between its start and the site."""
    task: str = "put_in_sink"
    """Which script."""
    object_radius: float = 0.0
    """[m]: nothing of it is further from its z axis; read by put_in_cabinet."""
    site_half_size: np.ndarray = (0.0, 0.0)
    """(2,) [m], half the extent of the shelf; read by put_in_cabinet."""
    lean_rad: float = 0.0
    """How far forward the hand leans from straight down; read by put_in_cabinet and open_cabinet."""
    door: DoorView | None = None
    """None where there is no door; read by open_cabinet and, not to hit it, by put_in_cabinet."""


class Expert:
    """Deterministic; `act` keeps nothing from one call to the next."""

    def __init__(self, steps=RELEASED):
        """steps: action.ActionSteps the arm is driven with."""
        self.steps = steps

    def act(self, privileged, T_base_tcp, fingers, grasped):
        """The next Action.

        T_base_tcp: (4, 4) measured; fingers: (2,) [m], each from closed; grasped: they hold something. ValueError for a
        task without a script. Once the task is done it answers OPEN, which then changes nothing.
        """
        if privileged.task not in _SCRIPTS:
            raise ValueError(f"no script for the task {privileged.task!r}: there are {', '.join(_SCRIPTS)}")
        return _SCRIPTS[privileged.task](privileged, T_base_tcp, fingers, grasped, self.steps)
