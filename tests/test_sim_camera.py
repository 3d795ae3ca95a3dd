import numpy as np
import pytest

from casher_perception.camera_model import DEPTH_UNIT_M, Intrinsics
from casher_policy.action import Action, decode
from casher_policy.task import task_named
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import OBJECTS
from casher_sim.part_renderer import DEPTH_RANGE_M
from casher_sim.world import World
from casher_sim.world_camera import WorldCamera

CAMERA = Intrinsics.from_fov(160, 120, np.deg2rad(69.0))


@pytest.fixture
def world():
    world = World(kitchen_named("demo"), task_named("put_in_sink"))
    world.reset("box", "left", 0)
    return world


def looking_down(x, y, z):
    T = np.diag([1.0, -1.0, -1.0, 1.0])
    T[:3, 3] = x, y, z
    return T


def points_of(depth, T_base_camera):
    p = CAMERA.rays() * (depth * DEPTH_UNIT_M)[..., None]
    return p @ T_base_camera[:3, :3].T + T_base_camera[:3, 3]


def seen(world, T_base_camera):
    camera = WorldCamera(world)
    ((colour, depth),) = camera.render(camera.look(), [(CAMERA, T_base_camera)])
    return colour, depth


def test_images_have_the_shape_and_type_of_a_realsense(world):
    colour, depth = seen(world, looking_down(0.5, 0.3, 0.8))
    assert colour.shape == (120, 160, 3) and colour.dtype == np.uint8
    assert depth.shape == (120, 160) and depth.dtype == np.uint16


def test_the_worktop_is_seen_where_it_is(world):
    T = looking_down(0.5, -0.6, 0.6)
    z = points_of(seen(world, T)[1], T)[60, :, 2]
    assert np.median(z) == pytest.approx(world.kitchen.counter_z + world.shift[2], abs=0.001)


def test_the_basins_floor_is_seen_below_the_worktop(world):
    T = looking_down(*world.p_base_site[:2], 0.7)
    p = points_of(seen(world, T)[1], T)
    basin = np.abs(p[..., :2] - world.p_base_site[:2]).max(axis=-1) < 0.1
    arm = p[..., 2] > world.kitchen.counter_z
    assert np.median(p[basin & ~arm][:, 2]) == pytest.approx(world.p_base_site[2], abs=0.003)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_seen_where_it_stands_and_in_its_colour(world, name):
    world.reset(name, "left", 3)
    p_object, height = world.T_base_object[:3, 3], world.object_model.height
    T = looking_down(*p_object[:2], p_object[2] + 0.5)
    colour, depth = seen(world, T)
    p = points_of(depth, T)
    above = (p[..., 2] > p_object[2] + 0.005) & (np.linalg.norm(p[..., :2] - p_object[:2], axis=-1) < 0.12)
    assert above.sum() > 100
    assert p[above][:, 2].max() == pytest.approx(p_object[2] + height, abs=0.004)
    assert np.linalg.norm(np.median(p[above][:, :2], axis=0) - p_object[:2]) < 0.03
    hue = colour[above].astype(float).mean(axis=0)
    wanted = np.array(world.object_model.colour)
    assert hue @ wanted / np.linalg.norm(hue) / np.linalg.norm(wanted) > 0.97


def test_depth_is_along_the_optical_axis_and_not_along_the_ray(world):
    _, depth = seen(world, looking_down(0.5, -0.75, 0.5))
    row = depth[60, 20:140].astype(float) * DEPTH_UNIT_M
    expected = 0.5 - world.kitchen.counter_z - world.shift[2]
    assert np.median(np.abs(row - expected)) < 0.001


def test_what_is_too_near_or_too_far_has_no_depth(world):
    colour, depth = seen(world, looking_down(0.5, -0.6, world.kitchen.counter_z + world.shift[2] + 0.15))
    assert (depth == 0).all() and colour.any()
    up = np.eye(4)
    up[:3, 3] = 0.3, 0.0, 1.5
    assert (seen(world, up)[1] == 0).all()
    _, depth = seen(world, looking_down(0.5, 0.3, 0.8))
    metres = depth[depth > 0] * DEPTH_UNIT_M
    assert metres.min() >= DEPTH_RANGE_M[0] and metres.max() <= DEPTH_RANGE_M[1]


def test_the_arm_is_seen_to_move_and_an_old_look_shows_the_old_scene(world):
    camera, T = WorldCamera(world), looking_down(0.46, 0.0, 1.0)
    views = [(CAMERA, T)]
    before = camera.look()
    ((_, depth),) = camera.render(before, views)
    for _ in range(3):
        world.move_to(decode(int(Action.PLUS_Y), world.T_base_tcp, world.width_command))
    ((_, moved),) = camera.render(camera.look(), views)
    assert (np.abs(moved.astype(int) - depth) > 20).mean() > 0.02
    ((_, again),) = camera.render(before, views)
    assert np.array_equal(again, depth)


def test_both_cameras_see_one_scene(world):
    T = looking_down(0.5, 0.3, 0.8)
    other = T.copy()
    other[0, 3] += 0.05
    camera = WorldCamera(world)
    views = camera.render(camera.look(), [(CAMERA, T), (CAMERA, other), (CAMERA, T)])
    assert np.array_equal(views[0][1], views[2][1]) and np.array_equal(views[0][0], views[2][0])
    assert not np.array_equal(views[0][1], views[1][1])
