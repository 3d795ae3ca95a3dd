"""What can be seen of a scene, as textured meshes in the frames that they move with: for cameras and clouds.

A frame is named as the body of the simulator's model: 'fr3_link0' .. 'hand', 'left_finger', 'right_finger'; 'object';
'kitchen/NAME' for a body of a twin; 'kitchen' for all of a kitchen of primitives; 'world' is the base frame.
"""

import functools
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import transform
from casher_policy.observation import FINGER_MAX_M
from casher_sim import robot
from casher_sim.mesh_file import TexturedMesh, plain_mesh
from casher_sim.meshes import ROBOT_DETAIL_M, shape
from casher_sim.robot_frames import robot_frames
from casher_sim.scene import KITCHEN, OBJECT, add_object
from casher_sim.surface_points import seen_from_outside
from casher_sim.twin_geometry import visual_meshes

BASE = "world"
_COLLISION_GROUP = 3


@dataclass(frozen=True, eq=False)
class VisiblePart:
    """One mesh."""

    frame: str
    mesh: TexturedMesh
    """[m], in that frame."""


@functools.lru_cache(maxsize=4)
def robot_parts(detail_m=ROBOT_DETAIL_M):
    """The FR3 with its hand, without what lies inside its shells -> tuple of VisiblePart.

    detail_m [m]: cells in which vertices are merged, 0: none. A second or two the first time.
    """
    parts = model_parts(robot.robot_spec().compile(), detail_m)
    meshes = [part.mesh for part in parts]
    T = robot_frames().named(HOME_JOINTS, (FINGER_MAX_M, FINGER_MAX_M))
    # Of the arm as a whole, at home: the links close one another's open ends.
    vertices = [transform(T[part.frame], part.mesh.vertices) for part in parts]
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    triangles = np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)])
    seen = seen_from_outside(np.concatenate(vertices), triangles, least=4)
    outside = []
    for part, keep in zip(parts, np.split(seen, np.cumsum([len(m.faces) for m in meshes[:-1]])), strict=True):
        used, faces = np.unique(part.mesh.faces[keep], return_inverse=True)
        if len(used):
            kept = plain_mesh(part.mesh.vertices[used], faces.reshape(-1, 3), part.mesh.colours[0])
            outside.append(VisiblePart(part.frame, kept))
    return tuple(outside)


@functools.lru_cache(maxsize=64)
def object_parts(object_model):
    """ObjectModel -> tuple of VisiblePart in the frame 'object'."""
    spec = mujoco.MjSpec()
    add_object(spec, object_model)
    return model_parts(spec.compile(), 0.0)


def twin_parts(twin, folder):
    """Twin and its folder -> tuple of VisiblePart in the frames 'kitchen/NAME'. MeshError, TwinError for bad files."""
    return tuple(
        VisiblePart(twin_frame(body.name), mesh) for body in twin.bodies for mesh in visual_meshes(twin, folder, body)
    )


def twin_frame(body_name):
    """Frame of a twin's body."""
    return f"{KITCHEN}/{body_name}"


def scene_parts(model, detail_m=ROBOT_DETAIL_M):
    """An MjModel with the robot in it -> tuple of VisiblePart: what is drawn of it, and `robot_parts`."""
    links = {part.frame for part in robot_parts(detail_m)}
    return (*(part for part in model_parts(model, detail_m) if part.frame not in links), *robot_parts(detail_m))


def model_parts(model, detail_m):
    """All of an MjModel that is drawn -> tuple of VisiblePart, one for every body and colour."""
    merged = {}
    for geom in range(model.ngeom):
        rgba = model.geom_rgba[geom] if model.geom_matid[geom] < 0 else model.mat_rgba[model.geom_matid[geom]]
        if model.geom_group[geom] == _COLLISION_GROUP or rgba[3] == 0.0:
            continue
        vertices, triangles = shape(model, geom, detail_m)
        R = np.empty(9)
        mujoco.mju_quat2Mat(R, model.geom_quat[geom])
        vertices = vertices @ R.reshape(3, 3).T + model.geom_pos[geom]
        key = model.body(model.geom_bodyid[geom]).name, tuple(np.rint(255 * rgba[:3]).astype(int))
        merged.setdefault(key, []).append((vertices, triangles))
    parts = []
    for (body, colour), pieces in merged.items():
        offsets = np.cumsum([0, *(len(v) for v, _ in pieces[:-1])])
        vertices = np.concatenate([v for v, _ in pieces])
        triangles = np.concatenate([f + o for (_, f), o in zip(pieces, offsets, strict=True)])
        parts.append(VisiblePart(body, plain_mesh(vertices, triangles, colour)))
    return tuple(parts)


def model_poses(model, data):
    """MjModel, MjData -> {frame: T_base_frame (4, 4)} of every body."""
    T = np.tile(np.eye(4), (model.nbody, 1, 1))
    T[:, :3, :3], T[:, :3, 3] = data.xmat.reshape(-1, 3, 3), data.xpos
    return {model.body(i).name: T[i] for i in range(model.nbody)}


def twin_poses(twin, joints, shift=(0.0, 0.0, 0.0)):
    """{frame: T_base_frame (4, 4)} of a twin's bodies.

    joints: {name of a body: position of its joint [rad] or [m]}, 0 where not given; shift (3,) [m]: of the whole
    kitchen. ValueError for a joint that the twin does not have.
    """
    moving = {body.name for body in twin.bodies if body.joint is not None}
    if not moving.issuperset(joints):
        known = ", ".join(sorted(moving)) or "none"
        raise ValueError(f"no joint {sorted(set(joints) - moving)} in twin {twin.name!r}: known are {known}")
    T_base_root = np.eye(4)
    T_base_root[:3, 3] = shift
    poses = {None: T_base_root}
    for body in twin.bodies:
        poses[body.name] = poses[body.parent] @ _moved(body.joint, joints.get(body.name, 0.0))
    return {twin_frame(name): T for name, T in poses.items() if name is not None}


def stacked_poses(poses, frames):
    """{frame: T_base_frame}, names of L frames -> (L, 4, 4). ValueError names the frames that have no pose."""
    missing = [name for name in frames if name not in poses]
    if missing:
        raise ValueError(f"no pose of the frames {', '.join(missing)}: got {', '.join(poses) or 'none'}")
    return np.stack([np.asarray(poses[name], dtype=np.float64) for name in frames])


def stacked_colours(recolour, frames):
    """{frame: (3, 3) matrix on RGB} or None, names of L frames -> (L, 3, 3), unchanged where not given."""
    unknown = sorted(set(recolour or {}) - set(frames))
    if unknown:
        raise ValueError(f"no part in the frames {', '.join(unknown)} to recolour: known are {', '.join(frames)}")
    matrices = np.tile(np.eye(3), (len(frames), 1, 1))
    for frame, matrix in (recolour or {}).items():
        matrices[frames.index(frame)] = matrix
    return matrices


def object_pose(T_base_object):
    """{frame: T_base_frame (4, 4)} of the object."""
    return {OBJECT: np.asarray(T_base_object, dtype=np.float64)}


def _moved(joint, position):
    T = np.eye(4)
    if joint is not None and joint.type == "slide":
        T[:3, 3] = position * np.asarray(joint.axis)
    elif joint is not None:
        T[:3, :3] = Rotation.from_rotvec(position * np.asarray(joint.axis)).as_matrix()
        T[:3, 3] = joint.origin - T[:3, :3] @ joint.origin
    return T
