"""What the scripted expert reads of one scene, the same whoever simulates it.

Chosen once an episode, when the object has come to lie: the grasp, and how far the hand leans. All else is as measured.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from casher_policy.action import RELEASED
from casher_policy.expert import DoorView, Expert, Privileged
from casher_sim.expert_lean import best_lean

_CLEARANCE_M = 0.02


class ExpertView:
    """Of one place, one object (or None) and one episode after the other; base frame."""

    def __init__(self, task, place, object_model, kinematics, steps=RELEASED):
        """task: name of a task; place: place.Place; object_model: objects.ObjectModel or None.

        kinematics: kinematics.Kinematics of the arm; steps: action.ActionSteps that it is driven with.
        """
        self.task, self.place, self.model, self.kinematics = task, place, object_model, kinematics
        self.site, self._expert = place.site(task), Expert(steps)

    def start(self, T_base_object, shift):
        """A new episode. T_base_object: (4, 4), NaN without an object; shift: (3,) [m] of the place."""
        self.shift = np.array(shift)
        self.grasp = self._grasp(T_base_object)
        self._lean_rad = 0.0
        self._lean_rad = best_lean(self._expert, self.privileged(T_base_object, 0.0), self.door, self.kinematics)

    def privileged(self, T_base_object, door_angle):
        """casher_policy.expert.Privileged of now. door_angle: [rad], ignored without a door."""
        model, grasp, site = self.model, self.grasp, self.site
        return Privileged(
            T_base_object=T_base_object,
            object_height=model.height if model else 0.0,
            grasp_width=grasp.width if grasp else 0.0,
            p_object_grasp=np.array(grasp.point if grasp else np.zeros(3)),
            grasp_yaw=grasp.yaw if grasp else 0.0,
            grasp_yaw_freedom=grasp.yaw_freedom if grasp else 0.0,
            p_base_site=self._p_base_site(),
            clearance_z=self._clearance_z(),
            task=self.task,
            object_radius=model.radius if model else 0.0,
            site_half_size=np.array(site.half_size if site else (0.0, 0.0)),
            lean_rad=self._lean_rad,
            door=self.door(door_angle),
        )

    def door(self, angle):
        """DoorView of the door opened by `angle` [rad], or None without a door."""
        handle, joint = self.place.handle, self.place.door
        if handle is None or joint is None:
            return None
        turn = Rotation.from_rotvec(angle * np.asarray(joint.axis))
        p_base_hinge = np.asarray(joint.origin) + self.shift
        return DoorView(
            angle=float(angle),
            p_base_handle=p_base_hinge + turn.apply(np.subtract(handle.position, joint.origin)),
            handle_axis=turn.apply(handle.axis),
            outward=turn.apply(handle.outward),
            length=handle.length,
            thickness=handle.thickness,
            p_base_hinge=p_base_hinge,
            hinge_axis=np.array(joint.axis),
        )

    def _p_base_site(self):
        return np.full(3, np.nan) if self.site is None else np.asarray(self.site.position) + self.shift

    def _clearance_z(self):
        if self.site is None:
            return float("nan")
        above = self.site.position[2] if self.task == "put_in_cabinet" else self.site.rim_z
        return above + _CLEARANCE_M + self.shift[2]

    def _grasp(self, T):
        """Of equal grasps the one nearest the robot's middle, where the arm reaches furthest."""
        if self.model is None:
            return None
        return min(self.model.grasps, key=lambda g: abs((T[:3, :3] @ g.point + T[:3, 3])[1]))
