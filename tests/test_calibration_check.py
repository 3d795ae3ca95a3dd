"""The check: a rehearsal from the first sample to an accepted rig, and every way in which it fails."""

import dataclasses
import math
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from casher_bringup.arguments import ArgumentError, EvalArgs, plan
from casher_calibration import gate
from casher_calibration.check_command import CheckArgs
from casher_calibration.check_command import main as check
from casher_calibration.collect_command import CollectArgs
from casher_calibration.collect_command import main as collect
from casher_calibration.resume import robot_of
from casher_calibration.rig_writing import calibrated_rig, write_rig
from casher_calibration.samples import SessionError, load
from casher_calibration.solution import Outlier, Residual
from casher_calibration.solve import solve
from casher_calibration.touch import TouchError, corners_to_touch, load_touch, plane_error, touch_errors
from casher_calibration.touch_command import TouchArgs
from casher_calibration.touch_command import main as touch
from casher_perception.rig import RigError, load_rig

DEMO = Path(__file__).parents[1] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The whole rehearsal -> the folder with the session and the kitchens."""
    folder = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casher_calibration.collector.REST_S", 0.0)
        patch.setenv("CASHER_KITCHENS", str(folder / "kitchens"))
        args = CollectArgs(kitchen=str(DEMO), session=folder / "session", poses=21, page=False, go=True, motion_s=0.0)
        assert collect(args) == 0
        assert touch(TouchArgs(session=folder / "session")) == 0
        assert check(CheckArgs(session=folder / "session", kitchen=str(DEMO))) == 0
    return folder


@pytest.fixture(scope="module")
def solved(walk):
    session = load(walk / "session")
    return session, solve(session)


def test_the_rehearsed_rig_is_right_says_what_it_rests_on_and_is_accepted_for_simulation_only(walk, tmp_path):
    path = walk / "kitchens/demo.yaml"
    rig, truth = load_rig(path), load_rig(DEMO)
    for name, mount in rig.cameras.items():
        assert np.linalg.norm(mount.T_base_camera[:3, 3] - truth.cameras[name].T_base_camera[:3, 3]) < 0.003
        assert (mount.width, mount.intrinsics) == (160, None)  # calibrated at another size
    said = rig.calibration
    assert (said.status, said.kitchen, said.serials["camera_left"]) == ("simulated", "demo", "simulated-left")
    assert said.figures["samples"] >= 20 and said.figures["touch_max_mm"] < 5
    assert {"held_out_centre_mm", "camera_to_camera_mm", "plane_gap_mm", "camera_left_sigma_mm"} <= set(said.figures)
    assert said.software.startswith("casher") and "7 x 5" in said.board
    assert plan(EvalArgs(kitchen=str(path), out=str(tmp_path / "run"))).rig_path == path
    with pytest.raises(ArgumentError, match="calibration of real cameras"):
        plan(EvalArgs(kitchen=str(path), robot="fr3", host="127.0.0.9", policy="random"))


def test_the_report_holds_every_criterion_and_pictures_with_reprojections(walk):
    text = (walk / "session/report.html").read_text()
    for words in (
        "passed",
        "touch test, worst [mm]",
        "board centre, held out",
        "camera to camera",
        "left out",
        "Views",
    ):
        assert words.lower() in text.lower()
    assert text.count("data:image/jpeg;base64,") == 8  # six views, the touch test of two cameras


@pytest.fixture
def copied(walk, solved, tmp_path, monkeypatch):
    """The walk's session in a folder of its own, without touch test, read and solved already -> the folder."""
    shutil.copytree(walk / "session", tmp_path / "session")
    (tmp_path / "session/touch.yaml").unlink()
    session, solution = solved
    monkeypatch.setattr("casher_calibration.check_command.solve", lambda _: solution)
    monkeypatch.setattr("casher_calibration.check_command.load", lambda _: session)
    return tmp_path / "session"


def test_a_rehearsal_that_fails_writes_no_rig_that_would_stand_before_the_shipped_one(copied, tmp_path, capsys):
    assert check(CheckArgs(session=copied, kitchen=str(DEMO), rig=tmp_path / "kitchens")) == 1
    assert "no rig file is written" in capsys.readouterr().out
    assert not (tmp_path / "kitchens").exists()


def test_a_session_that_does_not_say_whose_it_is_is_not_taken_for_a_real_arms(solved, tmp_path, capsys, monkeypatch):
    session = dataclasses.replace(solved[0], robot="")
    for module in ("check_command", "touch_command"):
        monkeypatch.setattr(f"casher_calibration.{module}.load", lambda _: session)
    assert check(CheckArgs(session=tmp_path, kitchen=str(DEMO), rig=tmp_path / "kitchens")) == 2
    assert "collect.json" in capsys.readouterr().err and not (tmp_path / "kitchens").exists()
    (tmp_path / "collect.json").write_text('{"robot": "fr3"}')
    assert robot_of(session, tmp_path) == "fr3"
    with pytest.raises(SessionError, match=r"'fr3', 'sim'"):
        robot_of(dataclasses.replace(session, robot="sim"), tmp_path)
    assert touch(TouchArgs(session=tmp_path)) == 2
    assert "--robot fr3" in capsys.readouterr().err


def test_without_a_touch_test_the_check_fails_and_says_what_to_do(walk, tmp_path, capsys):
    shutil.copytree(walk / "session", tmp_path / "session")
    (tmp_path / "session/touch.yaml").unlink()
    (tmp_path / "session/collect.json").unlink()
    text = (tmp_path / "session/session.yaml").read_text()
    (tmp_path / "session/session.yaml").write_text(text.replace("robot: sim", "robot: fr3"))
    args = CheckArgs(session=tmp_path / "session", kitchen=str(DEMO), rig=tmp_path / "kitchens")
    assert check(args) == 1
    out = capsys.readouterr().out
    assert "FAIL  touch test, worst [mm]: not measured" in out and "casher calibrate touch" in out
    with pytest.raises(ArgumentError, match=r"failed its check .*calibration:=accept-failed"):
        plan(EvalArgs(kitchen=str(tmp_path / "kitchens/demo.yaml")))


def test_a_camera_that_is_not_where_the_solution_says_fails_the_touch_test(walk, solved):
    session, solution = solved
    touched = load_touch(walk / "session", session)
    assert max(error.distance_m for error in touch_errors(touched, session, solution)) < 0.004
    wrong = {name: T.copy() for name, T in solution.T_base_camera.items()}
    wrong["camera_left"][:3, 3] += [0.0, 0.008, 0.0]
    moved = dataclasses.replace(solution, T_base_camera=wrong)
    errors = touch_errors(touched, session, moved)
    assert all(error.distance_m > 0.005 for error in errors if error.camera == "camera_left")
    assert not gate.passed(gate.judge(moved, errors))
    assert plane_error(touched, session, solution).gap_m < 0.002
    wrong["camera_left"][2, 3] += 0.01
    assert plane_error(touched, session, moved).gap_m > 0.005


def judged(solution, **changes):
    good = [TouchError("camera_left", 0, 0.002)]
    return {c.figure: c for c in gate.judge(dataclasses.replace(solution, **changes), good)}


def test_the_gate_draws_its_lines_where_it_says(solved):
    _, solution = solved
    assert all(criterion.passed for criterion in judged(solution).values())
    one = [Residual(0, "camera_left", 0.0031, 0.0, 0.5)]
    far = [(0, 0.0041)]
    few = [residual for residual in solution.residuals if residual.camera == "camera_left"]
    lost = [Outlier(i, None, "moved") for i in range(8)]
    for figure, changes in (
        ("held_out_centre_mm", {"held_out": one}),
        ("held_out_share", {"held_out": []}),
        ("camera_to_camera_mm", {"camera_to_camera": far}),
        ("samples", {"residuals": few}),
        ("rejected_share", {"outliers": lost}),
    ):
        criterion = judged(solution, **changes)[figure]
        assert not criterion.passed and str(criterion).startswith("FAIL") and criterion.do in str(criterion)
    (touched,) = [c for c in gate.judge(solution, [TouchError("a", 0, 0.0051)]) if c.figure == "touch_max_mm"]
    assert not touched.passed
    (missing,) = [c for c in gate.judge(solution) if c.figure == "touch_max_mm"]
    assert math.isnan(missing.value) and not missing.passed


def test_views_from_before_a_camera_was_moved_are_no_samples_and_count_once(solved):
    _, solution = solved
    mine = [r.sample for r in solution.residuals if r.camera == "camera_left"]
    good, moved = judged(solution, outliers=[]), [Outlier(i, "camera_left", "the camera was moved") for i in mine[:12]]
    after = judged(solution, outliers=moved)
    assert after["samples"].value == len(mine) - 12 < 20 <= good["samples"].value
    assert after["rejected_share"].value == round(12 / len(solution.residuals), 3)
    partly = [r for r in solution.held_out if r.sample in mine[::2]]
    share = judged(solution, outliers=[], held_out=partly)["held_out_share"]
    assert good["held_out_share"].passed and not share.passed


def test_a_real_calibration_is_kept_beside_the_one_that_replaces_it(tmp_path, solved):
    session, solution = solved
    criteria = gate.judge(solution, [TouchError("camera_left", 0, 0.002)])
    truth = load_rig(DEMO)
    first = calibrated_rig(truth, session, solution, criteria, True, False, datetime(2026, 11, 1))
    assert first.calibration.status == "passed" and first.calibration.date == "2026-11-01"
    path, kept = write_rig(first, tmp_path)
    assert kept is None
    second = calibrated_rig(truth, session, solution, criteria, False, False, datetime(2026, 11, 2))
    path, kept = write_rig(second, tmp_path)
    assert load_rig(path, calibrated=False).calibration.status == "failed"
    assert yaml.safe_load(kept.read_text())["calibration"]["id"] == first.calibration.id
    with pytest.raises(RigError, match="real cameras"):
        write_rig(calibrated_rig(truth, session, solution, criteria, True, True, datetime(2026, 11, 3)), tmp_path)


def test_a_rehearsal_that_fails_leaves_nothing_that_could_be_accepted(tmp_path, solved):
    session, solution = solved
    failed = calibrated_rig(load_rig(DEMO), session, solution, gate.judge(solution), False, True, datetime(2026, 11, 1))
    path, _ = write_rig(failed, tmp_path)
    with pytest.raises(ArgumentError, match="'uncalibrated'"):
        plan(EvalArgs(kitchen=str(path), calibration="accept-failed"))


def test_what_cannot_be_checked_is_refused(tmp_path, walk, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check(CheckArgs()) == 2 and check(CheckArgs(kitchen="granny")) == 2
    assert check(CheckArgs(session=tmp_path / "nothing")) == 2
    assert check(CheckArgs(session=walk / "session", kitchen="granny")) == 2
    said = capsys.readouterr().err
    assert "no session of 'granny'" in said and "is of kitchen 'demo', not 'granny'" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("points: [", "cannot read"),
        ("{version: 1, cameras: [camera_left, camera_right], points: []}", "3 points or more"),
        ("{version: 1, cameras: [a], points: [{corner: 0, position: [0, 0]}]}", "cannot read|must hold"),
    ],
)
def test_a_touch_file_that_is_wrong_is_refused_by_its_path(tmp_path, solved, text, says):
    (tmp_path / "touch.yaml").write_text(text)
    with pytest.raises(SessionError, match=f"touch.yaml.*({says})|({says}).*touch.yaml"):
        load_touch(tmp_path, solved[0])


def test_the_corners_to_touch_are_far_apart_and_seen_by_all(solved):
    board = solved[0].board
    corners = corners_to_touch(board, set(range(len(board.corners()))))
    assert sorted(corners) == [0, board.squares_x - 2, 18, 23]
    assert len(set(corners_to_touch(board, set(range(7, 20))))) == 4
    with pytest.raises(SessionError, match="they share 2"):
        corners_to_touch(board, {1, 2})
