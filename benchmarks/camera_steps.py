"""CPU time from two RealSense frame sets to one fused cloud: our kernels against rs.align + Open3D, step for step.

The arithmetic of `cameras_live` without playback, processes and transport, on recorded 640 x 480 frames: deproject,
colour, to base, crop, voxels of 5 mm, merge. CPU time, not wall time: a busy machine changes it little.
"""

import functools
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.harness import ROOT, finish
from casher_perception.clouds import CameraCloud, merge
from casher_perception.geometry import inverse
from casher_perception.rig import load_rig, save_rig
from casher_policy.task import task_named

W, H, RATE_HZ, VOXEL_M = 640, 480, 30.0, 0.005
SHOTS = 60
"""Different pictures of each camera; they are played in turn."""
CROP = task_named("put_in_sink").crop
REPEATS = {"ours": 60, "open3d": 20}
TARGET = 4.0


def main():
    """Record half a second of two cameras, take one frame set of each, and count."""
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="casher-steps-") as scratch:
        folder = Path(scratch)
        write_cameras(folder, seconds=0.5)
        cameras = open_cameras(folder)
        frames = [camera.played.frames()[0] for camera in cameras]
        chains = {
            "ours": lambda: our_cloud(cameras, frames)[0],
            "open3d": lambda: np.asarray(open3d_cloud(cameras, frames).points),
        }
        results = {name: cpu_ms(chain, REPEATS[name]) for name, chain in chains.items()}
    ratio = results["open3d"]["median_ms"] / results["ours"]["median_ms"]
    detail = {**results, "load_average": [*loads, os.getloadavg()[0]]}
    sys.stdout.write(json.dumps(detail, indent=1) + "\n")
    unit = "times less CPU than rs.align + Open3D"
    code = finish("camera_steps", ratio, unit, f">= {TARGET:g}", ratio >= TARGET, detail)
    os._exit(code)  # librealsense's threads would be waited for


def write_cameras(folder, seconds):
    """The demo kitchen's rig with two D435i, and a recording of each with the noise of a real one."""
    from tests.hardware.recorded_camera import record, scene_shots

    rig = load_rig(ROOT / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")
    cameras = {
        name: replace(mount, serial=f"SW-{name}", width=W, height=H, rate_hz=RATE_HZ)
        for name, mount in rig.cameras.items()
    }
    save_rig(replace(rig, cameras=cameras), folder / "rig.yaml")
    count = round(seconds * RATE_HZ)
    rng, t0_ms, shots = np.random.default_rng(0), time.time() * 1e3, {}
    for name, mount in cameras.items():
        pictures = [
            noisy(shot, rng) for shot in scene_shots(mount.T_base_camera, W, H, min(SHOTS, count), RATE_HZ, t0_ms)
        ]
        shots[name] = [
            replace(pictures[i % len(pictures)], stamp_ms=t0_ms + i * 1e3 / RATE_HZ, number=i + 1) for i in range(count)
        ]
    record({str(folder / f"{name}.db3"): (cameras[name].serial, shots[name]) for name in cameras}, RATE_HZ)


def noisy(shot, rng):
    """Depth noise that grows with the square of the distance, holes, and noise on the colours."""
    metres = shot.depth * 0.001
    depth = np.rint(shot.depth + 2.0 * metres**2 * rng.standard_normal(shot.depth.shape))
    depth[(rng.random(shot.depth.shape) < 0.04) | (shot.depth == 0)] = 0
    colour = np.clip(shot.colour + rng.integers(-4, 5, shot.colour.shape), 0, 255)
    return replace(shot, depth=depth.clip(0, 65535).astype(np.uint16), colour=colour.astype(np.uint8))


class Played:
    """A camera's recording in librealsense's pipeline, again and again."""

    def __init__(self, folder, camera):
        import pyrealsense2 as rs

        self._rs, self._context = rs, rs.context()
        self._device = self._context.load_device(str(folder / f"{camera}.db3"))
        self._start()

    def frames(self):
        """The next frames of both sensors, and when they were taken [ns]."""
        while True:
            arrived, frames = self._pipeline.try_wait_for_frames(500)
            if arrived:
                return frames, self._clock(min(frame.get_timestamp() for frame in frames), time.time_ns())
            if self._device.current_status() == self._rs.playback_status.stopped:
                self._pipeline.stop()
                self._start()

    def _start(self):
        from casher_perception.realsense_stamps import PlaybackClock

        config, self._pipeline = self._rs.config(), self._rs.pipeline(self._context)
        config.enable_device(self._device.get_info(self._rs.camera_info.serial_number))
        self._pipeline.start(config)
        self._clock = PlaybackClock()


@dataclass
class Camera:
    """A played camera and where it stands."""

    played: Played
    T_base_camera: np.ndarray
    cloud: CameraCloud


def open_cameras(folder):
    """Both cameras of the rig in `folder`, playing."""
    import pyrealsense2 as rs

    from casher_perception.realsense_device import start

    cameras = []
    for name, mount in load_rig(folder / "rig.yaml").cameras.items():
        context = rs.context()
        kept = context.load_device(str(folder / f"{name}.db3"))
        about = start(context, mount)
        about.pipeline.stop()
        make = CameraCloud(about.intrinsics, mount.T_base_camera, *CROP, VOXEL_M, about.depth_lens)
        cameras.append(Camera(Played(folder, name), mount.T_base_camera, make))
        del kept
    return cameras


def our_cloud(cameras, frames):
    """Frame sets of the cameras -> points and colours in base."""
    clouds = [
        camera.cloud(np.asanyarray(both.get_depth_frame().get_data()), np.asanyarray(both.get_color_frame().get_data()))
        for camera, both in zip(cameras, frames, strict=True)
    ]
    return merge(clouds, [camera.T_base_camera for camera in cameras])


@functools.cache
def aligner():
    """librealsense's depth-to-colour alignment."""
    import pyrealsense2 as rs

    return rs.align(rs.stream.color)


def open3d_cloud(cameras, frames):
    """The same with librealsense's align and Open3D, as their examples do it -> open3d PointCloud in base."""
    import open3d as o3d

    box, fused = o3d.geometry.AxisAlignedBoundingBox(*CROP), o3d.geometry.PointCloud()
    for camera, both in zip(cameras, frames, strict=True):
        aligned = aligner().process(both)
        colour, depth = aligned.get_color_frame(), aligned.get_depth_frame()
        k = colour.profile.as_video_stream_profile().get_intrinsics()
        image = o3d.geometry.RGBDImage.create_from_color_and_depth(
            o3d.geometry.Image(np.asanyarray(colour.get_data())),
            o3d.geometry.Image(np.asanyarray(depth.get_data())),
            depth_scale=1000.0,
            depth_trunc=10.0,
            convert_rgb_to_intensity=False,
        )
        pinhole = o3d.camera.PinholeCameraIntrinsic(k.width, k.height, k.fx, k.fy, k.ppx, k.ppy)
        cloud = o3d.geometry.PointCloud.create_from_rgbd_image(image, pinhole, inverse(camera.T_base_camera))
        fused += cloud.crop(box).voxel_down_sample(VOXEL_M)
    return fused


def cpu_ms(chain, repeats):
    """CPU time [ms] of this process for each call of chain() -> points."""
    points, times = chain(), []
    for _ in range(repeats):
        start = time.process_time()
        chain()
        times.append(1e3 * (time.process_time() - start))
    figures = {f"{name}_ms": round(float(np.percentile(times, q)), 2) for name, q in (("median", 50), ("p90", 90))}
    return {"n": repeats, **figures, "points": len(points)}


if __name__ == "__main__":
    sys.exit(main())
