"""Giving demonstrations, without a page: the session, the keys' meaning, the ledger, the commands."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

from casher_bringup.cli import main as casher
from casher_policy.action import ACTION_NAMES, Action
from casher_sim.environment import KitchenEnv
from casher_training import demos_keys as keys
from casher_training.demos_collection import Collection
from casher_training.demos_expert import NoisyExpert
from casher_training.demos_session import DemoError, SimulatedDemo
from casher_training.effort import Effort, EffortError, append_effort, read_effort
from casher_training.human_clock import PAUSE_S, HumanClock
from casher_training.scenes import Scene, setting_of
from casher_training.trajectories import TrajectoryStore
from tests.trajectories import trajectory
from tests.twins import small_twin, write_twin

SCENE = Scene("demo", "mug")


@pytest.fixture(scope="module")
def demo():
    return SimulatedDemo(SCENE, "put_in_sink")


@pytest.fixture(scope="module")
def solution(demo):
    """Actions that put the mug of scene 5 into the sink."""
    demo.start(5)
    assert NoisyExpert(demo, 0.0).run()
    return [Action(int(a)) for a in demo.trajectory("expert").actions]


def test_what_is_kept_is_what_the_teachers_environment_sees_for_these_actions(demo, solution):
    demo.start(5)
    for action in solution:
        demo.act(action)
    kept = demo.trajectory("human", human_s=3.0)
    env = KitchenEnv([setting_of(SCENE)], demo.task, 1)
    first, _ = env.reset(seed=kept.seed)
    assert np.array_equal(kept.observations[0], first[0])
    for t, action in enumerate(kept.actions):
        observation, reward, *_, info = env.step(np.array([action]))
        assert reward[0] == kept.rewards[t]
        seen = info.get("final_obs", observation)
        assert np.array_equal(kept.observations[t + 1], seen[0])
    assert kept.success and kept.rewards.sum() == 1 and info["success"][0]


def test_undo_takes_back_the_last_action_and_nothing_else(demo, solution):
    demo.start(5)
    for action in solution[:12]:
        demo.act(action)
    before = demo.state
    demo.act(Action.MINUS_Z)
    demo.undo()
    assert demo.steps == 12
    assert np.array_equal(before.joints, demo.state.joints)
    assert np.array_equal(before.object_pose, demo.state.object_pose)
    for action in solution[12:]:
        demo.act(action)
    assert demo.success
    with pytest.raises(DemoError, match="the episode has ended"):
        demo.act(Action.OPEN)
    demo.undo()
    assert not demo.success and not demo.ended


def test_a_slipping_expert_is_the_same_one_for_the_same_scene(demo):
    runs = []
    for _ in range(2):
        demo.start(3)
        NoisyExpert(demo, 0.3).run()
        runs.append(demo.trajectory("expert").actions)
    assert np.array_equal(*runs)
    with pytest.raises(ValueError, match="noise is a share of the actions"):
        NoisyExpert(demo, 1.0)


def test_every_action_has_one_key_that_no_command_and_not_the_view_uses():
    assert sorted(action for action, _ in keys.ACTIONS.values()) == list(Action)
    views_own = set("WASDQE") | {"arrowup", "arrowdown", "arrowleft", "arrowright"}
    for robot in ("sim", "fr3"):
        assert not set(keys.ACTIONS) & set(keys.commands_of(robot))
        assert not views_own & {*keys.ACTIONS, *keys.commands_of(robot)}


def test_a_demonstration_is_saved_only_when_it_is_one_and_its_seconds_go_to_the_ledger(demo, solution, tmp_path):
    now = itertools.count(step=2.0).__next__
    ledger = tmp_path / "effort.jsonl"
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, ledger, iter([4, 5, 6]), 1, HumanClock(now))
        collection.press(keys.UNDO)
        assert collection.message == "nothing to undo"
        collection.press(Action.PLUS_Z)
        collection.press(keys.SAVE)
        assert "no success yet" in collection.message and "inside the sink" in collection.message
        collection.press(keys.NEXT)
        assert demo.seed == 5 and demo.steps == 0
        for action in solution:
            collection.press(action)
        collection.press(keys.SAVE)
        assert collection.done and collection.message == "saved: 1 of 1"
        collection.close()
        (kept,) = store.trajectories()
        assert kept.seed == 5 and kept.human_s == 2.0 * (len(solution) + 2)
    entries, problems = read_effort(ledger)
    assert [(e.id != "", e.human_s > 0) for e in entries[:2]] == [(False, True), (True, True)] and not problems
    assert entries[1].id == "demo.put_in_sink.human.0.h5:demo_0"
    # Every second is somebody's once: 4 presses and the rest, and the clock's own looks.
    assert sum(e.human_s for e in entries) == pytest.approx(now() - 2.0, abs=2.0)


def test_a_demonstration_that_cannot_be_written_is_not_lost(demo, solution, tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, tmp_path / "effort.jsonl", iter([5, 6]), 1)
        for action in solution:
            collection.press(action)
        (in_the_way := tmp_path / "demo.put_in_sink.human.0.h5.new").write_text("")
        collection.press(keys.SAVE)
        assert collection.message.startswith("not saved: ") and demo.success and collection.saved == 0
        in_the_way.unlink()
        collection.press(keys.SAVE)
        assert collection.saved == 1
        assert [t.actions.tolist() for t in store.trajectories()] == [solution]


class DemoThatGoesAway(SimulatedDemo):
    """As an arm whose node ends: no scene but number 5."""

    def start(self, seed):
        super().start(seed)
        if seed != 5:
            raise DemoError("is the arm node still running?")


def test_the_seconds_of_a_demonstration_are_kept_when_the_next_one_cannot_begin(solution, tmp_path):
    now, ledger = itertools.count(step=2.0).__next__, tmp_path / "effort.jsonl"
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(
            DemoThatGoesAway(SCENE, "put_in_sink"), store, ledger, iter([5, 6, 7]), 2, HumanClock(now)
        )
        for action in solution:
            collection.press(action)
        collection.press(keys.SAVE)
        assert collection.saved == 1 and "still running?" in collection.message
        collection.press(keys.SAVE)
        assert "nothing was done yet" in collection.message
        (kept,) = store.trajectories()
    entries, _ = read_effort(ledger)
    assert [(e.id, e.human_s) for e in entries] == [("demo.put_in_sink.human.0.h5:demo_0", kept.human_s)]


def test_a_demonstration_is_saved_once_when_the_ledger_cannot_be_written(demo, solution, tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, tmp_path, iter([5, 6]), 2)  # a folder in place of the ledger
        for action in solution:
            collection.press(action)
        collection.press(keys.SAVE)
        assert "cannot write" in collection.message and (collection.saved, demo.seed, demo.steps) == (1, 6, 0)


def test_a_folder_of_another_version_of_the_twin_is_refused_before_anyone_has_worked(tmp_path, capsys):
    with TrajectoryStore(tmp_path, "a") as store:
        store.append(trajectory(0))
    assert casher(["demos", "collect", "demo", "--out", str(tmp_path)]) == 2
    assert "holds trajectories of twin_hash '0123456789abcdef'" in " ".join(capsys.readouterr().err.split())


def test_a_coffee_break_is_no_work():
    times = iter([0.0, 5.0, 5.0 + 1000.0, 1010.0])
    clock = HumanClock(lambda: next(times))
    for _ in range(3):
        clock.touch()
    assert clock.take() == 5.0 + PAUSE_S + 5.0


def test_a_line_that_a_crash_tore_off_is_named_and_the_ledger_goes_on(tmp_path, capsys):
    ledger = tmp_path / "effort.jsonl"
    append_effort(ledger, Effort("a", "put_in_sink", "demo", 30.0, id="x"))
    append_effort(ledger, Effort("a", "put_in_sink", "demo", 12.0))
    ledger.write_bytes(ledger.read_bytes()[:-20])
    append_effort(ledger, Effort("a", "", "scan", 195.0))
    entries, problems = read_effort(ledger)
    assert [e.human_s for e in entries] == [30.0, 195.0]
    assert len(problems) == 1 and "line 2 is not an entry" in problems[0]
    assert casher(["demos", "effort", str(ledger), "--add", "setup", "--twin", "a", "--seconds", "90"]) == 1
    captured = capsys.readouterr()
    assert "5.2 minutes" in captured.out and "line 2" in captured.err
    assert casher(["demos", "effort", str(ledger), "--add", "nap", "--twin", "a", "--seconds", "90"]) == 2
    with pytest.raises(EffortError, match="human_s is a time"):
        Effort("a", "", "scan", float("nan"))


def test_names_in_the_ledgers_table_are_whole_however_narrow_the_terminal_is(tmp_path, monkeypatch, capsys):
    kitchens, ledger = ("the_same_long_name_of_a_kitchen_1", "the_same_long_name_of_a_kitchen_2"), tmp_path / "e.jsonl"
    for kitchen in kitchens:
        append_effort(ledger, Effort(kitchen, "put_in_cabinet", "demo", 1234.5, id="x"))
    monkeypatch.setenv("COLUMNS", "80")
    assert casher(["demos", "effort", str(ledger)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:-1]
    names = "".join(line.split("  ")[0].strip() for line in lines)
    assert names == "".join(kitchens) and "put_in_cabinet" in lines[0]


def test_an_unattended_collection_is_marked_listed_replayed_and_taken_up_again(tmp_path, capsys):
    out = str(tmp_path / "demos")
    collect = ["demos", "collect", "demo", "--expert", "--noise", "0.1", "--out", out, "--object", "bowl"]
    assert casher([*collect, "--n", "2"]) == 0
    assert casher([*collect, "--n", "3"]) == 0
    assert "1 demonstrations by the expert" in capsys.readouterr().err
    assert casher(["demos", "list", out, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["trajectories"]
    assert [(r["source"], r["noise"], r["human_s"], r["object"]) for r in rows] == 3 * [("expert", 0.1, 0.0, "bowl")]
    assert len({r["seed"] for r in rows}) == 3
    assert casher(["demos", "list", out]) == 0
    assert "put_in_sink" in capsys.readouterr().out
    gif = tmp_path / "films" / "demo.gif"
    assert casher(["demos", "replay", out, "1", "--gif", str(gif), "--every", "20", "--size", "160", "120"]) == 0
    with Image.open(gif) as film:
        assert film.n_frames >= 3 and film.size == (320, 120)
        first = np.asarray(film.convert("RGB"), dtype=float)
        film.seek(film.n_frames - 1)
        assert np.abs(first - np.asarray(film.convert("RGB"))).max() > 60
    assert casher(["demos", "replay", out, "9", "--gif", str(gif)]) == 2
    assert "no trajectory 9" in capsys.readouterr().err
    for wrong in (gif / "in_a_file.gif", tmp_path / "demo.film"):
        assert casher(["demos", "replay", out, "1", "--gif", str(wrong), "--every", "99", "--size", "16", "12"]) == 2
        assert "cannot write the film" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{twin}", "--task", "put_in_cabinet"], "has no place for the task 'put_in_cabinet': it offers put_in_sink"),
        (["{twin}", "--object", "box"], "unknown object 'box' for put_in_sink in 'test_kitchen'"),
        (["nowhere"], "'nowhere' is no digital twin"),
        (["demo", "--task", "wash_up"], "unknown task 'wash_up': known are put_in_sink"),
        (["demo", "--n", "0"], "at least 1, got 0"),
        (["demo", "--robot", "ur5"], "unknown robot 'ur5'"),
        (["demo", "--robot", "fr3", "--expert"], "cannot drive robot 'fr3'"),
        (["demo", "--preset", "mine"], "unknown preset 'mine'"),
        (["demo", "--no-bag"], "only a real arm's cameras are recorded"),
        (["demo", "--robot", "fr3", "--seed", "-1"], "seed is 0 .. 2147483647, got -1"),
    ],
)
def test_what_cannot_be_collected_is_refused_before_anything_starts(tmp_path, capsys, arguments, message):
    twin = write_twin(small_twin(), tmp_path / "twin")
    given = [a.format(twin=twin) for a in arguments]
    assert casher(["demos", "collect", *given, "--out", str(tmp_path / "out")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_the_page_names_every_key():
    from casher_training.demos_page import key_map

    for robot in ("sim", "fr3"):
        text = key_map(robot)
        assert all(f"`{key}` {ACTION_NAMES[action]}" in text for key, (action, _) in keys.ACTIONS.items())
        assert all(f"`{key}` {what}" in text for key, (_, what) in keys.commands_of(robot).items())
