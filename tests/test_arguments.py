"""Everything that can be wrong with the arguments of an evaluation is said before a node is started."""

import os
import shutil
import socket
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from checkpoints import random_checkpoint

from casher_bringup.arguments import ArgumentError, EvalArgs, described, from_strings, kitchen_folders, plan
from casher_bringup.graph import build, build_apparatus
from casher_bringup.viewer_port import viewer_port
from casher_perception.rig import load_rig
from casher_sim.procedural import FIRST_UNSEEN_SEED
from casher_sim.twin_file import load_twin
from casher_sim.twin_kitchen import TwinKitchen


def planned(tmp_path, **values):
    return plan(EvalArgs(**{"out": str(tmp_path / "run"), **values}))


def test_the_defaults_work_and_make_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checked = plan(EvalArgs())
    assert checked.out.parent == tmp_path / "runs" and checked.out.is_dir()
    assert (checked.judge, checked.objects, checked.sides) == ("predicate", ("mug", "bowl", "box"), ("left", "right"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"robot": "ur5"}, ["ur5", "sim, fr3, panda"]),
        ({"kitchen": "atlantis"}, ["atlantis", "demo"]),
        ({"kitchen": "no/such/rig.yaml"}, ["no/such/rig.yaml"]),
        ({"policy": "wizard"}, ["wizard", "expert", "random"]),
        ({"policy": "no/such/checkpoint.safetensors"}, ["no/such/checkpoint.safetensors"]),
        ({"task": "wash_dishes"}, ["wash_dishes", "put_in_sink"]),
        ({"episodes": 0}, ["episodes", "0"]),
        ({"seed": -1}, ["-1"]),
        ({"seed": 10**20}, ["seed must be at most", "10 episodes"]),
        ({"objects": "mug,spoon"}, ["spoon", "mug", "bowl", "box"]),
        ({"objects": " , "}, ["objects"]),
        ({"sides": "middle"}, ["middle", "left", "right"]),
        ({"judge": "jury"}, ["jury", "predicate", "operator"]),
        ({"robot": "fr3"}, ["host"]),
        ({"robot": "fr3", "host": "127.0.0.9"}, ["expert", "fr3"]),
        ({"robot": "fr3", "host": "127.0.0.9", "policy": "random", "judge": "predicate"}, ["operator"]),
        ({"robot": "fr3", "host": "127.0.0.9", "policy": "random"}, ["not calibrated", "casher calibrate"]),
        ({"robot": "fr3", "host": "127.0.0.9", "dynamics_factor": 0.0}, ["dynamics_factor must be above 0", "0.0"]),
        ({"robot": "fr3", "host": "127.0.0.9", "dynamics_factor": 5.0}, ["dynamics_factor", "at most 1.0", "5.0"]),
        ({"dynamics_factor": 0.05}, ["dynamics_factor is for a robot"]),
        ({"cameras": "recordings"}, ["the simulator has its own cameras"]),
        ({"robot": "fr3", "host": "127.0.0.9", "policy": "random", "viewer": True}, ["viewer", "simulation"]),
        ({"robot": "panda", "host": "127.0.0.9", "policy": "random", "speed": 1.0}, ["speed", "dynamics_factor"]),
    ],
)
def test_a_wrong_argument_is_refused_with_what_was_got_and_what_is_known(tmp_path, values, said):
    with pytest.raises(ArgumentError) as error:
        planned(tmp_path, **values)
    assert all(text in str(error.value) for text in said), str(error.value)
    assert not (tmp_path / "run").exists()


def calibrated(tmp_path, **said):
    """Path of the demo kitchen's rig file with another word on its calibration."""
    values = yaml.safe_load(load_rig_text())
    values["calibration"] |= {"status": "passed", "date": "2026-11-01", **said}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


SERIALS = {"camera_left": "simulated-left", "camera_right": "another"}
DOUBTFUL = [
    ({"status": "failed", "figures": {"touch_max_mm": 7.5}}, "touch_max_mm 7.5", "accept-failed"),
    ({"date": "2026-09-01"}, "81 days old", "accept-stale"),
    ({"date": "2027-01-01"}, "ahead of this machine's clock", "accept-stale"),
    ({"kitchen": "granny"}, "'granny'", "accept-mismatched"),
    ({"serials": SERIALS}, "camera_right is simulated-right, calibrated was another", "accept-mismatched"),
    ({"serials": SERIALS, "status": "failed"}, "failed", "accept-failed,accept-mismatched"),
]
NOW = datetime(2026, 11, 21)


@pytest.mark.parametrize(("said", "why", "words"), DOUBTFUL)
def test_a_doubtful_calibration_is_refused_unless_it_is_accepted_in_words(tmp_path, said, why, words):
    rig = calibrated(tmp_path, **said)
    out = tmp_path / "run"
    with pytest.raises(ArgumentError) as error:
        plan(EvalArgs(kitchen=rig, out=str(out)), NOW)
    assert why in str(error.value) and f"calibration:={words}" in str(error.value) and not out.exists()
    with pytest.raises(ArgumentError, match="not to be relied on"):
        others = ",".join({"accept-failed", "accept-stale", "accept-mismatched"} - set(words.split(",")))
        plan(EvalArgs(kitchen=rig, out=str(out), calibration=others), NOW)
    checked = plan(EvalArgs(kitchen=rig, out=str(out), calibration=words), NOW)
    used = load_rig(checked.rig_path)  # as every node does
    assert used.calibration.status == "accepted" and "accepted: " in used.calibration.id
    assert {spec.parameters["rig"] for spec in build(checked) if "rig" in spec.parameters} == {str(out / "rig.yaml")}
    with pytest.raises(ArgumentError, match="copy of a run"):
        plan(EvalArgs(kitchen=str(checked.rig_path), calibration=words), NOW)


def test_a_recent_calibration_that_passed_needs_no_words_and_its_age_is_the_operators_to_limit(tmp_path):
    rig = calibrated(tmp_path, kitchen="demo", serials=SERIALS | {"camera_right": "simulated-right"})
    assert plan(EvalArgs(kitchen=rig, out=str(tmp_path / "run")), NOW).rig_path == Path(rig)
    with pytest.raises(ArgumentError, match="20 days old, at most 10"):
        plan(EvalArgs(kitchen=rig, calibration_days=10), NOW)
    with pytest.raises(ArgumentError, match="accept-failed, accept-stale"):
        plan(EvalArgs(kitchen=rig, calibration="yes"), NOW)


def test_a_rig_file_under_another_kitchens_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CASHER_KITCHENS", str(tmp_path))
    calibrated(tmp_path, kitchen="demo", serials=SERIALS | {"camera_right": "simulated-right"})
    with pytest.raises(ArgumentError, match=r"asked for is the kitchen 'mine', .* 'demo'.*accept-mismatched"):
        plan(EvalArgs(kitchen="mine", out=str(tmp_path / "run")), NOW)


@pytest.mark.parametrize("silent", ["serials", "kitchen"])
def test_on_a_real_arm_a_calibration_says_of_what_it_is(tmp_path, silent):
    said = {"kitchen": "demo", "serials": SERIALS | {"camera_right": "simulated-right"}}
    rig = calibrated(tmp_path, **{name: value for name, value in said.items() if name != silent})
    with pytest.raises(ArgumentError, match=f"of which {silent} it is.*accept-mismatched"):
        plan(EvalArgs(kitchen=rig, robot="fr3", host="127.0.0.9", policy="random", out=str(tmp_path / "run")), NOW)


def test_poses_that_nobody_calibrated_cannot_be_accepted(tmp_path):
    rig = calibrated(tmp_path, status="uncalibrated", date="2026-01-01")
    with pytest.raises(ArgumentError, match="'uncalibrated'"):
        plan(EvalArgs(kitchen=rig, calibration="accept-failed,accept-stale,accept-mismatched"), NOW)


def test_an_unreadable_rig_file_is_refused_by_its_path(tmp_path):
    rig = tmp_path / "mine.yaml"
    rig.write_text("cameras: [unclosed")
    with pytest.raises(ArgumentError, match=r"mine\.yaml"):
        planned(tmp_path, kitchen=str(rig))


def test_nothing_is_ever_overwritten(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/precious").write_text("x")
    with pytest.raises(ArgumentError, match="not empty"):
        planned(tmp_path)


def test_an_output_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArgumentError, match="cannot write"):
        planned(tmp_path, out=str(tmp_path / "file/run"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ArgumentError, match="cannot write"):
        planned(tmp_path)


def test_a_nearly_full_disk_is_refused_with_the_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("casher_bringup.arguments.MIN_FREE_BYTES", 10**18)
    with pytest.raises(ArgumentError, match="MB are free"):
        planned(tmp_path)


def test_launch_arguments_are_those_of_the_command():
    texts = {name: default for name, default, _ in described()}
    assert from_strings(texts) == EvalArgs()
    assert all(text for _, _, text in described())


@pytest.mark.parametrize(
    ("name", "text"), [("episodes", "ten"), ("speed", "fast"), ("viewer", "maybe"), ("colour", "red")]
)
def test_a_launch_argument_of_the_wrong_type_is_refused_by_name(name, text):
    with pytest.raises(ArgumentError, match=name):
        from_strings({name: text})


def test_the_viewer_takes_a_port_on_which_nobody_listens_and_the_simulator_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert taken < viewer_port(taken) < taken + 100
    shown = planned(tmp_path, viewer=True)
    (sim,) = (spec.parameters for spec in build(shown) if spec.name == "sim")
    assert (sim["viewer"], sim["viewer_port"]) == (True, shown.viewer_port)


def test_the_graph_has_one_main_node_and_unique_names(tmp_path):
    specs = build(planned(tmp_path))
    assert sum(spec.main for spec in specs) == 1
    assert len({spec.name for spec in specs}) == len(specs)
    assert {spec.executable for spec in specs} >= {
        "sim_node",
        "fusion_node",
        "policy_node",
        "recorder_node",
        "session_node",
    }


def test_the_apparatus_is_the_same_graph_without_anyone_who_decides(tmp_path):
    checked = planned(tmp_path)
    apparatus, whole = build_apparatus(checked), build(checked)
    assert [spec.name for spec in apparatus] == ["sim", "fusion", "recorder"]
    assert apparatus == whole[:3] and {spec.name for spec in whole[3:]} == {"policy", "session", "evaluate"}


@pytest.mark.parametrize("robot", ["fr3", "panda"])
def test_the_arm_is_as_slow_as_the_operator_says(tmp_path, robot):
    rig = calibrated(tmp_path, kitchen="demo", serials=SERIALS | {"camera_right": "simulated-right"})
    values = {"robot": robot, "host": "127.0.0.9", "policy": "random", "kitchen": rig}
    args = from_strings({**values, "dynamics_factor": "0.05", "out": str(tmp_path / "run")})
    (arm,) = (spec.parameters for spec in build(plan(args, NOW)) if spec.executable == "arm_node")
    assert arm["dynamics_factor"] == 0.05


def test_a_rig_of_a_kitchen_the_simulator_does_not_have_is_refused_with_the_known_ones(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text(load_rig_text().replace("kitchen: demo", "kitchen: atlantis"))
    with pytest.raises(ArgumentError, match=r"mine.yaml: unknown kitchen 'atlantis'.*demo"):
        planned(tmp_path, kitchen=str(own))


def load_rig_text():
    return next(folder / "demo.yaml" for folder in kitchen_folders() if (folder / "demo.yaml").exists()).read_text()


def test_an_output_folder_whose_name_is_too_long_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"cannot write to the output folder.*too long"):
        planned(tmp_path, out=str(tmp_path / ("a" * 300)))


def test_a_home_folder_in_the_output_is_looked_up(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert planned(tmp_path, out="~/bags").out == tmp_path / "bags"


def test_runs_that_begin_in_the_same_second_get_different_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    now = datetime(2027, 1, 2, 3, 4, 5)
    folders = [plan(EvalArgs(), now).out for _ in range(3)]
    assert [folder.name for folder in folders] == [f"2027-01-02_03-04-05{end}" for end in ("", "_2", "_3")]


@pytest.mark.parametrize("objects", ["a/b", "../mug", ".hidden"])
def test_an_object_that_cannot_name_a_folder_is_refused(tmp_path, monkeypatch, objects):
    nothing_known = ("mug",), ("left",), None, None
    monkeypatch.setattr("casher_bringup.arguments._simulated", lambda *_: nothing_known)
    with pytest.raises(ArgumentError, match="objects"):
        planned(tmp_path, objects=objects)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A kitchen with a cabinet that has a door."""
    from casher_sim.procedural import kitchen, save_kitchen

    folder = tmp_path_factory.mktemp("kitchens") / "with_a_door"
    folder.mkdir()
    save_kitchen(folder, *kitchen(1))
    return folder


def test_a_twin_says_what_its_tasks_use(tmp_path, twin):
    checked = planned(tmp_path, twin=str(twin), task="open_cabinet")
    assert (checked.objects, checked.sides) == (("none",), ("front",))
    nodes = {spec.name: spec.parameters for spec in build(checked)}
    assert nodes["sim"]["twin"] == str(twin) and nodes["session"]["kitchen"] == twin.name
    checked = planned(tmp_path / "sink", twin=str(twin), objects="mug_tall,box_cube")
    assert (checked.objects, checked.sides) == (("mug_tall", "box_cube"), ("left", "right"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"twin": "no/such/twin"}, ["no/such/twin", "twin.yaml"]),
        ({"twin": "a/k1,b/k1"}, ["k1 is named twice"]),
        ({"twin": "unseen:0"}, ["unseen:N", "unseen:0"]),
        ({"twin": "unseen:many"}, ["unseen:N"]),
        ({"task": "open_cabinet"}, ["demo", "open_cabinet", "put_in_sink"]),
        ({"robot": "fr3", "host": "127.0.0.9", "policy": "random", "twin": "anywhere"}, ["twin", "fr3"]),
    ],
)
def test_a_twin_that_cannot_be_used_is_refused(tmp_path, values, said):
    with pytest.raises(ArgumentError) as error:
        planned(tmp_path, **values)
    assert all(text in str(error.value) for text in said), str(error.value)


def test_a_damaged_twin_is_refused_by_its_path_and_its_fault(tmp_path):
    (tmp_path / "twin.yaml").write_text("version: 99\n")
    with pytest.raises(ArgumentError, match="version"):
        planned(tmp_path, twin=str(tmp_path))


def test_several_twins_are_worked_in_one_after_the_other(tmp_path, twin):
    other = tmp_path / "other"
    shutil.copytree(twin, other)
    checked = planned(tmp_path, twin=f"{twin}, {other}")
    assert checked.twins == (twin, other)
    nodes = {spec.name: spec.parameters for spec in build(checked)}
    assert nodes["sim"]["twin"] == str(twin) and nodes["evaluate"]["twins"] == [str(twin), str(other)]
    with pytest.raises(ArgumentError, match="no-such"):
        planned(tmp_path / "second", twin=f"{twin},no-such")


def test_unseen_kitchens_are_made_into_the_runs_folder(tmp_path):
    checked = planned(tmp_path, twin="unseen:2")
    assert [folder.parent for folder in checked.twins] == [tmp_path / "run" / "kitchens"] * 2
    seeds = [load_twin(folder).provenance.seed for folder in checked.twins]
    assert seeds == [FIRST_UNSEEN_SEED, FIRST_UNSEEN_SEED + 1]
    assert (checked.objects, checked.sides) == (("mug", "bowl", "box"), ("left", "right"))
    for task in ("put_in_cabinet", "open_cabinet"):  # not all kitchens have a shelf or a door to open
        checked = planned(tmp_path / task, twin="unseen:2", task=task)
        assert len(checked.twins) == 2 and all(task in TwinKitchen(folder).tasks for folder in checked.twins)


def test_a_checkpoint_gets_the_objects_it_knows_and_what_is_new_to_it_or_not_is_said(tmp_path, twin):
    path = tmp_path / "a.safetensors"
    random_checkpoint(path, objects=("mug", "bowl"), kitchens=("with_a_door",))
    checked = planned(tmp_path, policy=str(path))
    assert checked.objects == ("mug", "bowl") and checked.remarks == ()
    checked = planned(tmp_path / "2", policy=str(path), objects="mug,box", twin=str(twin))
    assert checked.objects == ("mug", "box")
    assert [text.partition(":")[0] for text in checked.remarks] == [
        "the checkpoint was trained on mug, bowl; new to it",
        "the checkpoint was trained in with_a_door",
    ]


def test_an_object_that_the_task_does_not_use_is_refused(tmp_path, twin):
    with pytest.raises(ArgumentError, match="known are none"):
        planned(tmp_path, twin=str(twin), task="open_cabinet", objects="mug")
