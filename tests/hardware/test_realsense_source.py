"""Two recorded D435i through librealsense's own pipeline: points where the scene is, and a way out of each trouble."""

import time
from dataclasses import replace

import numpy as np
import pyrealsense2 as rs
import pytest

from casher_perception.camera_model import Intrinsics
from casher_perception.clouds import CameraCloud
from casher_perception.geometry import pose_matrix, transform
from casher_perception.realsense_device import CameraError
from casher_perception.realsense_source import RealSenseSource
from casher_perception.recovery import RecoveryLimits
from casher_perception.rig import CameraMount
from casher_perception.sources import SyntheticSource, open_source
from tests.hardware.recorded_camera import MID_EXPOSURE_US, lenses, record, scene_shots

W, H, RATE_HZ, SHOTS = 160, 120, 30.0, 24
POSES = {
    "SW0001": ([-0.01, 0.5, 0.69], [-0.40895848, 0.83786616, -0.32916171, 0.14961896]),
    "SW0002": ([-0.01, -0.5, 0.69], [-0.83786616, 0.40895848, -0.14961896, 0.32916171]),
}
MOUNTS = {serial: CameraMount(serial, pose_matrix(*pose), W, H, RATE_HZ) for serial, pose in POSES.items()}
LEFT, RIGHT = MOUNTS.values()
EVER_S = 1e9
QUICK = RecoveryLimits(silence_s=0.3, start_s=0.6, reset_s=0.1, appear_s=0.2, absent_s=60.0, hang_s=30.0)
"""Troubles take their time, but not that of the test."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Serial -> recording of the synthetic scene as that camera sees it; `t0_ms` the stamp of the first shot."""
    folder, t0_ms = tmp_path_factory.mktemp("recordings"), time.time() * 1e3
    shots = {s: scene_shots(m.T_base_camera, W, H, SHOTS, RATE_HZ, t0_ms) for s, m in MOUNTS.items()}
    frozen = [
        replace(shots["SW0001"][min(i, 4)], stamp_ms=t0_ms + i * 1000 / RATE_HZ, number=i + 1) for i in range(SHOTS)
    ]
    record({str(folder / f"{serial}.db3"): (serial, shots[serial]) for serial in MOUNTS}, RATE_HZ)
    still = [replace(frozen[0], stamp_ms=shot.stamp_ms, number=shot.number) for shot in frozen]
    stuck = {str(folder / "frozen.db3"): ("SW0001", frozen), str(folder / "still.db3"): ("SW0001", still)}
    record(stuck, RATE_HZ, pace_hz=100.0)
    names = {name: str(folder / f"{name}.db3") for name in (*MOUNTS, "frozen", "still")}
    return {**names, "t0_ms": t0_ms}


@pytest.fixture
def opened():
    """open(mount, ...) -> RealSenseSource, closed when the test ends."""
    sources = []

    def open_one(mount, **options):
        sources.append(RealSenseSource(mount, **{"limits": QUICK, "max_age_s": EVER_S, **options}))
        return sources[-1]

    yield open_one
    for source in sources:
        source.close()


def context_with(*paths):
    """A librealsense context in which these recordings are connected cameras, and what keeps them there."""
    context = rs.context()
    return context, [context.load_device(path) for path in paths]


def frames_of(source, count, timeout_s=60.0):
    """The next `count` frames."""
    frames, end = [], time.monotonic() + timeout_s
    while len(frames) < count:
        assert time.monotonic() < end, source.health()
        frame = source.read(0.2)
        frames += [] if frame is None else [frame]
    return frames


def read_until(source, condition, timeout_s=60.0):
    """Read on until condition() holds; what read() raises is raised here."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, source.health()
        source.read(0.05)


def to_block(points, camera):
    """Distance [m] of each point (N, 3), base frame, to the block's surface."""
    low, high = camera.BLOCK_M
    outside = np.linalg.norm(points - np.clip(points, low, high), axis=1)
    return np.where(outside > 0, outside, np.minimum(points - low, high - points).min(axis=1))


def to_scene(points, camera):
    """Distance [m] of each point (N, 3), base frame, to the nearest of table, block, and ball wherever it circles."""
    centres = np.array([camera.ball(i) for i in range(SHOTS)])
    to_ball = np.abs(np.linalg.norm(points[:, None] - centres, axis=2) - camera.BALL_RADIUS_M).min(axis=1)
    return np.minimum(np.minimum(np.abs(points[:, 2]), to_block(points, camera)), to_ball)


@pytest.mark.parametrize("mount", MOUNTS.values(), ids=MOUNTS)
def test_the_points_of_a_camera_lie_where_the_scene_is_and_have_its_colours(mount, recordings, opened):
    camera = opened(mount, playback=recordings[mount.serial])
    make = CameraCloud(camera.intrinsics, mount.T_base_camera, (-0.8,) * 3, (0.8,) * 3, 0.002, camera.depth_lens)
    for frame in frames_of(camera, 3):
        points, colours = make(frame.depth, frame.colour)
        in_base = transform(mount.T_base_camera, points.astype(np.float64))
        distance = to_scene(in_base, SyntheticSource(mount))
        assert len(points) > 3000
        assert np.quantile(distance, 0.99) < 0.002  # depth comes in steps of 1 mm
        blue, scene = (colours == (60, 90, 200)).all(axis=1), SyntheticSource(mount)
        on_block = (in_base[:, 2] > 0.003) & (to_block(in_base, scene) < 0.002)
        assert on_block.sum() > 300 and (blue == on_block).mean() > 0.99  # but for the rims, a pixel wide


def test_two_cameras_of_one_context_are_told_apart_by_their_serials(recordings, opened):
    context, keep = context_with(recordings["SW0001"], recordings["SW0002"])
    images = {}
    for serial in ("SW0002", "SW0001"):
        images[serial] = frames_of(opened(MOUNTS[serial], context=context), 1)[0].depth
    for serial, image in images.items():
        own = scene_shots(MOUNTS[serial].T_base_camera, W, H, SHOTS, RATE_HZ, 0.0)
        assert any(np.array_equal(image, shot.depth) for shot in own)
    assert len(keep) == 2


def test_a_frame_bears_the_time_of_its_exposure_not_of_its_arrival(recordings, opened):
    context, keep = context_with(recordings["SW0001"])
    recorded_ms = [recordings["t0_ms"] + i * 1000 / RATE_HZ - MID_EXPOSURE_US / 1000 for i in range(SHOTS)]
    for frame in frames_of(opened(LEFT, context=context), 5):
        assert np.abs(np.array(recorded_ms) - frame.stamp_ns * 1e-6).min() < 0.01
    assert keep


def test_a_stamp_made_on_arrival_is_a_period_too_old_rather_than_too_new(tmp_path, opened):
    shots = scene_shots(LEFT.T_base_camera, W, H, 20, 60.0, time.time() * 1e3)
    path = str(tmp_path / "arrival.db3")
    record({path: ("SW0001", shots)}, 60.0, domain=rs.timestamp_domain.system_time)
    context, keep = context_with(path)
    for frame in frames_of(opened(replace(LEFT, rate_hz=60.0), context=context), 3):
        arrived_ms = frame.stamp_ns * 1e-6 + 1000 / 60
        assert min(abs(arrived_ms - shot.stamp_ms) for shot in shots) < 0.01
    assert keep


def test_a_rehearsal_brings_the_stamps_to_now_and_begins_anew_at_the_end(recordings, opened):
    camera = opened(LEFT, playback=recordings["SW0001"])
    stamps = []
    for _ in range(2 * SHOTS):
        before_ns = time.time_ns()
        (frame,) = frames_of(camera, 1)
        assert frame.stamp_ns <= time.time_ns()
        stamps.append(frame.stamp_ns)
    assert stamps[-1] > before_ns - 60e9 and np.all(np.diff(stamps) > 0)
    assert camera.health().values["restarts"] == 0 and camera.health().ok


def test_a_camera_whose_stream_ends_is_started_again(recordings, opened, caplog):
    context, keep = context_with(recordings["SW0001"])
    camera = opened(LEFT, context=context)
    read_until(camera, lambda: camera.health().values["restarts"] == 1)
    assert "camera SW0001: no frames come: restart the pipeline" in caplog.text
    assert len(frames_of(camera, 3)) == 3 and camera.health().ok
    assert keep


def test_an_unplugged_camera_is_waited_for_and_taken_up_again(recordings, opened, caplog):
    context, keep = context_with(recordings["SW0001"], recordings["SW0002"])
    camera, other = opened(LEFT, context=context), opened(RIGHT, context=context)
    frames_of(camera, 1)
    context.unload_device(recordings["SW0001"])
    read_until(camera, lambda: "unplugged" in camera.health().message)
    assert not camera.health().ok
    assert frames_of(other, 3)
    keep.append(context.load_device(recordings["SW0001"]))
    assert frames_of(camera, 3) and camera.health().ok
    assert "camera SW0001: it is back" in caplog.text


def test_a_camera_that_stays_away_is_a_fault_that_names_those_that_are_there(recordings, opened):
    context, keep = context_with(recordings["SW0001"], recordings["SW0002"])
    camera = opened(LEFT, context=context, limits=replace(QUICK, absent_s=0.2))
    context.unload_device(recordings["SW0001"])
    with pytest.raises(CameraError, match=r"SW0001 has been away for 0.2 s \(unplugged.*connected are SW0002"):
        read_until(camera, lambda: False)
    assert keep


def test_a_picture_that_repeats_is_not_delivered_and_climbs_the_whole_ladder(recordings, opened, caplog):
    context, keep = context_with(recordings["frozen"])
    camera = opened(LEFT, context=context, limits=replace(QUICK, calm_s=EVER_S))
    delivered = []

    def read_on():
        while True:
            frame = camera.read(0.05)
            delivered.extend([] if frame is None else [frame])

    with pytest.raises(CameraError, match="neither a restart nor a reset has helped: unplug it"):
        read_on()
    counts = camera.health().values
    assert counts["restarts"] == counts["resets"] == 1 and counts["repeated"] > 0
    # It recorded 5 different pictures, and was played three times.
    assert 5 <= len(delivered) <= 15
    rungs = [text for text in ("restart the pipeline", "reset the camera", "give up") if text in caplog.text]
    assert len(rungs) == 3
    assert keep


def test_a_picture_that_never_changes_is_given_up_however_often_its_recording_begins_anew(recordings, opened, caplog):
    caplog.set_level("INFO", "casher_perception")
    camera = opened(LEFT, playback=recordings["still"])
    delivered, end = [], time.monotonic() + 60
    with pytest.raises(CameraError, match="the same picture comes again and again, and neither a restart nor a reset"):
        while time.monotonic() < end:
            delivered.append(camera.read(0.05))
    assert "begins anew" in caplog.text
    assert sum(frame is not None for frame in delivered) == 1  # nor does a restart make it a new one


@pytest.mark.parametrize("hour, words", [(1, "s old"), (-1, "s in the future")])
def test_frames_that_are_late_or_early_are_not_delivered(hour, words, recordings, opened):
    context, keep = context_with(recordings["SW0001"])
    ahead_ns = hour * 3_600_000_000_000
    camera = opened(LEFT, context=context, max_age_s=600.0, clock_ns=lambda: time.time_ns() + ahead_ns)
    end = time.monotonic() + 60
    while not camera.health().values["late"]:
        assert camera.read(0.2) is None and time.monotonic() < end
    assert words in camera.health().message and not camera.health().ok
    assert keep


def test_a_serial_that_is_not_connected_is_an_error_that_names_those_that_are(recordings, opened):
    context, keep = context_with(recordings["SW0002"])
    with pytest.raises(
        CameraError, match=r"no camera with the serial SW0001.*connected are SW0002.*serials in the rig"
    ):
        opened(LEFT, context=context)
    assert keep


def test_swapped_recordings_are_refused(recordings, opened):
    with pytest.raises(CameraError, match=r"recording of camera SW0002, the rig's is SW0001.*swapped"):
        opened(LEFT, playback=recordings["SW0002"])


def test_a_camera_with_other_intrinsics_than_the_calibrated_one_is_refused(recordings, opened):
    colour, _ = lenses(W, H)
    same = replace(LEFT, intrinsics=replace(colour, fx=colour.fx * 1.003, cx=colour.cx + 0.5))
    assert opened(same, playback=recordings["SW0001"]).intrinsics == same.intrinsics
    other = replace(LEFT, intrinsics=Intrinsics(W, H, colour.fx * 1.02, colour.fy, colour.cx, colour.cy))
    with pytest.raises(CameraError, match="another camera, or the serials in the rig are swapped"):
        opened(other, playback=recordings["SW0001"])


def test_a_size_the_camera_does_not_have_is_refused_with_what_was_asked_for(recordings, opened):
    with pytest.raises(CameraError, match=r"SW0001 cannot be started with 640 x 480 at 30 Hz \(USB 3.2\)"):
        opened(replace(LEFT, width=640, height=480), playback=recordings["SW0001"])


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(CameraError, match="no recording"):
        open_source("realsense", LEFT, playback=str(tmp_path / "none.db3"))
    (tmp_path / "text.db3").write_text("no recording")
    with pytest.raises(CameraError, match="not a recording librealsense can play"):
        open_source("realsense", LEFT, playback=str(tmp_path / "text.db3"))


def test_stamps_that_count_from_the_cameras_start_are_not_delivered(tmp_path, opened):
    path = str(tmp_path / "clock.db3")
    shots = scene_shots(LEFT.T_base_camera, W, H, 20, 60.0, 1000.0)
    record({path: ("SW0001", shots)}, 60.0, domain=rs.timestamp_domain.hardware_clock)
    context, keep = context_with(path)
    camera = opened(replace(LEFT, rate_hz=60.0), context=context)
    end = time.monotonic() + 60
    while "since the camera's own start" not in camera.health().message:
        assert camera.read(0.2) is None and time.monotonic() < end
    assert keep


def test_a_bent_image_is_refused(tmp_path, opened):
    path = str(tmp_path / "bent.db3")
    record({path: ("SW0001", scene_shots(LEFT.T_base_camera, W, H, 2, RATE_HZ, 0.0))}, RATE_HZ, coefficients=(0.1,) * 5)
    with pytest.raises(CameraError, match=r"distorted by .* pixels"):
        opened(LEFT, playback=path)
