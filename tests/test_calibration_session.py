"""Sessions on disk, and `casher calibrate solve` on them and on pairs of poses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from casher_bringup.cli import main as casher
from casher_calibration.board import Board
from casher_calibration.detection import BoardProblem
from casher_calibration.samples import SessionError, append, create, load
from casher_calibration.solution import Options
from casher_calibration.solve import solve
from casher_calibration.synthetic_session import World, make_session


@pytest.fixture(scope="module")
def rendered():
    """A rendered session in memory, its truth, and its images."""
    images = {}
    session, truth = make_session(
        np.random.default_rng(1), 6, World(), keep_image=lambda i, name, image: images.update({(i, name): image})
    )
    return session, truth, images


@pytest.fixture(scope="module")
def collected(rendered, tmp_path_factory):
    """That session on disk, as if collected in two sittings."""
    session, _, images = rendered
    where = tmp_path_factory.mktemp("calibration") / "session"
    sitting = create(where, session.board, session.cameras, kitchen="demo")
    for sample in session.samples:
        if sample.index == 3:
            sitting = load(where)
        shown = {name: images[sample.index, name] for name in session.cameras}
        append(sitting, where, sample.T_base_gripper, shown, sample.time, sample.joints)
    return where


@pytest.fixture
def folder(collected, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(collected, tmp_path / "session"))


def test_what_was_collected_is_what_is_read(rendered, folder):
    session, _, _ = rendered
    read = load(folder)
    assert (read.board, read.cameras, read.kitchen) == (session.board, session.cameras, "demo")
    for a, b in zip(read.samples, session.samples, strict=True):
        assert (a.index, a.time) == (b.index, b.time)
        assert np.allclose(a.T_base_gripper, b.T_base_gripper, atol=1e-9)
        assert np.allclose(a.joints, b.joints)
        assert all(np.array_equal(a.detections[name].pixels, b.detections[name].pixels) for name in session.cameras)


def test_a_folder_is_solved_headless(rendered, folder, capsys):
    _, truth, _ = rendered
    assert casher(["calibrate", "solve", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples_used"] == 6
    for name, T in truth.T_base_camera.items():
        assert np.linalg.norm(np.array(found["cameras"][name]["T_base_camera"])[:3, 3] - T[:3, 3]) < 0.005
    assert casher(["calibrate", "solve", str(folder)]) == 0
    assert "camera_left: at" in capsys.readouterr().out


def test_an_image_without_a_board_is_noted_not_fatal(rendered, folder):
    session, _, images = rendered
    again = load(folder)
    empty = {"camera_left": np.full_like(images[0, "camera_left"], 90), "camera_right": images[0, "camera_right"]}
    append(again, folder, session.samples[0].T_base_gripper, empty, 99.0, session.samples[0].joints)
    assert [(index, name) for index, name, _ in load(folder).unusable] == [(6, "camera_left")]
    assert "camera_left" not in again.samples[-1].detections


def test_a_folder_with_images_of_another_board_is_refused(folder):
    values = yaml.safe_load((folder / "session.yaml").read_text())
    values["board"] = Board(9, 7, 0.02, 0.015).to_dict()
    (folder / "session.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(BoardProblem, match=r"sample 0, camera_left.*7 x 5"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.update(version=9), "version"),
        (lambda v: v.pop("board"), "board"),
        (lambda v: v["board"].update(square_m=36.0), "millimetres"),
        (lambda v: v["samples"][0]["pose"].update(quat_xyzw=[0, 0, 0, 2]), "norm 1"),
        (lambda v: v["samples"][0].update(joints=[0.0] * 6), "7 finite numbers"),
        (lambda v: v["samples"][0].update(index=4), "does not rise|no image"),
        (lambda v: v["samples"][0].update(index=77), "no image"),
        (lambda v: v["cameras"]["camera_left"].update(width=640), "pixels"),
        (lambda v: v["cameras"]["camera_left"].pop("fx"), "fx"),
    ],
)
def test_a_wrong_file_is_refused_with_the_field(folder, change, told):
    values = yaml.safe_load((folder / "session.yaml").read_text())
    values["samples"] = values["samples"][:2]
    change(values)
    (folder / "session.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(SessionError, match=told):
        load(folder)


def test_a_wrong_board_is_refused_before_anything_is_written(rendered, folder):
    session, _, images = rendered
    again, before = load(folder), sorted(folder.iterdir())
    again.board = Board(9, 7, 0.02, 0.015)
    shown = {name: images[0, name] for name in session.cameras}
    with pytest.raises(BoardProblem):
        append(again, folder, session.samples[0].T_base_gripper, shown, 99.0)
    assert sorted(folder.iterdir()) == before


def test_a_session_is_not_begun_over_another(rendered, folder):
    session, _, _ = rendered
    with pytest.raises(SessionError, match="resume"):
        create(folder, session.board, session.cameras)


def test_a_folder_without_a_session_says_where_one_comes_from(tmp_path, capsys):
    assert casher(["calibrate", "solve", str(tmp_path)]) == 2
    assert "casher calibrate collect" in capsys.readouterr().err


def pairs(n, eye_in_hand=False, noise_m=0.0, seed=0):
    """-> list for the file, the true T_base_camera (T_gripper_camera)"""
    rng = np.random.default_rng(seed)

    def pose(turn, shift):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = Rotation.from_rotvec(rng.normal(0, turn, 3)).as_matrix(), rng.normal(0, shift, 3)
        return T

    X, Z, found = pose(1.0, 0.6), pose(1.0, 0.1), []
    for _ in range(n):
        T = pose(0.4, 0.3)
        B = np.linalg.inv(X) @ (np.linalg.inv(T) if eye_in_hand else T) @ Z
        B[:3, 3] += rng.normal(0, noise_m, 3)
        found.append([T.tolist(), B.tolist()])
    return found, X


def solved(tmp_path, capsys, values, *flags):
    """-> exit code, what was printed (parsed when it succeeded)"""
    path = tmp_path / "pairs.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    code = casher(["calibrate", "solve", "--poses", str(path), *flags])
    out, err = capsys.readouterr()
    return code, json.loads(out) if code == 0 else err


@pytest.mark.parametrize(("flags", "name"), [((), "T_base_camera"), (("--eye-in-hand",), "T_gripper_camera")])
def test_exact_pairs_give_the_exact_camera(tmp_path, capsys, flags, name):
    values, X = pairs(10, bool(flags))
    code, found = solved(tmp_path, capsys, values, *flags)
    assert code == 0
    assert np.allclose(found[name], X, atol=1e-9)
    assert found["outliers"] == []
    assert found["residuals"]["translation_rms_m"] < 1e-9


def test_wrong_pairs_are_named_and_left_out(tmp_path, capsys):
    values, X = pairs(20, noise_m=5e-4)
    values[4][0][0][3] += 0.02
    flipped = np.array(values[9][1])
    flipped[:3, :3] = flipped[:3, :3] @ np.diag([-1.0, -1.0, 1.0])
    values[9][1] = flipped.tolist()
    code, found = solved(tmp_path, capsys, values)
    assert code == 0
    assert [outlier["index"] for outlier in found["outliers"]] == [4, 9]
    assert np.linalg.norm(np.array(found["T_base_camera"])[:3, 3] - X[:3, 3]) < 0.002


def _one_axis(values):
    for i, (T, _) in enumerate(values):
        c, s = np.cos(0.1 * i), np.sin(0.1 * i)
        for row, entries in enumerate(([c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0])):
            T[row][:3] = entries


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.clear(), "list of pairs"),
        (lambda v: v.__delitem__(slice(2, None)), "at least 3"),
        (lambda v: v[1][0][0].__setitem__(0, 5.0), "pair 1"),
        (lambda v: v[2][1][0].__setitem__(3, float("nan")), "not finite"),
        (lambda v: v[2].pop(), "pair 2"),
        (lambda v: v[3].__setitem__(0, [[1, 0, 0], [0, 1, 0]]), "4 x 4"),
        (lambda v: v[3].__setitem__(0, "pose"), "pair 3"),
        (lambda v: v[0][0][0].__setitem__(3, 450.0), "millimetres"),
        (_one_axis, "one axis"),
        (lambda v: v.__setitem__(slice(None), [v[0]] * 8), "hardly turns"),
    ],
)
def test_pairs_that_determine_nothing_are_refused_with_what_to_do(tmp_path, capsys, change, told):
    values, _ = pairs(8)
    change(values)
    code, err = solved(tmp_path, capsys, values)
    assert code == 2
    assert told in err


def test_the_wrong_mode_is_recognised(tmp_path, capsys):
    values, _ = pairs(10)
    code, err = solved(tmp_path, capsys, values, "--eye-in-hand")
    assert code == 2
    assert "the other way round" in err


def test_a_file_that_is_not_json_is_refused(tmp_path, capsys):
    code, err = solved(tmp_path, capsys, "[[")
    assert code == 2
    assert "not JSON" in err


def test_either_a_folder_or_poses(capsys):
    assert casher(["calibrate", "solve"]) == 2
    assert "--poses" in capsys.readouterr().err


def test_narrow_poses_are_not_taken_for_moved_cameras():
    session, _ = make_session(np.random.default_rng(14), 10, replace(World(corner_px=0.06), spread=0.4))
    assert solve(session, Options(folds=0)).outliers == []
