"""What touches in a USD stage: UsdPhysics and PhysX schemas on its prims.

usd-core knows the schemas of UsdPhysics but not those of PhysX and Newton. These are written by name, which is all that
a file holds of them; Isaac Sim and Newton read them as if their own libraries had written them.
"""

import numpy as np
from pxr import Gf, Sdf, Tf, UsdGeom, UsdPhysics, UsdShade, Vt

SDF_RESOLUTION = 256
"""Cells along the longest side of a scene's signed distance field (paper, section VIII)."""
HULL_VERTICES, HULLS = 64, 32
"""Of an object's convex decomposition: at most this many vertices each, and hulls (paper, section VIII)."""


def stage_metadata(stage, root):
    """Metres, z up, kilograms; `root` is what a reference to the file brings in."""
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.SetDefaultPrim(root.GetPrim())


def add_scene(stage):
    """Gravity, beside the default prim: whoever references that has a physics scene of their own."""
    scene = UsdPhysics.Scene.Define(stage, "/PhysicsScene")
    scene.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    scene.CreateGravityMagnitudeAttr(9.81)


def friction_material(stage, scope, friction, torsional=0.01, rolling=0.0001):
    """One physics material for each set of coefficients, below the Scope path `scope` -> UsdShade.Material.

    friction: static and dynamic; torsional, rolling: [m], of engines that know them.
    """
    name = "_".join(f"{coefficient:g}" for coefficient in (friction, torsional, rolling))
    path = Sdf.Path(scope).AppendChild(Tf.MakeValidIdentifier(f"friction_{name}"))
    if stage.GetPrimAtPath(path):
        return UsdShade.Material.Get(stage, path)
    material = UsdShade.Material.Define(stage, path)
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(friction)
    physics.CreateDynamicFrictionAttr(friction)
    physics.CreateRestitutionAttr(0.0)
    material.GetPrim().AddAppliedSchema("NewtonMaterialAPI")
    attribute(material.GetPrim(), "newton:torsionalFriction", Sdf.ValueTypeNames.Float, float(torsional))
    attribute(material.GetPrim(), "newton:rollingFriction", Sdf.ValueTypeNames.Float, float(rolling))
    return material


def collide(prim, material):
    """The gprim collides, with that physics material."""
    UsdPhysics.CollisionAPI.Apply(prim)
    binding = UsdShade.MaterialBindingAPI.Apply(prim)
    binding.Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")


def collide_as_hull(prim, material):
    """A mesh collides as its convex hull."""
    collide(prim, material)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.convexHull)


def collide_as_sdf(prim, material):
    """A mesh collides through a signed distance field, in PhysX; other engines take the triangles."""
    collide(prim, material)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr("sdf")
    prim.AddAppliedSchema("PhysxSDFMeshCollisionAPI")
    attribute(prim, "physxSDFMeshCollision:sdfResolution", Sdf.ValueTypeNames.Int, SDF_RESOLUTION)


def collide_as_decomposition(prim, material):
    """A mesh collides as convex hulls, which the engine finds."""
    collide(prim, material)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.convexDecomposition)
    prim.AddAppliedSchema("PhysxConvexDecompositionCollisionAPI")
    attribute(prim, "physxConvexDecompositionCollision:hullVertexLimit", Sdf.ValueTypeNames.Int, HULL_VERTICES)
    attribute(prim, "physxConvexDecompositionCollision:maxConvexHulls", Sdf.ValueTypeNames.Int, HULLS)


def contact(prim, condim, solref, solimp):
    """How softly the gprim touches, in MuJoCo's terms; engines that are not MuJoCo inside do not read it."""
    attribute(prim, "mjc:condim", Sdf.ValueTypeNames.Int, int(condim))
    solver_parameters(prim, solref, solimp)


def quatf(rotation):
    """scipy's Rotation -> Gf.Quatf."""
    x, y, z, w = map(float, rotation.as_quat(canonical=True))
    return Gf.Quatf(w, x, y, z)


def hull_mesh(stage, path, vertices, faces):
    """A mesh that is not drawn, for collision -> its prim."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    triangles(mesh, vertices, faces)
    mesh.CreatePurposeAttr(UsdGeom.Tokens.guide)
    return mesh.GetPrim()


def box(stage, path, center, half_size, rotation):
    """A cube stretched to a box, not drawn, for collision -> its prim."""
    cube = UsdGeom.Cube.Define(stage, path)
    cube.CreateSizeAttr(2.0)
    cube.CreateExtentAttr(Vt.Vec3fArray([Gf.Vec3f(-1), Gf.Vec3f(1)]))
    cube.AddTranslateOp().Set(Gf.Vec3d(*map(float, center)))
    cube.AddOrientOp().Set(quatf(rotation))
    cube.AddScaleOp().Set(Gf.Vec3f(*map(float, half_size)))
    cube.CreatePurposeAttr(UsdGeom.Tokens.guide)
    return cube.GetPrim()


def triangles(mesh, vertices, faces):
    """Fill a UsdGeom.Mesh: vertices (N, 3) [m], faces (M, 3), no subdivision."""
    vertices = np.ascontiguousarray(vertices, dtype=np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, dtype=np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces, dtype=np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([vertices.min(axis=0), vertices.max(axis=0)])))


def solver_parameters(prim, solref, solimp):
    """How soft a constraint is, in MuJoCo's terms."""
    for name, values in (("mjc:solref", solref), ("mjc:solimp", solimp)):
        attribute(prim, name, Sdf.ValueTypeNames.DoubleArray, Vt.DoubleArray(list(map(float, values))))


def attribute(prim, name, type_name, value):
    """Author an attribute of a schema that usd-core does not know."""
    prim.CreateAttribute(name, type_name, custom=False).Set(value)
