"""`casher twin export`: a digital twin as a USD stage, for Isaac Sim, Isaac Lab and whatever else reads UsdPhysics.

The default prim is /Kitchen, its frame is the robot's base frame. Its variant set `collision` says what collides:
`sdf`, the meshes that are drawn, through a signed distance field as in the paper, or `hulls`, the twin's convex hulls
and boxes, as in MuJoCo. Bodies that move form one articulation on /Kitchen/Anchor, which stands still.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from pxr import Sdf, Tf, Usd, UsdGeom
from scipy.spatial.transform import Rotation

from casher_sim import usd_joints, usd_physics
from casher_sim.mass_properties import MassProperties, combined, of_solid
from casher_sim.mesh_file import MeshError
from casher_sim.objects import object_named
from casher_sim.twin import TwinError, surface_friction
from casher_sim.twin_file import load_twin
from casher_sim.twin_geometry import collision_hulls, collision_pieces, visual_meshes
from casher_sim.twin_scene import DENSITY_KG_M3, JOINT_ARMATURE
from casher_sim.usd_look import draw, textures_folder
from casher_sim.usd_object import export_object
from casher_sim.usd_places import add_places
from casher_sim.usd_robot import export_robot

ROOT = Sdf.Path("/Kitchen")
SUFFIXES = (".usda", ".usdc", ".usd")
COLLISION = "collision"
"""Name of the variant set."""


@dataclass(frozen=True)
class ExportArgs:
    """Write a digital twin as a USD stage with UsdPhysics and PhysX schemas. Textures go into a folder beside it."""

    folder: tyro.conf.Positional[Path]
    """Folder of the twin."""
    out: tyro.conf.Positional[Path]
    """The stage: .usda is text, .usdc is binary."""
    objects: tuple[str, ...] = ()
    """Objects to write as well, each as a stage of its own beside `out`."""
    robot: bool = False
    """Write the arm as well, as fr3 beside `out`."""
    collision: str = "sdf"
    """Selected variant: 'sdf' or 'hulls'; the file has both."""


def export_twin(folder, out, collision="sdf"):
    """Folder of a twin -> the stage at `out` (.usda, .usdc or .usd) and its textures.

    TwinError or MeshError for a bad twin, ValueError for another suffix or collision; then `out` is unchanged.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise ValueError(f"a stage ends in {', '.join(SUFFIXES)}, got {out.name!r}")
    if collision not in ("sdf", "hulls"):
        raise ValueError(f"unknown collision {collision!r}: known are sdf, hulls")
    twin = load_twin(folder)
    textures = textures_folder(out)
    textures.mkdir(parents=True, exist_ok=True)
    stage = Usd.Stage.CreateInMemory()
    root = UsdGeom.Xform.Define(stage, ROOT)
    usd_physics.stage_metadata(stage, root)
    usd_physics.add_scene(stage)
    for scope in ("Looks", "Materials"):
        UsdGeom.Scope.Define(stage, ROOT.AppendChild(scope))
    paths = {body.name: ROOT.AppendChild(Tf.MakeValidIdentifier(body.name)) for body in twin.bodies}
    drawn = {body.name: _draw(stage, paths[body.name], twin, folder, body, textures) for body in twin.bodies}
    _collide(stage, root.GetPrim(), twin, folder, paths, drawn, collision)
    _move(stage, root.GetPrim(), twin, folder, paths)
    add_places(stage, root.GetPrim(), twin, paths)
    stage.GetRootLayer().customLayerData = {"casher": _provenance(twin)}
    partial = out.with_name(f".partial-{out.name}")
    stage.GetRootLayer().Export(str(partial))
    partial.replace(out)


def main(args):
    """Entry point of `casher twin export`."""
    try:
        models = [object_named(name) for name in args.objects]
        export_twin(args.folder, args.out, args.collision)
        files = [args.out]
        for model in models:
            files.append(args.out.with_name(f"{model.name}{args.out.suffix}"))
            export_object(model, files[-1])
        if args.robot:
            files.append(args.out.with_name(f"fr3{args.out.suffix}"))
            export_robot(files[-1])
    except (TwinError, MeshError, ValueError, OSError) as error:
        print(f"casher twin export: {error}", file=sys.stderr)
        return 2
    for file in files:
        print(f"wrote {file}")
    return 0


def _draw(stage, path, twin, folder, body, textures):
    UsdGeom.Xform.Define(stage, path)
    meshes = visual_meshes(twin, folder, body)
    looks = ROOT.AppendChild("Looks")
    return [draw(stage, path.AppendChild(f"visual_{i}"), mesh, looks, textures) for i, mesh in enumerate(meshes)]


def _collide(stage, root, twin, folder, paths, drawn, selected):
    materials = {
        body.name: usd_physics.friction_material(stage, ROOT.AppendChild("Materials"), surface_friction(twin, body))
        for body in twin.bodies
    }
    variants = root.GetVariantSets().AddVariantSet(COLLISION)
    for name in ("sdf", "hulls"):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            for body in twin.bodies:
                if body.collision is None and not body.boxes:
                    continue  # what collides in no engine
                if name == "sdf" and drawn[body.name]:
                    for prim in drawn[body.name]:
                        usd_physics.collide_as_sdf(prim, materials[body.name])
                else:
                    _hulls_and_boxes(stage, paths[body.name], twin, folder, body, materials[body.name])
    variants.SetVariantSelection(selected)


def _hulls_and_boxes(stage, path, twin, folder, body, material):
    for i, (vertices, faces) in enumerate(collision_hulls(twin, folder, body)):
        prim = usd_physics.hull_mesh(stage, path.AppendChild(f"hull_{i:03d}"), vertices, faces)
        usd_physics.collide_as_hull(prim, material)
    for i, box in enumerate(body.boxes):
        rotation = Rotation.from_quat(box.quat_xyzw)
        prim = usd_physics.box(stage, path.AppendChild(f"box_{i:03d}"), box.center, box.half_size, rotation)
        usd_physics.collide(prim, material)


def _move(stage, root, twin, folder, paths):
    """Joints, masses and the articulation; a body that is fixed to a moving one is joined to it."""
    moving = set()
    for body in twin.bodies:
        if body.joint is not None or body.parent in moving:
            moving.add(body.name)
    if not moving:
        return
    usd_joints.articulation(root, self_collisions=False)
    joints = UsdGeom.Scope.Define(stage, ROOT.AppendChild("Joints")).GetPath()
    anchor = UsdGeom.Xform.Define(stage, ROOT.AppendChild("Anchor"))
    usd_joints.rigid_body(anchor.GetPrim(), MassProperties(1.0, np.zeros(3), 0.01 * np.eye(3)))
    usd_joints.fixed_joint(stage, joints.AppendChild("anchor_to_world"), None, anchor.GetPath())
    for body in twin.bodies:
        if body.name not in moving:
            continue
        prim, parent = stage.GetPrimAtPath(paths[body.name]), anchor.GetPath()
        if body.parent in moving:
            parent = paths[body.parent]
        pieces = [of_solid(*piece, DENSITY_KG_M3) for piece in collision_pieces(twin, folder, body)]
        if not pieces:
            raise TwinError(f"body {body.name!r} moves but has no collision, so no mass: give it boxes or hulls")
        usd_joints.rigid_body(prim, combined(pieces))
        usd_joints.never_collide(prim, [path for name, path in paths.items() if name != body.name])
        path = joints.AppendChild(paths[body.name].name)
        if body.joint is None:
            usd_joints.fixed_joint(stage, path, parent, paths[body.name])
            continue
        # at 0 all bodies share the base frame, so the joint's frame is the same in both
        frame = (body.joint.origin, usd_joints.along_x(body.joint.axis))
        joint = usd_joints.moving_joint(
            stage, path, parent, paths[body.name], body.joint.type, frame, frame, body.joint.range
        )
        usd_joints.resistance(joint, body.joint.damping, body.joint.friction, JOINT_ARMATURE)


def _provenance(twin):
    consent = "not needed: synthetic" if twin.consent is None else _known(asdict(twin.consent))
    return {
        "twin": twin.name,
        "version": twin.version,
        "provenance": _known(asdict(twin.provenance)),
        "consent": consent,
        "physics": asdict(twin.physics),
        "tasks": json.dumps({name: list(support.objects) for name, support in twin.tasks.items()}),
    }


def _known(fields):
    return {name: value for name, value in fields.items() if value is not None}
