"""Collecting: what is wrong is said at the first image, nothing bad is kept, and a session can be gone on with."""

import dataclasses
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from casher_calibration.board import Board
from casher_calibration.collect_command import CollectArgs, main
from casher_calibration.collector import CollectError, Collector, coverage, rotation_spread, wait_for_rest
from casher_calibration.detection import BoardProblem
from casher_calibration.drive import collect
from casher_calibration.kitchen_rig import Space, keep_new, rig_of
from casher_calibration.reach import Reach
from casher_calibration.rehearsal import rehearsal
from casher_calibration.resume import begin_or_go_on
from casher_calibration.samples import SessionCamera, SessionError, create, load
from casher_franka.arm import ArmFault
from casher_perception.camera_model import Intrinsics
from casher_perception.rig import RigError

DEMO = Path(__file__).parents[1] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"
BOARD = Board()
SPACE = Space((0.2, -0.4, 0.05), (0.7, 0.4, 0.6), 0.1)
STATED = {"table_m": SPACE.table_m, "box_low": SPACE.low, "box_high": SPACE.high}


@pytest.fixture(autouse=True)
def at_rest_at_once(monkeypatch):
    monkeypatch.setattr("casher_calibration.collector.REST_S", 0.0)


@pytest.fixture
def apparatus():
    """The demo kitchen's rehearsal -> (rig, arm, cameras)."""
    rig = rig_of(str(DEMO))
    sized = {name: dataclasses.replace(mount, width=1280, height=720) for name, mount in rig.cameras.items()}
    rig = dataclasses.replace(rig, cameras=sized)
    return rig, *rehearsal(rig, BOARD)


def collector_of(folder, apparatus, board=BOARD):
    _, arm, cameras = apparatus
    own = {name: SessionCamera(camera.serial, camera.intrinsics) for name, camera in cameras.items()}
    return Collector(folder, create(folder, board, own, kitchen="demo"), arm, cameras)


def reach_of(rig):
    return Reach(rig.workspace_low, rig.workspace_high, rig.workspace_low[2], "fr3", np.zeros((0, 3)))


def shown(cameras, change):
    """Every camera's pictures from now on, changed."""
    for camera in cameras.values():
        read = camera.read
        camera.read = lambda timeout_s, read=read: dataclasses.replace(
            frame := read(timeout_s), colour=np.ascontiguousarray(change(frame.colour))
        )


def mirrored(image):
    return image[:, ::-1]


def blurred(image):
    return cv2.GaussianBlur(image, (0, 0), 2.0)


@pytest.mark.parametrize(
    ("change", "board", "kind", "says"),
    [
        (mirrored, BOARD, "mirrored", "print"),
        (None, dataclasses.replace(BOARD, dictionary="DICT_6X6_100"), "wrong_dictionary", "DICT_4X4"),
        (None, dataclasses.replace(BOARD, squares_x=9, squares_y=6), "wrong_size", "squares"),
    ],
)
def test_a_wrong_board_is_refused_at_the_first_image_and_nothing_is_kept(
    tmp_path, apparatus, change, board, kind, says
):
    if change:
        shown(apparatus[2], change)
    collector = collector_of(tmp_path, apparatus, board)
    with pytest.raises(BoardProblem, match=says) as error:
        collector.take()
    assert error.value.kind == kind and "camera_" in str(error.value)
    assert load(tmp_path).samples == [] and not list(tmp_path.glob("*.png"))
    assert any(view.problem for view in collector.progress.views.values())  # the page shows it, too


def test_a_board_that_was_right_before_is_not_called_wrong_for_one_bad_picture(tmp_path, apparatus):
    _, arm, cameras = apparatus
    collector = collector_of(tmp_path, apparatus)
    collector.take()
    arm.guide_to(arm.state().joint_positions + np.array([0, 0, 0, 0, 0.1, 0.1, 0.1]))
    shown(cameras, mirrored)
    with pytest.raises(CollectError, match="this picture of camera_left is not used"):
        collector.take()
    assert len(load(tmp_path).samples) == 1


def test_blur_is_said_and_the_sample_is_not_kept(tmp_path, apparatus):
    shown(apparatus[2], blurred)
    collector = collector_of(tmp_path, apparatus)
    with pytest.raises(CollectError, match=r"camera_left: .*blur"):
        collector.take()
    assert collector.session.samples == []


def test_an_arm_that_does_not_come_to_rest_and_a_fault_are_named(apparatus):
    _, arm, _ = apparatus
    arm._moving = True
    with pytest.raises(CollectError, match="did not come to rest within"):
        wait_for_rest(arm, patience_s=0.1)
    arm._moving = False
    arm.stop()
    with pytest.raises(CollectError, match="'stopped'"):
        wait_for_rest(arm)


def test_an_arm_that_moves_while_pictures_are_taken_gives_no_sample(tmp_path, apparatus):
    _, arm, cameras = apparatus
    collector = collector_of(tmp_path, apparatus)
    shown(cameras, lambda image: (arm.guide_to(arm.state().joint_positions + 0.01), image)[1])
    with pytest.raises(CollectError, match="the arm moved while"):
        collector.take()
    assert collector.session.samples == []


def test_a_silent_camera_is_named(tmp_path, apparatus, monkeypatch):
    monkeypatch.setattr("casher_calibration.collector.PICTURE_S", 0.2)
    collector = collector_of(tmp_path, apparatus)
    apparatus[2]["camera_right"].read = lambda timeout_s: None
    with pytest.raises(CollectError, match="camera_right gave no picture"):
        collector.take()


def test_pictures_from_before_the_arm_stood_are_not_used(tmp_path, apparatus):
    collector = collector_of(tmp_path, apparatus)
    camera = apparatus[2]["camera_left"]
    read, reads = camera.read, []

    def old_first(timeout_s):
        frame = read(timeout_s)
        reads.append(frame)
        return dataclasses.replace(frame, stamp_ns=frame.stamp_ns - 10**9) if len(reads) == 1 else frame

    camera.read = old_first
    assert collector.take().index == 0
    assert len(reads) == 2


def test_stopping_ends_the_drive_and_the_arm_stands_until_it_is_recovered(tmp_path, apparatus):
    collector = collector_of(tmp_path, apparatus)
    stop = threading.Event()
    taken = []
    take = collector.take
    collector.take = lambda: (taken.append(take()), stop.set(), collector.arm.stop())
    assert collect(collector, reach_of(apparatus[0]), 8, np.random.default_rng(0), stop.is_set) == 1
    assert len(taken) == 1
    with pytest.raises(ArmFault, match="stopped"):
        collector.arm.home()


def args(tmp_path, **values):
    return CollectArgs(
        **{"kitchen": str(DEMO), "session": tmp_path / "s", "page": False, "go": True, "motion_s": 0.0, **values}
    )


def test_a_session_is_driven_kept_and_gone_on_with_but_not_with_other_things(tmp_path, capsys):
    assert main(args(tmp_path, poses=5)) == 0
    first = len(load(tmp_path / "s").samples)
    assert main(args(tmp_path, poses=7)) == 0
    assert "going on with" in capsys.readouterr().out
    session = load(tmp_path / "s")
    assert len(session.samples) > first
    assert sum(len(sample.detections) == 2 for sample in session.samples) >= 7
    assert (np.rad2deg(rotation_spread(session))[:2] > 20).all()
    counts = coverage(session)
    assert set(counts) == set(session.cameras) and counts["camera_left"].sum() > 7 * 8
    assert main(args(tmp_path, poses=7, square_mm=35.0)) == 2
    assert main(args(tmp_path, poses=7, seed=5)) == 2
    assert main(args(tmp_path, poses=7, width=640, height=360)) == 2
    said = capsys.readouterr().err
    assert (
        "its board is" in said
        and "rehearsal with seed 0" in said
        and "1280 x 720 pixels, now it has 640 x 360" in said
        and "--session" in said
    )
    assert main(CollectArgs(kitchen="demo", images=tmp_path / "s")) == 1
    out = capsys.readouterr().out
    assert "seen by every camera" in out and "the check needs 20" in out


def test_the_pose_of_an_earlier_sample_is_not_taken_again(tmp_path, apparatus):
    collector = collector_of(tmp_path, apparatus)
    collector.take()
    with pytest.raises(CollectError, match="pose of sample 0 again: turn the board"):
        collector.take()
    assert len(load(tmp_path).samples) == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"robot": "ur5"}, "known are sim, fr3, panda"),
        ({"robot": "fr3"}, "needs --host"),
        ({"poses": 3}, "5 .. 200"),
        ({"kitchen": "atlantis"}, "--serials LEFT RIGHT"),
        ({"kitchen": "atlantis", "serials": ("1", "2"), "robot": "fr3", "host": "127.0.0.9"}, "--box-low X Y Z"),
        ({"table_m": 0.1}, "all are needed, or none"),
        ({"serials": ("1", "2"), "robot": "fr3", "host": "127.0.0.9"}, "no camera with the serial 1"),
        ({"kitchen": "atlantis", "serials": ("1", "1"), **STATED}, "two serials are needed"),
        ({"kitchen": "atlantis", "serials": ("1", "2"), **STATED}, "rehearse with --kitchen demo"),
        ({"paper": "b5"}, "known are a4, a3"),
    ],
)
def test_arguments_that_cannot_work_are_refused_with_what_to_do(tmp_path, capsys, values, says):
    assert main(args(tmp_path, **values)) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_kitchen_without_a_rig_file_begins_uncalibrated_with_the_box_that_was_stated(tmp_path, monkeypatch):
    monkeypatch.setenv("CASHER_KITCHENS", str(tmp_path / "kitchens"))
    rig = rig_of("granny", ("123", "456"), SPACE)
    assert rig.calibration.status == "uncalibrated"
    assert (rig.workspace_low, rig.workspace_high, rig.table_m) == (SPACE.low, SPACE.high, SPACE.table_m)
    assert {name: mount.serial for name, mount in rig.cameras.items()} == {"camera_left": "123", "camera_right": "456"}
    with pytest.raises(RigError, match=r"granny.*--serials.*--table-m"):
        rig_of("granny")
    keep_new(rig)
    again = rig_of("granny", ("123", "457"), SPACE)
    assert again.table_m == 0.1 and again.cameras["camera_right"].serial == "457"
    with pytest.raises(RigError, match="correct the file"):
        rig_of("granny", (), dataclasses.replace(SPACE, table_m=0.2))


def test_serials_do_not_make_a_new_kitchen_of_a_rig_file_that_cannot_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CASHER_KITCHENS", str(tmp_path))
    (tmp_path / "granny.yaml").write_text(DEMO.read_text().replace("workspace:", "workspaec:"))
    for kitchen in ("granny", str(tmp_path / "grany.yaml")):
        real = {"robot": "fr3", "host": "127.0.0.9", "serials": ("1", "2"), **STATED}
        assert main(args(tmp_path, kitchen=kitchen, **real)) == 2
    said = capsys.readouterr().err
    assert "granny.yaml: the rig lacks workspace" in said and "no rig file" in said


@pytest.mark.parametrize("change", [{"low": (0.9, -0.4, 0.05)}, {"table_m": 0.7}, {"table_m": float("nan")}])
def test_a_box_that_is_none_is_refused_with_what_to_measure(change):
    with pytest.raises(RigError, match="measure in the robot's base frame"):
        dataclasses.replace(SPACE, **change)


def test_a_session_is_not_gone_on_with_at_other_intrinsics(tmp_path):
    def begin(fx):
        own = {"camera_left": SessionCamera("1", Intrinsics(640, 480, fx, 600.0, 320.0, 240.0))}
        return begin_or_go_on(tmp_path / "s", BOARD, own, "granny", "fr3", 0)

    begin(600.0)
    assert begin(600.0).robot == "fr3"
    with pytest.raises(SessionError, match=r"camera_left had the intrinsics .*600.*606"):
        begin(606.0)


@pytest.mark.timeout(900)
def test_the_page_shows_the_cameras_and_takes_a_sample_when_its_button_is_pressed(tmp_path, monkeypatch):
    from playwright.sync_api import sync_playwright

    from casher_calibration import collect_command

    pages = []
    page_class = collect_command.Page
    monkeypatch.setattr(collect_command, "Page", lambda *a, **k: pages.append(page_class(*a, **k)) or pages[-1])
    codes = []
    run = args(tmp_path, hand_guided=True, page=True, port=0, poses=5)
    thread = threading.Thread(target=lambda: codes.append(main(run)), daemon=True)
    thread.start()
    end = time.monotonic() + 180
    while not pages and time.monotonic() < end:
        time.sleep(0.02)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            timeout=180_000,
        )
        page = browser.new_page()
        page.set_default_timeout(180_000)  # of all that follows
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages[0].url)
        page.wait_for_function("document.querySelectorAll('.say.good').length == 2")
        assert page.get_by_role("button", name="Take a sample").is_visible()
        assert not page.get_by_role("button", name="Start").is_visible()
        page.get_by_role("button", name="Take a sample").click()
        page.get_by_text("sample 0 taken").wait_for()
        page.get_by_role("button", name="Take a sample").click()
        page.get_by_text("this is the pose of sample 0 again").wait_for()
        assert "1 of 5 samples" in page.locator("#count").inner_text()
        refused = page.request.post(pages[0].url + "/take", timeout=180_000)  # what another page could send
        assert refused.status == 403
        page.get_by_role("button", name="Finish").click()
        thread.join(120)
        browser.close()
    assert errors == [] and codes == [1]
    assert len(load(tmp_path / "s").samples) == 1
