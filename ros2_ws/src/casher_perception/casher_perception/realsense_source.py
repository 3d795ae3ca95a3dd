"""Frames of one RealSense D435i, by its serial, and what is done when they stop coming."""

import logging
import os
import time

import numpy as np
import pyrealsense2 as rs

from casher_perception.driver_call import DriverHang, or_exit, within
from casher_perception.realsense_device import CameraError, connected, start
from casher_perception.realsense_options import FixedExposure, prepare
from casher_perception.realsense_stamps import PlaybackClock, StampError, capture_ns
from casher_perception.recovery import Ladder, RecoveryLimits, Rung
from casher_perception.sources import Frame, Health

_log = logging.getLogger(__name__)

MAX_AGE_S = 0.5
"""Older frames are not delivered: they waited in a queue, perhaps since before the camera was unplugged."""
MAX_AHEAD_S = 0.1
"""Nor those whose stamp is further in the future than this."""
WARM_UP_FRAMES = 60
END_S = 0.1
"""After this long without a frame a recording is asked whether it has ended."""


class RealSenseSource:
    """CameraSource of the camera with the serial of a CameraMount. CameraError says what the operator has to do.

    context: an rs.context to find the camera in, the machine's own by default; playback: path of a recording (.db3)
    that takes the camera's place and begins anew when it ends; limits, max_age_s: when a silence is acted upon.
    """

    def __init__(
        self, mount, context=None, playback="", limits=None, max_age_s=MAX_AGE_S, warm_up_frames=WARM_UP_FRAMES,
        clock_ns=time.time_ns, now_s=time.monotonic,
    ):  # fmt: skip
        self.serial = mount.serial
        self._mount, self._limits, self._max_age_s = mount, limits or RecoveryLimits(), max_age_s
        self._clock_ns, self._now_s = clock_ns, now_s
        self._period_ns = round(1e9 / mount.rate_hz)
        self._context = context or rs.context()
        self._recording = _load(self._context, playback, mount.serial) if playback else None
        self._ladder, self._exposure = Ladder(self._limits), FixedExposure(warm_up_frames)
        self._counts = dict.fromkeys(("restarts", "resets", "late", "repeated", "incomplete"), 0)
        self._camera, self._device, self._trouble, self._delivered = None, None, "", False
        self._last = None  # a restart does not forget it: a frozen camera goes on with the same picture
        self._absent_since_s = self._not_before_s = 0.0
        self._first_start()
        self.intrinsics, self.depth_lens = self._camera.intrinsics, self._camera.depth_lens
        self._about = self._camera.about()

    def read(self, timeout_s):
        """The next good Frame, or None when none came in timeout_s [s] or something is being done about that."""
        if self._camera is None:
            self._await_camera(timeout_s)
            return None
        frame, trouble = self._next(timeout_s if self._recording is None else min(timeout_s, END_S))
        now_s = self._now_s()
        if frame is not None:
            self._ladder.good(now_s)
            self._trouble, self._delivered = "", True
            return frame
        if self._recording is not None and self._has_ended():
            _log.info("the recording of %s ended and begins anew", self.serial)
            # One of which nothing can be used would else begin anew for ever, and the camera never be given up.
            self._restart(patient=self._delivered)
            return None
        self._trouble = trouble
        rung = self._ladder.due(now_s)
        if rung is not None:
            self._climb(rung, now_s)
        return None

    def health(self):
        """What is wrong now, and what has been done so far."""
        values = {**self._about, **self._counts, "exposure": self._exposure.state}
        return Health(not self._trouble, self._trouble, values)

    def close(self):
        """Stop the camera, for as long as the driver takes part in it."""
        try:
            self._stop()
        except DriverHang as error:
            _log.warning("%s: %s", self.serial, error)

    def _next(self, timeout_s):
        """-> (Frame, "") or (None, what is wrong)."""
        try:
            arrived, frames = self._camera.pipeline.try_wait_for_frames(max(1, round(timeout_s * 1e3)))
        except RuntimeError as error:
            return None, f"librealsense: {error}"
        if not arrived:
            return None, "no frames come"
        depth, colour = frames.get_depth_frame(), frames.get_color_frame()
        if not (depth and colour):
            self._counts["incomplete"] += 1
            return None, f"frames come without {'colour' if depth else 'depth'}"
        return self._judged(depth, colour)

    def _judged(self, depth, colour):
        now_ns = self._clock_ns()
        try:
            stamp_ns = self._stamp_ns((depth, colour), now_ns)
        except StampError as error:  # also of the first frames after a start, until global time has settled
            return None, str(error)
        age_s = (now_ns - stamp_ns) * 1e-9
        if not -MAX_AHEAD_S <= age_s <= self._max_age_s:
            self._counts["late"] += 1
            return None, f"frames are {age_s:.2f} s old" if age_s > 0 else f"frames are {-age_s:.2f} s in the future"
        images = np.asanyarray(colour.get_data()), np.asanyarray(depth.get_data())
        if self._last is not None and all(map(_same, images, self._last)):
            self._counts["repeated"] += 1
            self._ladder.came(self._now_s())
            return None, "the same picture comes again and again"
        self._last = images
        self._exposure.saw(depth)
        return Frame(*images, stamp_ns), ""

    def _stamp_ns(self, frames, now_ns):
        """Of the older of the two: all of a Frame was seen then or later."""
        if self._recording is not None:
            return self._playback_clock(min(frame.get_timestamp() for frame in frames), now_ns)
        return min(capture_ns(frame, self._period_ns) for frame in frames)

    def _climb(self, rung, now_s):
        if self.serial not in self._connected():
            self._warn("unplugged, or without power: waiting for it")
            self._let_go(now_s)
            return
        trouble = self._trouble
        self._warn(f"{trouble}: {rung.value}")
        match rung:
            case Rung.RESTART:
                self._counts["restarts"] += 1
                self._restart()
            case Rung.RESET:
                self._counts["resets"] += 1
                device = self._device
                self._let_go(now_s)
                self._not_before_s = now_s + self._limits.reset_s
                within(self._limits.hang_s, "hardware_reset", _reset, device)
            case Rung.FAULT:
                raise CameraError(
                    f"camera {self.serial}: {trouble}, and neither a restart nor a reset has helped: unplug it, "
                    "plug it in again, and start anew"
                )

    def _has_ended(self):
        """Whether the recording has been played; only the device that the pipeline plays knows."""
        return self._camera.device.as_playback().current_status() == rs.playback_status.stopped

    def _restart(self, patient=True):
        self._stop()
        try:
            self._start(patient)
        except RuntimeError as error:
            self._warn(f"it cannot be started: {error}")
            self._let_go(self._now_s())

    def _await_camera(self, timeout_s):
        now_s = self._now_s()
        if now_s >= self._not_before_s and self.serial in self._connected():
            try:
                self._start()
            except RuntimeError as error:
                self._trouble = f"it is there, but cannot be started: {error}"
            else:
                self._warn("it is back")
                return
        if now_s - self._absent_since_s > self._limits.absent_s:
            raise CameraError(
                f"camera {self.serial} has been away for {self._limits.absent_s:g} s ({self._trouble}): check cable "
                f"and port; connected are {_names(self._connected())}"
            )
        time.sleep(min(timeout_s, 0.2))

    def _first_start(self):
        until_s = self._now_s() + self._limits.appear_s
        while self.serial not in self._connected():
            if self._now_s() > until_s:
                raise CameraError(
                    f"no camera with the serial {self.serial} is connected; connected are "
                    f"{_names(self._connected())}: check its cable and port, or the serials in the rig file"
                )
            time.sleep(0.05)
        try:
            self._start()
        except RuntimeError as error:
            device = self._connected().get(self.serial)
            usb = rs.camera_info.usb_type_descriptor
            port = device.get_info(usb) if device is not None and device.supports(usb) else "unknown"
            raise CameraError(
                f"camera {self.serial} cannot be started with {self._mount.width} x {self._mount.height} at "
                f"{self._mount.rate_hz:g} Hz (USB {port}): {error}. Is it on a USB 3 port, is another program using "
                "it, does the rig ask for a size and rate it has?"
            ) from error

    def _start(self, patient=True):
        """patient: wait longer than usual for the first frame."""
        self._playback_clock, self._delivered = PlaybackClock(), False
        self._camera = within(
            self._limits.hang_s + self._limits.start_s, "pipeline.start", start, self._context, self._mount
        )
        self._device = self._camera.device
        sensors = self._camera.depth_sensor, self._camera.colour_sensor
        prepare(*sensors, self._mount.sync)
        self._exposure.opened(*sensors)
        if patient:
            self._ladder.started(self._now_s())

    def _connected(self):
        with or_exit(self._limits.hang_s):
            return connected(self._context)

    def _stop(self):
        camera, self._camera = self._camera, None
        if camera is not None:
            within(self._limits.hang_s, "pipeline.stop", _stop_pipeline, camera.pipeline)

    def _let_go(self, now_s):
        """Stop, and wait for the camera to come back."""
        self._absent_since_s, self._not_before_s = now_s, 0.0
        self._stop()

    def _warn(self, text):
        self._trouble = text
        _log.warning("camera %s: %s", self.serial, text)


def _load(context, path, serial):
    """The recording as a device of the context; CameraError when it is not one of this camera."""
    if not os.path.isfile(path):
        raise CameraError(f"no recording {path}: playback takes a .db3 file")
    try:
        device = context.load_device(path)
    except RuntimeError as error:
        raise CameraError(f"{path} is not a recording librealsense can play: {error}") from None
    found = device.get_info(rs.camera_info.serial_number)
    if found != serial:
        raise CameraError(
            f"{path} is a recording of camera {found}, the rig's is {serial}: are the files or the serials swapped?"
        )
    return device


def _stop_pipeline(pipeline):
    try:
        pipeline.stop()
    except RuntimeError as error:  # of a camera that is gone
        _log.info("stopping: %s", error)


def _reset(device):
    try:
        device.hardware_reset()
    except RuntimeError as error:
        _log.warning("the camera cannot be reset: %s", error)


def _same(image, before):
    # Noise makes two shots differ within their first rows: the whole image is compared only when those are the same.
    return image.shape == before.shape and np.array_equal(image[::32], before[::32]) and np.array_equal(image, before)


def _names(devices):
    return ", ".join(sorted(devices)) or "none"
