"""Fusion: one cloud in the base frame from all cameras' clouds that belong together, and word of who is silent."""

import sys
import time
from dataclasses import dataclass
from functools import partial

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from casher_perception.clouds import merge
from casher_perception.conversions import (
    cloud_arrays,
    cloud_message,
    diagnostic_status,
    diagnostics_message,
    stamp_ns,
    transform_stamped,
)
from casher_perception.drift import DriftThread, DriftWatch
from casher_perception.freshness import PairMatcher, Silence
from casher_perception.parameters import declare
from casher_perception.rig import load_rig, optical_frame
from casher_perception.spinning import init_node_process, spin

BASE_FRAME = "base"
DIAGNOSTICS_HZ = 2.0
LOG_EVERY_S = 5.0


@dataclass(frozen=True)
class FusionConfig:
    """Parameters of the fusion node."""

    rig: str
    """Path of the kitchen's rig file."""
    max_skew_s: float = 0.05
    """Clouds whose stamps differ by more [s] are never fused."""
    silence_s: float = 1.0
    """A camera without a cloud for longer than this [s] is reported as silent, and so are clouds that fit no other."""
    drift_period_s: float = 5.0
    """Time [s] between two checks that the cameras still agree; 0: none."""


class FusionNode(Node):
    """Subscribes to all cameras of the rig, publishes /casher/points, /tf_static and /diagnostics."""

    def __init__(self, **kwargs):
        super().__init__("fusion", **kwargs)
        config = declare(self, FusionConfig)
        self._cameras = load_rig(config.rig).cameras
        self._matcher = PairMatcher(self._cameras, config.max_skew_s)
        self._max_skew_s = config.max_skew_s
        self._silence = Silence(self._cameras, config.silence_s)
        self._pairs = Silence(["pair"], config.silence_s)
        self._received = dict.fromkeys(self._cameras, 0)
        self._refused = dict.fromkeys(self._cameras, 0)
        self._fused = 0
        self._drift, self._alarm = None, ""
        if config.drift_period_s > 0:
            watch = DriftWatch({name: camera.T_base_camera for name, camera in self._cameras.items()})
            self._drift = DriftThread(watch, config.drift_period_s)
        self._points = self.create_publisher(PointCloud2, "/casher/points", qos_profile_sensor_data)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._tf = self.create_publisher(TFMessage, "/tf_static", latched)
        now_ns = self._now_ns()
        self._tf.publish(
            TFMessage(
                transforms=[
                    transform_stamped(camera.T_base_camera, BASE_FRAME, optical_frame(name), now_ns)
                    for name, camera in self._cameras.items()
                ]
            )
        )
        for name in self._cameras:
            self.create_subscription(
                PointCloud2, f"/{name}/points", partial(self._on_cloud, name), qos_profile_sensor_data
            )
        self.create_timer(1.0 / DIAGNOSTICS_HZ, self._publish_diagnostics)

    def _on_cloud(self, camera, message):
        try:
            if message.header.frame_id != optical_frame(camera):
                raise ValueError(f"its frame is {message.header.frame_id!r}, expected {optical_frame(camera)!r}")
            cloud = cloud_arrays(message)
        except ValueError as error:
            self._refused[camera] += 1
            self.get_logger().error(f"refused a cloud of {camera}: {error}", throttle_duration_sec=LOG_EVERY_S)
            return
        self._received[camera] += 1
        self._silence.heard(camera, time.monotonic())
        for pair in self._matcher.add(camera, stamp_ns(message.header.stamp), cloud):
            transforms = [self._cameras[name].T_base_camera for name in pair.clouds]
            self._points.publish(cloud_message(*merge(pair.clouds.values(), transforms), BASE_FRAME, pair.stamp_ns))
            self._fused += 1
            self._pairs.heard("pair", time.monotonic())
            if self._drift is not None:
                self._drift.offer({name: points for name, (points, _) in pair.clouds.items()})

    def destroy_node(self):
        """Stop the watch over the calibration."""
        if self._drift is not None:
            self._drift.close()
        super().destroy_node()

    def _publish_diagnostics(self):
        now_s = time.monotonic()
        silent = self._silence.silent(now_s)
        statuses = [
            diagnostic_status(
                f"fusion: {name}",
                name not in silent,
                self._silence.message(name, now_s),
                camera.serial,
                {"clouds": self._received[name], "refused": self._refused[name], "fused": self._fused},
            )
            for name, camera in self._cameras.items()
        ]
        if silent:
            self._pairs.heard("pair", now_s)  # the time for a pair runs while all cameras are there
        statuses.append(self._pairing(now_s))
        if self._drift is not None:
            statuses.append(self._drifting(self._drift.drift))
        self._diagnostics.publish(diagnostics_message(statuses, self._now_ns()))

    def _pairing(self, now_s):
        """The status of fusion itself: cameras may all be there and yet nothing fused, when their clocks differ."""
        status = DiagnosticStatus(name="fusion", level=DiagnosticStatus.OK, message=f"{self._fused} clouds fused")
        status.values = [KeyValue(key="fused", value=str(self._fused))]
        apart = self._matcher.apart()
        if self._pairs.silent(now_s) and apart:
            status.level = DiagnosticStatus.ERROR
            status.message = f"nothing is fused: {apart}, at most {self._max_skew_s:g} s is allowed; set their clocks"
        return status

    def _drifting(self, drift):
        """The status of the cameras' places; an alarm is also logged when it begins."""
        if drift.alarm and not self._alarm:
            self.get_logger().error(f"drift: {drift.alarm}")
        self._alarm = drift.alarm
        level = DiagnosticStatus.ERROR if drift.alarm else DiagnosticStatus.OK
        values = [KeyValue(key=key, value=str(value)) for key, value in drift.values.items()]
        return DiagnosticStatus(name="drift", level=level, message=drift.message, values=values)

    def _now_ns(self):
        return self.get_clock().now().nanoseconds


def main():
    init_node_process()
    node = None
    try:
        node = FusionNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spin(executor)
    except KeyboardInterrupt:
        pass
    except ValueError as error:  # a parameter or the rig file: the message says what to do
        rclpy.logging.get_logger("fusion").fatal(str(error))
        sys.exit(1)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
