"""Recordings (.db3) of D435i cameras that are not there, made with librealsense's own recorder from rendered scenes."""

import contextlib
import gc
import sqlite3
from dataclasses import dataclass

import numpy as np
import pyrealsense2 as rs

from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import pose_matrix
from casher_perception.rig import CameraMount
from casher_perception.sources import SyntheticSource

T_COLOUR_DEPTH = pose_matrix([0.0148, 0.0002, 0.0003], [0.002, -0.003, 0.001, np.sqrt(1 - 0.000014)])
MID_EXPOSURE_US = 9000
"""How much earlier than its stamp the metadata say a frame was taken."""


@dataclass(frozen=True)
class Shot:
    """What both sensors record at once."""

    depth: np.ndarray
    colour: np.ndarray
    stamp_ms: float
    number: int


def lenses(width, height):
    """A D435i's intrinsics, in proportion to 640 x 480 -> (colour, depth)."""
    s = width / 640
    colour = Intrinsics(width, height, 607.0 * s, 606.0 * s, width / 2 - 2.3, height / 2 + 1.4)
    return colour, Intrinsics(width, height, 386.0 * s, 386.0 * s, width / 2 - 0.7, height / 2 + 0.9)


def scene_shots(T_base_camera, width, height, count, rate_hz, t0_ms):
    """The SyntheticSource's scene through the two lenses of a D435i at T_base_camera -> list of Shot."""
    colour, depth = (
        SyntheticSource(CameraMount("", T, width, height, rate_hz, lens))
        for T, lens in zip((T_base_camera, T_base_camera @ T_COLOUR_DEPTH), lenses(width, height), strict=True)
    )
    return [Shot(depth.render(i)[1], colour.render(i)[0], t0_ms + i * 1000 / rate_hz, i + 1) for i in range(count)]


class _Recorder:
    """A software D435i whose frames go into a file."""

    def __init__(self, path, serial, width, height, rate_hz, domain, coefficients):
        self._domain, self._device, info = domain, rs.software_device(), rs.camera_info
        for item, text in (
            (info.name, "Intel RealSense D435I"), (info.serial_number, serial), (info.usb_type_descriptor, "3.2"),
            (info.firmware_version, "5.16.0.1"),
        ):  # fmt: skip
            self._device.register_info(item, text)
        self._sensors = self._device.add_sensor("Stereo Module"), self._device.add_sensor("RGB Camera")
        colour, depth = lenses(width, height)
        streams = (
            (depth, rs.stream.depth, rs.format.z16, 2, [0.0] * 5),
            (colour, rs.stream.color, rs.format.rgb8, 3, coefficients),
        )
        self._profiles = [
            sensor.add_video_stream(_stream(i, *stream, rate_hz)).as_video_stream_profile()
            for i, (sensor, stream) in enumerate(zip(self._sensors, streams, strict=True))
        ]
        self._sensors[0].add_read_only_option(rs.option.depth_units, 0.001)
        extrinsics = rs.extrinsics()
        extrinsics.rotation = T_COLOUR_DEPTH[:3, :3].ravel(order="F").tolist()
        extrinsics.translation = T_COLOUR_DEPTH[:3, 3].tolist()
        self._profiles[0].register_extrinsics_to(self._profiles[1], extrinsics)
        self._device.create_matcher(rs.matchers.default)
        self._recorder, self._frames = rs.recorder(str(path), self._device, False), rs.syncer()
        for sensor in self._recorder.query_sensors():
            sensor.open(sensor.get_stream_profiles()[0])
            sensor.start(self._frames)

    def push(self, shot):
        for sensor, profile, image in zip(self._sensors, self._profiles, (shot.depth, shot.colour), strict=True):
            frame = rs.software_video_frame()
            frame.pixels, frame.bpp = np.ascontiguousarray(image), image.strides[1]
            frame.stride, frame.timestamp, frame.domain = image.strides[0], shot.stamp_ms, self._domain
            frame.frame_number, frame.profile = shot.number, profile
            if profile.stream_type() == rs.stream.depth:
                frame.depth_units = 0.001
            end_us = 1_000_000 + 33_333 * shot.number
            sensor.set_metadata(rs.frame_metadata_value.frame_timestamp, end_us)
            sensor.set_metadata(rs.frame_metadata_value.sensor_timestamp, end_us - MID_EXPOSURE_US)
            sensor.on_video_frame(frame)
        self._frames.wait_for_frames(5000)

    def close(self):
        for sensor in self._recorder.query_sensors():
            sensor.stop()
            sensor.close()


def record(cameras, rate_hz, pace_hz=None, domain=rs.timestamp_domain.global_time, coefficients=(0.0,) * 5):
    """Write a recording for each camera that is played at pace_hz (by default rate_hz) shots a second.

    cameras: path -> (serial, list of Shot); rate_hz: what the camera says its rate is. RuntimeError for a lost shot.
    """
    for path, (serial, shots) in cameras.items():
        height, width = shots[0].depth.shape
        recorder = _Recorder(path, serial, width, height, round(rate_hz), domain, list(coefficients))
        for shot in shots:
            recorder.push(shot)
        recorder.close()
        del recorder  # only then is the file complete
        gc.collect()
        _set_pace(path, len(shots), pace_hz or rate_hz)


def _set_pace(path, count, pace_hz):
    """A recording is played at the pace it was written at, which is the machine's: write when each shot is due."""
    with contextlib.closing(sqlite3.connect(path)) as bag, bag:
        topics = [row[0] for row in bag.execute("SELECT id FROM topics WHERE name LIKE '%/image/%'")]
        for topic in topics:
            ids = [row[0] for row in bag.execute("SELECT id FROM messages WHERE topic_id = ? ORDER BY id", (topic,))]
            if len(ids) != count:
                raise RuntimeError(f"{path}: {len(ids)} of {count} shots were recorded")
            due = [(round((i + 1) * 1e9 / pace_hz), message) for i, message in enumerate(ids)]
            bag.executemany("UPDATE messages SET timestamp = ? WHERE id = ?", due)


def _stream(uid, lens, kind, pixels, bytes_per_pixel, coefficients, rate_hz):
    raw = rs.intrinsics()
    raw.width, raw.height, raw.fx, raw.fy, raw.ppx, raw.ppy = (
        lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy,
    )  # fmt: skip
    raw.model, raw.coeffs = rs.distortion.inverse_brown_conrady, list(coefficients)
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = kind, 0, uid, pixels, bytes_per_pixel
    stream.width, stream.height, stream.fps, stream.intrinsics = lens.width, lens.height, round(rate_hz), raw
    return stream
