"""How much of a task's randomisation the arm can serve in a twin: all poses within reach, nothing in the way.

The arm is placed at the poses that a straightforward plan goes through, and at points along the tcp's straight path
between them, and is tested there for contacts with the kitchen.
"""

from dataclasses import dataclass
from itertools import product

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from casher_franka.arm import HOME_JOINTS
from casher_policy.task import task_named
from casher_sim import robot
from casher_sim.kinematics import Kinematics
from casher_sim.twin_scene import add_twin

GRASP_M = 0.045
"""The tcp when it holds an object, above the object's underside."""
LIFT_M = 0.09
"""How far an object is lifted over the worktop to be carried."""
RELEASE_M = 0.03
_SPACING_M = 0.06
_ITERATIONS = 100
_DOOR_RAD = np.linspace(0.0, 0.75, 5)
_DOWN = Rotation.from_euler("x", np.pi)
# The tool's z leans forward from straight down. It leans alike when it grasps and when it lets go, so that the object
# stands upright.
_LEANS = np.radians([30.0, 22.0, 38.0, 15.0, 45.0, 60.0, 90.0])


@dataclass(frozen=True)
class Reach:
    """Of one task and one side in one twin."""

    reachable: float
    """Share of the draws in which joints were found for all poses."""
    free: float
    """Share in which, besides, nothing touches the kitchen: at least one way of doing the task is left."""


class TwinReach:
    """The arm in one twin, for any number of questions."""

    def __init__(self, twin, folder):
        spec = robot.robot_spec()
        self.twin, self.names = twin, add_twin(spec, twin, folder)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.kinematics = Kinematics(self.model)
        self.arm = [self.model.jnt_qposadr[self.model.joint(name).id] for name in robot.ARM_JOINTS]
        self.fingers = [self.model.jnt_qposadr[self.model.joint(name).id] for name in robot.FINGER_JOINTS]
        self.T_base_home = self.kinematics.forward(np.array(HOME_JOINTS))

    def share(self, task, side, draws, generator, scale=1.0):
        """Reach of `draws` random episodes; scale: share of the task's background shift that is applied.

        side: of the twin's spawns, ignored for open_cabinet.
        """
        ranges = task_named(task).randomisation
        reachable = free = 0
        for _ in range(draws):
            shift = scale * generator.uniform(*np.asarray(ranges.background_m))
            p_start = None
            if task != "open_cabinet":
                spawn = self.twin.spawns[side]
                half = np.minimum(spawn.half_size, np.asarray(ranges.object_m)[1, :2])
                x, y = generator.uniform(-half, half)
                c, s = np.cos(spawn.yaw), np.sin(spawn.yaw)
                p_start = np.array(spawn.center) + np.array([c * x - s * y, s * x + c * y, 0.0]) + shift
            reached = clear = False
            for poses in self._plans(task, p_start, shift):
                found = self._try(poses)
                reached, clear = reached or found[0], clear or found[1]
                if clear:
                    break
            reachable, free = reachable + reached, free + clear
        return Reach(reachable / draws, free / draws)

    def _plans(self, task, p_start, shift):
        """Alternatives: each a list of (T_base_tcp, door angle)."""
        self.model.body(self.names.root).pos[:] = shift
        if task == "open_cabinet":
            yield from self._pulls(shift)
            return
        site = self.twin.sites["sink" if task == "put_in_sink" else "shelf"]
        goal = np.array(site.position) + shift
        up = np.array([0.0, 0.0, 1.0])
        if task == "put_in_sink":
            carry = p_start[2] + LIFT_M + GRASP_M
            above = [np.array([*p[:2], carry]) for p in (p_start, goal)]
            points = [above[0], p_start + GRASP_M * up, above[0], above[1], goal + (RELEASE_M + GRASP_M) * up]
            yield [(_pose(p, _tool(0.0)), 0.0) for p in points]
            return
        held, put = p_start + GRASP_M * up, goal + (GRASP_M + RELEASE_M) * up
        # up in front of the shelf, then in over it and down
        before = np.array([goal[0] - 0.2, *put[1:]])
        for lean, radial in product(_LEANS, (1.0, 0.0)):
            # from above, or along the tool when it lies nearly flat
            ahead = np.array([np.sin(lean), 0.0, -np.cos(lean)])
            back = held + 0.10 * up if lean < 0.7 else held - 0.06 * ahead + 0.03 * up
            points = (back, held, held + 0.05 * up, before, put)
            # The hand may look away from the base: an object that turns about the vertical stays upright.
            yield [
                (_pose(p, Rotation.from_euler("z", radial * np.arctan2(p[1], p[0])) * _tool(lean)), 0.0) for p in points
            ]

    def _pulls(self, shift):
        handle = self.twin.handle
        joint = next(body.joint for body in self.twin.bodies if body.name == handle.body)
        origin = np.array(joint.origin) + shift
        for pitch in np.radians([90.0, 60.0]):
            poses = []
            for angle in _DOOR_RAD:
                turn = Rotation.from_rotvec(angle * np.array(joint.axis))
                p = origin + turn.apply(np.array(handle.position) + shift - origin)
                # A bar may be held at an angle: the hand turns half as far as the door.
                poses.append((_pose(p, Rotation.from_rotvec(0.5 * angle * np.array(joint.axis)) * _tool(pitch)), angle))
            before = _pose(poses[0][0][:3, 3] + 0.08 * np.array(handle.outward), _tool(pitch))
            yield [(before, 0.0), *poses]

    def _try(self, poses):
        """-> (all within reach, nothing touches the kitchen)."""
        q, free = np.array(HOME_JOINTS), True
        T_last, door_last = self.T_base_home, 0.0
        for T, door in poses:
            # what holds a handle touches it
            at_handle = door > 0.0 or (door_last == 0.0 and door == 0.0 and len(poses) > 5)
            for T_way in _between(T_last, T):
                q, converged = self.kinematics.inverse(T_way[None], q, np.array(HOME_JOINTS), iterations=_ITERATIONS)
                if not converged[0]:
                    return False, False
                q = q[0]
                free = free and not self._touches(q, door, at_handle)
            T_last, door_last = T, door
        return True, free

    def _touches(self, q, door, at_handle):
        self.data.qpos[self.arm], self.data.qpos[self.fingers] = q, 0.04
        for name in self.names.joints.values():
            self.data.joint(name).qpos[0] = door
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)
        moving = {self.model.body(self.names.bodies[name]).id for name in self.names.joints}
        for contact in self.data.contact:
            bodies = {int(self.model.geom_bodyid[g]) for g in contact.geom}
            groups = {int(self.model.geom_contype[g]) for g in contact.geom}
            if groups == {robot.ROBOT, robot.STATIC} and contact.dist < 0 and not (at_handle and bodies & moving):
                return True
        return False


def _tool(lean):
    """The tool's rotation, fingers closing along y: straight down at 0, straight ahead at 90 degrees."""
    return Rotation.from_euler("y", -lean) * _DOWN


def _pose(p, rotation):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation.as_matrix(), p
    return T


def _between(T_a, T_b):
    """Poses after T_a up to T_b along the straight path."""
    n = max(1, int(np.ceil(np.linalg.norm(T_b[:3, 3] - T_a[:3, 3]) / _SPACING_M)))
    turn = Slerp([0, 1], Rotation.from_matrix([T_a[:3, :3], T_b[:3, :3]]))
    for s in np.arange(1, n + 1) / n:
        yield _pose(T_a[:3, 3] + s * (T_b[:3, 3] - T_a[:3, 3]), turn(s))
