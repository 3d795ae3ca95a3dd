"""Fully observed clouds: their points lie on the surfaces, wherever these have moved, and where cameras see them."""

import numpy as np
import open3d as o3d
import pytest
from scipy.spatial import cKDTree

from casher_franka.arm import HOME_JOINTS
from casher_perception.camera_model import Intrinsics
from casher_perception.clouds import deproject
from casher_perception.geometry import pose_matrix, transform
from casher_policy.task import task_named
from casher_sim.depth_noise import DepthNoise, noisy_depth
from casher_sim.light import Light
from casher_sim.mesh_cloud import CloudPool
from casher_sim.mesh_file import plain_mesh
from casher_sim.objects import OBJECTS
from casher_sim.part_renderer import PartRenderer
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.robot_frames import robot_frames
from casher_sim.surface_points import sample_surface, seen_from_outside
from casher_sim.twin_geometry import BOX_CORNERS, BOX_FACES
from casher_sim.visible_parts import VisiblePart, object_parts, object_pose, robot_parts, twin_parts, twin_poses
from tests.twins import textured_square

DOOR = 5
"""Seed of a kitchen with a door."""
CROP = task_named("put_in_sink").crop
STILL = ["kitchen/kitchen"]
CAMERA = Intrinsics.from_fov(160, 120, np.deg2rad(69.0))
VIEWS = [
    (CAMERA, pose_matrix((-0.01, 0.5, 0.69), (-0.40895848, 0.83786616, -0.32916171, 0.14961896))),
    (CAMERA, pose_matrix((-0.01, -0.5, 0.69), (-0.83786616, 0.40895848, -0.14961896, 0.32916171))),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """-> twin, parts, function of (joints of the arm, angle of the door, shift) that returns the poses."""
    folder = tmp_path_factory.mktemp("kitchen")
    twin, files = kitchen(DOOR)
    save_kitchen(folder, twin, files)
    parts = [*twin_parts(twin, folder), *robot_parts(0.012), *object_parts(OBJECTS["mug"])]
    T = np.eye(4)
    T[:3, 3] = next(iter(twin.spawns.values())).center

    def poses(q=HOME_JOINTS, door=0.0, shift=(0.0, 0.0, 0.0)):
        return {
            **twin_poses(twin, {"door": door}, shift),
            **robot_frames().named(q, (0.04, 0.04)),
            **object_pose(T),
        }

    return parts, poses


@pytest.fixture(scope="module")
def pool(scene):
    parts, poses = scene
    return CloudPool(parts, poses(), CROP, 100_000, np.random.default_rng(0), STILL)


def distance_to(parts, poses, points):
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for part in parts:
        vertices = transform(poses[part.frame], part.mesh.vertices)
        scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(part.mesh.faces.astype(np.uint32)))
    return scene.compute_distance(o3d.core.Tensor(np.ascontiguousarray(points)), nthreads=1).numpy()


@pytest.mark.parametrize("state", [{}, {"q": np.array(HOME_JOINTS) + 0.3, "door": 1.0, "shift": (0.05, -0.08, 0.03)}])
def test_every_point_lies_on_a_surface_where_that_has_moved_to_and_inside_the_crop(scene, pool, state):
    parts, poses = scene
    points, colours = pool.cloud(poses(**state), 4096, np.random.default_rng(1))
    assert points.shape == (4096, 3) and points.dtype == np.float32
    assert colours.shape == (4096, 3) and colours.dtype == np.uint8
    assert distance_to(parts, poses(**state), points).max() < 1e-4
    assert ((points >= np.float32(CROP[0])) & (points <= np.float32(CROP[1]))).all()


def test_what_a_camera_sees_lies_within_its_noise_of_what_the_meshes_say(scene, pool):
    parts, poses = scene
    config = DepthNoise(edge_flying=0.0)
    images = PartRenderer(parts, STILL).render(poses(), VIEWS)
    rng, off, depths = np.random.default_rng(0), [], []
    for (camera, T), (colour, depth) in zip(VIEWS, images, strict=True):
        points, _ = deproject(noisy_depth(depth, camera, rng, config), colour, camera, T, *CROP)
        off.append(distance_to(parts, poses(), points))
        depths.append(np.linalg.norm(points - T[:3, 3], axis=1))
    off, depths = np.concatenate(off), np.concatenate(depths)
    assert len(off) > 10_000
    # 5 standard deviations, along a ray that is longer than the depth by up to a quarter, and a millimetre of rounding
    assert (off < 5 * 1.3 * config.depth_std_m(depths) + 0.001).all()
    clean = [deproject(d, c, i, T, *CROP)[0] for (i, T), (c, d) in zip(VIEWS, images, strict=True)]
    assert distance_to(parts, poses(), np.concatenate(clean)).max() < 0.001


def test_the_mesh_cloud_also_shows_what_no_camera_sees(scene, pool):
    parts, poses = scene
    images = PartRenderer(parts, STILL).render(poses(), VIEWS)
    seen = np.concatenate([deproject(d, c, i, T, *CROP)[0] for (i, T), (c, d) in zip(VIEWS, images, strict=True)])
    points, _ = pool.cloud(poses(), 4096, np.random.default_rng(0))
    assert (cKDTree(seen).query(points)[0] > 0.03).mean() > 0.2
    # and what they see, wherever they look: 30 000 points are 1 cm apart
    every, _ = pool.cloud(poses(), 30_000, np.random.default_rng(0))
    assert np.percentile(cKDTree(every).query(seen)[0], 99) < 0.03


def test_a_camera_and_the_meshes_agree_about_colours(scene, pool):
    parts, poses = scene
    light = Light(ambient=1.0)
    images = PartRenderer(parts, STILL).render(poses(), VIEWS, light)
    every, colours = pool.cloud(poses(), 30_000, np.random.default_rng(0), light)
    (camera, T), (colour, depth) = VIEWS[0], images[0]
    seen, seen_colours = deproject(depth, colour, camera, T, *CROP)
    near, index = cKDTree(every).query(seen)
    difference = np.abs(colours[index].astype(float) - seen_colours).mean(axis=1)[near < 0.01]
    assert np.median(difference) < 20


def test_one_generator_gives_one_cloud_and_the_next_draw_another(scene, pool):
    poses = scene[1]()
    a, b, rng = (np.random.default_rng(5) for _ in range(3))
    one, two, three = pool.cloud(poses, 500, a)[0], pool.cloud(poses, 500, b)[0], pool.cloud(poses, 500, rng)[0]
    four = pool.cloud(poses, 500, rng)[0]
    assert np.array_equal(one, two) and np.array_equal(one, three) and not np.array_equal(three, four)


def test_no_point_is_drawn_twice_for_one_cloud(scene, pool):
    points, _ = pool.cloud(scene[1](), 20_000, np.random.default_rng(2))
    assert len(np.unique(points, axis=0)) > 19_990


def test_points_are_spread_evenly_over_the_area():
    large, small = plain_mesh(2 * BOX_CORNERS, BOX_FACES), plain_mesh(BOX_CORNERS, BOX_FACES)
    points, normals, _, owner = sample_surface([large, small], 50_000, np.random.default_rng(0))
    assert (owner == 0).mean() == pytest.approx(0.8, abs=0.01)
    top = (owner == 0) & (normals[:, 2] > 0.99)
    assert top.mean() == pytest.approx(0.8 / 6, abs=0.01)
    assert np.abs(points[top][:, :2].mean(axis=0)).max() < 0.05
    assert points[top][:, 0].std() == pytest.approx(2 / np.sqrt(3), rel=0.02)


def test_points_of_a_texture_have_its_colours():
    points, _, colours, _ = sample_surface([textured_square()], 2000, np.random.default_rng(0))
    left, upper = points[:, 0] < 0.5, points[:, 1] > 0.5
    assert (colours[left & upper] == (255, 0, 0)).all() and (colours[~left & ~upper] == (255, 255, 0)).all()


def test_what_lies_inside_of_something_closed_is_not_seen_from_outside():
    vertices = np.concatenate([BOX_CORNERS, 0.5 * BOX_CORNERS])
    seen = seen_from_outside(vertices, np.concatenate([BOX_FACES, BOX_FACES + 8]))
    assert seen[:12].all() and not seen[12:].any()
    torn = np.concatenate([BOX_FACES[1:], BOX_FACES + 8])
    assert seen_from_outside(vertices, torn)[11:].any()
    assert not seen_from_outside(vertices, torn, least=25)[11:].any()
    assert seen_from_outside(vertices, torn, least=25)[:11].all()


def test_a_crop_with_nothing_in_it_and_a_pool_that_is_too_small_are_refused(scene, pool):
    parts, poses = scene
    rng = np.random.default_rng(0)
    only_kitchen = [part for part in parts if part.frame in STILL]
    with pytest.raises(ValueError, match="crop"):
        CloudPool(only_kitchen, poses(), ((5.0, 5.0, 5.0), (6.0, 6.0, 6.0)), 100, rng, STILL)
    with pytest.raises(ValueError, match="larger pool"):
        pool.cloud(poses(), 100_000, rng)
    with pytest.raises(ValueError, match="no area"):
        sample_surface([plain_mesh(np.zeros((3, 3)), [[0, 1, 2]])], 10, rng)
    point = VisiblePart("a", textured_square())
    with pytest.raises(ValueError, match="no pose of the frames a"):
        CloudPool([point], {}, CROP, 10, rng)
