"""When a RealSense frame was taken, in nanoseconds since the epoch."""

import pyrealsense2 as rs

_MAX_EXPOSURE_US = 100_000
"""A longer way from the middle of the exposure to the frame's stamp is a counter that ran over."""


class StampError(ValueError):
    """Stamps that say nothing about the time of day."""


def capture_ns(frame, period_ns):
    """Middle of the exposure [ns] of a frame of a connected camera that sends one every period_ns [ns].

    A global stamp is the camera's own clock brought to the host's; it counts from the end of the exposure, and the
    metadata say how much earlier its middle was. Without metadata the driver stamps a frame when it arrives: then a
    whole period is taken off, because a stamp may be too old but never too new.
    """
    ns = round(frame.get_timestamp() * 1e6)
    domain = frame.get_frame_timestamp_domain()
    if domain == rs.timestamp_domain.global_time:
        return ns - _since_middle_us(frame) * 1000
    if domain == rs.timestamp_domain.system_time:
        return ns - period_ns
    raise StampError(
        f"frames are stamped with the time since the camera's own start ({domain.name}): global time is off or not "
        "supported; update the firmware and librealsense"
    )


def _since_middle_us(frame):
    end, middle = rs.frame_metadata_value.frame_timestamp, rs.frame_metadata_value.sensor_timestamp
    if not (frame.supports_frame_metadata(end) and frame.supports_frame_metadata(middle)):
        return 0
    since_us = frame.get_frame_metadata(end) - frame.get_frame_metadata(middle)
    return since_us if 0 <= since_us <= _MAX_EXPOSURE_US else 0


class PlaybackClock:
    """Moves the stamps of a recording to now: as if the frame that came fastest had been taken when it came."""

    def __init__(self):
        self._shift_ns = self._last_ns = None

    def __call__(self, stamp_ms, now_ns):
        """Stamp [ns] of a frame recorded at stamp_ms that came at now_ns: later than the last, never than now."""
        ns = round(stamp_ms * 1e6)
        shift_ns = now_ns - ns
        if self._shift_ns is None:
            self._shift_ns, self._last_ns = shift_ns, now_ns - 1
        self._shift_ns = min(self._shift_ns, shift_ns)
        self._last_ns = max(self._last_ns + 1, ns + self._shift_ns)
        return self._last_ns
