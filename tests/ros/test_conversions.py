"""Arrays survive the way through a message; a message of another layout is refused with what it says."""

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, PointCloud2, PointField

from casher_perception.camera_model import Intrinsics
from casher_perception.conversions import (
    camera_info_message,
    cloud_arrays,
    cloud_message,
    image_array,
    image_message,
    intrinsics_from_camera_info,
    pose_message,
    stamp_message,
    stamp_ns,
    transform_from_pose,
    transform_stamped,
)
from casher_perception.geometry import pose_matrix

T = pose_matrix([0.1, -0.2, 0.3], [0.5, -0.5, 0.5, 0.5])


def cloud(n=7):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 256, (n, 3)).astype(np.uint8)


def through_dds(message):
    return deserialize_message(serialize_message(message), type(message))


@given(st.integers(0, (2**31) * 10**9 - 1))
def test_a_stamp_keeps_every_nanosecond(ns):
    assert stamp_ns(stamp_message(ns)) == ns


@pytest.mark.parametrize("ns", [-1, 2**31 * 10**9])
def test_a_time_that_no_stamp_holds_is_refused(ns):
    with pytest.raises(ValueError, match="stamp holds"):
        stamp_message(ns)


def test_a_pose_and_a_transform_say_the_same_as_the_matrix():
    np.testing.assert_allclose(transform_from_pose(pose_message(T)), T, atol=1e-12)
    message = transform_stamped(T, "base", "camera", 5)
    assert (message.header.frame_id, message.child_frame_id, stamp_ns(message.header.stamp)) == ("base", "camera", 5)
    q = message.transform.rotation
    np.testing.assert_allclose(pose_matrix([0.1, -0.2, 0.3], [q.x, q.y, q.z, q.w]), T, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_a_cloud_comes_back_bit_for_bit_and_can_be_written_to(n):
    points, colours = cloud(n)
    message = through_dds(cloud_message(points, colours, "base", 123))
    assert (message.header.frame_id, stamp_ns(message.header.stamp), message.width) == ("base", 123, n)
    for given_array, read in zip((points, colours), cloud_arrays(message), strict=True):
        assert read.tobytes() == given_array.tobytes() and read.shape == given_array.shape
        assert read.flags.c_contiguous and read.flags.writeable


def test_the_bytes_are_those_of_rviz_and_open3d():
    """float32 x y z, then 0x00RRGGBB little endian in a float32 field."""
    message = cloud_message(np.float32([[1, 2, 3]]), np.uint8([[0x11, 0x22, 0x33]]), "base", 0)
    assert bytes(message.data) == np.float32([1, 2, 3]).tobytes() + bytes([0x33, 0x22, 0x11, 0x00])
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        (name, 4 * i, PointField.FLOAT32, 1) for i, name in enumerate(("x", "y", "z", "rgb"))
    ]


def test_what_bag_readers_return_is_read_too():
    points, colours = cloud()
    message = cloud_message(points, colours, "base", 0)
    names = ("header", "height", "width", "fields", "is_bigendian", "point_step", "row_step", "is_dense")
    for data in (bytes(message.data), np.array(message.data, dtype=np.uint8)):
        read = cloud_arrays(SimpleNamespace(**{name: getattr(message, name) for name in names}, data=data))
        np.testing.assert_array_equal(read[0], points)
        np.testing.assert_array_equal(read[1], colours)


def test_a_cloud_with_points_that_are_not_finite_says_that_it_is_not_dense():
    points, colours = cloud()
    assert cloud_message(points, colours, "base", 0).is_dense
    points[3, 1] = np.nan
    assert not cloud_message(points, colours, "base", 0).is_dense


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fields": []}, "lacks the fields x, y, z, rgb"),
        ({"fields": lambda m: m.fields[:3]}, "lacks the fields rgb: it has x, y, z"),
        ({"fields": lambda m: [*m.fields, PointField(name="t", offset=16, datatype=7, count=1)]}, "must be name"),
        (
            {"fields": lambda m: [PointField(name=f.name, offset=f.offset, datatype=8, count=1) for f in m.fields]},
            "must be",
        ),
        ({"is_bigendian": True}, "big endian"),
        ({"height": 7, "width": 1}, "height 7 x width 1"),
        ({"point_step": 32}, "point_step 32"),
        ({"width": 6}, "6 points take 96 bytes, got 112"),
        ({"data": array.array("B", bytes(111))}, "7 points take 112 bytes, got 111"),
    ],
)
def test_a_cloud_of_another_layout_is_refused(change, says):
    message = cloud_message(*cloud(), "base", 0)
    for name, value in change.items():
        setattr(message, name, value(message) if callable(value) else value)
    with pytest.raises(ValueError, match=says):
        cloud_arrays(message)


def test_an_empty_message_is_refused_not_read_as_an_empty_cloud():
    with pytest.raises(ValueError, match="lacks the fields"):
        cloud_arrays(PointCloud2())


@pytest.mark.parametrize(
    ("points", "colours", "says"),
    [
        (np.zeros((3, 7), np.float32), np.zeros((7, 3), np.uint8), r"\(3, 7\)"),
        (np.zeros((7, 3)), np.zeros((7, 3), np.uint8), "float64"),
        (np.zeros((7, 3), np.float32), np.zeros((7, 3), np.float32), "colours must be"),
        (np.zeros((7, 3), np.float32), np.zeros((6, 3), np.uint8), "7 points and 6 colours"),
    ],
)
def test_a_transposed_or_mistyped_cloud_is_refused_with_its_shape(points, colours, says):
    with pytest.raises(ValueError, match=says):
        cloud_message(points, colours, "base", 0)


@pytest.mark.parametrize(("encoding", "shape", "dtype"), [("rgb8", (6, 8, 3), np.uint8), ("16UC1", (6, 8), np.uint16)])
def test_an_image_comes_back_bit_for_bit_with_padded_rows_too(encoding, shape, dtype):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    message = through_dds(image_message(image, encoding, "camera", 9))
    np.testing.assert_array_equal(image_array(message), image)
    rows = np.frombuffer(message.data, np.uint8).reshape(6, -1)
    padded = np.pad(rows, ((0, 0), (0, 4)))
    message.data, message.step = array.array("B", padded.tobytes()), padded.shape[1]
    np.testing.assert_array_equal(image_array(message), image)


def test_an_image_that_is_not_what_its_encoding_says_is_refused():
    with pytest.raises(ValueError, match=r"\(H, W, 3\).*\(6, 8\)"):
        image_message(np.zeros((6, 8), np.uint8), "rgb8", "camera", 0)
    with pytest.raises(ValueError, match=r"\(6, 8, 4\)"):
        image_message(np.zeros((6, 8, 4), np.uint8), "rgb8", "camera", 0)
    with pytest.raises(ValueError, match="'mono8': known are rgb8, 16UC1"):
        image_array(Image(encoding="mono8"))
    message = image_message(np.zeros((6, 8), np.uint16), "16UC1", "camera", 0)
    message.height = 7
    with pytest.raises(ValueError, match="96 bytes"):
        image_array(message)


def test_intrinsics_come_back():
    camera = Intrinsics(640, 480, 610.5, 611.25, 319.75, 241.0)
    assert intrinsics_from_camera_info(through_dds(camera_info_message(camera, "camera", 0))) == camera


def test_a_distorted_or_an_uncalibrated_camera_is_refused():
    message = camera_info_message(Intrinsics(640, 480, 600.0, 600.0, 320.0, 240.0), "camera", 0)
    message.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="distortion"):
        intrinsics_from_camera_info(message)
    message.d, message.k = [], [0.0] * 9
    with pytest.raises(ValueError, match="focal lengths"):
        intrinsics_from_camera_info(message)
