"""Rig files: what is written is read back, what is wrong is refused and named; the shipped one looks at the counter."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, T_OPTICAL_OPENGL, Intrinsics
from casher_perception.geometry import inverse, pose_matrix, transform
from casher_perception.rig import Calibration, RigError, find_rig, load_rig, optical_frame, save_rig

KITCHENS = Path(__file__).parents[1] / "ros2_ws/src/casher_bringup/config/kitchens"
DEMO = KITCHENS / "demo.yaml"


def written(tmp_path, change):
    values = copy.deepcopy(yaml.safe_load(DEMO.read_text()))
    change(values)
    path = tmp_path / "kitchen.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def setting(*keys, to):
    def change(values):
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = to

    return change


def removing(*keys):
    def change(values):
        for key in keys[:-1]:
            values = values[key]
        del values[keys[-1]]

    return change


def test_the_demo_kitchen_is_simulated_and_has_two_cameras():
    rig = load_rig(DEMO)
    assert (rig.kitchen, rig.calibration.status, list(rig.cameras)) == (
        "demo",
        "simulated",
        ["camera_left", "camera_right"],
    )
    assert rig.cameras["camera_left"].T_base_camera[1, 3] > 0 > rig.cameras["camera_right"].T_base_camera[1, 3]


def test_the_right_camera_of_the_demo_stands_where_the_paper_says():
    wxyz = np.array([0.84, 0.33, -0.15, -0.41])
    T_base_opengl = pose_matrix([-0.01, -0.50, 0.69], np.roll(wxyz / np.linalg.norm(wxyz), -1))
    np.testing.assert_allclose(
        load_rig(DEMO).cameras["camera_right"].T_base_camera, T_base_opengl @ T_OPTICAL_OPENGL, atol=1e-7
    )


def test_the_left_camera_of_the_demo_sees_the_mirror_image_of_what_the_right_one_sees():
    cameras = load_rig(DEMO).cameras
    points = np.random.default_rng(0).uniform([0.2, -0.4, 0.0], [0.7, 0.4, 0.3], (50, 3))
    right = transform(inverse(cameras["camera_right"].T_base_camera), points)
    left = transform(inverse(cameras["camera_left"].T_base_camera), points * [1, -1, 1])
    np.testing.assert_allclose(left, right * [-1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("name", ["camera_left", "camera_right"])
def test_both_cameras_of_the_demo_see_the_counter_in_front_of_the_robot(name):
    camera = load_rig(DEMO).cameras[name]
    intrinsics = Intrinsics.from_fov(camera.width, camera.height, D435I_COLOUR_HFOV_RAD)
    counter = np.array([[x, y, 0.1] for x in (0.3, 0.5, 0.7) for y in (-0.25, 0.0, 0.25)])
    pixels = intrinsics.project(transform(inverse(camera.T_base_camera), counter))
    assert np.all((pixels > 5) & (pixels < [camera.width - 6, camera.height - 6]))


def test_cameras_stand_upright():
    for camera in load_rig(DEMO).cameras.values():
        assert camera.T_base_camera[2, 1] < -0.5  # y of the optical frame points down


def test_a_saved_rig_is_read_back_unchanged(tmp_path):
    rig = load_rig(
        written(tmp_path, setting("cameras", "camera_left", "intrinsics", to={"fx": 1.5, "fy": 2, "cx": 3, "cy": 4}))
    )
    save_rig(rig, tmp_path / "copy.yaml")
    again = load_rig(tmp_path / "copy.yaml")
    assert (again.kitchen, again.calibration) == (rig.kitchen, rig.calibration)
    assert (again.workspace_low, again.workspace_high) == (rig.workspace_low, rig.workspace_high)
    assert again.cameras["camera_left"].intrinsics == Intrinsics(160, 120, 1.5, 2.0, 3.0, 4.0)
    for name, camera in rig.cameras.items():
        np.testing.assert_allclose(again.cameras[name].T_base_camera, camera.T_base_camera, atol=1e-12)
        assert (again.cameras[name].serial, again.cameras[name].rate_hz) == (camera.serial, camera.rate_hz)
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_the_whole_word_of_a_calibration_is_kept(tmp_path):
    said = Calibration(
        "granny-1", "2026-11-21", "passed", "granny", {"camera_left": "123"}, "7 x 5", "0.1.0", {"touch_max_mm": 3.5}
    )
    save_rig(dataclasses.replace(load_rig(DEMO), calibration=said), tmp_path / "rig.yaml")
    assert load_rig(tmp_path / "rig.yaml").calibration == said


def test_an_unquoted_date_is_text(tmp_path):
    path = tmp_path / "kitchen.yaml"
    path.write_text(DEMO.read_text().replace("'2025-11-01'", "2025-11-01"))
    assert load_rig(path).calibration.date == "2025-11-01"


def test_a_kitchen_is_found_by_name_in_the_first_folder_that_has_it(tmp_path):
    mine = tmp_path / "demo.yaml"
    mine.write_text("")
    assert find_rig("demo", [KITCHENS, tmp_path]) == DEMO
    assert find_rig("demo", [tmp_path, KITCHENS]) == mine
    assert find_rig("somewhere/else.yaml", [KITCHENS]) == Path("somewhere/else.yaml")


def test_an_unknown_kitchen_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "granny.yaml").write_text("")
    with pytest.raises(RigError, match=r"'palace'.*demo, granny"):
        find_rig("palace", [KITCHENS, tmp_path])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (setting("version", to=2), "version must be 1, got 2"),
        (removing("version"), "version must be 1, got None"),
        (removing("calibration", "id"), "calibration lacks id"),
        (removing("workspace"), "the rig lacks workspace"),
        (removing("cameras", "camera_left"), "two cameras are needed, got .*camera_right"),
        (setting("cameras", to=[]), "two cameras are needed"),
        (removing("cameras", "camera_left", "serial"), "camera_left lacks serial"),
        (
            setting("cameras", "camera_left", "serial", to="simulated-right"),
            "camera_left and camera_right.*same serial",
        ),
        (setting("cameras", "camera_left", "pose", "quat_xyzw", to=[0, 0, 0, 2]), "camera_left.*norm 1"),
        (setting("cameras", "camera_left", "pose", "quat_xyzw", to=[0, 0, 1]), "camera_left must be 4 numbers"),
        (setting("cameras", "camera_left", "pose", "position", to=[0, "x", 1]), "camera_left must be 3 numbers"),
        (setting("cameras", "camera_left", "pose", "position", to=[0, float("nan"), 1]), "must be 3 numbers"),
        (setting("cameras", "camera_left", "width", to=160.5), "positive integers"),
        (setting("cameras", "camera_left", "rate_hz", to=0), "rate_hz of camera_left must be positive"),
        (setting("cameras", "camera_left", "colour", to="red"), "unknown fields colour: known are serial"),
        (setting("cameras", "Left Camera", to={}), "Left Camera"),
        (setting("speed", to=1), "unknown fields speed"),
        (setting("workspace", "low", to=[1, 1, 1]), "low must be below high"),
        (setting("calibration", "status", to="good"), "one of simulated, passed, failed"),
        (setting("calibration", "figures", to={"touch_max_mm": "small"}), "figures must be 1 numbers"),
        (setting("calibration", "serials", to=["123"]), "serials of the calibration must be a mapping"),
        (setting("calibration", "status", to="failed"), "'failed'.*casher calibrate collect --kitchen demo"),
        (setting("calibration", "status", to="uncalibrated"), "casher calibrate collect --kitchen demo"),
    ],
)
def test_a_wrong_rig_file_is_refused_and_the_error_names_file_and_fault(tmp_path, change, says):
    path = written(tmp_path, change)
    with pytest.raises(RigError, match=f"kitchen.yaml.*{says}"):
        load_rig(path)


@pytest.mark.parametrize("status", ["failed", "uncalibrated"])
def test_calibration_itself_may_load_a_rig_that_is_not_calibrated(tmp_path, status):
    path = written(tmp_path, setting("calibration", "status", to=status))
    assert load_rig(path, calibrated=False).calibration.status == status


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no rig file"),
        (b"", "must be a mapping"),
        (b"[1, 2]", "must be a mapping"),
        (b"cameras: {a: [", "not YAML"),
        (b"\xff\xfe\x00", "kitchen.yaml"),
        (b"!!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_a_file_that_is_not_there_or_not_a_rig_is_refused(tmp_path, content, says):
    path = tmp_path / "kitchen.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RigError, match=says):
        load_rig(path)


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ("  camera_right:", "  camera_left:", "camera_left is there twice in the mapping that begins in line 10"),
        ("    serial: simulated-left", "    serial: a\n    serial: b", "serial is there twice"),
        ("'2025-11-01'", "2025-13-01", "month must be in"),
    ],
)
def test_a_name_given_twice_and_a_day_that_does_not_exist_are_refused(tmp_path, good, bad, says):
    path = tmp_path / "kitchen.yaml"
    text = DEMO.read_text()
    assert good in text
    path.write_text(text.replace(good, bad))
    with pytest.raises(RigError, match=f"kitchen.yaml.*{says}"):
        load_rig(path)


@pytest.mark.parametrize("syncs", [(None, None), ("master", "slave"), ("slave", "master")])
def test_a_sync_cable_is_kept(tmp_path, syncs):
    rig = load_rig(DEMO)
    cameras = {
        name: dataclasses.replace(camera, sync=sync)
        for (name, camera), sync in zip(rig.cameras.items(), syncs, strict=True)
    }
    save_rig(dataclasses.replace(rig, cameras=cameras), tmp_path / "rig.yaml")
    assert tuple(camera.sync for camera in load_rig(tmp_path / "rig.yaml").cameras.values()) == syncs


@pytest.mark.parametrize(
    ("syncs", "says"),
    [
        (("master", "master"), "one camera is the master"),
        (("slave", "slave"), "one camera is the master"),
        (("slave", None), "one camera is the master"),
        (("first", "second"), "sync of camera_left must be one of master, slave"),
    ],
)
def test_a_sync_cable_without_one_master_is_refused(tmp_path, syncs, says):
    def change(values):
        for camera, sync in zip(values["cameras"].values(), syncs, strict=True):
            camera |= {"sync": sync} if sync else {}

    with pytest.raises(RigError, match=says):
        load_rig(written(tmp_path, change))


def test_a_folder_is_not_a_rig_file(tmp_path):
    with pytest.raises(RigError, match="cannot read"):
        load_rig(tmp_path)


def test_frames_are_named_as_the_camera_driver_names_them():
    assert optical_frame("camera_left") == "camera_left_color_optical_frame"
