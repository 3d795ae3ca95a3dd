"""Settings on librealsense's software sensors, which take options as a camera's do."""

import numpy as np
import pyrealsense2 as rs
import pytest

from casher_perception.realsense_options import FixedExposure, prepare, set_option

DEPTH_OPTIONS = {
    rs.option.global_time_enabled: (0, 1, 0),
    rs.option.emitter_enabled: (0, 1, 0),
    rs.option.inter_cam_sync_mode: (0, 2, 0),
    rs.option.enable_auto_exposure: (0, 1, 0),
    rs.option.exposure: (1, 20000, 33000 / 4),
    rs.option.gain: (16, 248, 16),
}
COLOUR_OPTIONS = {
    rs.option.global_time_enabled: (0, 1, 0),
    rs.option.auto_exposure_priority: (0, 1, 1),
    rs.option.enable_auto_exposure: (0, 1, 1),
    rs.option.enable_auto_white_balance: (0, 1, 1),
    rs.option.exposure: (1, 10000, 156),
    rs.option.gain: (0, 128, 64),
    rs.option.white_balance: (2800, 6500, 4600),
}


class Camera:
    """A software device with the options of a D435i, and shots whose metadata tell exposure and gain."""

    def __init__(self, depth=DEPTH_OPTIONS, colour=COLOUR_OPTIONS):
        self._device = rs.software_device()
        self.depth, self.colour = self._device.add_sensor("Stereo Module"), self._device.add_sensor("RGB Camera")
        for sensor, options in ((self.depth, depth), (self.colour, colour)):
            for option, (low, high, now) in options.items():
                limits = rs.option_range()
                limits.min, limits.max, limits.step, limits.default = low, high, 1, now
                sensor.add_option(option, limits, True)
        stream = rs.video_stream()
        stream.type, stream.fmt, stream.bpp = rs.stream.depth, rs.format.z16, 2
        stream.width, stream.height, stream.fps, stream.intrinsics = 8, 8, 30, rs.intrinsics()
        self._profile = self.depth.add_video_stream(stream).as_video_stream_profile()
        self._queue = rs.frame_queue(1)
        self.depth.open(self._profile)
        self.depth.start(self._queue)

    def shot(self, exposure_us, gain):
        told = rs.frame_metadata_value
        self.depth.set_metadata(told.actual_exposure, exposure_us)
        self.depth.set_metadata(told.gain_level, gain)
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp, frame.profile = np.zeros((8, 8), np.uint16), 16, 2, self._profile
        self.depth.on_video_frame(frame)
        return self._queue.wait_for_frame(5000)


@pytest.fixture
def camera():
    camera = Camera()
    yield camera
    camera.depth.stop()
    camera.depth.close()


def test_a_camera_starts_with_global_time_its_projector_and_the_sync_mode_of_the_rig(camera):
    prepare(camera.depth, camera.colour, "slave")
    assert camera.depth.get_option(rs.option.global_time_enabled) == 1
    assert camera.colour.get_option(rs.option.global_time_enabled) == 1
    assert camera.depth.get_option(rs.option.emitter_enabled) == 1
    assert camera.depth.get_option(rs.option.inter_cam_sync_mode) == 2
    assert camera.colour.get_option(rs.option.auto_exposure_priority) == 0
    prepare(camera.depth, camera.colour, "master")
    assert camera.depth.get_option(rs.option.inter_cam_sync_mode) == 1


def test_exposure_is_automatic_first_and_then_stays_what_it_had_become(camera):
    exposure = FixedExposure(warm_up_frames=3)
    exposure.opened(camera.depth, camera.colour)
    assert camera.depth.get_option(rs.option.enable_auto_exposure) == 1
    for exposure_us, gain in ((9000, 16), (7000, 20), (6500, 30)):
        assert exposure.state.startswith("automatic")
        exposure.saw(camera.shot(exposure_us, gain))
    assert camera.depth.get_option(rs.option.enable_auto_exposure) == 0
    assert camera.colour.get_option(rs.option.enable_auto_exposure) == 0
    assert camera.colour.get_option(rs.option.enable_auto_white_balance) == 0
    assert camera.depth.get_option(rs.option.exposure) == 6500 and camera.depth.get_option(rs.option.gain) == 30
    assert "depth exposure 6500" in exposure.state and "colour exposure 156" in exposure.state
    exposure.saw(camera.shot(100, 100))
    assert camera.depth.get_option(rs.option.exposure) == 6500


def test_a_camera_that_was_reset_gets_the_fixed_exposure_again(camera):
    exposure = FixedExposure(warm_up_frames=1)
    exposure.opened(camera.depth, camera.colour)
    exposure.saw(camera.shot(6500, 30))
    for sensor, options in ((camera.depth, DEPTH_OPTIONS), (camera.colour, COLOUR_OPTIONS)):
        for option, (_, _, now) in options.items():
            sensor.set_option(option, now)
    exposure.opened(camera.depth, camera.colour)
    assert camera.depth.get_option(rs.option.enable_auto_exposure) == 0
    assert camera.depth.get_option(rs.option.exposure) == 6500
    assert camera.colour.get_option(rs.option.exposure) == 156


def test_what_a_sensor_lacks_is_left_alone_and_a_value_beyond_its_range_is_cut(caplog):
    bare = Camera({rs.option.exposure: (1, 5000, 100)}, {})
    prepare(bare.depth, bare.colour, "master")
    assert "the camera has no sync mode" in caplog.text
    exposure = FixedExposure(warm_up_frames=1)
    exposure.opened(bare.depth, bare.colour)
    exposure.saw(bare.shot(6500, 30))
    assert bare.depth.get_option(rs.option.exposure) == 5000
    assert set_option(bare.colour, rs.option.gain, 3) is None
    bare.depth.add_read_only_option(rs.option.depth_units, 0.001)
    assert set_option(bare.depth, rs.option.depth_units, 0.002) is None
    bare.depth.stop()
    bare.depth.close()
