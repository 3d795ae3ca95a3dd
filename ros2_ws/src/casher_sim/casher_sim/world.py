"""One simulated kitchen with one arm and one object: reset, move, look. No threads, no clock; deterministic by seed."""

import copy

import mujoco
import numpy as np

from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_perception.geometry import pose_matrix
from casher_policy.action import OPEN_WIDTH_M
from casher_policy.observation import FINGER_MAX_M
from casher_policy.task import TaskState
from casher_sim.expert_view import ExpertView
from casher_sim.kinematics import Kinematics
from casher_sim.objects import NO_OBJECT, OBJECTS, kind_of, object_named
from casher_sim.place import check_task
from casher_sim.ramp import PEAK_SPEED, STEPS, ramp
from casher_sim.robot import GRASP_CONTROL, OPEN_CONTROL, TIMESTEP_S
from casher_sim.scene import scene_of

CHUNK_STEPS = 4
"""Physics steps between two moments at which a motion can be stopped and looked at: 20 ms."""
JOINT_SPEED_RAD_S = 4.0
"""A motion that would exceed this takes longer than ramp.STEPS."""
SETTLE_STEPS = 300
"""An arm that still moves this many physics steps after its command has ended is not going to settle."""
OBJECT_SETTLE_STEPS = 100
"""How long a motion waits for the object, which may roll on for ever."""
_ARM_REST_RAD_S, _FINGER_REST_M_S, _OBJECT_REST_M_S = 0.004, 0.005, 0.02
_ARM_CREEP_RAD_S = 0.05
"""An arm that presses against something may never be quite at rest; slower than this it counts as still in the end."""
_GRASPED_M = 0.001
"""Fingers that closed to less than this hold nothing."""
_ITERATIONS = 150
"""Of the inverse kinematics, before a pose counts as out of reach."""


def objects_of(kitchen, task):
    """Names of all objects that a task.Task may use in a place.Place; (NO_OBJECT,) for a task without one."""
    kinds = kitchen.kinds(task.name)
    return tuple(name for name in OBJECTS if kind_of(name) in kinds) or (NO_OBJECT,)


class World:
    """The caller takes care that only one thread is in here at a time. Frame: base = world."""

    def __init__(self, kitchen, task):
        """kitchen: place.Place; task: casher_policy.task.Task. Call `reset` before anything else. PlaceError."""
        check_task(kitchen, task.name)
        self.kitchen, self.task, self.timestep_s = kitchen, task, TIMESTEP_S
        self.object_name = self.side = ""
        self.width_command = OPEN_WIDTH_M
        self.resets = 0
        """How many scenes there have been; whatever is drawn from the scene is new when this changes."""

    @property
    def objects(self):
        """Names of all objects that the task may use here; (NO_OBJECT,) for a task without one."""
        return objects_of(self.kitchen, self.task)

    @property
    def sides(self):
        """Where the object may start here."""
        return tuple(self.kitchen.sides(self.task.name))

    def reset(self, object_name, side, seed, kitchen=None):
        """Arm at home, hand open, door closed, a new scene.

        object_name: of `objects`; side: of `sides` or '' (drawn from the seed); kitchen: the place.Place to be in from
        now on, None: where it is. ValueError lists the known ones, and nothing has changed.
        """
        kitchen = kitchen or self.kitchen
        check_task(kitchen, self.task.name)
        objects, sides = objects_of(kitchen, self.task), tuple(kitchen.sides(self.task.name))
        if object_name not in objects:
            raise ValueError(
                f"unknown object {object_name!r} for {self.task.name} in {kitchen.name!r}: known are "
                f"{', '.join(objects)}"
            )
        if side not in ("", *sides):
            raise ValueError(f"unknown side {side!r}: known are {', '.join(sides)} or empty")
        self.kitchen = kitchen
        rng = np.random.default_rng(seed)
        drawn = self.sides[rng.integers(len(self.sides))]
        self.object_name, self.side = object_name, side or drawn
        self.object_model = None if object_name == NO_OBJECT else object_named(object_name)
        self.scene = scene_of(self.kitchen, self.object_model)
        self.model = copy.copy(self.scene.model)
        self.kinematics = Kinematics(self.model)
        self.data = mujoco.MjData(self.model)

        self.shift = self.kitchen.background_scale * rng.uniform(*np.asarray(self.task.randomisation.background_m))
        self.model.body_pos[self.scene.kitchen_body] = self.shift
        qpos, ctrl = self.data.qpos, self.data.ctrl
        qpos[self.scene.arm_qpos] = ctrl[self.scene.arm_ctrl] = HOME_JOINTS
        qpos[self.scene.finger_qpos] = FINGER_MAX_M
        if self.object_model is not None:
            qpos[self.scene.object_qpos] = self._start(rng)
        self._set_width(OPEN_WIDTH_M)
        self.resets += 1
        mujoco.mj_forward(self.model, self.data)
        for _ in self._settle():
            pass
        self._view = ExpertView(self.task.name, self.kitchen, self.object_model, self.kinematics)
        self._view.start(self.T_base_object, self.shift)

    def _start(self, rng):
        """Position and quaternion wxyz of the object (7,)."""
        start, ranges = self.kitchen.start(self.side), self.task.randomisation
        offset = rng.uniform(*np.asarray(ranges.object_m))
        offset[:2] = np.clip(offset[:2], -np.asarray(start.half_size), start.half_size)
        c, s = np.cos(start.yaw), np.sin(start.yaw)
        offset[:2] = c * offset[0] - s * offset[1], s * offset[0] + c * offset[1]
        yaw = start.yaw + rng.uniform(*ranges.yaw_rad)
        return [*(start.position + self.shift + offset), np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]

    def motion(self, target):
        """Go to an action.Target and come to rest: a generator that yields every CHUNK_STEPS of physics.

        Raises ArmFault at the first `next`, "unreachable" with nothing moved, or "not_settled" at the end.
        """
        T = np.asarray(target.T_base_tcp)
        q, converged = self.kinematics.inverse(T[None], self.joints, HOME_JOINTS, iterations=_ITERATIONS)
        if not converged[0]:
            raise ArmFault("unreachable", f"no joint configuration puts the tcp at {np.round(T[:3, 3], 3).tolist()} m")
        self._set_width(float(target.width))
        yield from self._ramp(q[0])

    def move_to(self, target):
        """The whole `motion` at once."""
        for _ in self.motion(target):
            pass

    def home_motion(self):
        """Open the hand and go to the start pose through joint space; a generator like `motion`."""
        self._set_width(OPEN_WIDTH_M)
        yield from self._ramp(np.array(HOME_JOINTS))

    def hold(self):
        """Stand still where the arm is: the command becomes the measured joints."""
        self.data.ctrl[self.scene.arm_ctrl] = self.joints
        self.data.qvel[self.scene.arm_qpos] = 0.0

    @property
    def T_base_tcp(self):
        """(4, 4)"""
        T = np.eye(4)
        T[:3, :3] = self.data.site_xmat[self.scene.tcp_site].reshape(3, 3)
        T[:3, 3] = self.data.site_xpos[self.scene.tcp_site]
        return T

    @property
    def T_base_object(self):
        """(4, 4); all NaN without an object."""
        if self.object_model is None:
            return np.full((4, 4), np.nan)
        p, (w, x, y, z) = np.split(self.data.qpos[self.scene.object_qpos], [3])
        return pose_matrix(p, [x, y, z, w])

    @property
    def object_speed(self):
        """[m/s]; 0 without an object."""
        if self.object_model is None:
            return 0.0
        return float(np.linalg.norm(self.data.qvel[self.scene.object_qvel][:3]))

    @property
    def door_angle(self):
        """[rad], 0 without a door."""
        return 0.0 if self.scene.door_qpos is None else float(self.data.qpos[self.scene.door_qpos])

    @property
    def joints(self):
        """(7,) [rad]"""
        return self.data.qpos[self.scene.arm_qpos]

    @property
    def joint_velocities(self):
        """(7,) [rad/s]"""
        return self.data.qvel[self.scene.arm_qpos]

    @property
    def fingers(self):
        """(2,) [m], each from closed."""
        return np.clip(self.data.qpos[self.scene.finger_qpos], 0.0, FINGER_MAX_M)

    @property
    def grasped(self):
        """Whether the fingers were told to close and stopped on something."""
        return bool(self.width_command <= 0.0 and self.fingers.sum() > _GRASPED_M)

    @property
    def p_base_site(self):
        """(3,) [m]: centre of the basin's floor or of the shelf; NaN for a task without a site."""
        site = self.kitchen.site(self.task.name)
        return np.full(3, np.nan) if site is None else np.asarray(site.position) + self.shift

    def task_state(self):
        """What the task's predicates read, as a batch of one."""
        T, site = self.T_base_object, self.kitchen.site(self.task.name)
        return TaskState(
            p_base_object=T[None, :3, 3],
            object_up=T[None, :3, 2],
            object_speed=np.array([self.object_speed]),
            fingers=self.fingers[None] / FINGER_MAX_M,
            p_base_site=self.p_base_site[None],
            site_half_size=np.zeros((1, 2)) if site is None else np.array([site.half_size]),
            site_rim_z=np.array([np.nan if site is None else site.rim_z + self.shift[2]]),
            door_angle=np.array([self.door_angle]),
        )

    def success(self):
        """Whether the task's predicate holds now."""
        return bool(self.task.success(self.task_state())[0])

    def privileged(self):
        """What the scripted expert reads."""
        return self._view.privileged(self.T_base_object, self.door_angle)

    @property
    def grasp(self):
        """objects.Grasp that the expert takes, or None without an object."""
        return self._view.grasp

    def door(self):
        """expert.DoorView of now, or None without a door."""
        return self._view.door(self.door_angle)

    @property
    def moment(self):
        """Equal for two looks at a world in which nothing has moved in between."""
        return self.resets, self.data.time

    def _set_width(self, width):
        self.width_command = width
        control = GRASP_CONTROL if width <= 0.0 else OPEN_CONTROL if width >= OPEN_WIDTH_M else width
        self.data.ctrl[self.scene.gripper_ctrl] = control

    def _ramp(self, q_goal):
        q_start, dt = self.data.ctrl[self.scene.arm_ctrl].copy(), self.timestep_s
        steps = max(STEPS, int(np.ceil(PEAK_SPEED * np.abs(q_goal - q_start).max() / (JOINT_SPEED_RAD_S * dt))))
        for i, (q,) in enumerate(ramp(q_start, q_goal, dt, steps), 1):
            self.data.ctrl[self.scene.arm_ctrl] = q
            mujoco.mj_step(self.model, self.data)
            if i % CHUNK_STEPS == 0:
                yield
        yield from self._settle()

    def _settle(self):
        for i in range(0, SETTLE_STEPS, CHUNK_STEPS):
            mujoco.mj_step(self.model, self.data, CHUNK_STEPS)
            arm = np.abs(self.joint_velocities).max() < _ARM_REST_RAD_S
            fingers = np.abs(self.data.qvel[self.scene.finger_qpos]).max() < _FINGER_REST_M_S
            if arm and fingers and (self.object_speed < _OBJECT_REST_M_S or i >= OBJECT_SETTLE_STEPS):
                mujoco.mj_forward(self.model, self.data)  # poses of this very state, not of the step before it
                return
            yield
        mujoco.mj_forward(self.model, self.data)
        if np.abs(self.joint_velocities).max() > _ARM_CREEP_RAD_S:
            raise ArmFault("not_settled", f"still moving {SETTLE_STEPS * self.timestep_s:.1f} s after the motion")
