"""The demonstrator's keys drive an arm through ExecuteAction: here the simulator's, under the same names."""

from pathlib import Path

import numpy as np
import pytest

from casher_policy.action import Action
from casher_policy.task import task_named
from casher_sim.sim_node import SimNode
from casher_training import demos_keys as keys
from casher_training.demos_arm_node import ArmDemo
from casher_training.demos_collection import Collection
from casher_training.demos_session import DemoError
from casher_training.effort import read_effort
from casher_training.scenes import Scene
from casher_training.trajectories import TrajectoryStore

pytestmark = pytest.mark.ros

RIG = str(Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")
LOW, HIGH = (list(corner) for corner in task_named("put_in_sink").crop)


@pytest.fixture
def arm(graph):
    """A simulator that serves an arm, and whoever drives it."""
    sim = graph.add(SimNode, parameters={"rig": RIG, "crop_low": LOW, "crop_high": HIGH})
    demo = ArmDemo(Scene("demo", "mug"), "put_in_sink", "fr3")
    yield sim, demo
    demo.close()


def test_keys_move_the_arm_and_what_it_measured_is_kept_when_the_person_says_it_succeeded(arm, graph, tmp_path):
    sim, demo = arm
    assert graph.wait(lambda: demo.rehearsed)  # with what is saved as an fr3's: the person is told
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, tmp_path / "effort.jsonl", iter([0, 1]), 1)
        collection.press(Action.PLUS_Y)
        assert demo.steps == 0 and "press B" in collection.message
        collection.press(keys.HOME)
        assert collection.message == "home: done", collection.message
        for action in (Action.PLUS_Y, Action.MINUS_RZ, Action.CLOSE):
            collection.press(action)
            assert not demo.note, demo.note
        assert demo.steps == 3, collection.message
        assert np.allclose(demo.state.joints, sim._world.joints, atol=0.01)
        collection.press(keys.UNDO)
        assert "cannot be undone" in collection.message and demo.steps == 3

        collection.stop()
        assert collection.message == "STOP: V lets the arm move again"
        assert graph.wait(lambda: sim._arm.state().fault == "stopped")
        collection.press(Action.PLUS_Z)
        assert "stopped" in collection.message and demo.steps == 3
        collection.press(keys.RECOVER)
        collection.press(Action.OPEN)
        assert demo.steps == 4, collection.message

        collection.stop()
        assert graph.wait(lambda: demo._fault == "stopped")
        demo._call("recover", 60.0)  # as from another terminal, where one may also have moved the arm
        assert graph.wait(lambda: not demo._fault)
        collection.press(Action.PLUS_Y)
        assert "press the key again" in collection.message and demo.steps == 4

        collection.press(keys.SAVE)
        assert collection.done, collection.message
        assert not list(store.trajectories())  # a teacher does not learn from what has no object in it
        (kept,) = store.trajectories(robot="fr3")
    assert kept.success and kept.actions.tolist() == [Action.PLUS_Y, Action.MINUS_RZ, Action.CLOSE, Action.OPEN]
    assert kept.observations[1, 14] - kept.observations[0, 14] == pytest.approx(0.03, abs=0.003)
    assert np.isnan(kept.object_poses).all() and np.isnan(kept.observations[:, :7]).all()
    assert np.isfinite(kept.observations[:, 7:16]).all() and np.isfinite(kept.robot_joints).all()


def test_clouds_of_an_arm_whose_clock_is_behind_are_not_taken_for_fresh_ones(arm, tmp_path, monkeypatch):
    _, demo = arm
    execute = demo._arm.execute

    def behind(*args):
        result = execute(*args)
        result.settled.sec -= 5
        return result

    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, tmp_path / "effort.jsonl", iter([0]), 1)
        collection.press(keys.HOME)
        monkeypatch.setattr(demo._arm, "execute", behind)
        collection.press(Action.PLUS_Y)
        assert "set its clock" in collection.message and demo.steps == 0


def test_an_episode_that_was_saved_is_not_saved_again_when_the_arm_falls_silent(arm, tmp_path):
    _, demo = arm
    with TrajectoryStore(tmp_path, "a") as store:
        collection = Collection(demo, store, tmp_path / "effort.jsonl", iter([0, 1]), 2)
        collection.press(keys.HOME)
        collection.press(Action.PLUS_Y)
        assert demo.steps == 1, collection.message
        demo._closing.set()  # no measurement from here on
        collection.press(keys.SAVE)
        assert "no /casher/robot_state" in collection.message and collection.saved == 1
        demo._closing.clear()
        collection.press(keys.SAVE)
        assert "nothing was done yet" in collection.message
        assert [t.seed for t in store.trajectories(robot="fr3")] == [0]
    entries, _ = read_effort(tmp_path / "effort.jsonl")
    assert [e.id for e in entries] == ["demo.put_in_sink.human.0.h5:demo_0"]


def test_without_an_arm_it_says_on_which_domain_nobody_answers(ros_domain):
    with pytest.raises(DemoError, match=f"nobody offers /casher/execute_action on ROS domain {ros_domain}"):
        ArmDemo(Scene("demo", "mug"), "put_in_sink", "fr3")
    with pytest.raises(DemoError, match="preset 'released', got 'paper'"):
        ArmDemo(Scene("demo", "mug"), "put_in_sink", "fr3", "paper")
