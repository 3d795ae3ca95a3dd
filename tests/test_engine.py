"""The task code on an engine, and that two engines agree. `pytest -m nightly tests/test_engine.py` runs mujoco-warp."""

import datetime

import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS
from casher_policy.action import Action
from casher_policy.task import task_named
from casher_sim.engine_mujoco import MujocoEngine
from casher_sim.engine_rollout import Rollout, difference, load_rollout, roll_out, save_rollout
from casher_sim.engine_scene import twin_scene
from casher_sim.engine_task import EngineTask, Setup
from casher_sim.kinematics import Kinematics
from casher_sim.objects import object_named
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.ramp import ramp

BOX = object_named("box")
COMPARED = 35
"""Actions for which mujoco-warp is held against MuJoCo."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A procedural kitchen with a box on either side of its sink: twin, scene.Scene, start positions and yaws."""
    folder = tmp_path_factory.mktemp("twin")
    twin, files = kitchen(0, datetime.date(2026, 1, 1))
    save_kitchen(folder, twin, files)
    spawns = [twin.spawns[side] for side in ("left", "right")]
    return twin, twin_scene(twin, folder, BOX), np.array([s.center for s in spawns]), np.array([0.1, -0.2])


def task_on(engine, place):
    twin, scene, _, _ = place
    return EngineTask(engine, Kinematics(scene.model), task_named("put_in_sink"), Setup(BOX, twin.sites["sink"]))


@pytest.fixture(scope="module")
def reference(place):
    return roll_out(task_on(MujocoEngine(place[1], 2), place), place[2], place[3], 135)


def test_the_expert_puts_a_box_from_either_side_into_the_sink(reference):
    assert (reference.reward[-1] == 1.0).all()
    assert (reference.reward[0] == 0.0).all()


def test_a_scene_is_the_same_alone_and_beside_another(place, reference):
    alone = roll_out(task_on(MujocoEngine(place[1], 1), place), place[2][1:], place[3][1:], 12)
    np.testing.assert_array_equal(alone.T_base_object[:, 0], reference.T_base_object[:12, 1])
    np.testing.assert_array_equal(alone.actions[:, 0], reference.actions[:12, 1])


def test_an_action_moves_the_tool_by_one_step_and_a_reset_brings_it_back(place):
    task = task_on(MujocoEngine(place[1], 2), place)
    task.reset(place[2], place[3])
    start = task.T_base_tcp.copy()
    task.act(np.array([Action.PLUS_Z, Action.MINUS_X]))
    moved = (task.T_base_tcp - start)[:, :3, 3]
    np.testing.assert_allclose(moved, [[0, 0, 0.03], [-0.03, 0, 0]], atol=0.001)
    task.reset(place[2], place[3])
    np.testing.assert_array_equal(task.T_base_tcp, start)


def test_what_cannot_be_reached_leaves_arm_and_fingers_where_they_are(place):
    task = task_on(MujocoEngine(place[1], 2), place)
    task.reset(place[2], place[3])
    for _ in range(40):
        task.act(np.array([Action.PLUS_Z, Action.PLUS_Z]))
    before = task.T_base_tcp.copy()
    task.act(np.array([Action.PLUS_Z, Action.PLUS_Z]))
    np.testing.assert_allclose(task.T_base_tcp, before, atol=0.001)
    assert (before[:, 2, 3] < 1.2).all()


def test_a_ramp_ends_at_its_goal_and_moves_no_joint_that_need_not():
    start = np.array([HOME_JOINTS])
    goal = start + np.array([0.1, 0, 0, -0.2, 0, 0, 0])
    commands = ramp(start, goal, 0.005)
    assert commands.shape == (30, 1, 7)
    np.testing.assert_allclose(commands[-1], goal, atol=1e-12)
    np.testing.assert_array_equal(commands[:, 0, 1], np.full(30, HOME_JOINTS[1]))


def test_a_rollout_is_read_back_as_it_was_and_differs_by_nothing_from_itself(reference, tmp_path):
    save_rollout(tmp_path / "rollout.npz", reference)
    again = difference(reference, load_rollout(tmp_path / "rollout.npz"))
    assert again.first_other_action is None and again.rewards
    assert again.tcp_m == again.object_m == again.finger_m == 0.0
    assert again.steps == len(reference.actions)


def test_rollouts_are_compared_up_to_the_first_action_that_differs(reference):
    actions, moved = reference.actions.copy(), reference.T_base_object.copy()
    actions[7, 1] = Action.OPEN
    moved[3, 0, 0, 3] += 0.004
    moved[9, 0, 0, 3] += 1.0
    other = Rollout(actions, reference.T_base_tcp, moved, reference.fingers, reference.reward)
    found = difference(reference, other)
    assert found.first_other_action == found.steps == 7
    assert found.object_m == pytest.approx(0.004) and found.tcp_m == 0.0
    shorter = reference.first(5)
    assert difference(reference, shorter).first_other_action == 5


@pytest.mark.nightly  # compiling the kernels takes one to two minutes the first time
@pytest.mark.timeout(900)
def test_mujoco_warp_on_the_cpu_agrees_with_mujoco_until_the_box_is_in_the_air_and_succeeds_like_it(place, reference):
    pytest.importorskip("mujoco_warp", reason="pip install -e '.[warp]' -c constraints.txt")
    from casher_sim.engine_warp import WarpEngine

    rollout = roll_out(task_on(WarpEngine(place[1], 2), place), place[2], place[3], 135)
    assert (rollout.actions[:COMPARED] == Action.CLOSE).any(axis=0).all()  # both boxes are grasped by then
    # what is held touches the basin later, and 32 bits tell there
    found = difference(reference.first(COMPARED), rollout.first(COMPARED))
    assert found.first_other_action is None and found.rewards
    assert found.tcp_m < 0.0005
    assert found.object_m < 0.003
    assert found.finger_m < 0.0005
    assert (rollout.reward[-1] == 1.0).all()
