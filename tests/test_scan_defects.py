"""Clean meshes made to look like scans: how far they are from the truth, and that the truth stays."""

import numpy as np
import open3d as o3d
import pytest
import trimesh

from casher_sim import procedural_shapes as shapes
from casher_sim.kitchens_make import with_defects
from casher_sim.mesh_file import plain_mesh
from casher_sim.procedural import kitchen
from casher_sim.scan_defects import TRIANGLE_M, Defects, as_scan


def room():
    """A table 1 x 1 m with a box on it, seen from inside a wall: [TexturedMesh]."""
    table = shapes.box((0, 0, 0), (1.0, 1.0, 0.05))
    box = shapes.box((0.3, 0.3, 0.051), (0.6, 0.6, 0.3))
    shelf = shapes.box((0.7, 0.0, 0.5), (1.0, 1.0, 0.53))
    colours = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
    return [plain_mesh(v, f, c) for (v, f, _), c in zip((table, box, shelf), colours, strict=True)]


def scan(amount, seed=0):
    return as_scan(room(), amount, np.random.default_rng(seed))


def distance(points, meshes):
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for mesh in meshes:
        scene.add_triangles(o3d.core.Tensor(mesh.vertices), o3d.core.Tensor(mesh.faces.astype(np.uint32)))
    return scene.compute_distance(o3d.core.Tensor(points.astype(np.float32))).numpy()


def downward_area(mesh):
    t = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    return t.area_faces[t.face_normals[:, 2] < -0.9].sum()


def test_without_defects_the_surface_is_the_same_in_small_triangles():
    clean = scan(0.0)
    assert distance(clean.vertices, room()).max() < 5e-5
    area = sum(trimesh.Trimesh(m.vertices, m.faces).area for m in room())
    t = trimesh.Trimesh(clean.vertices, clean.faces, process=False)
    assert t.area == pytest.approx(area, rel=1e-4)
    assert t.edges_unique_length.max() <= TRIANGLE_M + 1e-5
    assert {tuple(c) for c in clean.colours.tolist()} == {(200, 40, 40), (40, 200, 40), (40, 40, 200)}


def test_the_same_generator_state_gives_the_same_scan_and_another_another():
    first, again, other = scan(0.7), scan(0.7), scan(0.7, seed=1)
    np.testing.assert_array_equal(first.vertices, again.vertices)
    np.testing.assert_array_equal(first.colours, again.colours)
    assert first.vertices.shape != other.vertices.shape or not np.array_equal(first.vertices, other.vertices)


def test_more_defects_are_further_from_the_truth_but_not_absurdly():
    errors = [np.median(distance(scan(amount).vertices, room())) for amount in (0.0, 0.3, 1.0)]
    assert errors == sorted(errors)
    assert 0.002 < errors[-1] < 0.015


def test_a_scan_lacks_undersides_and_has_holes_and_floating_bits():
    clean, bad = scan(0.0), as_scan(room(), 1.0, np.random.default_rng(0), Defects(holes=15.0))
    assert downward_area(bad) < 0.35 * downward_area(clean)
    up = np.array([[x, y, 2.0, 0, 0, -1] for x in np.linspace(0.02, 0.28, 60) for y in np.linspace(0.02, 0.98, 60)])
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(o3d.core.Tensor(bad.vertices), o3d.core.Tensor(bad.faces.astype(np.uint32)))
    depth = scene.cast_rays(o3d.core.Tensor(up.astype(np.float32)))["t_hit"].numpy()
    through = np.mean(depth > 1.98)
    assert 0.002 < through < 0.3
    assert np.quantile(distance(bad.vertices, room()), 0.999) > 0.03


def test_faces_and_colours_of_a_scan_are_sound():
    bad = scan(1.0)
    assert np.isfinite(bad.vertices).all()
    assert bad.faces.min() >= 0 and bad.faces.max() < len(bad.vertices)
    assert len(bad.colours) == len(bad.vertices) and bad.texture is None
    assert len(np.unique(bad.colours, axis=0)) > 50  # blurred into each other


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_an_amount_outside_of_0_and_1_is_refused(amount):
    with pytest.raises(ValueError, match="within 0 and 1"):
        scan(amount)


def test_the_collision_of_a_kitchen_with_defects_is_the_clean_one():
    twin, files = kitchen(3)
    changed = with_defects(twin, files, 1.0)
    assert [name for name in files if changed[name] is not files[name]] == ["kitchen.glb"]
    assert len(changed["kitchen.glb"]) == 1
