"""A camera that moved during an evaluation is named; noise, a moved object and a moved scene are no alarm."""

import threading

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, Intrinsics
from casher_perception.clouds import deproject, voxel_downsample
from casher_perception.drift import SUSTAINED, Drift, DriftThread, DriftWatch
from casher_perception.geometry import inverse, transform
from casher_perception.rig import find_rig, load_rig
from casher_perception.surface_shift import compare, surface
from casher_policy.task import task_named
from casher_sim.depth_noise import DepthNoise, noisy_depth
from casher_sim.places import place_of
from casher_sim.world import World
from casher_sim.world_camera import WorldCamera

INTRINSICS = Intrinsics.from_fov(320, 240, D435I_COLOUR_HFOV_RAD)
TASK = task_named("put_in_sink")


def motion(translation_m, angle_deg, axis=(0, 0, 1)):
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(np.deg2rad(angle_deg) * np.asarray(axis)).as_matrix()
    T[:3, 3] = translation_m
    return T


class Scene:
    """The demo kitchen, seen by its two cameras wherever they really stand."""

    def __init__(self):
        from casher_bringup.arguments import kitchen_folders

        rig = load_rig(find_rig("demo", kitchen_folders()))
        self.calibrated = {name: np.array(camera.T_base_camera) for name, camera in rig.cameras.items()}
        self._world = World(place_of("demo", ""), TASK)
        self._camera = WorldCamera(self._world)

    def set_up(self, object_name, side, seed):
        self._world.reset(object_name, side, seed)

    def clouds(self, seeds, **moved):
        """For each seed of a D435i's noise, camera -> points in its optical frame; moved: camera -> T_camera_moved."""
        true = {name: T @ moved.get(name, np.eye(4)) for name, T in self.calibrated.items()}
        images = self._camera.render(self._camera.look(), [(INTRINSICS, T) for T in true.values()])
        return [self._noisy(images, np.random.default_rng(seed)) for seed in seeds]

    def _noisy(self, images, rng):
        result = {}
        for (name, T), (colour, depth) in zip(self.calibrated.items(), images, strict=True):
            depth = noisy_depth(depth, INTRINSICS, rng, DepthNoise())
            points = deproject(depth, colour, INTRINSICS, T, *TASK.crop)
            result[name] = transform(inverse(T), voxel_downsample(*points, 0.005, *TASK.crop)[0])
        return result


@pytest.fixture(scope="module")
def scene():
    return Scene()


def checked(watch, scene, n=SUSTAINED, seed=0, **moved):
    return [watch.check(clouds) for clouds in scene.clouds(range(seed, seed + n), **moved)]


def test_cameras_that_stand_still_raise_no_alarm_whatever_happens_in_the_scene(scene):
    watch = DriftWatch(scene.calibrated)
    for seed, name in enumerate(("mug", "bowl", "box")):
        scene.set_up(name, ("left", "right")[seed % 2], seed)  # kitchen and object are elsewhere each time
        drifts = checked(watch, scene, seed=10 * seed)
        assert [drift.alarm for drift in drifts] == ["", "", ""]
        assert drifts[-1].values["camera_right_against_camera_left_mm"] < 1.5


@pytest.mark.parametrize(("camera", "axis"), [("camera_left", (0, 1, 0)), ("camera_right", (0, 0, 1))])
def test_a_camera_that_moved_8_mm_and_1_degree_is_named_once_it_is_sustained(scene, camera, axis):
    scene.set_up("bowl", "left", 3)
    watch = DriftWatch(scene.calibrated)
    assert not checked(watch, scene, n=1)[-1].alarm
    *early, last = checked(watch, scene, seed=50, **{camera: motion(0.008 * np.array(axis), 1.0, axis)})
    assert not any(drift.alarm for drift in early)
    other = {"camera_left": "camera_right", "camera_right": "camera_left"}[camera]
    assert f"{camera} has moved by" in last.alarm and f"{other} has moved" not in last.alarm
    assert "calibrate again" in last.alarm
    assert not checked(watch, scene, n=1, seed=80)[0].alarm  # moved back: the alarm ends, nothing was corrected


def test_cameras_that_disagree_from_the_start_are_told_although_nobody_knows_which_moved(scene):
    scene.set_up("mug", "left", 1)
    last = checked(DriftWatch(scene.calibrated), scene, camera_left=motion([0.0, 0.008, 0.0], 1.0, (1, 0, 0)))[-1]
    assert "camera_right and camera_left disagree by" in last.alarm and "one of them" in last.alarm


def test_a_known_motion_is_measured(scene):
    scene.set_up("box", "right", 2)
    T = scene.calibrated["camera_left"]
    points = transform(T, scene.clouds([0])[0]["camera_left"].astype(float))
    done = motion([0.004, -0.003, 0.002], 0.4, (0.6, 0.0, 0.8))
    done[:3, 3] += points.mean(axis=0) - done[:3, :3] @ points.mean(axis=0)
    shift = compare(surface(transform(done, points), T[:3, 3]), surface(points, T[:3, 3], seed=1))
    assert shift.seen >= 5
    assert abs(np.rad2deg(shift.angle_rad) - 0.4) < 0.1
    np.testing.assert_allclose(shift.rotation / shift.angle_rad, [0.6, 0.0, 0.8], atol=0.2)
    np.testing.assert_allclose(shift.translation, [0.004, -0.003, 0.002], atol=0.002)


def test_a_bare_plane_fixes_three_directions_and_claims_nothing_about_the_others():
    rng = np.random.default_rng(0)
    plane = np.column_stack([rng.uniform(-0.4, 0.4, (8000, 2)), rng.normal(0.0, 0.001, 8000)])
    slid = plane + np.array([0.02, 0.0, 0.007])
    shift = compare(surface(slid, (0, 0, 1)), surface(plane, (0, 0, 1), seed=1))
    assert shift.seen == 3
    np.testing.assert_allclose(shift.translation, [0.0, 0.0, 0.007], atol=0.0005)


def test_too_little_in_common_is_said_and_is_no_alarm(scene):
    watch = DriftWatch(scene.calibrated)
    empty = {name: np.zeros((10, 3)) for name in scene.calibrated}
    drift = [watch.check(empty) for _ in range(SUSTAINED + 1)][-1]
    assert drift.alarm == "" and "too little in common" in drift.message


def test_one_camera_is_nothing_to_compare(scene):
    with pytest.raises(ValueError, match="at least two cameras"):
        DriftWatch({"camera_left": np.eye(4)})


class Watch:
    """Counts its checks, or fails."""

    def __init__(self, error=None):
        self.error, self.seen, self.checked = error, [], threading.Event()

    def check(self, clouds):
        self.seen.append(clouds)
        self.checked.set()
        if self.error:
            raise self.error
        return Drift(message=clouds)


def test_the_thread_checks_the_first_clouds_and_drops_others_until_a_check_is_due():
    watch = Watch()
    thread = DriftThread(watch, period_s=1000.0)
    thread.offer("first")
    assert watch.checked.wait(30)
    thread.offer("second")
    thread.close()
    assert (watch.seen, thread.drift.message) == (["first"], "first")


def test_a_watch_that_fails_is_an_alarm_and_not_a_silence():
    watch = Watch(RuntimeError("no memory"))
    thread = DriftThread(watch, period_s=0.0)
    thread.offer("first")
    assert watch.checked.wait(30)
    thread.close()
    assert "no memory" in thread.drift.alarm
