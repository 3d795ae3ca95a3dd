"""One object as a USD stage: a rigid body that weighs what it should and collides as in the paper, or as in MuJoCo.

The default prim is the object; its origin is the centre of the underside. Its variant set `collision` is
`decomposition`, one mesh that the engine takes apart into convex hulls, or `parts`, the primitives it is made of.
"""

from pathlib import Path

import mujoco
import numpy as np
import trimesh
from pxr import Gf, Sdf, Usd, UsdGeom, Vt
from scipy.spatial.transform import Rotation

from casher_sim import usd_joints, usd_physics
from casher_sim.mass_properties import of_body
from casher_sim.mesh_file import plain_mesh
from casher_sim.scene import OBJECT, add_object
from casher_sim.usd_look import draw, textures_folder

COLLISION = "collision"
_SEGMENTS = 32


def export_object(model, out, collision="decomposition"):
    """objects.ObjectModel -> the stage at `out`; collision: the selected variant, 'decomposition' or 'parts'."""
    out = Path(out)
    if collision not in ("decomposition", "parts"):
        raise ValueError(f"unknown collision {collision!r}: known are decomposition, parts")
    stage = Usd.Stage.CreateInMemory()
    path = Sdf.Path("/").AppendChild(model.name)
    root = UsdGeom.Xform.Define(stage, path)
    usd_physics.stage_metadata(stage, root)
    usd_physics.add_scene(stage)
    for scope in ("Looks", "Materials"):
        UsdGeom.Scope.Define(stage, path.AppendChild(scope))
    in_mujoco = _in_mujoco(model)
    usd_joints.rigid_body(root.GetPrim(), of_body(in_mujoco, in_mujoco.body(OBJECT).id))
    geom = np.flatnonzero(in_mujoco.geom_contype)[0]
    material = usd_physics.friction_material(stage, path.AppendChild("Materials"), *in_mujoco.geom_friction[geom])
    touch = in_mujoco.geom_condim[geom], in_mujoco.geom_solref[geom], in_mujoco.geom_solimp[geom]
    shape = draw(stage, path.AppendChild("shape"), _mesh(model), path.AppendChild("Looks"), textures_folder(out))
    variants = root.GetPrim().GetVariantSets().AddVariantSet(COLLISION)
    for name in ("decomposition", "parts"):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            if name == "decomposition":
                usd_physics.collide_as_decomposition(shape, material)
                usd_physics.contact(shape, *touch)
            else:
                for i, part in enumerate(part for part in model.parts if part.collides):
                    primitive = _primitive(stage, path.AppendChild(f"part_{i:03d}"), part)
                    usd_physics.collide(primitive, material)
                    usd_physics.contact(primitive, *touch)
    variants.SetVariantSelection(collision)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".partial-{out.name}")
    stage.GetRootLayer().Export(str(partial))
    partial.replace(out)


def _in_mujoco(model):
    """The object alone as a MuJoCo model: what it weighs and how it touches is said there, once."""
    spec = mujoco.MjSpec()
    add_object(spec, model)
    return spec.compile()


def _rotation(part):
    return Rotation.from_euler("ZY", [part.yaw, part.tilt])


def _solid(part):
    """-> vertices (N, 3) [m] in the object's frame, faces (M, 3)."""
    if part.shape == "box":
        solid = trimesh.creation.box(2 * np.asarray(part.size))
    else:
        solid = trimesh.creation.cylinder(part.size[0], 2 * part.size[1], sections=_SEGMENTS)
    return solid.vertices @ _rotation(part).as_matrix().T + part.position, np.asarray(solid.faces)


def _mesh(model):
    parts = [part for part in model.parts if part.visible]
    solids = [_solid(part) for part in parts]
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in solids)])
    vertices = np.concatenate([vertices for vertices, _ in solids])
    faces = np.concatenate([faces + offset for (_, faces), offset in zip(solids, offsets, strict=False)])
    colours = [
        np.tile(part.colour or model.colour, (len(vertices), 1))
        for part, (vertices, _) in zip(parts, solids, strict=True)
    ]
    return plain_mesh(vertices, faces, (255 * np.concatenate(colours)).round().astype(np.uint8))


def _primitive(stage, path, part):
    if part.shape == "box":
        return usd_physics.box(stage, path, part.position, part.size, _rotation(part))
    radius, half = map(float, part.size)
    cylinder = UsdGeom.Cylinder.Define(stage, path)
    cylinder.CreateAxisAttr(UsdGeom.Tokens.z)
    cylinder.CreateRadiusAttr(radius)
    cylinder.CreateHeightAttr(2 * half)
    corner = Gf.Vec3f(radius, radius, half)
    cylinder.CreateExtentAttr(Vt.Vec3fArray([-corner, corner]))
    cylinder.AddTranslateOp().Set(Gf.Vec3d(*map(float, part.position)))
    cylinder.AddOrientOp().Set(usd_physics.quatf(_rotation(part)))
    cylinder.CreatePurposeAttr(UsdGeom.Tokens.guide)
    return cylinder.GetPrim()
