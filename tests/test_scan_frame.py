"""Axis, unit, worktop, basin and base of a scan."""

import functools

import numpy as np
import open3d as o3d
import pytest
import trimesh
from twins import textured_square

from benchmarks.noisy_scan import BASIN, BASIN_DEPTH, BASIN_HALF, COUNTER_Z, make_scan
from casher_perception.geometry import inverse, pose_matrix, transform
from casher_sim.mesh_file import plain_mesh
from casher_sim.scan_clean import ISLAND_M, clean, decimate, weld
from casher_sim.scan_frame import find_planes, guess_up, require_metric
from casher_sim.scan_place import place
from casher_sim.scan_read import ScanError, ScanFile
from casher_sim.texture_bake import bake
from casher_sim.twin import Y_UP_TO_BASE


@functools.cache
def kitchen():
    """A coarse synthetic scan: vertices (N, 3) float64, faces."""
    mesh = make_scan(0, voxel_m=0.02).mesh
    return mesh.vertices.astype(np.float64), mesh.faces


def file_of(vertices, faces, up_hint="y", scale_hint=1.0):
    return ScanFile([plain_mesh(vertices, faces)], up_hint, scale_hint, [])


def turned(yaw, tilt=0.0):
    return pose_matrix((0.3, -2.0, 0.4), (0, 0, np.sin(yaw / 2), np.cos(yaw / 2))) @ pose_matrix(
        (0, 0, 0), (np.sin(tilt / 2), 0, 0, np.cos(tilt / 2))
    )


@pytest.mark.parametrize("hint", [None, "y", "z"])
def test_the_up_axis_is_found_whatever_the_format_says(hint):
    vertices, faces = kitchen()
    assert guess_up(vertices, faces, hint).axis == "z"
    assert guess_up(transform(inverse(Y_UP_TO_BASE), vertices), faces, hint).axis == "y"


def test_an_unclear_up_axis_is_said_to_be():
    box = trimesh.creation.box()
    guess = guess_up(box.vertices, box.faces, None)
    assert not guess.clear


def test_floor_and_worktop_are_found_within_a_centimetre():
    planes = find_planes(*kitchen())
    assert planes.worktop_z == pytest.approx(COUNTER_Z, abs=0.01)
    assert planes.floor_z == pytest.approx(0.0, abs=0.015)
    assert planes.facing_up > 0.95
    assert planes.worktop_normal[2] > np.cos(np.radians(1.0))


def test_a_worktop_is_found_when_no_floor_was_scanned():
    vertices, faces = kitchen()
    above = faces[vertices[faces][..., 2].min(axis=1) > 0.5]
    planes = find_planes(vertices, above)
    assert planes.floor_z is None
    assert planes.worktop_z == pytest.approx(COUNTER_Z, abs=0.01)


def test_triangles_turned_round_are_noticed():
    vertices, faces = kitchen()
    assert find_planes(vertices, faces[:, ::-1]).facing_up < 0.2


def test_a_shell_without_a_worktop_is_refused():
    wall = trimesh.creation.box((0.02, 2.0, 2.0))
    with pytest.raises(ScanError, match="no worktop"):
        find_planes(wall.vertices, wall.faces)


@pytest.mark.parametrize(("factor", "proposed"), [(1000.0, "--scale 0.001"), (100.0, "--scale 0.01")])
def test_a_scan_that_is_not_metric_is_refused_with_a_proposal(factor, proposed):
    vertices, _ = kitchen()
    with pytest.raises(ScanError, match=f"not metric.*{proposed}"):
        require_metric(factor * vertices, 1.0)


def test_a_tiny_scan_is_refused():
    with pytest.raises(ScanError, match="not metric"):
        require_metric(1e-4 * kitchen()[0], 1.0)


def test_a_scale_that_somebody_gave_is_used():
    vertices, faces = kitchen()
    placed = place(file_of(1000 * vertices, faces), 1000 * vertices, faces, up="z", scale=0.001)
    assert placed.scale == 0.001
    assert placed.planes.worktop_z == pytest.approx(COUNTER_Z, abs=0.01)


def test_a_worktop_at_an_unusual_height_is_warned_about():
    vertices, faces = kitchen()
    placed = place(file_of(0.8 * vertices, faces), 0.8 * vertices, faces, up="z")
    assert any("0.7" in text and "unusual" in text for text in placed.warnings)


@pytest.mark.parametrize(("yaw", "tilt"), [(0.0, 0.0), (0.5, 0.02), (2.2, -0.03), (-2.9, 0.0)])
def test_however_a_scan_is_turned_the_robot_ends_up_before_the_basin(yaw, tilt):
    vertices, faces = kitchen()
    T_scan_kitchen = turned(yaw, tilt)
    scan = transform(T_scan_kitchen, vertices)
    placed = place(file_of(scan, faces), scan, faces, up="z")
    T_base_kitchen = placed.T_base_scan @ T_scan_kitchen
    basin = transform(T_base_kitchen, np.array([[*BASIN, COUNTER_Z - BASIN_DEPTH]]))[0]
    np.testing.assert_allclose(T_base_kitchen[:3, :3], np.eye(3), atol=0.05)
    assert basin[0] == pytest.approx(0.55, abs=0.03)
    np.testing.assert_allclose(placed.layout.sink.position, basin, atol=0.02)
    np.testing.assert_allclose(placed.layout.sink.half_size, BASIN_HALF, atol=0.03)
    assert placed.layout.sink.rim_z == pytest.approx(placed.worktop_z)


def test_a_hole_in_the_basin_s_floor_does_not_hide_the_basin():
    vertices, faces = kitchen()
    away = np.linalg.norm(vertices[faces].mean(axis=1) - (*BASIN, COUNTER_Z - BASIN_DEPTH), axis=1)
    placed = place(file_of(vertices, faces), vertices, faces[away > 0.03], up="z")
    assert placed.worktop_z - placed.layout.sink.position[2] == pytest.approx(BASIN_DEPTH, abs=0.02)


def test_objects_start_on_the_free_worktop():
    vertices, faces = kitchen()
    placed = place(file_of(vertices, faces), vertices, faces, up="z")
    assert set(placed.layout.spawns) == {"left", "right"}
    T_kitchen_base = inverse(placed.T_base_scan)
    for side, spawn in placed.layout.spawns.items():
        x, y, z = transform(T_kitchen_base, np.array([spawn.center]))[0]
        assert z == pytest.approx(COUNTER_Z, abs=0.02), side
        assert abs(y - BASIN[1]) > BASIN_HALF[1] and 0.54 < x < 1.14, side


def test_a_base_that_somebody_gave_is_used():
    vertices, faces = kitchen()
    placed = place(file_of(vertices, faces), vertices, faces, up="z", base=(0.2, 0.1, 0.8, 0.0))
    at = inverse(placed.T_base_scan)[:3, 3]
    np.testing.assert_allclose(at, (0.2, 0.1, 0.8), atol=1e-9)
    np.testing.assert_allclose(placed.layout.sink.position[:2], np.subtract(BASIN, (0.2, 0.1)), atol=0.02)


def test_a_worktop_without_a_basin_has_no_sink_and_says_so():
    floor, worktop = trimesh.creation.box((2.0, 2.0, 0.02)), trimesh.creation.box((0.6, 2.0, 0.9))
    worktop.apply_translation((0.7, 0.0, 0.45))
    both = trimesh.util.concatenate([floor, worktop])
    placed = place(file_of(both.vertices, both.faces), both.vertices, both.faces, up="z")
    assert placed.layout.sink is None
    assert any("no basin" in text for text in placed.warnings)


def test_floating_bits_are_dropped_and_holes_are_counted():
    square = trimesh.creation.box((1.0, 1.0, 1.0)).subdivide().subdivide()
    bit = trimesh.creation.box((0.5 * ISLAND_M,) * 3)
    bit.apply_translation((0.0, 0.0, 1.0))
    faces = np.delete(square.faces, [10, 150], axis=0)
    both = trimesh.util.concatenate([trimesh.Trimesh(square.vertices, faces), bit])
    _, kept, report = clean(*weld(both.vertices, both.faces), np.full(3, -9.0), np.full(3, 9.0))
    assert (report.islands, report.island_triangles, report.holes) == (1, 12, 2)
    assert len(kept) == len(faces)


def test_cropping_keeps_what_is_inside():
    vertices, faces = kitchen()
    kept, _, _ = clean(*weld(vertices, faces), np.array([0.5, -0.5, 0.5]), np.array([1.0, 0.5, 1.0]))
    assert (kept.min(axis=0) > (0.45, -0.55, 0.45)).all() and (kept.max(axis=0) < (1.05, 0.55, 1.05)).all()


def test_reduced_triangles_stay_near_the_scan():
    vertices, faces = weld(*kitchen())
    reduced, few = decimate(vertices, faces, 8000)
    assert len(few) <= 8000
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(o3d.core.Tensor(reduced.astype(np.float32)), o3d.core.Tensor(few.astype(np.uint32)))
    distance = scene.compute_distance(o3d.core.Tensor(vertices.astype(np.float32))).numpy()
    assert np.percentile(distance, 95) < 0.01


def test_a_baked_texture_shows_what_the_scan_showed():
    source = textured_square()
    vertices = np.array(
        [[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 1, 0], [1, 1, 0], [0.5, 0.5, 0]], np.float32
    )
    faces = np.array([[0, 1, 6], [1, 2, 6], [2, 5, 6], [5, 4, 6], [4, 3, 6], [3, 0, 6]], dtype=np.int32)
    baked = bake([source], vertices, faces, texel_m=0.01)
    rng = np.random.default_rng(0)
    weights = rng.dirichlet((2.0, 2.0, 2.0), size=600)
    which = rng.integers(len(faces), size=600)
    from casher_sim.mesh_file import surface_colours

    points = np.einsum("kc,kcx->kx", weights, vertices[faces[which]])
    inner = (np.abs(points[:, :2] - 0.5) > 0.03).all(axis=1)
    wanted = np.where(
        points[:, :1] < 0.5,
        np.where(points[:, 1:2] < 0.5, (0, 0, 255), (255, 0, 0)),
        np.where(points[:, 1:2] < 0.5, (255, 255, 0), (0, 255, 0)),
    )
    found = surface_colours(baked, which, weights)
    assert inner.sum() > 400
    np.testing.assert_array_equal(found[inner], wanted[inner])
