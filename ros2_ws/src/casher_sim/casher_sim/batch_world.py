"""Many worlds in one call: reset, act, look. Physics by `mujoco.batch.Batch`, one Batch for each setting.

An action takes a fixed time here, ACTION_STEPS of physics, while `World` waits until everything is at rest. The arm is
told to move for the first RAMP_STEPS of them and has the rest to settle. What cannot be done in that time gets
LONG_STEPS: a change of the gripper (the fingers need 0.13 s), a motion that would exceed JOINT_SPEED_RAD_S, and every
motion while something is held, which at 30 mm in 80 ms would be shaken out of the hand: CARRY_RAMP_STEPS keep it below
1 g, as World's do. Nothing waits for the object: one that rolls is looked at while it rolls, so that "at rest" may hold
an action later.

World i is of setting i modulo their number, however many worlds there are. No two worlds influence each other, so a
world's course is the same bits whatever else is in the batch and however many threads there are.
"""

from dataclasses import dataclass

import numpy as np

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import pose_matrix
from casher_policy.action import OPEN_WIDTH_M, RELEASED, decode
from casher_policy.observation import FINGER_MAX_M
from casher_policy.task import TaskState
from casher_sim.batch_group import BatchGroup
from casher_sim.batch_kinematics import BatchKinematics
from casher_sim.batch_motion import Motion
from casher_sim.objects import ObjectModel
from casher_sim.place import Place, check_task
from casher_sim.ramp import PEAK_SPEED
from casher_sim.robot import TIMESTEP_S
from casher_sim.scene import physics_scene_of

ACTION_STEPS = 20
"""Physics steps of an action: 100 ms."""
LONG_STEPS = 34
"""170 ms."""
RAMP_STEPS, CARRY_RAMP_STEPS = 16, 30
JOINT_SPEED_RAD_S = 8.0
DOOR_TASK = "open_cabinet"
_GRASPED_M = 0.001
"""Fingers that closed to less than this hold nothing."""


@dataclass(frozen=True)
class Setting:
    """A place and what stands in it."""

    place: Place
    object_model: ObjectModel | None
    """None for a task without an object."""


class BatchWorld:
    """Arrays are indexed by world; base frame. One thread at a time."""

    def __init__(self, settings, task, size, steps=RELEASED, threads=1):
        """settings: Setting, ...; task: casher_policy.task.Task; size: number of worlds; steps: action.ActionSteps.

        threads: of the physics. Call `reset` before anything else. ValueError for fewer worlds than settings,
        PlaceError for a place without that task.
        """
        if not settings or size < len(settings):
            raise ValueError(f"{size} worlds for {len(settings)} settings: take at least one world for each setting")
        for setting in settings:
            check_task(setting.place, task.name)
        self.settings, self.task, self.size, self.steps = tuple(settings), task, size, steps
        self.setting_of = np.arange(size) % len(settings)
        """(size,) index of each world's setting."""
        scenes = [physics_scene_of(setting.place, setting.object_model) for setting in settings]
        if len({scene.object_qpos is None for scene in scenes}) > 1:
            raise ValueError("settings with and without an object in one batch: make a batch for each")
        self.has_object = scenes[0].object_qpos is not None
        self.kinematics, self._motion = BatchKinematics(scenes[0].model), Motion(scenes[0])
        self._groups = [BatchGroup(s, len(range(i, size, len(scenes))), threads) for i, s in enumerate(scenes)]
        self.size_m = np.array([_size(setting) for setting in settings])[self.setting_of]
        """(size, 2) [m]: radius and height of the object; length and thickness of the handle's bar without one."""
        self._sites = _Sites(self.settings, task.name, self.setting_of)
        self._doors = _Doors(self.settings, self.setting_of) if task.name == DOOR_TASK else None

        self.joints, self.fingers = np.zeros((size, 7)), np.zeros((size, 2))
        self.T_base_tcp = np.tile(np.eye(4), (size, 1, 1))
        self.object_qpos, self.object_velocity = np.full((size, 7), np.nan), np.zeros((size, 3))
        """Position and quaternion wxyz (size, 7), NaN without an object; [m/s] (size, 3)."""
        if self.has_object:
            self.object_qpos[:] = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
        self.door_angle = np.zeros(size)
        """[rad], 0 without a door."""
        self.width = np.full(size, OPEN_WIDTH_M)
        """Commanded distance of the fingers [m]; 0 grasps."""
        self.shift = np.zeros((size, 3))
        """[m] of each world's place."""
        self.broken = np.zeros(size, dtype=bool)
        """MuJoCo warned about this world since its reset (a bad state, an overflow): its state means nothing."""
        self.reached = np.ones(size, dtype=bool)
        """The last action's pose could be reached; where it could not, nothing was commanded."""
        self.physics_steps = np.full(size, ACTION_STEPS)
        """That the last action took."""
        self._commanded = np.zeros((size, 7))

    def reset(self, ids, shift, p_base_object, yaw):
        """Arm at home, hand open, door shut, a new place and object; then until the object lies.

        ids: (B,) increasing; shift: (B, 3) [m] of the place; p_base_object (B, 3) [m], yaw (B,) [rad]: of the object,
        upright. The other worlds stay as they are, bit for bit.
        """
        ids = np.asarray(ids)
        self.shift[ids], self.width[ids], self._commanded[ids] = shift, OPEN_WIDTH_M, HOME_JOINTS
        self.broken[ids], self.reached[ids] = False, True
        pose = np.zeros((len(ids), 7))
        pose[:, :3], pose[:, 3], pose[:, 6] = p_base_object, np.cos(np.asarray(yaw) / 2), np.sin(np.asarray(yaw) / 2)
        for i, group in enumerate(self._groups):
            mine = self.setting_of[ids] == i
            if mine.any():
                worlds = ids[mine]
                group.reset(worlds // len(self._groups), self.shift[worlds], pose[mine])
                self._measure(group, worlds, worlds // len(self._groups))

    def act(self, actions, ids=None):
        """One action (size,) integer in every world; in those of ids (B,) increasing, and the others stand still."""
        target = decode(actions, self.T_base_tcp, self.width, self.steps)
        q, reached = self.kinematics.inverse(target.T_base_tcp, self.joints, HOME_JOINTS)
        ids = np.arange(self.size) if ids is None else np.asarray(ids)
        acts = np.zeros(self.size, dtype=bool)
        acts[ids] = True
        self.reached = np.where(acts, reached, self.reached)
        q = np.where((acts & reached)[:, None], q, self._commanded)
        width = np.where(acts & reached, target.width, self.width)
        needed = np.ceil(PEAK_SPEED * np.abs(q - self._commanded).max(axis=1) / (JOINT_SPEED_RAD_S * TIMESTEP_S))
        ramp = np.maximum(needed, np.where(self.grasped, CARRY_RAMP_STEPS, RAMP_STEPS))
        ramp = np.minimum(ramp, RAMP_STEPS + LONG_STEPS - ACTION_STEPS)
        long = (ramp > RAMP_STEPS) | (width != self.width)
        control = self._motion.controls(self._commanded, q, ramp, width, LONG_STEPS if long.any() else ACTION_STEPS)
        for i, group in enumerate(self._groups):
            worlds = ids[ids % len(self._groups) == i]
            own = worlds // len(self._groups)
            if not len(own):
                continue
            group.advance(own, control[worlds, :ACTION_STEPS])
            if long[worlds].any():
                group.advance(own[long[worlds]], control[worlds[long[worlds]], ACTION_STEPS:])
            self._measure(group, worlds, own)
        self._commanded, self.width = q, width
        self.physics_steps = np.where(acts, np.where(long, LONG_STEPS, ACTION_STEPS), 0)

    @property
    def T_base_object(self):
        """(size, 4, 4), NaN without an object."""
        if not self.has_object:
            return np.full((self.size, 4, 4), np.nan)
        return pose_matrix(self.object_qpos[:, :3], self.object_qpos[:, [4, 5, 6, 3]])

    @property
    def T_base_handle(self):
        """(size, 4, 4) of the handle for open_cabinet: the middle of its bar, turned as the door is."""
        return self._doors.T_base_handle(self.door_angle, self.shift)

    @property
    def is_door_task(self):
        """Whether the task is about a door, so that `T_base_handle` and `p_base_hinge` mean something."""
        return self._doors is not None

    @property
    def p_base_hinge(self):
        """(size, 3) [m]: a point on the axis of the door, for open_cabinet."""
        return self._doors.origin + self.shift

    @property
    def p_base_site(self):
        """(size, 3) [m], NaN for a task without a site."""
        return self._sites.position + self.shift

    @property
    def grasped(self):
        """(size,) bool: the fingers were told to close and stopped on something."""
        return (self.width <= 0.0) & (self.fingers.sum(axis=1) > _GRASPED_M)

    def task_state(self):
        """casher_policy.task.TaskState of all worlds."""
        w, x, y, z = self.object_qpos[:, 3:].T
        return TaskState(
            p_base_object=self.object_qpos[:, :3].copy(),
            object_up=np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1),
            object_speed=np.linalg.norm(self.object_velocity, axis=1),
            fingers=self.fingers / FINGER_MAX_M,
            p_base_site=self.p_base_site,
            site_half_size=self._sites.half_size,
            site_rim_z=self._sites.rim_z + self.shift[:, 2],
            door_angle=self.door_angle.copy(),
        )

    def data(self, world):
        """MjModel and MjData of one world with everything derived, to examine: what collides, not what is seen."""
        return self._groups[self.setting_of[world]].data(world // len(self._groups))

    def _measure(self, group, worlds, own):
        joints, fingers, object_qpos, velocity, door = group.measure(own)
        self.joints[worlds], self.fingers[worlds] = joints, np.clip(fingers, 0.0, FINGER_MAX_M)
        self.T_base_tcp[worlds] = self.kinematics.forward(joints)
        if self.has_object:
            self.object_qpos[worlds], self.object_velocity[worlds] = object_qpos, velocity
        if door is not None:
            self.door_angle[worlds] = door
        self.broken[worlds] |= group.warned[own]


def _size(setting):
    if setting.object_model is not None:
        return setting.object_model.radius, setting.object_model.height
    return setting.place.handle.length, setting.place.handle.thickness


class _Sites:
    """The task's sites, by world, before any shift."""

    def __init__(self, settings, task, setting_of):
        sites = [setting.place.site(task) for setting in settings]
        self.position = np.array([site.position if site else [np.nan] * 3 for site in sites])[setting_of]
        self.half_size = np.array([site.half_size if site else [0.0] * 2 for site in sites])[setting_of]
        self.rim_z = np.array([site.rim_z if site else np.nan for site in sites])[setting_of]


class _Doors:
    """Hinged doors with handles, by world, before any shift."""

    def __init__(self, settings, setting_of):
        places = [setting.place for setting in settings]
        self.axis = np.array([place.door.axis for place in places])[setting_of]
        self.origin = np.array([place.door.origin for place in places])[setting_of]
        self.handle = np.array([place.handle.position for place in places])[setting_of]

    def T_base_handle(self, angle, shift):
        half = angle[:, None] / 2
        T = pose_matrix(np.zeros((len(half), 3)), np.concatenate([np.sin(half) * self.axis, np.cos(half)], axis=1))
        arm = (self.handle - self.origin)[..., None]
        T[:, :3, 3] = (T[:, :3, :3] @ arm)[..., 0] + self.origin + shift
        return T
