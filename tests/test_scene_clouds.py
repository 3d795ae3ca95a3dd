"""What a student learns from is what it will be shown."""

from pathlib import Path

import numpy as np
import pytest

from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, Intrinsics
from casher_perception.clouds import CameraCloud, merge
from casher_perception.conversions import cloud_arrays, cloud_message
from casher_perception.geometry import position_quat
from casher_perception.rig import load_rig
from casher_policy.action import Action, decode
from casher_policy.preprocess import Preprocessing, preprocess
from casher_policy.task import task_named
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.world import World
from casher_sim.world_camera import WorldCamera
from casher_training.demos_session import SceneState
from casher_training.scene_clouds import CAMERA_VOXEL_M, SceneClouds, tool_poses
from casher_training.scenes import DEMO, Scene, place

SINK = task_named("put_in_sink")
ALL = Preprocessing(*SINK.crop, points=60_000, sampling="random")
"""More points than there are voxels: every one of them comes."""
FEW = Preprocessing(*SINK.crop, points=256, near_points=64)
RIG = load_rig(Path(__file__).parents[1] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kitchen")
    save_kitchen(folder, *kitchen(5))
    return str(folder)


@pytest.fixture(scope="module")
def clouds():
    return SceneClouds(Scene(DEMO, "mug"), SINK.name, FEW)


@pytest.fixture(scope="module")
def state():
    return state_of(world_of(DEMO))


def world_of(twin):
    """A World after a few motions."""
    world = World(place(twin), SINK)
    world.reset("mug", "", 7)
    for action in (Action.MINUS_Z, Action.PLUS_Y, Action.CLOSE, Action.PLUS_RZ):
        world.move_to(decode(int(action), world.T_base_tcp, world.width_command))
    return world


def state_of(world):
    p, quat = position_quat(world.T_base_object)
    return SceneState(world.joints, world.fingers, np.concatenate([p, quat]), 0.0, world.shift)


def published(world):
    """What /casher/points carries: each camera's image, cloud and message, and their fusion."""
    views = [
        (Intrinsics.from_fov(mount.width, mount.height, D435I_COLOUR_HFOV_RAD), mount.T_base_camera)
        for mount in RIG.cameras.values()
    ]
    camera = WorldCamera(world)
    images = camera.render(camera.look(), views)
    clouds = [CameraCloud(*view, *SINK.crop, CAMERA_VOXEL_M)(depth, colour)
              for view, (colour, depth) in zip(views, images, strict=True)]  # fmt: skip
    received = [cloud_arrays(cloud_message(*cloud, "camera", 0)) for cloud in clouds]
    return cloud_arrays(cloud_message(*merge(received, [T for _, T in views]), "base", 0))


def rows(cloud):
    points, colours = cloud
    return {tuple(row) for row in np.concatenate([np.rint(points * 1e5), colours], axis=1).astype(int).tolist()}


@pytest.mark.parametrize("kind", ["of primitives", "a twin"])
def test_an_unrandomised_camera_cloud_is_the_one_the_simulator_publishes(kind, twin):
    folder = DEMO if kind == "of primitives" else twin
    world = world_of(folder)
    node = rows(preprocess(*published(world), ALL, 0))
    clouds = SceneClouds(Scene(folder, "mug"), SINK.name, ALL)
    ours = rows(clouds.cloud(clouds.plain("cameras"), state_of(world), 0))
    assert len(node) > 5000
    # A pixel on an edge may fall to its other side by the rounding of a pose.
    assert len(node ^ ours) <= 0.002 * len(node)


def test_the_tool_is_where_the_simulator_says():
    world = world_of(DEMO)
    assert tool_poses(world.joints, world.fingers) == pytest.approx(world.T_base_tcp, abs=1e-9)


@pytest.mark.parametrize("view", ["cameras", "meshes"])
def test_a_cloud_depends_on_its_seeds_alone(clouds, state, view):
    first = clouds.cloud(clouds.draw(1, view), state, 3)
    clouds.cloud(clouds.draw(2, view), state, 4)
    again = clouds.cloud(clouds.draw(1, view), state, 3)
    other = clouds.cloud(clouds.draw(2, view), state, 3)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("view", ["cameras", "meshes"])
def test_a_cloud_has_the_wanted_points_in_the_crop_and_its_last_about_the_tool(clouds, state, view):
    points, colours = clouds.cloud(clouds.draw(1, view), state, 3)
    assert points.shape == (320, 3) and points.dtype == np.float32
    assert colours.shape == (320, 3) and colours.dtype == np.uint8
    assert (points >= FEW.crop_low).all() and (points <= FEW.crop_high).all()
    p_base_tcp = tool_poses(state.joints, state.fingers)[:3, 3]
    assert (np.abs(points[256:] - p_base_tcp) <= FEW.near_m + 1e-6).all()


def test_three_of_four_episodes_are_seen_with_the_depth_cameras_noise_and_all_with_moved_cameras(clouds):
    choices = [clouds.draw(seed, "cameras") for seed in range(200)]
    assert 130 <= sum(choice.noise is not None for choice in choices) <= 170
    assert all(not np.allclose(choice.draw.T_camera_moved, np.eye(4)) for choice in choices)


def test_an_unknown_view_is_refused(clouds):
    with pytest.raises(ValueError, match="unknown view 'radar': known are cameras, meshes"):
        clouds.draw(0, "radar")
