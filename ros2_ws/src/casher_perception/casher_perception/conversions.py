"""Between numpy and the standard messages.

Every reader also takes look-alikes of a message, as bag readers return them.
"""

import array

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Pose, TransformStamped
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from casher_perception.camera_model import Intrinsics
from casher_perception.geometry import pose_matrix, position_quat

POINT_STEP = 16
_FLOAT32 = 7  # PointField.FLOAT32
_CLOUD_LAYOUT = (("x", 0), ("y", 4), ("z", 8), ("rgb", 12))
_ENCODINGS = {"rgb8": (np.uint8, 3), "16UC1": (np.uint16, 1)}


def stamp_ns(stamp):
    """builtin_interfaces/Time -> [ns]."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def stamp_message(ns):
    """[ns] -> builtin_interfaces/Time; ValueError where that cannot hold it."""
    sec, nanosec = divmod(int(ns), 1_000_000_000)
    if not 0 <= sec < 2**31:
        raise ValueError(f"a stamp holds 0 .. 2^31 s, got {ns} ns")
    return Time(sec=sec, nanosec=nanosec)


def pose_message(T):
    """T (4, 4) -> geometry_msgs/Pose."""
    pose = Pose()
    position, quat_xyzw = position_quat(T)
    pose.position.x, pose.position.y, pose.position.z = position.tolist()
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = quat_xyzw.tolist()
    return pose


def transform_from_pose(pose):
    """geometry_msgs/Pose -> T (4, 4); ValueError for a quaternion that is not of unit length."""
    p, q = pose.position, pose.orientation
    return pose_matrix([p.x, p.y, p.z], [q.x, q.y, q.z, q.w])


def transform_stamped(T_parent_child, parent, child, ns):
    """T_parent_child (4, 4), names of the frames and time [ns] -> geometry_msgs/TransformStamped."""
    message = TransformStamped(header=_header(parent, ns), child_frame_id=child)
    position, quat_xyzw = position_quat(T_parent_child)
    to = message.transform
    to.translation.x, to.translation.y, to.translation.z = position.tolist()
    to.rotation.x, to.rotation.y, to.rotation.z, to.rotation.w = quat_xyzw.tolist()
    return message


def cloud_message(points, colours, frame_id, ns):
    """Points [m] (N, 3) float32, colours (N, 3) uint8, stamp [ns] -> PointCloud2 laid out as in docs/interfaces.md."""
    points, colours = np.asarray(points), np.asarray(colours)
    for name, given, dtype in (("points", points, np.float32), ("colours", colours, np.uint8)):
        if given.ndim != 2 or given.shape[1] != 3 or given.dtype != dtype:
            raise ValueError(f"{name} must be (N, 3) {np.dtype(dtype)}, got {given.shape} {given.dtype}")
    if len(points) != len(colours):
        raise ValueError(f"every point needs a colour, got {len(points)} points and {len(colours)} colours")
    packed = np.zeros((len(points), 4), dtype="<f4")
    packed[:, :3] = points
    packed.view(np.uint8)[:, 14:11:-1] = colours  # 0x00RRGGBB little endian: blue, green, red, 0
    return PointCloud2(
        header=_header(frame_id, ns),
        height=1,
        width=len(points),
        fields=[PointField(name=name, offset=offset, datatype=_FLOAT32, count=1) for name, offset in _CLOUD_LAYOUT],
        is_bigendian=False,
        point_step=POINT_STEP,
        row_step=POINT_STEP * len(points),
        data=_bytes(packed),
        is_dense=bool(np.isfinite(points).all()),
    )


def cloud_arrays(message):
    """PointCloud2 -> points [m] (N, 3) float32, colours (N, 3) uint8, contiguous; ValueError for another layout."""
    layout = {item.name: (item.offset, item.datatype, item.count) for item in message.fields}
    expected = {name: (offset, _FLOAT32, 1) for name, offset in _CLOUD_LAYOUT}
    missing = [name for name in expected if name not in layout]
    if missing:
        raise ValueError(f"the cloud lacks the fields {', '.join(missing)}: it has {', '.join(layout) or 'none'}")
    if layout != expected:
        raise ValueError(f"the cloud's fields must be name: (offset, datatype, count) {expected}, got {layout}")
    if message.is_bigendian:
        raise ValueError("the cloud is big endian, only little endian is read")
    if message.height != 1:
        raise ValueError(f"a cloud is one row (height 1), got height {message.height} x width {message.width}")
    if message.point_step != POINT_STEP:
        raise ValueError(f"a point takes {POINT_STEP} bytes, got point_step {message.point_step}")
    packed = np.frombuffer(message.data, dtype=np.uint8)
    if len(packed) != message.width * POINT_STEP:
        raise ValueError(f"{message.width} points take {message.width * POINT_STEP} bytes, got {len(packed)}")
    packed = packed.reshape(-1, POINT_STEP)
    return np.ascontiguousarray(packed.view("<f4")[:, :3]), np.ascontiguousarray(packed[:, 14:11:-1])


def image_message(image, encoding, frame_id, ns):
    """Image as 'rgb8' (H, W, 3) uint8 or '16UC1' (H, W) uint16 -> sensor_msgs/Image."""
    dtype, channels = _encoding(encoding)
    image = np.asarray(image)
    shape = "(H, W, 3)" if channels == 3 else "(H, W)"
    if image.dtype != dtype or image.ndim != (3 if channels == 3 else 2) or image.shape[2:] not in ((), (channels,)):
        raise ValueError(f"a {encoding} image must be {shape} {np.dtype(dtype)}, got {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    return Image(
        header=_header(frame_id, ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels * np.dtype(dtype).itemsize,
        data=_bytes(image),
    )


def image_array(message):
    """sensor_msgs/Image 'rgb8' or '16UC1' -> (H, W, 3) uint8 or (H, W) uint16; a view of the message's data."""
    dtype, channels = _encoding(message.encoding)
    row = message.width * channels * np.dtype(dtype).itemsize
    data = np.frombuffer(message.data, dtype=np.uint8)
    if message.is_bigendian:
        raise ValueError("the image is big endian, only little endian is read")
    if message.step < row or len(data) != message.height * message.step:
        raise ValueError(
            f"{message.width} x {message.height} {message.encoding} takes rows of {row} bytes, got step {message.step} "
            f"and {len(data)} bytes"
        )
    pixels = data.reshape(message.height, message.step)[:, :row].view(dtype)
    return pixels.reshape(message.height, message.width, 3) if channels == 3 else pixels


def camera_info_message(intrinsics, frame_id, ns):
    """Intrinsics -> sensor_msgs/CameraInfo of an undistorted camera."""
    i = intrinsics
    return CameraInfo(
        header=_header(frame_id, ns),
        width=i.width,
        height=i.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[float(v) for v in (i.fx, 0, i.cx, 0, i.fy, i.cy, 0, 0, 1)],
        r=np.eye(3).ravel().tolist(),
        p=[float(v) for v in (i.fx, 0, i.cx, 0, 0, i.fy, i.cy, 0, 0, 0, 1, 0)],
    )


def intrinsics_from_camera_info(message):
    """sensor_msgs/CameraInfo -> Intrinsics; ValueError for a distorted or an uncalibrated camera."""
    if np.any(np.abs(np.asarray(message.d, dtype=np.float64)) > 1e-6):
        raise ValueError(
            f"the camera has distortion {list(message.d)}, only undistorted images are read: rectify them first"
        )
    k = [float(v) for v in message.k]
    return Intrinsics(message.width, message.height, k[0], k[4], k[2], k[5])


def diagnostic_status(name, ok, message, hardware_id, values):
    """One status, OK or STALE; values: key -> anything that prints."""
    level = DiagnosticStatus.OK if ok else DiagnosticStatus.STALE
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id=hardware_id, values=pairs)


def diagnostics_message(statuses, ns):
    """List of DiagnosticStatus -> DiagnosticArray stamped `ns` [ns]."""
    return DiagnosticArray(header=_header("", ns), status=list(statuses))


def _header(frame_id, ns):
    return Header(frame_id=frame_id, stamp=stamp_message(ns))


def _bytes(values):
    # An array('B') is moved into the message as it is; an ndarray is copied byte by byte, 1000 times slower.
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).tobytes())
    return data


def _encoding(name):
    if name not in _ENCODINGS:
        raise ValueError(f"unknown image encoding {name!r}: known are {', '.join(_ENCODINGS)}")
    return _ENCODINGS[name]
