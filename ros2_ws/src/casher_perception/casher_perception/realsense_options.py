"""Settings of a RealSense camera's sensors, each set only where it is supported: a recording has none of them."""

import logging

import pyrealsense2 as rs

_log = logging.getLogger(__name__)

SYNC_MODES = {"master": 1, "slave": 2}
"""Of the sync cable (inter_cam_sync_mode)."""


def set_option(sensor, option, value):
    """Set the option to the nearest allowed value -> what was set, or None where it cannot be set."""
    if not sensor.supports(option) or sensor.is_option_read_only(option):
        return None
    limits = sensor.get_option_range(option)
    value = min(max(float(value), limits.min), limits.max)
    sensor.set_option(option, value)
    return value


def prepare(depth_sensor, colour_sensor, sync):
    """Before the first frame: global time stamps, the projector on, a steady rate; sync: master, slave or None."""
    for sensor in (depth_sensor, colour_sensor):
        set_option(sensor, rs.option.global_time_enabled, 1)
    set_option(depth_sensor, rs.option.emitter_enabled, 1)
    set_option(colour_sensor, rs.option.auto_exposure_priority, 0)  # else it lowers the rate in dim light
    if sync and set_option(depth_sensor, rs.option.inter_cam_sync_mode, SYNC_MODES[sync]) is None:
        _log.warning("the rig says sync: %s, but the camera has no sync mode: its shots are not synchronised", sync)


class FixedExposure:
    """Automatic exposure for the first frames, then fixed: clouds of one evaluation should not change their colours."""

    def __init__(self, warm_up_frames):
        self._warm_up_frames = warm_up_frames
        self._sensors = ()
        self._left = warm_up_frames
        self._fixed = {}
        """(0 depth or 1 colour, option) -> value, once fixed."""

    @property
    def state(self):
        """For people."""
        if self._left:
            return f"automatic, fixed in {self._left} frames"
        values = [f"{('depth', 'colour')[i]} {option.name} {value:g}" for (i, option), value in self._fixed.items()]
        return f"fixed: {', '.join(values)}" if values else "cannot be set"

    def opened(self, depth_sensor, colour_sensor):
        """The camera was started or started again: what was fixed before stays so."""
        self._sensors = depth_sensor, colour_sensor
        automatic = float(self._left > 0)
        for sensor in self._sensors:
            set_option(sensor, rs.option.enable_auto_exposure, automatic)
        set_option(colour_sensor, rs.option.enable_auto_white_balance, automatic)
        for (i, option), value in self._fixed.items():
            set_option(self._sensors[i], option, value)

    def saw(self, depth_frame):
        """A good frame came; the last one of the warm-up fixes the exposure."""
        if not self._left:
            return
        self._left -= 1
        if not self._left:
            self._fix(depth_frame)
            _log.info("exposure %s", self.state)

    def _fix(self, depth_frame):
        depth_sensor, colour_sensor = self._sensors
        # Switched to manual, the depth sensor would fall back on what was last set by hand: its metadata know better.
        set_option(depth_sensor, rs.option.enable_auto_exposure, 0)
        for option, told in (
            (rs.option.exposure, rs.frame_metadata_value.actual_exposure),
            (rs.option.gain, rs.frame_metadata_value.gain_level),
        ):
            if depth_frame.supports_frame_metadata(told):
                value = set_option(depth_sensor, option, depth_frame.get_frame_metadata(told))
                if value is not None:
                    self._fixed[0, option] = value
        # The colour sensor tells its exposure only while that is manual, and keeps it when switched.
        for switch, options in (
            (rs.option.enable_auto_exposure, (rs.option.exposure, rs.option.gain)),
            (rs.option.enable_auto_white_balance, (rs.option.white_balance,)),
        ):
            if set_option(colour_sensor, switch, 0) is not None:
                for option in filter(colour_sensor.supports, options):
                    self._fixed[1, option] = colour_sensor.get_option(option)
