"""Camera and fusion nodes: the fused cloud is whole, in base, stamped by its older half; silence has a name."""

import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from casher_perception.camera_node import CameraNode
from casher_perception.conversions import (
    cloud_arrays,
    cloud_message,
    image_array,
    intrinsics_from_camera_info,
    stamp_ns,
)
from casher_perception.fusion_node import FusionNode
from casher_perception.geometry import inverse, transform
from casher_perception.rig import RigError, load_rig, optical_frame, save_rig

RIG = Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"
CAMERAS = ("camera_left", "camera_right")
MS = 1_000_000
BOX = {"crop_low": [-0.8, -0.8, -0.3], "crop_high": [0.8, 0.8, 1.0]}


class World(Node):
    """Plays the two cameras and listens to fusion."""

    def __init__(self, **kwargs):
        super().__init__("world", **kwargs)
        self.cameras = load_rig(RIG).cameras
        self.outputs = {
            name: self.create_publisher(PointCloud2, f"/{name}/points", qos_profile_sensor_data) for name in CAMERAS
        }
        self.fused, self.statuses, self.transforms = [], {}, []
        self.create_subscription(PointCloud2, "/casher/points", self.fused.append, qos_profile_sensor_data)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(TFMessage, "/tf_static", lambda m: self.transforms.extend(m.transforms), latched)

    def _on_diagnostics(self, message):
        self.statuses = self.statuses | {status.name: status for status in message.status}  # all of a message at once

    def heard_by_fusion(self):
        matched = all(output.get_subscription_count() == 1 for output in self.outputs.values())
        return matched and self.count_publishers("/casher/points") == 1 and "fusion: camera_left" in self.statuses

    def show(self, camera, points_base, ns, frame_id=None):
        """Publish points given in base, as this camera would see them."""
        points = transform(inverse(self.cameras[camera].T_base_camera), np.float32(points_base))
        colours = np.full(points.shape, CAMERAS.index(camera) + 1, np.uint8)
        self.outputs[camera].publish(cloud_message(points, colours, frame_id or optical_frame(camera), ns))

    def value(self, camera, key):
        return {v.key: v.value for v in self.statuses[f"fusion: {camera}"].values}[key]


@pytest.fixture
def world(graph):
    graph.add(FusionNode, parameters={"rig": str(RIG), "silence_s": 0.6})
    world = graph.add(World)
    assert graph.wait(world.heard_by_fusion)
    return world


LEFT, RIGHT = [[0.5, 0.1, 0.1], [0.4, 0.2, 0.3]], [[0.5, -0.1, 0.1]]


def test_a_fused_cloud_holds_both_clouds_in_base_and_bears_the_older_stamp(graph, world):
    world.show("camera_left", LEFT, 1030 * MS)
    world.show("camera_right", RIGHT, 1000 * MS)
    assert graph.wait(lambda: world.fused)
    (message,) = world.fused
    assert message.header.frame_id == "base" and stamp_ns(message.header.stamp) == 1000 * MS
    points, colours = cloud_arrays(message)
    np.testing.assert_allclose(points, LEFT + RIGHT, atol=1e-6)
    np.testing.assert_array_equal(colours[:, 0], [1, 1, 2])


def test_clouds_too_far_apart_in_time_are_not_fused(graph, world):
    world.show("camera_left", LEFT, 1000 * MS)
    world.show("camera_right", RIGHT, 1051 * MS)
    assert graph.wait(
        lambda: (world.value("camera_left", "clouds"), world.value("camera_right", "clouds")) == ("1", "1")
    )
    assert world.fused == []


def test_cameras_whose_clocks_differ_are_told_apart_from_silent_ones(graph, world):
    shown, told = itertools.count(1000, 66), []

    def apart():
        ms = next(shown)
        world.show("camera_left", LEFT, ms * MS)
        world.show("camera_right", RIGHT, (ms + 3000) * MS)
        time.sleep(0.02)
        seen = world.statuses
        there = all(seen[f"fusion: {camera}"].level == DiagnosticStatus.OK for camera in CAMERAS)
        if there and seen["fusion"].level == DiagnosticStatus.ERROR:
            told.append(seen["fusion"].message)
        return told

    assert graph.wait(apart)
    assert "camera_left is" in told[0] and "behind camera_right" in told[0]
    assert world.fused == []

    def together():
        ms = 10_000 + next(shown)
        for camera in CAMERAS:
            world.show(camera, LEFT, ms * MS)
        time.sleep(0.02)
        return world.statuses["fusion"].level == DiagnosticStatus.OK and world.fused

    assert graph.wait(together)


def test_a_camera_that_goes_silent_is_named_and_no_cloud_is_published_until_it_is_back(graph, world):
    assert world.statuses["fusion: camera_left"].level == DiagnosticStatus.STALE
    assert world.statuses["fusion: camera_left"].message == "camera_left: no cloud yet"
    assert world.statuses["fusion: camera_left"].hardware_id == "simulated-left"
    for camera in CAMERAS:
        world.show(camera, LEFT, 1000 * MS)
    assert graph.wait(lambda: len(world.fused) == 1)
    shown = itertools.count(1066, 66)

    def silent(name):
        world.show("camera_right", RIGHT, next(shown) * MS)
        time.sleep(0.05)
        seen = world.statuses
        left = seen[f"fusion: {name}"]
        return (
            left.message.startswith(f"{name}: last cloud")
            and left.level == DiagnosticStatus.STALE
            and seen["fusion: camera_right"].level == DiagnosticStatus.OK
        )

    assert graph.wait(lambda: silent("camera_left"))
    assert len(world.fused) == 1

    def back():
        stamp = next(shown) * MS
        for camera in CAMERAS:
            world.show(camera, LEFT, stamp)
        time.sleep(0.05)
        return len(world.fused) >= 2 and world.statuses["fusion: camera_left"].level == DiagnosticStatus.OK

    assert graph.wait(back)


def test_a_cloud_in_another_frame_or_of_another_layout_is_refused(graph, world):
    world.show("camera_left", LEFT, 1000 * MS, frame_id="base")
    wrong = cloud_message(
        np.zeros((4, 3), np.float32), np.zeros((4, 3), np.uint8), optical_frame("camera_left"), 1000 * MS
    )
    wrong.width = 3
    world.outputs["camera_left"].publish(wrong)
    world.show("camera_right", RIGHT, 1000 * MS)
    assert graph.wait(lambda: world.value("camera_left", "refused") == "2")
    assert graph.wait(lambda: world.value("camera_right", "clouds") == "1")
    assert world.fused == [] and world.value("camera_left", "clouds") == "0"
    world.show("camera_left", LEFT, 1000 * MS)
    assert graph.wait(lambda: len(world.fused) == 1)


def test_a_clock_that_is_set_back_does_not_stop_fusion(graph, world):
    for ns in (10**18, 10**15, 10**15 + 66 * MS):
        for camera in CAMERAS:
            world.show(camera, LEFT, ns)
        assert graph.wait(lambda ns=ns: world.fused and stamp_ns(world.fused[-1].header.stamp) == ns)


def test_the_poses_of_the_cameras_are_on_tf_static_for_whoever_comes_late(graph, world):
    assert graph.wait(lambda: len(world.transforms) == 2)
    for message, name in zip(world.transforms, CAMERAS, strict=True):
        assert (message.header.frame_id, message.child_frame_id) == ("base", optical_frame(name))
        p = message.transform.translation
        np.testing.assert_allclose([p.x, p.y, p.z], world.cameras[name].T_base_camera[:3, 3])


def add_cameras(graph, names=CAMERAS):
    for name in names:
        graph.add(CameraNode, parameters={"camera": name, "source": "synthetic", "rig": str(RIG), **BOX})


def test_synthetic_cameras_and_fusion_make_one_cloud_of_the_scene(graph):
    add_cameras(graph)
    graph.add(FusionNode, parameters={"rig": str(RIG)})
    world = graph.add(World)
    assert graph.wait(lambda: len(world.fused) >= 3)
    points, _ = cloud_arrays(world.fused[-1])
    assert len(points) > 5000
    assert np.all(points > np.array(BOX["crop_low"]) - 1e-3) and np.all(points < np.array(BOX["crop_high"]) + 1e-3)
    # Seen from two sides, calibrated alike: table and block are where the scene has them.
    assert points[:, 2].min() > -0.01 and np.abs(np.median(points[:, 2])) < 0.01
    age_s = (time.time_ns() - stamp_ns(world.fused[-1].header.stamp)) * 1e-9
    assert 0 < age_s < 10
    assert graph.wait(lambda: "camera: camera_left" in world.statuses)
    assert world.statuses["camera: camera_left"].hardware_id == "simulated-left"


def test_a_camera_that_does_not_stand_where_the_rig_says_raises_an_alarm_and_nothing_is_corrected(graph, tmp_path):
    rig = load_rig(RIG)
    T = np.array(rig.cameras["camera_left"].T_base_camera)
    T[:3, 3] += [0.0, 0.0, 0.012]
    cameras = rig.cameras | {"camera_left": dataclasses.replace(rig.cameras["camera_left"], T_base_camera=T)}
    save_rig(dataclasses.replace(rig, cameras=cameras), tmp_path / "rig.yaml")
    add_cameras(graph)
    graph.add(FusionNode, parameters={"rig": str(tmp_path / "rig.yaml"), "drift_period_s": 0.05})
    world = graph.add(World)
    assert graph.wait(lambda: "drift" in world.statuses and world.statuses["drift"].level == DiagnosticStatus.ERROR)
    assert "camera_right and camera_left disagree by 1" in world.statuses["drift"].message
    assert world.fused and world.statuses["fusion"].level == DiagnosticStatus.OK
    points, _ = cloud_arrays(world.fused[-1])
    assert (np.abs(points[:, 2] - 0.012) < 0.003).sum() > 500  # the wrong table is still there


def test_images_are_published_while_somebody_listens(graph):
    add_cameras(graph, ["camera_left"])
    listener = graph.add(Node, "listener")
    got = {}
    topics = {
        "color/image_raw": Image,
        "color/camera_info": CameraInfo,
        "aligned_depth_to_color/image_raw": Image,
    }
    for topic, kind in topics.items():
        listener.create_subscription(
            kind, f"/camera_left/{topic}", lambda m, t=topic: got.setdefault(t, m), qos_profile_sensor_data
        )
    assert graph.wait(lambda: got.keys() == topics.keys())
    assert all(message.header.frame_id == optical_frame("camera_left") for message in got.values())
    assert image_array(got["color/image_raw"]).shape == (120, 160, 3)
    assert image_array(got["aligned_depth_to_color/image_raw"]).shape == (120, 160)
    assert intrinsics_from_camera_info(got["color/camera_info"]).width == 160


def test_a_camera_that_the_rig_does_not_have_is_refused_with_the_known_ones(graph):
    with pytest.raises(RigError, match="camera_left, camera_right"):
        add_cameras(graph, ["camera_back"])
