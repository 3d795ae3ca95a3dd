"""One camera: reads its source and publishes its cropped, voxelised cloud; images only while somebody listens."""

import logging
import os
import threading
import time
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from casher_perception.clouds import CameraCloud, warm_up
from casher_perception.conversions import (
    camera_info_message,
    cloud_message,
    diagnostic_status,
    diagnostics_message,
    image_message,
)
from casher_perception.deprojection import Registration
from casher_perception.driver_call import DriverHang
from casher_perception.freshness import Silence
from casher_perception.parameters import declare
from casher_perception.rig import RigError, load_rig, optical_frame
from casher_perception.sources import open_source
from casher_perception.spinning import init_node_process, spin

READ_TIMEOUT_S = 0.5
DIAGNOSTICS_HZ = 2.0


class CameraPublisher:
    """The topics of one camera, filled from its frames. Used by CameraNode and, in its own process, by the simulator.

    intrinsics: of the colour image; T_base_camera (4, 4): pose of its optical frame; crop_low, crop_high (3,) [m]: a
    box in the BASE frame; voxel_m [m]; depth_lens: None for depth images aligned with the colour images. The points
    are published in the optical frame.
    """

    def __init__(self, node, name, intrinsics, T_base_camera, crop_low, crop_high, voxel_m, depth_lens=None):
        self.frame_id = optical_frame(name)
        self._intrinsics = intrinsics
        self._cloud = CameraCloud(intrinsics, T_base_camera, crop_low, crop_high, voxel_m, depth_lens)
        self._aligned = Registration(intrinsics, depth_lens) if depth_lens else lambda depth: depth

        def publisher(message_type, topic):
            return node.create_publisher(message_type, f"/{name}/{topic}", qos_profile_sensor_data)

        self._points = publisher(PointCloud2, "points")
        self._colour = publisher(Image, "color/image_raw")
        self._info = publisher(CameraInfo, "color/camera_info")
        self._depth = publisher(Image, "aligned_depth_to_color/image_raw")

    def publish(self, frame):
        """Publish a Frame -> how many points its cloud has."""
        points, colours = self._cloud(frame.depth, frame.colour)
        about = self.frame_id, frame.stamp_ns
        self._points.publish(cloud_message(points, colours, *about))
        if self._colour.get_subscription_count():
            self._colour.publish(image_message(frame.colour, "rgb8", *about))
        if self._info.get_subscription_count():
            self._info.publish(camera_info_message(self._intrinsics, *about))
        if self._depth.get_subscription_count():
            self._depth.publish(image_message(self._aligned(frame.depth), "16UC1", *about))
        return len(points)


@dataclass(frozen=True)
class CameraConfig:
    """Parameters of the camera node."""

    camera: str
    """Name of the camera in the rig file."""
    source: str
    """Where its frames come from: a name of casher_perception.sources."""
    rig: str
    """Path of the kitchen's rig file."""
    crop_low: tuple
    """(x, y, z) [m], base frame: points outside the crop are not sent."""
    crop_high: tuple
    """(x, y, z) [m], base frame."""
    playback: str = ""
    """Rehearsal: path of a recording (.db3) to take the frames from, again and again; source realsense only."""
    voxel_m: float = 0.005
    """Edge of the voxels [m]."""
    silence_s: float = 1.0
    """Without a frame for longer than this [s] the diagnostics say so."""


class LogBridge(logging.Handler):
    """Passes on to ROS what the source logs."""

    def __init__(self, logger):
        super().__init__()
        self._logger = logger

    def emit(self, record):
        if record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:  # on a line of its own: rclpy refuses another severity from the same line
            self._logger.info(record.getMessage())


class CameraNode(Node):
    """One camera of the rig. A thread waits for its frames; what that raises is kept in `failure` and sets `over`."""

    def __init__(self, **kwargs):
        super().__init__("camera", **kwargs)
        self.failure, self.over = None, threading.Event()
        self._config = config = declare(self, CameraConfig)
        rig = load_rig(config.rig)
        if config.camera not in rig.cameras:
            raise RigError(f"no camera {config.camera!r} in {config.rig}: known are {', '.join(rig.cameras)}")
        if config.playback and config.source != "realsense":
            raise ValueError(f"playback is for the source realsense, got {config.source!r}: leave it out")
        mount = rig.cameras[config.camera]
        warm_up()
        self._log = LogBridge(self.get_logger())
        logging.getLogger("casher_perception").addHandler(self._log)
        logging.getLogger("casher_perception").setLevel(logging.INFO)
        self._source = open_source(config.source, mount, **({"playback": config.playback} if config.playback else {}))
        self._publisher = CameraPublisher(
            self,
            config.camera,
            self._source.intrinsics,
            mount.T_base_camera,
            config.crop_low,
            config.crop_high,
            config.voxel_m,
            self._source.depth_lens,
        )
        self._silence = Silence([config.camera], config.silence_s)
        self._frames = self._last_points = 0
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0 / DIAGNOSTICS_HZ, self._publish_diagnostics)
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"{config.camera} reader", daemon=True)
        self._reader.start()

    def destroy_node(self):
        """Stop reading and let go of the camera."""
        self._stop.set()
        self._reader.join(4 * READ_TIMEOUT_S)
        self._source.close()
        logging.getLogger("casher_perception").removeHandler(self._log)
        super().destroy_node()

    def _read(self):
        try:
            while not self._stop.is_set() and self.context.ok():
                frame = self._source.read(READ_TIMEOUT_S)
                if frame is not None:
                    self._last_points = self._publisher.publish(frame)
                    self._frames += 1
                    self._silence.heard(self._config.camera, time.monotonic())
        except Exception as error:  # of a camera's driver or of a publisher: either ends this node, and says why
            if self._stop.is_set() or not self.context.ok():
                return
            self.failure = error
            self.get_logger().fatal(f"{self._config.camera}: {error}")
            self.over.set()

    def _publish_diagnostics(self):
        camera, now_s, health = self._config.camera, time.monotonic(), self._source.health()
        heard = self._silence.message(camera, now_s, "frame")
        status = diagnostic_status(
            f"camera: {camera}",
            health.ok and not self._silence.silent(now_s),
            f"{heard}; {health.message}" if health.message else heard,
            self._source.serial,
            {
                "frames": self._frames,
                "points": self._last_points,
                "source": self._config.source,
                "playback": self._config.playback or "none",
                **health.values,
            },
        )
        self._diagnostics.publish(diagnostics_message([status], self.get_clock().now().nanoseconds))


def main():
    init_node_process()
    node, failure = None, None
    try:
        node = CameraNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spin(executor, node.over)
    except KeyboardInterrupt:
        pass
    except (ValueError, DriverHang) as error:  # a parameter, the rig file or the camera: the message says what to do
        failure = error
        rclpy.logging.get_logger("camera").fatal(str(error))
    finally:
        if node is not None:
            node.destroy_node()
            failure = failure or node.failure
        rclpy.try_shutdown()
    if failure is not None:
        # Not sys.exit: a driver that hangs in a thread of its own would keep the interpreter from ending.
        os._exit(1)


if __name__ == "__main__":
    main()
