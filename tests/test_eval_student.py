"""`casher eval student`: a checkpoint is asked in batch, what became of it is counted, and its films can be seen."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkpoints import preprocessing, random_checkpoint, random_network
from PIL import Image

from casher_policy.checkpoint import save_checkpoint
from casher_policy.task import TASKS
from casher_training.eval_student_command import EvalStudentArgs, main
from casher_training.scenes import DEMO, Scene, environment
from casher_training.teacher_config import CPU
from casher_training.teacher_policy import TeacherHeader, build_policy, save_teacher, weights_of

SINK = "put_in_sink"
HORIZON = 6
"""Of the tests' episodes: an untrained student would waste all of a longer one."""


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch):
    monkeypatch.setitem(TASKS, SINK, replace(TASKS[SINK], horizon=HORIZON))


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """File of a student that has learnt nothing."""
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    random_checkpoint(path)
    return path


def teacher(path, task=SINK):
    """Write a teacher that has learnt nothing -> its path."""
    config = replace(CPU, layers=(8,))
    policy = build_policy(config, environment(Scene(DEMO, "box"), SINK, 1).single_observation_space)
    save_teacher(path, weights_of(policy), TeacherHeader(task, "released", 21, config, [], 0, 0, "a test", "", 0))
    return path


def arguments(student, **changes):
    return EvalStudentArgs(student, (Path(DEMO),), **{"objects": "box", "episodes": 2, **changes})


def test_outcomes_agreement_with_the_teacher_and_a_film_are_written(student, tmp_path, capsys):
    asked = teacher(tmp_path / "teacher.safetensors")
    films = tmp_path / "films"
    films.mkdir()
    (films / "success.gif").write_bytes(b"of another evaluation")
    assert main(arguments(student, teacher=asked, json=True, films=films)) == 0
    figures = json.loads(capsys.readouterr().out)
    (overall,) = figures["overall"]
    assert (overall["episodes"], overall["successes"], overall["reasons"]) == (2, 0, {"never grasped": 2})
    assert [row["name"] for row in figures["scenes"]] == ["demo box"]
    agreed = figures["agreement"]
    assert np.sum(agreed["confusion"]) == 2 * HORIZON
    assert agreed["rate"] == pytest.approx(np.trace(agreed["confusion"]) / (2 * HORIZON), abs=1e-4)
    assert "success" not in figures and not (films / "success.gif").exists()
    assert figures["failure"] == str(films / "failure.gif")
    with Image.open(films / "failure.gif") as film:
        assert film.n_frames == HORIZON + 1
        drawn = np.asarray(film.convert("RGB"))
    assert (films / "failure.png").is_file()
    quarters = [half for row in np.split(drawn, 2) for half in np.split(row, 2, axis=1)]
    assert all(quarter.std() > 5 for quarter in quarters), "two cameras and two clouds"


def test_people_are_told_what_became_of_it_and_the_same_seed_tells_the_same(student, capsys):
    told = []
    for _ in range(2):
        assert main(arguments(student, view="meshes", randomised=True)) == 0
        told.append(capsys.readouterr().out.rpartition(" in ")[0])
    assert told[0] == told[1]
    for text in ("demo", "never grasped", f"{2 * HORIZON} steps"):
        assert text in told[0]


def test_a_student_whose_answers_are_not_finite_is_not_evaluated(tmp_path, capsys):
    network = random_network()
    for parameter in network.parameters():
        parameter.data.fill_(1e30)
    path = tmp_path / "student.safetensors"
    save_checkpoint(path, network, task=SINK, preprocessing=preprocessing(), data_hash="0" * 64, commit="a test")
    assert main(arguments(path, view="meshes")) == 1
    assert "not finite: take an earlier checkpoint" in capsys.readouterr().err


def test_what_cannot_be_evaluated_is_refused_in_words(student, tmp_path, capsys):
    others = teacher(tmp_path / "teacher.safetensors", "put_in_cabinet")
    for changes, message in (
        ({"view": "radar"}, "unknown view 'radar': known are cameras, meshes"),
        ({"episodes": 0}, "episodes and processes are at least 1, got 0 and 1"),
        ({"checkpoint": tmp_path / "none.safetensors"}, "none.safetensors"),
        ({"twins": (tmp_path / "nowhere",)}, "nowhere"),
        ({"teacher": others}, "give its own teacher"),
    ):
        assert main(replace(arguments(student), **changes)) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_kitchen_that_the_checkpoint_was_trained_in_is_remarked_on(tmp_path, capsys):
    path = tmp_path / "student.safetensors"
    about = {"task": SINK, "preprocessing": preprocessing(), "data_hash": "", "commit": "", "objects": ("box",)}
    for kitchens, told in ((("demo", "another"), True), (("another",), False)):
        save_checkpoint(path, random_network(), kitchens=kitchens, **about)
        assert main(arguments(path, episodes=1)) == 0
        assert ("was trained in demo: success there" in capsys.readouterr().err) == told
