"""The synthetic camera: what it shows is where it says it is, and it keeps the time of a camera."""

import numpy as np
import pytest

from casher_perception.clouds import deproject
from casher_perception.geometry import pose_matrix
from casher_perception.rig import CameraMount
from casher_perception.sources import SOURCES, SyntheticSource, open_source

T_BASE_CAMERA = pose_matrix([-0.01, -0.5, 0.69], [-0.83786616, 0.40895848, -0.14961896, 0.32916171])
WIDE = (-5,) * 3, (5,) * 3


class Clock:
    def __init__(self):
        self.ns = 1_000_000_000_000
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.ns += round(seconds * 1e9)


def source(width=160, height=120, rate_hz=20.0, clock=None):
    clock = clock or Clock()
    mount = CameraMount("serial-1", T_BASE_CAMERA, width, height, rate_hz)
    return SyntheticSource(mount, clock_ns=lambda: clock.ns, sleep=clock.sleep)


def test_every_point_of_a_frame_lies_on_the_table_the_block_or_the_ball():
    camera = source(320, 240)
    colour, depth = camera.render(10)
    points, _ = deproject(depth, colour, camera.intrinsics, T_BASE_CAMERA, *WIDE)
    points = points.astype(np.float64)
    to_table = np.abs(points[:, 2])
    low, high = camera.BLOCK_M
    outside = np.linalg.norm(points - np.clip(points, low, high), axis=1)
    depth_inside = np.minimum(points - low, high - points).min(axis=1)
    to_block = np.where(outside > 0, outside, depth_inside)
    to_ball = np.abs(np.linalg.norm(points - camera.ball(10), axis=1) - camera.BALL_RADIUS_M)
    nearest = np.stack([to_table, to_block, to_ball])
    assert nearest.min(axis=0).max() < 0.003  # depth is rounded to a millimetre
    assert np.all(np.bincount(nearest.argmin(axis=0), minlength=3) > 50)


def test_the_ball_is_red_and_moves():
    camera = source()
    for index in (0, 20):
        colour, depth = camera.render(index)
        points, colours = deproject(depth, colour, camera.intrinsics, T_BASE_CAMERA, *WIDE)
        ball = points[(colours == (200, 40, 40)).all(axis=1)]
        assert np.linalg.norm(ball.mean(axis=0) - camera.ball(index)) < camera.BALL_RADIUS_M
    assert np.linalg.norm(camera.ball(0) - camera.ball(20)) > 0.2


def test_a_frame_is_the_same_for_the_same_number():
    for a, b in zip(source().render(7), source().render(7), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frames_come_at_the_rate_and_bear_the_time_they_were_taken():
    clock = Clock()
    camera = source(rate_hz=20.0, clock=clock)
    stamps = [camera.read(1.0).stamp_ns for _ in range(5)]
    assert np.diff(stamps).tolist() == [50_000_000] * 4
    assert stamps[-1] == clock.ns


def test_a_frame_has_the_size_and_types_of_a_camera():
    frame = source(32, 24).read(1.0)
    assert (frame.colour.shape, frame.colour.dtype) == ((24, 32, 3), np.uint8)
    assert (frame.depth.shape, frame.depth.dtype) == ((24, 32), np.uint16)


def test_reading_returns_none_when_no_frame_is_due_in_time_and_the_frame_later():
    clock = Clock()
    camera = source(rate_hz=2.0, clock=clock)
    assert camera.read(0.1) is not None
    assert camera.read(0.1) is None
    assert clock.slept[-1] == 0.1
    assert camera.read(0.5) is not None


def test_a_late_reader_gets_no_burst_of_missed_frames():
    clock = Clock()
    camera = source(rate_hz=20.0, clock=clock)
    camera.read(1.0)
    clock.ns += 1_000_000_000
    late, following = camera.read(1.0), camera.read(1.0)
    assert following.stamp_ns - late.stamp_ns == 50_000_000


def test_a_clock_that_is_set_back_does_not_stop_the_frames():
    clock = Clock()
    camera = source(rate_hz=20.0, clock=clock)
    camera.read(1.0)
    clock.ns -= 3600 * 1_000_000_000
    assert camera.read(0.1) is not None and camera.read(0.1) is not None


def test_a_camera_is_opened_by_the_name_of_its_source():
    mount = CameraMount("serial-2", T_BASE_CAMERA, 32, 24, 15.0)
    camera = open_source("synthetic", mount)
    assert camera.serial == "serial-2" and camera.intrinsics.width == 32
    camera.close()


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'webcam'.*" + ", ".join(SOURCES)):
        open_source("webcam", None)
