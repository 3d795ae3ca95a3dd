"""One RealSense camera of a librealsense context: found by its serial, checked against the rig, started."""

from dataclasses import dataclass

import numpy as np
import pyrealsense2 as rs

from casher_perception.camera_model import Intrinsics
from casher_perception.deprojection import DepthLens

_FOCAL_TOLERANCE = 0.01
"""Relative. A calibration moves the maker's focal length by some 0.2 %; two D435i differ by about 1 %."""
_CENTRE_TOLERANCE = 0.01
"""Of the image's width."""
_DISTORTION_PX = 0.5
"""Images are used as if they had no distortion; at the corners they may have this much."""


class CameraError(ValueError):
    """A camera that cannot be used: says what is wrong, what was found, and what to do."""


@dataclass(frozen=True, eq=False)
class OpenCamera:
    """A started pipeline and what its camera says about itself."""

    device: rs.device
    pipeline: rs.pipeline
    intrinsics: Intrinsics
    """Of the colour image."""
    depth_lens: DepthLens
    depth_sensor: rs.sensor
    colour_sensor: rs.sensor

    def about(self):
        """For /diagnostics: name, firmware, kind of USB port."""
        info = rs.camera_info
        wanted = {"name": info.name, "firmware": info.firmware_version, "usb": info.usb_type_descriptor}
        return {key: self.device.get_info(item) for key, item in wanted.items() if self.device.supports(item)}


def connected(context):
    """Serial -> device of all cameras the context lists now. One that goes away meanwhile is left out."""
    found = {}
    for device in context.query_devices():
        try:
            found[device.get_info(rs.camera_info.serial_number)] = device
        except RuntimeError:
            continue
    return found


def start(context, mount):
    """Start the camera of a CameraMount -> OpenCamera. RuntimeError of librealsense; CameraError for a wrong camera."""
    pipeline, config = rs.pipeline(context), rs.config()
    config.enable_device(mount.serial)
    for stream, pixels in ((rs.stream.depth, rs.format.z16), (rs.stream.color, rs.format.rgb8)):
        config.enable_stream(stream, mount.width, mount.height, pixels, round(mount.rate_hz))
    profile = pipeline.start(config)
    try:
        return _open(pipeline, profile, mount)
    except BaseException:
        pipeline.stop()
        raise


def _open(pipeline, profile, mount):
    depth, colour = (
        profile.get_stream(stream).as_video_stream_profile() for stream in (rs.stream.depth, rs.stream.color)
    )
    device, raw = profile.get_device(), colour.get_intrinsics()
    bend_px = _distortion_px(raw)
    if bend_px > _DISTORTION_PX:
        raise CameraError(
            f"the colour image of {mount.serial} is distorted by {bend_px:.1f} pixels ({raw.model.name} "
            f"{list(raw.coeffs)}), at most {_DISTORTION_PX} are taken for none: use a D435i"
        )
    told = _intrinsics(raw)
    if mount.intrinsics is not None:
        _require_same_camera(mount, told)
    depth_sensor = device.first_depth_sensor()
    colour_sensor = next(
        sensor
        for sensor in device.query_sensors()
        if any(profile.stream_type() == rs.stream.color for profile in sensor.get_stream_profiles())
    )
    extrinsics = depth.get_extrinsics_to(colour)
    T_colour_depth = np.eye(4)
    T_colour_depth[:3, :3] = np.reshape(extrinsics.rotation, (3, 3), order="F")
    T_colour_depth[:3, 3] = extrinsics.translation
    return OpenCamera(
        device,
        pipeline,
        mount.intrinsics or told,
        DepthLens(_intrinsics(depth.get_intrinsics()), T_colour_depth, depth_sensor.get_depth_scale()),
        depth_sensor,
        colour_sensor,
    )


def _intrinsics(raw):
    return Intrinsics(raw.width, raw.height, raw.fx, raw.fy, raw.ppx, raw.ppy)


def _distortion_px(raw):
    """How far distortion moves the worst corner of the image [pixels]."""
    if not np.any(raw.coeffs):
        return 0.0
    worst = 0.0
    for corner in ([0, 0], [raw.width - 1, 0], [0, raw.height - 1], [raw.width - 1, raw.height - 1]):
        x, y, _ = rs.rs2_deproject_pixel_to_point(raw, [float(c) for c in corner], 1.0)
        worst = max(worst, abs(x * raw.fx + raw.ppx - corner[0]), abs(y * raw.fy + raw.ppy - corner[1]))
    return worst


def _require_same_camera(mount, told):
    noted = mount.intrinsics
    focal = max(abs(told.fx / noted.fx - 1), abs(told.fy / noted.fy - 1))
    centre = max(abs(told.cx - noted.cx), abs(told.cy - noted.cy)) / mount.width
    if focal > _FOCAL_TOLERANCE or centre > _CENTRE_TOLERANCE:
        raise CameraError(
            f"camera {mount.serial} reports fx {told.fx:.1f}, fy {told.fy:.1f}, cx {told.cx:.1f}, cy {told.cy:.1f}, "
            f"but the rig was calibrated with fx {noted.fx:.1f}, fy {noted.fy:.1f}, cx {noted.cx:.1f}, cy "
            f"{noted.cy:.1f}: another camera, or the serials in the rig are swapped; correct them or calibrate anew"
        )
