"""Two recorded D435i in camera nodes: one fused cloud of the scene, images on demand, and an end that says why."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from casher_bringup.arguments import kitchen_folders
from casher_perception.camera_node import CameraNode
from casher_perception.clouds import deproject
from casher_perception.conversions import cloud_arrays, image_array, intrinsics_from_camera_info, stamp_ns
from casher_perception.fusion_node import FusionNode
from casher_perception.rig import find_rig, load_rig, save_rig
from casher_perception.sources import SyntheticSource
from tests.hardware.recorded_camera import record, scene_shots

W, H, RATE_HZ, SHOTS = 160, 120, 30.0, 30
CROP = (-0.8, -0.8, -0.3), (0.8, 0.8, 1.0)


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    """(path of a rig file, camera -> recording)."""
    folder = tmp_path_factory.mktemp("kitchen")
    rig = load_rig(find_rig("demo", kitchen_folders()))
    cameras = {
        name: replace(mount, serial=f"SW-{name}", width=W, height=H, rate_hz=RATE_HZ)
        for name, mount in rig.cameras.items()
    }
    save_rig(replace(rig, cameras=cameras), folder / "rig.yaml")
    t0_ms = time.time() * 1e3
    shots = {name: scene_shots(mount.T_base_camera, W, H, SHOTS, RATE_HZ, t0_ms) for name, mount in cameras.items()}
    recordings = {name: str(folder / f"{name}.db3") for name in cameras}
    record({recordings[name]: (cameras[name].serial, shots[name]) for name in cameras}, RATE_HZ)
    return folder / "rig.yaml", recordings


def parameters(kitchen, camera, **more):
    crop = {"crop_low": list(CROP[0]), "crop_high": list(CROP[1])}
    return {"rig": str(kitchen[0]), "camera": camera, "source": "realsense", **crop, **more}


class Listener(Node):
    """Keeps the last message of each topic."""

    def __init__(self, **kwargs):
        super().__init__("listener", **kwargs)
        self.last, self.well = {}, {}
        topics = {
            "/casher/points": PointCloud2,
            "/camera_left/color/image_raw": Image,
            "/camera_left/color/camera_info": CameraInfo,
            "/camera_left/aligned_depth_to_color/image_raw": Image,
        }
        for topic, kind in topics.items():
            self.create_subscription(
                kind, topic, lambda message, topic=topic: self.last.update({topic: message}), qos_profile_sensor_data
            )
        self.wanted = set(topics)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, message):
        self.well |= {status.name: status for status in message.status if status.level == DiagnosticStatus.OK}


def test_two_recorded_cameras_make_one_cloud_of_the_scene_and_images_that_fit_on_one_another(graph, kitchen):
    rig_path, recordings = kitchen
    graph.add(FusionNode, parameters={"rig": str(rig_path)})
    listener = graph.add(Listener)
    for camera, path in recordings.items():
        graph.add(CameraNode, parameters=parameters(kitchen, camera, playback=path))
    names = {f"camera: {camera}" for camera in recordings}
    assert graph.wait(lambda: listener.wanted <= set(listener.last) and names <= set(listener.well), 120.0)

    fused = listener.last["/casher/points"]
    points, _ = cloud_arrays(fused)
    mounts = load_rig(rig_path).cameras
    scene = SyntheticSource(mounts["camera_left"])
    on_table = np.abs(points[:, 2]) < 0.002
    low, high = scene.BLOCK_M
    in_block = np.all((points > low + 0.005) & (points < high - 0.005), axis=1)
    assert fused.header.frame_id == "base" and len(points) > 5000
    assert on_table.mean() > 0.5 and not in_block.any()
    assert stamp_ns(fused.header.stamp) <= time.time_ns()

    colour, info, depth = (
        listener.last[f"/camera_left/{topic}"]
        for topic in ("color/image_raw", "color/camera_info", "aligned_depth_to_color/image_raw")
    )
    intrinsics = intrinsics_from_camera_info(info)
    T_base_camera = mounts["camera_left"].T_base_camera
    aligned, colours = deproject(image_array(depth), image_array(colour), intrinsics, T_base_camera, *CROP)
    # The images may be of different shots, but the block stands still; the registered depth is as coarse as its pixels.
    blue = aligned[(colours == (60, 90, 200)).all(axis=1)]
    assert len(blue) > 300
    assert (np.linalg.norm(blue - np.clip(blue, low, high), axis=1) < 0.01).mean() > 0.9

    status = listener.well["camera: camera_left"]
    values = {item.key: item.value for item in status.values}
    assert status.hardware_id == "SW-camera_left" and "last frame" in status.message
    assert values["playback"] == recordings["camera_left"] and {"restarts", "resets", "usb", "firmware"} <= set(values)


def node_process(values):
    """The camera node in a process of its own."""
    arguments = [f"{name}:={list(value) if isinstance(value, tuple) else value}" for name, value in values.items()]
    command = [sys.executable, "-m", "casher_perception.camera_node", "--ros-args"]
    for argument in arguments:
        command += ["-p", argument]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_camera_that_is_not_there_ends_its_node_with_what_to_do(kitchen):
    process = node_process(parameters(kitchen, "camera_left"))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no camera with the serial SW-camera_left is connected; connected are none" in said
    assert "Traceback" not in said


def test_recordings_that_were_swapped_end_the_node_with_both_serials(kitchen):
    process = node_process(parameters(kitchen, "camera_left", playback=kitchen[1]["camera_right"]))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "is a recording of camera SW-camera_right, the rig's is SW-camera_left" in said


def test_a_node_that_is_interrupted_lets_go_of_its_camera_and_ends(graph, kitchen):
    listener = graph.add(Listener)
    process = node_process(parameters(kitchen, "camera_left", playback=kitchen[1]["camera_left"]))
    assert graph.wait(lambda: "/camera_left/color/image_raw" in listener.last, 120.0)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in said
