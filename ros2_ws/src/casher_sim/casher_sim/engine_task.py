"""One task in an engine's scenes: actions in, reward and success out. Nothing in here knows which engine it is."""

from dataclasses import dataclass

import numpy as np

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import pose_matrix
from casher_policy.action import OPEN_WIDTH_M, RELEASED, decode
from casher_policy.expert import Privileged
from casher_policy.observation import FINGER_MAX_M
from casher_policy.task import TaskState
from casher_sim.objects import ObjectModel
from casher_sim.ramp import ramp
from casher_sim.robot import TIMESTEP_S
from casher_sim.twin import Site

HOLD_STEPS = 20
"""Physics steps for which the arm then stands still: an action takes a quarter of a second."""
RESET_STEPS = 100
"""Physics steps after a reset in which the object comes to lie."""
_CLEARANCE_M = 0.02
_GRASPED_M = 0.002


@dataclass(frozen=True)
class Setup:
    """What there is besides the engine."""

    object_model: ObjectModel
    site: Site
    """Of the task."""


class EngineTask:
    """B scenes of one task."""

    def __init__(self, engine, kinematics, task, setup, steps=RELEASED):
        """engine: engine.Engine; kinematics: kinematics.Kinematics; task: task.Task; steps: action.ActionSteps."""
        self.engine, self.kinematics, self.task, self.setup, self.steps = engine, kinematics, task, setup, steps

    def reset(self, positions, yaws):
        """Arm at home, hand open, objects upright at positions (B, 3) [m] turned by yaws (B,) [rad], then at rest."""
        half = np.asarray(yaws) / 2
        quat_xyzw = np.stack([0 * half, 0 * half, np.sin(half), np.cos(half)], axis=-1)
        home = np.tile(HOME_JOINTS, (self.engine.size, 1))
        self.width = np.full(self.engine.size, OPEN_WIDTH_M)
        self.commanded = home.copy()
        self.engine.reset(home, pose_matrix(positions, quat_xyzw))
        self.engine.advance(np.broadcast_to(home, (RESET_STEPS, *home.shape)), self.width)
        self._measure()

    def act(self, actions):
        """Actions (B,) -> reward (B,) float and success (B,) bool; where a pose cannot be reached the arm stays."""
        target = decode(actions, self.T_base_tcp, self.width, self.steps)
        q, reached = self.kinematics.inverse(target.T_base_tcp, self.state.joints, HOME_JOINTS)
        q = np.where(reached[:, None], q, self.commanded)
        self.width = np.where(reached, target.width, self.width)
        commands = ramp(self.commanded, q, TIMESTEP_S)
        hold = np.broadcast_to(q, (HOLD_STEPS, *q.shape))
        self.engine.advance(np.concatenate([commands, hold]), self.width)
        self.commanded = q
        self._measure()
        success = self.task.success(self.task_state())
        return success.astype(np.float32), success

    @property
    def grasped(self):
        """(B,) bool: the fingers were told to close and stopped on something."""
        return (self.width <= 0.0) & (self.state.fingers.sum(axis=-1) > _GRASPED_M)

    def task_state(self):
        """casher_policy.task.TaskState of the B scenes."""
        T, site, n = self.state.T_base_object, self.setup.site, self.engine.size
        return TaskState(
            p_base_object=T[:, :3, 3],
            object_up=T[:, :3, 2],
            object_speed=np.linalg.norm(self.state.object_velocity, axis=-1),
            fingers=self.state.fingers / FINGER_MAX_M,
            p_base_site=np.tile(site.position, (n, 1)),
            site_half_size=np.tile(site.half_size, (n, 1)),
            site_rim_z=np.full(n, site.rim_z),
            door_angle=np.zeros(n),
        )

    def privileged(self, index):
        """What the scripted expert reads of one scene."""
        T, model = self.state.T_base_object[index], self.setup.object_model
        grasp = min(model.grasps, key=lambda g: abs((T[:3, :3] @ g.point + T[:3, 3])[1]))
        return Privileged(
            T_base_object=T,
            object_height=model.height,
            grasp_width=grasp.width,
            p_object_grasp=np.array(grasp.point),
            grasp_yaw=grasp.yaw,
            grasp_yaw_freedom=grasp.yaw_freedom,
            p_base_site=np.array(self.setup.site.position),
            clearance_z=self.setup.site.rim_z + _CLEARANCE_M,
        )

    def _measure(self):
        self.state = self.engine.state()
        self.T_base_tcp = self.kinematics.forward(self.state.joints)
