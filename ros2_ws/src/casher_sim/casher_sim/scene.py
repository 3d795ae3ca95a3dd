"""Place + robot + at most one object -> a compiled MuJoCo model and the indices that a world or a batch of them needs.

`build` takes any place.Place (a Kitchen or a TwinKitchen) and an ObjectModel, or None for a task without an object;
then `object_qpos` and `object_qvel` are None. `door_qpos` is None in a place without a door.
"""

import functools
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from casher_sim import robot
from casher_sim.place import HANDLE, KITCHEN

_SHAPES = {"box": mujoco.mjtGeom.mjGEOM_BOX, "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER}
OBJECT = "object"
"""Name of the object's body."""


@dataclass(frozen=True)
class Scene:
    """A compiled model and where things are in it. The model is shared: copy it before changing it."""

    model: mujoco.MjModel
    arm_qpos: np.ndarray
    """(7,) indices into qpos; the arm's joints have the same indices in qvel."""
    finger_qpos: np.ndarray
    """(2,)"""
    object_qpos: slice | None
    """Position (3) and quaternion wxyz (4); None without an object."""
    object_qvel: slice | None
    """Velocity (3) and angular velocity (3); None without an object."""
    arm_ctrl: np.ndarray
    """(7,)"""
    gripper_ctrl: int
    kitchen_body: int
    object_body: int | None
    tcp_site: int
    handle_site: int | None
    """None without a door, as the next two."""
    door_qpos: int | None
    """Index of the angle [rad] of the door that the handle belongs to."""
    door_qvel: int | None


@functools.lru_cache(maxsize=16)
def scene_of(place, object_model):
    """Place, ObjectModel or None -> Scene. The first call takes about a second, later ones nothing."""
    return index(build(place, object_model).compile())


@functools.lru_cache(maxsize=64)
def physics_scene_of(place, object_model):
    """As scene_of, without what is only seen: the same motion in half a megabyte instead of fifty."""
    spec = build(place, object_model)
    for geom in list(spec.geoms):
        if not geom.contype and not geom.conaffinity:
            spec.delete(geom)
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)
    return index(spec.compile())


def build(place, object_model):
    """Place, ObjectModel or None -> MjSpec, the object at the origin and the arm not yet home."""
    spec = robot.robot_spec()
    place.add_to(spec)
    if object_model is not None:
        add_object(spec, object_model)
    return spec


def index(model):
    """MjModel -> Scene."""
    joint_qpos = [model.jnt_qposadr[model.joint(name).id] for name in (*robot.ARM_JOINTS, *robot.FINGER_JOINTS)]
    handle = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, HANDLE)
    door = model.body_jntadr[model.site_bodyid[handle]] if handle >= 0 else None
    has_object = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, OBJECT) >= 0
    if has_object:
        free = model.joint(OBJECT).id
        qpos, qvel = model.jnt_qposadr[free], model.jnt_dofadr[free]
    return Scene(
        model,
        arm_qpos=np.array(joint_qpos[:7]),
        finger_qpos=np.array(joint_qpos[7:]),
        object_qpos=slice(qpos, qpos + 7) if has_object else None,
        object_qvel=slice(qvel, qvel + 6) if has_object else None,
        arm_ctrl=np.array([model.actuator(name).id for name in robot.ARM_JOINTS]),
        gripper_ctrl=model.actuator(robot.GRIPPER).id,
        kitchen_body=model.body(KITCHEN).id,
        object_body=model.body(OBJECT).id if has_object else None,
        tcp_site=model.site(robot.TCP).id,
        handle_site=handle if handle >= 0 else None,
        door_qpos=int(model.jnt_qposadr[door]) if door is not None else None,
        door_qvel=int(model.jnt_dofadr[door]) if door is not None else None,
    )


def add_object(spec, model):
    """Add an ObjectModel to an MjSpec as a free body OBJECT, at the origin."""
    body = spec.worldbody.add_body(name=OBJECT)
    body.add_freejoint(name=OBJECT)
    volumes = np.array([_volume(part) if part.collides else 0.0 for part in model.parts])
    for part, mass in zip(model.parts, model.mass * volumes / volumes.sum(), strict=True):
        x, y, z, w = Rotation.from_euler("ZY", [part.yaw, part.tilt]).as_quat()
        body.add_geom(
            type=_SHAPES[part.shape],
            pos=part.position,
            quat=[w, x, y, z],
            size=_size(part.size),
            mass=mass,
            rgba=[*(part.colour or model.colour), 1.0 if part.visible else 0.0],
            contype=robot.OBJECT if part.collides else 0,
            conaffinity=robot.ROBOT | robot.STATIC if part.collides else 0,
            friction=[model.friction, 0.01, 0.0001],
            solref=[0.01, 1.0],
            solimp=robot.STIFF,
            solmix=100.0,  # this stiffness, whatever it touches: pressed by the arm it must not sink into the worktop
        )


def _size(size):
    return [*size, 0.0][:3]


def _volume(part):
    return 8 * np.prod(part.size) if part.shape == "box" else 2 * np.pi * part.size[0] ** 2 * part.size[1]
