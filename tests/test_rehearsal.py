"""A rehearsal on recordings never moves a real arm, and is never mistaken for an evaluation."""

import pytest
import yaml

from casher_bringup.arguments import ArgumentError, EvalArgs, kitchen_folders, plan
from casher_bringup.graph import build
from casher_perception.rig import find_rig, load_rig


@pytest.fixture
def rig(tmp_path):
    """Path of the demo kitchen's rig file with a calibration that passed today."""
    from datetime import date

    values = yaml.safe_load(find_rig("demo", kitchen_folders()).read_text())
    serials = {name: camera["serial"] for name, camera in values["cameras"].items()}
    said = {"status": "passed", "date": date.today().isoformat(), "kitchen": values["kitchen"], "serials": serials}
    values["calibration"] |= said
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def recordings(tmp_path, rig):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for camera in load_rig(rig).cameras:
        (folder / f"{camera}.db3").touch()
    return folder


def planned(tmp_path, rig, **values):
    values = {"robot": "fr3", "policy": "random", "kitchen": str(rig), "host": "127.0.0.20", **values}
    return plan(EvalArgs(out=str(tmp_path / "run"), **values))


def camera_nodes(specs):
    return {spec.name: spec.parameters for spec in specs if spec.executable == "camera_node"}


def test_a_real_robot_has_one_process_for_each_camera_of_its_rig(tmp_path, rig):
    nodes = camera_nodes(build(planned(tmp_path, rig, host="192.168.0.20")))
    assert list(nodes) == list(load_rig(rig).cameras)
    for name, parameters in nodes.items():
        assert (parameters["camera"], parameters["source"]) == (name, "realsense") and "playback" not in parameters


@pytest.mark.parametrize("host", ["127.0.0.20", "::1", "localhost"])
def test_a_rehearsal_gives_every_camera_its_recording_and_its_record_another_kitchen(tmp_path, rig, recordings, host):
    specs = build(planned(tmp_path, rig, cameras=str(recordings), host=host))
    for name, parameters in camera_nodes(specs).items():
        assert parameters["playback"] == str(recordings / f"{name}.db3")
    (session,) = (spec for spec in specs if spec.name == "session")
    assert session.parameters["kitchen"] == "demo (recorded cameras)"


@pytest.mark.parametrize("host", ["192.168.0.20", "robot.local", "128.0.0.1"])
def test_recordings_are_refused_with_an_arm_that_may_be_real(tmp_path, rig, recordings, host):
    with pytest.raises(ArgumentError, match="would move without seeing"):
        planned(tmp_path, rig, cameras=str(recordings), host=host)
    assert not (tmp_path / "run").exists()


def test_a_camera_without_a_recording_is_named(tmp_path, rig, recordings):
    (recordings / "camera_right.db3").unlink()
    with pytest.raises(ArgumentError, match=r"lacks the recordings .*camera_right.db3"):
        planned(tmp_path, rig, cameras=str(recordings))
