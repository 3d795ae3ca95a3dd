"""Images of moving parts: the same as any other ray caster's, wherever the parts are and whatever is kept."""

import numpy as np
import open3d as o3d
import pytest

from casher_franka.arm import HOME_JOINTS
from casher_perception.camera_model import DEPTH_UNIT_M, Intrinsics
from casher_perception.geometry import pose_matrix, transform
from casher_policy.task import task_named
from casher_sim.kitchen import kitchen_named
from casher_sim.light import Light
from casher_sim.mesh_file import plain_mesh
from casher_sim.objects import OBJECTS
from casher_sim.part_renderer import BACKGROUND, PartRenderer
from casher_sim.robot_frames import robot_frames
from casher_sim.twin import Joint
from casher_sim.visible_parts import (
    VisiblePart,
    model_poses,
    object_parts,
    object_pose,
    robot_parts,
    scene_parts,
    twin_poses,
)
from casher_sim.world import World
from casher_sim.world_camera import WorldCamera
from tests.twins import small_twin, textured_square

CAMERA = Intrinsics.from_fov(160, 120, np.deg2rad(69.0))
FLAT = Light(ambient=1.0)


def looking_down(x, y, z):
    T = np.diag([1.0, -1.0, -1.0, 1.0])
    T[:3, 3] = x, y, z
    return T


def side_view():
    return pose_matrix((-0.01, 0.5, 0.69), (-0.40895848, 0.83786616, -0.32916171, 0.14961896))


def square(colour, z=0.0, size=1.0):
    corners = np.array([[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]]) * [size, size, 1]
    return plain_mesh(corners, [[0, 1, 2], [0, 2, 3]], colour)


def scene(q=HOME_JOINTS, p_object=(0.5, 0.2, 0.05)):
    T = np.eye(4)
    T[:3, 3] = p_object
    floor = plain_mesh([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], [[0, 1, 2], [0, 2, 3]], (90, 120, 60))
    parts = [VisiblePart("kitchen/floor", floor), *robot_parts(0.012), *object_parts(OBJECTS["mug"])]
    poses = {"kitchen/floor": np.eye(4), **robot_frames().named(q, (0.04, 0.04)), **object_pose(T)}
    return parts, poses


def open3d_depth(parts, poses, T_base_camera):
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for part in parts:
        vertices = transform(poses[part.frame], part.mesh.vertices)
        scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(part.mesh.faces.astype(np.uint32)))
    directions = CAMERA.rays() @ T_base_camera[:3, :3].T
    rays = np.concatenate([np.broadcast_to(T_base_camera[:3, 3], directions.shape), directions], axis=-1)
    return scene.cast_rays(o3d.core.Tensor(rays.astype(np.float32)), nthreads=1)["t_hit"].numpy()


@pytest.mark.parametrize("view", [side_view(), looking_down(0.4, 0.1, 0.9)])
def test_depth_is_that_of_another_ray_caster(view):
    parts, poses = scene()
    ((_, depth),) = PartRenderer(parts).render(poses, [(CAMERA, view)])
    other = open3d_depth(parts, poses, view)
    other = np.where((other >= 0.2) & (other <= 3.0), other, 0.0)
    off = np.abs(depth * DEPTH_UNIT_M - other)
    # A pixel on an outline may go either way by rounding.
    assert (off > 0.0006).mean() < 0.002
    assert (depth > 0).mean() > 0.5


def test_a_surface_behind_and_before_the_camera_is_seen_where_it_is_before_it():
    floor = plain_mesh([[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]], [[0, 1, 2], [0, 2, 3]], (255, 255, 255))
    level = np.eye(4)
    level[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    level[:3, 3] = 0.0, 0.0, 0.5
    ((_, depth),) = PartRenderer([VisiblePart("a", floor)]).render({"a": np.eye(4)}, [(CAMERA, level)])
    expected = 0.5 * CAMERA.fy / (np.arange(120) - CAMERA.cy)
    rows = (expected > 0.5) & (expected < 3.0)
    assert np.abs(depth[rows] * DEPTH_UNIT_M - expected[rows, None]).max() < 0.001
    assert not depth[:60].any()


def test_there_is_no_gap_between_triangles():
    rng = np.random.default_rng(0)
    n = 12
    grid = np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n)), axis=-1)
    grid[1:-1, 1:-1] += rng.uniform(-0.03, 0.03, (n - 2, n - 2, 2))
    points = np.concatenate([grid, rng.uniform(0, 0.05, (n, n, 1))], axis=-1).reshape(-1, 3)
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate([np.stack([i, i + 1, i + n + 1], 1), np.stack([i, i + n + 1, i + n], 1)])
    mesh = plain_mesh(points, faces, (255, 0, 0))
    camera = Intrinsics.from_fov(320, 240, np.deg2rad(69.0))
    ((_, depth),) = PartRenderer([VisiblePart("a", mesh)]).render(
        {"a": np.eye(4)}, [(camera, looking_down(0.5, 0.5, 0.6))]
    )
    assert (depth > 0).all()


def test_the_nearest_part_hides_the_others_whatever_their_order():
    near, far = VisiblePart("near", square((255, 0, 0), 0.2)), VisiblePart("far", square((0, 0, 255)))
    poses = {"near": np.eye(4), "far": np.eye(4)}
    for parts, still in (([near, far], ()), ([far, near], ()), ([near, far], ("far",)), ([near, far], ("near",))):
        view = (CAMERA, looking_down(0.5, 0.5, 0.8))
        ((colour, depth),) = PartRenderer(parts, still).render(poses, [view], FLAT)
        assert (colour == (255, 0, 0)).all() and (depth == 600).all()


def test_what_is_kept_of_still_parts_changes_no_image_even_after_they_move():
    parts, poses = scene()
    kept, fresh = PartRenderer(parts, still=["kitchen/floor"]), PartRenderer(parts)
    lifted = poses | {"kitchen/floor": looking_down(0, 0, 0.03) @ looking_down(0, 0, 0)}
    moved = scene(np.array(HOME_JOINTS) + 0.1)[1]
    for state in (poses, moved, lifted, poses):
        for view in (side_view(), looking_down(0.4, 0.1, 0.9)):
            ((colour, depth),) = kept.render(state, [(CAMERA, view)])
            ((other_colour, other_depth),) = fresh.render(state, [(CAMERA, view)])
            assert np.array_equal(colour, other_colour) and np.array_equal(depth, other_depth)


def test_a_texture_lies_on_its_surface_as_its_coordinates_say():
    view = (CAMERA, looking_down(0.5, 0.5, 0.5))
    ((colour, _),) = PartRenderer([VisiblePart("a", textured_square())]).render({"a": np.eye(4)}, [view], FLAT)
    # x is to the right in this view and y is up, as in the texture
    assert (colour[20, 20] == (255, 0, 0)).all() and (colour[20, 140] == (0, 255, 0)).all()
    assert (colour[100, 20] == (0, 0, 255)).all() and (colour[100, 140] == (255, 255, 0)).all()


def test_light_gain_and_recolouring_change_colours_as_they_say_and_no_depth():
    renderer, poses = PartRenderer([VisiblePart("a", square((100, 80, 60)))]), {"a": np.eye(4)}
    view = [(CAMERA, looking_down(0.5, 0.5, 0.5))]
    ((plain, depth),) = renderer.render(poses, view, FLAT)
    assert (plain == (100, 80, 60)).all()
    ((brighter, same),) = renderer.render(poses, view, Light(ambient=1.0, gain=1.5))
    assert (brighter == (150, 120, 90)).all() and np.array_equal(depth, same)
    ((slanted, _),) = renderer.render(poses, view, Light(direction=(0.6, 0.0, 0.8), ambient=0.5))
    assert (slanted == (90, 72, 54)).all()
    ((swapped, _),) = renderer.render(poses, view, FLAT, {"a": np.eye(3)[[2, 1, 0]]})
    assert (swapped == (60, 80, 100)).all()


def test_where_nothing_is_there_is_no_depth_and_the_background():
    away = np.eye(4)
    away[2, 3] = 1.0
    ((colour, depth),) = PartRenderer([VisiblePart("a", square((0, 0, 0)))]).render({"a": np.eye(4)}, [(CAMERA, away)])
    assert not depth.any() and (colour == np.array(BACKGROUND)).all()


def test_a_door_turns_about_its_hinge_and_a_drawer_slides():
    twin = small_twin()
    hinge = twin.bodies[1].joint
    T = twin_poses(twin, {"door": 0.7}, (0.1, 0.0, -0.05))
    for frame, moves in (("kitchen/kitchen", False), ("kitchen/door", True)):
        at_hinge = T[frame] @ [*hinge.origin, 1.0]
        assert np.allclose(at_hinge[:3], np.add(hinge.origin, (0.1, 0.0, -0.05)))
        assert np.isclose(np.arctan2(T[frame][1, 0], T[frame][0, 0]), 0.7 if moves else 0.0)
    drawer = twin.bodies[1].__class__("drawer", None, joint=Joint("slide", (-1, 0, 0), (0, 0, 0), (0, 0.3), 0.1, 0.1))
    slid = twin_poses(small_twin(bodies=(twin.bodies[0], drawer), handle=None), {"drawer": 0.2})
    assert np.allclose(slid["kitchen/drawer"][:3, 3], (-0.2, 0, 0))


def test_what_cannot_be_drawn_is_refused_by_name():
    parts, poses = scene()
    with pytest.raises(ValueError, match="no pose of the frames object"):
        PartRenderer(parts).render({k: v for k, v in poses.items() if k != "object"}, [(CAMERA, side_view())])
    with pytest.raises(ValueError, match="fridge"):
        PartRenderer(parts, still=["fridge"])
    with pytest.raises(ValueError, match="fridge"):
        PartRenderer(parts).render(poses, [(CAMERA, side_view())], recolour={"fridge": np.eye(3)})
    with pytest.raises(ValueError, match="door"):
        twin_poses(small_twin(), {"lid": 0.1})


def test_the_demo_kitchen_is_drawn_where_its_model_is():
    world = World(kitchen_named("demo"), task_named("put_in_sink"))
    world.reset("bowl", "left", 1)
    camera, view = WorldCamera(world), side_view()
    ((_, depth),) = camera.render(camera.look(), [(CAMERA, view)])
    other = open3d_depth(scene_parts(world.scene.model), model_poses(world.scene.model, world.data), view)
    other = np.where((other >= 0.2) & (other <= 3.0), other, 0.0)
    assert (np.abs(depth * DEPTH_UNIT_M - other) > 0.001).mean() < 0.01
