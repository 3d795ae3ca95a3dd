"""Collection keeps what counts, once, with the labels of the teacher; a student is asked and judged in batch."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from casher_policy.action import Action
from casher_policy.preprocess import Preprocessing
from casher_policy.task import TASKS, task_named
from casher_sim.batch_expert import BatchExpert
from casher_training import collector
from casher_training.clouds import metres
from casher_training.collect_command import SHEET, CollectArgs
from casher_training.collect_command import main as collect
from casher_training.collection import Collection
from casher_training.collector import Collector, CollectorPlan, views_of
from casher_training.demos_replay import state_at
from casher_training.episodes import _Slips, run_episodes, trajectory
from casher_training.in_order import in_order
from casher_training.scene_clouds import SceneClouds
from casher_training.scenes import DEMO, Scene, environment
from casher_training.seen_trajectory import COPIES, cloud_seed, shortened, useful_length, view_choice
from casher_training.student_episodes import decide
from casher_training.student_eval import agreement
from casher_training.teacher_config import CPU
from casher_training.teacher_policy import TeacherHeader, build_policy, save_teacher, weights_of
from casher_training.trajectories import TrajectoryStore
from casher_training.workers import Inline
from tests.checkpoints import random_network
from tests.trajectories import trajectory as noise_trajectory

SINK = task_named("put_in_sink")
BOX = Scene(DEMO, "box")
POINTS = Preprocessing(*SINK.crop, points=64, near_points=32)
PLAN = CollectorPlan(SINK.name, "released", POINTS, (BOX,), seed=0, noise=0.1)


class ScriptedTeacher:
    """The script in a teacher's place: an untrained network would never succeed."""

    env = None

    def __init__(self, *_):
        self._expert = BatchExpert(self.env)

    def greedy(self, observations, _=None):
        return np.asarray(self._expert.actions())

    def logits(self, observations):
        return 100.0 * torch.nn.functional.one_hot(torch.as_tensor(self.greedy(observations)).long(), 14).float()


@pytest.fixture
def scripted(monkeypatch):
    def noted(*arguments, **options):
        ScriptedTeacher.env = environment(*arguments, **options)
        return ScriptedTeacher.env

    monkeypatch.setattr(collector, "environment", noted)
    monkeypatch.setattr(collector, "Teacher", ScriptedTeacher)


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    """Folder of two demonstrations of the box by the script."""
    env = environment(BOX, SINK.name, 2, autoreset_mode=AutoresetMode.DISABLED)
    expert = BatchExpert(env)
    episodes = run_episodes(env, lambda _, __: expert.actions(), np.arange(2))
    folder = tmp_path_factory.mktemp("demonstrations")
    with TrajectoryStore(folder, "a") as store:
        for i in range(2):
            store.append(trajectory(episodes, i, BOX, SINK, "released", "expert"))
    return folder


def collected(folder, per_twin):
    """Run what is missing in this process -> Collection."""
    with TrajectoryStore(folder, "a") as store:
        collection = Collection(store, PLAN, "teacher", per_twin, 0.5)
        calls = collection.chunks()
        for i, harvest in Inline(Collector, PLAN, (None, None)).each("teacher", calls):
            collection.add(calls[i][0].scene, harvest)
    return collection


def test_a_collection_goes_on_where_it_stopped_with_other_episodes(scripted, tmp_path):
    first = collected(tmp_path, 1)
    assert (first.counts[0].there, first.counts[0].made) == (0, 1)
    second = collected(tmp_path, 2)
    assert (second.counts[0].there, second.counts[0].made, second.counts[0].missing) == (1, 1, 0)
    third = collected(tmp_path, 2)
    assert third.counts[0].made == 0 and third.problems == []
    with TrajectoryStore(tmp_path, "a") as store:
        (remark,) = Collection(store, replace(PLAN, teacher_id="another"), "teacher", 2, 0.5).problems
    assert "2 of the trajectories" in remark and "another teacher" in remark
    with TrajectoryStore(tmp_path) as store:
        kept = [store.read(i) for i in range(len(store))]
    assert len({one.seed for one in kept}) == 2 and all(one.success for one in kept)
    assert Counter(one.clouds.view for one in kept) == {"cameras": 1, "meshes": 1}
    for one in kept:
        slipped = one.clouds.labels != one.actions
        assert 0 < slipped.mean() < 0.3, "noise is in the actions, not in the labels"
        # A cloud shows the state it stands beside.
        clouds = SceneClouds(BOX, SINK.name, POINTS)
        choice, t = view_choice(clouds, one.seed, one.clouds.view), len(one) // 2
        points, colours = clouds.cloud(choice, state_at(one, t), cloud_seed(one.seed, t))
        assert metres(one.clouds.points[t]) == pytest.approx(points, abs=1e-4)
        assert np.array_equal(one.clouds.colours[t], colours)


def test_a_teacher_that_never_succeeds_is_given_up_with_the_reasons_and_what_to_do(
    scripted, monkeypatch, tmp_path, capsys
):
    monkeypatch.setitem(TASKS, SINK.name, replace(SINK, horizon=4))
    policy = build_policy(CPU, environment(BOX, SINK.name, 1).single_observation_space)
    teacher = tmp_path / "teacher.safetensors"
    save_teacher(teacher, weights_of(policy), TeacherHeader(SINK.name, "released", 21, CPU, [], 0, 0, "a test", "", 0))
    args = CollectArgs(twins=(Path(DEMO),), out=tmp_path / "out", teacher=teacher, objects="box", per_twin=1)
    assert collect(args) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "demo box: given up after 8 episodes (never grasped 8), 1 of 1 trajectories are missing" in said
    assert "the same command would run the same ones again, another --seed runs other episodes" in said


def test_results_of_one_kitchen_come_in_their_order_and_no_other_kitchen_waits_for_them():
    came = [(3, "d"), (1, "b"), (2, "c"), (0, "a"), (4, "e")]
    assert list(in_order(came, ["x", "x", "y", "x", "y"])) == [(2, "c"), (0, "a"), (1, "b"), (3, "d"), (4, "e")]


def test_what_a_student_did_is_kept_and_labelled_whatever_came_of_it(scripted, tmp_path):
    plan = replace(PLAN, noise=0.0)
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(store, plan, "generalist", 1, 1.0)
        calls = collection.chunks()
        network = random_network()
        harvest = Collector(plan, (None, None), network).student(*calls[0])
        collection.add(0, harvest)
    (one,) = harvest.trajectories
    assert collection.counts[0].made == 1 and not one.success and sum(harvest.failures.values()) == 1
    assert len(one) + harvest.dropped_steps == SINK.horizon
    seen = metres(one.clouds.points), one.clouds.colours
    again = decide(network, list(zip(*seen, strict=True)), one.clouds.robot_states)
    assert np.mean(again == one.actions) > 0.9, "up to the rounding of the stored points"


def test_demonstrations_are_seen_as_they_are_and_missing_ones_are_told(demonstrations, tmp_path, capsys):
    args = CollectArgs(
        twins=(Path(DEMO),), out=tmp_path, demos=demonstrations, objects="box", per_twin=2, points=64, near_points=0,
        json=True,
    )  # fmt: skip
    assert collect(args) == 0
    (count,) = json.loads(capsys.readouterr().out)["scenes"]
    assert (count["made"], count["missing"]) == (2, 0) and (tmp_path / SHEET).stat().st_size > 1000
    assert collect(replace(args, per_twin=3)) == 1
    (count,) = json.loads(capsys.readouterr().out)["scenes"]
    assert (count["there"], count["made"], count["missing"]) == (2, 0, 1)
    with TrajectoryStore(tmp_path) as store:
        one = store.read(0)
    assert one.source == "expert" and np.array_equal(one.clouds.labels, one.actions)


def test_of_demonstrations_on_several_robots_one_has_to_be_named(tmp_path, capsys):
    for robot in ("sim", "fr3"):
        with TrajectoryStore(tmp_path / "demos", "a", round=int(robot == "sim")) as store:
            store.append(noise_trajectory(robot=robot))
    args = CollectArgs(twins=(Path(DEMO),), out=tmp_path / "out", demos=tmp_path / "demos", source="human")
    assert collect(args) == 2
    assert "has demonstrations on fr3, sim: say which with --robot" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "give --teacher, who acts or labels, or --demos"),
        ({"demos": Path("d"), "student": Path("s")}, "need a teacher who labels them"),
        ({"demos": Path("d"), "noise": 1.0}, "noise is a share of the actions"),
        ({"demos": Path("d"), "cameras_share": 1.5}, "cameras_share is a share"),
        ({"demos": Path("d"), "per_twin": 0}, "per_twin must be at least 1"),
        ({"demos": Path("nowhere"), "objects": "box"}, "no trajectories at nowhere"),
        ({"demos": Path("nowhere"), "robot": "ur5"}, "unknown robot 'ur5': known are sim, fr3, panda"),
        ({"teacher": Path("nowhere"), "robot": "fr3"}, "give --demos, or leave it out"),
        ({"teacher": Path("nowhere.safetensors")}, "no teacher at nowhere.safetensors"),
    ],
)
def test_what_cannot_be_collected_is_refused_in_words(changes, message, tmp_path, capsys):
    assert collect(CollectArgs(twins=(Path(DEMO),), out=tmp_path, **changes)) == 2
    assert message in capsys.readouterr().err


def test_agreement_counts_the_states_of_episodes_that_still_run():
    class Two:
        actions = np.array([[0, 1], [2, 1], [3, 1]])
        labels = np.array([[0, 1], [2, 5], [4, 1]])
        steps = np.array([3, 2])

    found = agreement([Two])
    assert found.confusion.sum() == 5 and found.rate == pytest.approx(3 / 5)
    assert set(found.worst()) == {("-z", "-x", 1), ("+z", "-y", 1)}


@pytest.mark.parametrize("burst", [1, 3])
def test_slips_are_the_wanted_share_of_the_actions_and_no_longer_than_a_burst(burst):
    random, slips = np.random.default_rng(0), _Slips(400, 0.1, burst)
    noisy, motions = (np.array(rows) for rows in zip(*(slips.draw(random) for _ in range(400)), strict=True))
    assert noisy.mean() == pytest.approx(0.1, abs=0.01)
    assert motions[noisy].max() < Action.OPEN
    if burst > 1:
        goes_on = noisy[1:] & noisy[:-1] & (motions[1:] == motions[:-1])
        assert goes_on.mean() > 0.03


def test_a_tail_in_which_nothing_happens_is_cut_off():
    one = noise_trajectory(steps=20)
    still = {
        name: np.concatenate([getattr(one, name)[:10], np.repeat(getattr(one, name)[10:11], 11, axis=0)])
        for name in ("robot_joints", "fingers", "object_poses", "door_angles")
    }
    stuck = replace(one, **still)
    assert useful_length(one) == 20
    assert useful_length(stuck) == 10 + COPIES
    cut = shortened(stuck, useful_length(stuck))
    assert len(cut) == 10 + COPIES and len(cut.observations) == 11 + COPIES and not cut.success


def test_any_part_of_the_views_has_about_the_wanted_share():
    assert Counter(views_of(40, 0.5)) == {"cameras": 20, "meshes": 20}
    assert set(views_of(7, 1.0)) == {"cameras"} and set(views_of(7, 0.0)) == {"meshes"}
    for n in range(1, 40):
        assert abs(views_of(40, 0.75)[:n].count("cameras") - 0.75 * n) <= 1
