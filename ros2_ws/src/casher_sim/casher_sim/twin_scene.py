"""A twin as a part of a MuJoCo model: bodies, hulls, boxes, hinges and sites. What is only seen stays out of it."""

from dataclasses import dataclass

import mujoco

from casher_sim import robot
from casher_sim.twin import surface_friction
from casher_sim.twin_geometry import collision_hulls

ROOT = "twin"
"""Name of the body that carries everything: moving it moves the whole kitchen."""
DENSITY_KG_M3 = 650.0
"""Of what moves: chipboard."""
JOINT_ARMATURE = 0.005
"""[kg m^2, kg] of its hinges and slides."""
_JOINTS = {"hinge": mujoco.mjtJoint.mjJNT_HINGE, "slide": mujoco.mjtJoint.mjJNT_SLIDE}


@dataclass(frozen=True)
class TwinNames:
    """What things are called in the model."""

    root: str
    bodies: dict[str, str]
    """Twin's name -> model's name."""
    joints: dict[str, str]
    """Twin's name of the body that moves -> name of its joint."""
    sites: dict[str, str]
    """Twin's name -> model's name; 'handle' too, which moves with its door."""


def add_twin(spec, twin, folder, name=ROOT):
    """Add a twin to an MjSpec whose world frame is the robot's base frame -> TwinNames.

    folder: of the twin, for its collision meshes; name: of the root body and prefix of all other names. Contacts are
    with the robot and with objects, not of the kitchen with itself: a door is held by its joint. MeshError or
    TwinError for a bad mesh.
    """
    root = spec.worldbody.add_body(name=name)
    names = TwinNames(name, {}, {}, {})
    for body in twin.bodies:
        parent = root if body.parent is None else spec.body(names.bodies[body.parent])
        names.bodies[body.name] = f"{name}/{body.name}"
        # All bodies of a twin share the base frame's axes and origin when their joints are at 0.
        added = parent.add_body(name=names.bodies[body.name])
        if body.joint is not None:
            names.joints[body.name] = f"{name}/{body.name}"
            _add_joint(added, names.joints[body.name], body.joint)
        contact = {
            "contype": robot.STATIC,
            "conaffinity": robot.ROBOT | robot.OBJECT,
            "friction": [surface_friction(twin, body), 0.01, 0.0001],
            "density": DENSITY_KG_M3,
            "group": 3,
        }
        for box in body.boxes:
            x, y, z, w = box.quat_xyzw
            added.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.center, size=box.half_size, quat=[w, x, y, z], **contact
            )
        for i, (vertices, _) in enumerate(collision_hulls(twin, folder, body)):
            mesh = f"{names.bodies[body.name]}/{i}"
            spec.add_mesh(name=mesh, uservert=vertices.ravel(), inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)
            added.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh, **contact)
    for site, at in twin.sites.items():
        names.sites[site] = f"{name}/{site}"
        root.add_site(name=names.sites[site], pos=at.position)
    if twin.handle is not None:
        names.sites["handle"] = f"{name}/handle"
        spec.body(names.bodies[twin.handle.body]).add_site(name=names.sites["handle"], pos=twin.handle.position)
    return names


def _add_joint(body, name, joint):
    body.add_joint(
        name=name,
        type=_JOINTS[joint.type],
        axis=joint.axis,
        pos=joint.origin,
        range=joint.range,
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        damping=[joint.damping, 0, 0],
        frictionloss=joint.friction,
        armature=JOINT_ARMATURE,
    )
