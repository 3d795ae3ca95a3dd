import datetime
import shutil
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import trimesh
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade, UsdUtils, UsdValidation

from casher_sim.mesh_file import TexturedMesh, plain_mesh, write_glb, write_hulls
from casher_sim.objects import OBJECTS
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin import Body, Box, Handle, Joint, TwinError, to_scan
from casher_sim.twin_file import load_twin, save_twin
from casher_sim.twin_geometry import visual_meshes
from casher_sim.twin_scene import add_twin
from casher_sim.usd_export import ExportArgs, export_twin, main
from casher_sim.usd_object import export_object
from casher_sim.usd_places import read_handle, read_sites, read_spawns

DOOR = Joint("hinge", (0.0, 0.0, 1.0), (0.5, 0.3, 0.2), (-0.1, 1.75), damping=0.5, friction=0.1)
DRAWER = Joint("slide", (-0.6, 0.0, 0.8), (0.5, -0.3, 0.2), (0.0, 0.4), damping=3.0, friction=1.5)


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory):
    """Folder of a twin, scanned in centimetres, with a door, a drawer and a knob on the drawer."""
    folder = tmp_path_factory.mktemp("hand_made")
    procedural, _ = kitchen(0, datetime.date(2026, 1, 1))
    handle = Handle("door", (0.45, 0.1, 0.2), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), 0.12, 0.01)
    bodies = (
        Body("room", "room.glb", None, (Box((0.6, 0.0, 0.0), (0.3, 1.0, 0.05), (0.0, 0.0, 0.6, 0.8)),), friction=0.7),
        Body("door", "door.glb", "door_hulls.glb", (), DOOR),
        Body("drawer", None, None, (Box((0.5, -0.3, 0.2), (0.01, 0.2, 0.1)),), DRAWER),
        Body("knob", "knob.glb", None, (Box((0.47, -0.3, 0.2), (0.02, 0.01, 0.01)),), parent="drawer"),
        Body("picture", "picture.glb"),
    )
    fields = {"bodies": bodies, "scale": 0.01, "handle": handle, "name": "hand_made"}
    twin = replace(procedural, **fields)
    rng = np.random.default_rng(0)
    for name, center, half in (
        ("room", (0.6, 0.1, 0.3), (0.4, 1.0, 0.4)),
        ("door", (0.5, 0.1, 0.2), (0.01, 0.2, 0.1)),
        ("knob", (0.47, -0.3, 0.2), (0.02, 0.01, 0.01)),
    ):
        solid = trimesh.creation.box(2 * np.array(half))
        vertices = to_scan(twin, solid.vertices + center).astype(np.float32)
        white = np.full(vertices.shape, 255, np.uint8)
        uv, texture = rng.random((8, 2)).astype(np.float32), rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        write_glb(folder / f"{name}.glb", [TexturedMesh(vertices, solid.faces.astype(np.int32), white, uv, texture)])
        write_hulls(folder / f"{name}_hulls.glb", [(vertices, solid.faces)])
    vertices = to_scan(twin, np.array([[0.9, 0, 0.5], [0.9, 0.2, 0.5], [0.9, 0, 0.8]]))
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    write_glb(folder / "picture.glb", [plain_mesh(vertices, [[0, 1, 2]], colours)])
    save_twin(twin, folder)
    return folder


@pytest.fixture(scope="module")
def procedural(tmp_path_factory):
    """Folder of a procedural kitchen that has a door."""
    folder = tmp_path_factory.mktemp("procedural")
    seed = next(seed for seed in range(20) if kitchen(seed)[0].handle is not None)
    save_kitchen(folder, *kitchen(seed, datetime.date(2026, 1, 1)))
    return folder


@pytest.fixture(params=["hand_made", "procedural"])
def folder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[".usda", ".usdc"])
def out(request, tmp_path):
    return tmp_path / f"kitchen{request.param}"


def errors_of(stage):
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    return [error.GetMessage() for error in context.Validate(stage)]


def select(stage, variant):
    stage.GetDefaultPrim().GetVariantSet("collision").SetVariantSelection(variant)
    return stage


def colliders(stage):
    return [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)]


@pytest.mark.parametrize("variant", ["sdf", "hulls"])
def test_no_validator_of_usd_finds_anything_in_a_kitchen(folder, out, variant):
    export_twin(folder, out)
    assert errors_of(select(Usd.Stage.Open(str(out)), variant)) == []


@pytest.mark.parametrize("variant", ["decomposition", "parts"])
@pytest.mark.parametrize("name", OBJECTS)
def test_no_validator_of_usd_finds_anything_in_an_object(name, tmp_path, variant):
    export_object(OBJECTS[name], tmp_path / "object.usda")
    assert errors_of(select(Usd.Stage.Open(str(tmp_path / "object.usda")), variant)) == []


def test_the_validators_find_what_we_break(hand_made, tmp_path):
    export_twin(hand_made, tmp_path / "kitchen.usda")
    stage = Usd.Stage.Open(str(tmp_path / "kitchen.usda"))
    UsdPhysics.ArticulationRootAPI.Apply(stage.GetPrimAtPath("/Kitchen/door"))
    UsdPhysics.RevoluteJoint.Get(stage, "/Kitchen/Joints/door").GetBody1Rel().SetTargets(["/Kitchen/nothing"])
    stage.ClearDefaultPrim()
    found = " ".join(errors_of(stage))
    for problem in ("points to a non existent prim", "Nested ArticulationRootAPI", "defaultPrim"):
        assert problem in found


def test_what_is_drawn_of_the_scene_collides_through_a_distance_field_of_256(folder, out):
    export_twin(folder, out)
    stage = Usd.Stage.Open(str(out))
    bodies = {body.name: body for body in load_twin(folder).bodies}
    drawn = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    for prim in drawn:
        body = bodies[prim.GetParent().GetName()]
        assert prim.HasAPI(UsdPhysics.CollisionAPI) == bool(body.collision or body.boxes)
        if prim.HasAPI(UsdPhysics.CollisionAPI):
            assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "sdf"
            assert "PhysxSDFMeshCollisionAPI" in prim.GetPrimTypeInfo().GetAppliedAPISchemas()
            assert prim.GetAttribute("physxSDFMeshCollision:sdfResolution").Get() == 256
    assert drawn


def test_an_object_is_taken_apart_into_32_hulls_of_64_vertices(tmp_path):
    export_object(OBJECTS["mug"], tmp_path / "mug.usda")
    stage = Usd.Stage.Open(str(tmp_path / "mug.usda"))
    (prim,) = colliders(stage)
    assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "convexDecomposition"
    assert "PhysxConvexDecompositionCollisionAPI" in prim.GetPrimTypeInfo().GetAppliedAPISchemas()
    assert prim.GetAttribute("physxConvexDecompositionCollision:hullVertexLimit").Get() == 64
    assert prim.GetAttribute("physxConvexDecompositionCollision:maxConvexHulls").Get() == 32


def test_the_other_variant_collides_with_what_mujoco_collides_with(folder, out):
    export_twin(folder, out, collision="hulls")
    twin = load_twin(folder)
    spec = mujoco.MjSpec()
    add_twin(spec, twin, folder)
    stage = Usd.Stage.Open(str(out))
    found = colliders(stage)
    assert len(found) == spec.compile().ngeom
    assert {prim.GetTypeName() for prim in found} <= {"Cube", "Mesh"}
    for prim in found:
        assert UsdGeom.Imageable(prim).ComputePurpose() == UsdGeom.Tokens.guide
        if prim.IsA(UsdGeom.Mesh):
            assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "convexHull"


def test_what_is_drawn_has_the_twins_bounds(folder, out):
    export_twin(folder, out)
    twin = load_twin(folder)
    vertices = np.concatenate([m.vertices for body in twin.bodies for m in visual_meshes(twin, folder, body)])
    stage = Usd.Stage.Open(str(out))
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    bounds = cache.ComputeWorldBound(stage.GetDefaultPrim()).ComputeAlignedRange()
    np.testing.assert_allclose(bounds.GetMin(), vertices.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(bounds.GetMax(), vertices.max(axis=0), atol=1e-6)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == "Z"


def test_joints_keep_their_axis_origin_limits_and_resistance(hand_made, out):
    export_twin(hand_made, out)
    stage = Usd.Stage.Open(str(out))
    for name, joint, kind, axis, unit in (
        ("door", DOOR, UsdPhysics.RevoluteJoint, "angular", np.pi / 180),
        ("drawer", DRAWER, UsdPhysics.PrismaticJoint, "linear", 1.0),
    ):
        written = kind.Get(stage, f"/Kitchen/Joints/{name}")
        limits = np.array([written.GetLowerLimitAttr().Get(), written.GetUpperLimitAttr().Get()]) * unit
        np.testing.assert_allclose(limits, joint.range, rtol=1e-6)
        np.testing.assert_allclose(written.GetLocalPos0Attr().Get(), joint.origin, rtol=1e-6)
        for rotation in (written.GetLocalRot0Attr().Get(), written.GetLocalRot1Attr().Get()):
            np.testing.assert_allclose(Gf.Rotation(rotation).TransformDir(Gf.Vec3d.XAxis()), joint.axis, atol=1e-6)
        drive = UsdPhysics.DriveAPI(written.GetPrim(), axis)
        assert drive.GetStiffnessAttr().Get() == 0.0
        assert drive.GetDampingAttr().Get() == pytest.approx(joint.damping * unit)
        friction = written.GetPrim().GetAttribute(f"physxJointAxis:{axis}:dynamicFrictionEffort").Get()
        assert friction == pytest.approx(joint.friction)
        assert [str(p) for p in written.GetBody1Rel().GetTargets()] == [f"/Kitchen/{name}"]


def test_what_is_fixed_to_a_drawer_moves_with_it_and_what_stands_still_is_no_rigid_body(hand_made, out):
    export_twin(hand_made, out)
    stage = Usd.Stage.Open(str(out))
    rigid = {prim.GetName() for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)}
    assert rigid == {"Anchor", "door", "drawer", "knob"}
    knob = UsdPhysics.FixedJoint.Get(stage, "/Kitchen/Joints/knob")
    assert [str(p) for p in knob.GetBody0Rel().GetTargets()] == ["/Kitchen/drawer"]
    assert stage.GetDefaultPrim().HasAPI(UsdPhysics.ArticulationRootAPI)


def test_doors_weigh_what_they_weigh_in_mujoco(folder, out):
    export_twin(folder, out)
    stage, twin, spec = Usd.Stage.Open(str(out)), load_twin(folder), mujoco.MjSpec()
    names = add_twin(spec, twin, folder)
    model = spec.compile()
    for body in twin.bodies:
        mass = UsdPhysics.MassAPI(stage.GetPrimAtPath(f"/Kitchen/{body.name}"))
        if body.joint is not None:
            in_mujoco = model.body(names.bodies[body.name])
            assert mass.GetMassAttr().Get() == pytest.approx(in_mujoco.mass[0], rel=1e-5)
            np.testing.assert_allclose(mass.GetCenterOfMassAttr().Get(), in_mujoco.ipos, atol=1e-6)
            moments = np.sort(mass.GetDiagonalInertiaAttr().Get())
            np.testing.assert_allclose(moments, np.sort(in_mujoco.inertia), rtol=1e-4)


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_weigh_what_they_weigh_in_mujoco(name, tmp_path):
    from casher_sim.kitchen import kitchen_named
    from casher_sim.scene import scene_of

    export_object(OBJECTS[name], tmp_path / "object.usda")
    stage = Usd.Stage.Open(str(tmp_path / "object.usda"))
    mass = UsdPhysics.MassAPI(stage.GetDefaultPrim())
    scene = scene_of(kitchen_named("demo"), OBJECTS[name])
    in_mujoco = scene.model.body(scene.object_body)
    assert mass.GetMassAttr().Get() == pytest.approx(OBJECTS[name].mass)
    np.testing.assert_allclose(mass.GetCenterOfMassAttr().Get(), in_mujoco.ipos, atol=1e-6)
    np.testing.assert_allclose(np.sort(mass.GetDiagonalInertiaAttr().Get()), np.sort(in_mujoco.inertia), rtol=1e-4)


def test_friction_is_the_twins_unless_a_body_has_its_own(hand_made, out):
    export_twin(hand_made, out)
    stage = Usd.Stage.Open(str(out))
    for body, friction in (("room", 0.7), ("door", 0.5)):
        prim = stage.GetPrimAtPath(f"/Kitchen/{body}/visual_0")
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        physics = UsdPhysics.MaterialAPI(material)
        assert physics.GetStaticFrictionAttr().Get() == pytest.approx(friction)
        assert physics.GetDynamicFrictionAttr().Get() == pytest.approx(friction)


def test_sites_spawns_and_handle_are_read_back_as_they_were(folder, out):
    export_twin(folder, out)
    stage, twin = Usd.Stage.Open(str(out)), load_twin(folder)
    root = stage.GetDefaultPrim()
    assert read_sites(root) == twin.sites
    spawns = read_spawns(root)
    assert spawns.keys() == twin.spawns.keys()
    for side, spawn in spawns.items():
        assert spawn.center == twin.spawns[side].center and spawn.half_size == twin.spawns[side].half_size
        assert spawn.yaw == pytest.approx(twin.spawns[side].yaw, abs=1e-6)
    assert read_handle(root) == twin.handle


def test_a_stage_that_moved_with_its_textures_still_finds_them(hand_made, tmp_path):
    export_twin(hand_made, tmp_path / "a" / "kitchen.usda")
    shutil.move(tmp_path / "a", tmp_path / "b")
    _, assets, missing = UsdUtils.ComputeAllDependencies(str(tmp_path / "b" / "kitchen.usda"))
    assert len(assets) == 3 and not missing
    assert "/" + "tmp" not in (tmp_path / "b" / "kitchen.usda").read_text()


def test_where_the_twin_comes_from_is_in_the_file(hand_made, out):
    export_twin(hand_made, out)
    stage = Usd.Stage.Open(str(out))
    data = stage.GetRootLayer().customLayerData["casher"]
    assert data["provenance"]["source"] == "procedural" and data["provenance"]["seed"] == 0
    assert data["consent"] == "not needed: synthetic"
    assert data["physics"]["object_mass_kg"] == pytest.approx(0.41)


def test_the_command_writes_kitchen_and_objects(hand_made, tmp_path, capsys):
    out = tmp_path / "kitchen.usdc"
    assert main(ExportArgs(hand_made, out, ("mug", "box"))) == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"kitchen.usdc", "mug.usdc", "box.usdc"}
    assert "mug.usdc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"out": "kitchen.obj"}, "ends in .usda, .usdc, .usd, got 'kitchen.obj'"),
        ({"objects": ("spoon",)}, "unknown object 'spoon'"),
        ({"collision": "boxes"}, "unknown collision 'boxes': known are sdf, hulls"),
        ({"folder": "nowhere"}, "no twin.yaml in"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(hand_made, tmp_path, capsys, fields, message):
    out = tmp_path / fields.pop("out", "kitchen.usda")
    folder = tmp_path / fields.pop("folder", hand_made)
    assert main(ExportArgs(folder, out, **fields)) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_door_without_collision_has_no_mass_and_is_refused(hand_made, tmp_path):
    twin = load_twin(hand_made)
    folder = shutil.copytree(hand_made, tmp_path / "twin")
    door = replace(twin.bodies[1], collision=None)
    save_twin(replace(twin, bodies=(twin.bodies[0], door)), folder)
    with pytest.raises(TwinError, match="'door' moves but has no collision"):
        export_twin(folder, tmp_path / "kitchen.usda")
