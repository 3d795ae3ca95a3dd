from dataclasses import replace

import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import rotation_angle
from casher_policy.action import RELEASED, Action, decode
from casher_policy.expert import Expert
from casher_policy.task import task_named
from casher_sim.batch_kinematics import BatchKinematics
from casher_sim.batch_world import BatchWorld, Setting
from casher_sim.kinematics import Kinematics
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.place import PlaceError
from casher_sim.scene import scene_of
from casher_sim.world import World

KITCHEN, TASK = kitchen_named("demo"), task_named("put_in_sink")
OBJECTS = ("box", "mug", "bowl")
SETTINGS = tuple(Setting(KITCHEN, object_named(name)) for name in OBJECTS)


def batch(size, settings=SETTINGS[:1], threads=1):
    """A BatchWorld just reset: objects to the left of the basin, all alike."""
    made = BatchWorld(settings, TASK, size, threads=threads)
    reset(made, np.arange(size))
    return made


def reset(worlds, ids, yaw=0.0):
    start = np.tile(KITCHEN.start("left").position, (len(ids), 1))
    worlds.reset(ids, np.zeros((len(ids), 3)), start, np.full(len(ids), yaw))


def everything(worlds):
    return np.concatenate(
        [worlds.joints, worlds.fingers, worlds.object_qpos, worlds.object_velocity, worlds.T_base_tcp[:, :3, 3]], axis=1
    )


def random_actions(steps, size, seed=0):
    return np.random.default_rng(seed).integers(0, 14, (steps, size))


def test_compiled_kinematics_agree_with_the_plain_ones():
    model = scene_of(KITCHEN, object_named("box")).model
    plain, compiled = Kinematics(model), BatchKinematics(model)
    rng = np.random.default_rng(0)
    q = np.clip(np.array(HOME_JOINTS) + rng.normal(0.0, 0.3, (64, 7)), plain.low, plain.high)
    T = plain.forward(q)
    assert np.allclose(compiled.forward(q), T, atol=1e-12)
    assert compiled.forward(q[0]).shape == (4, 4)
    targets = decode(rng.integers(0, 12, 64), T, np.zeros(64)).T_base_tcp
    expected, arrived = plain.inverse(targets, q, HOME_JOINTS)
    found, converged = compiled.inverse(targets, q, HOME_JOINTS)
    assert np.array_equal(converged, arrived)
    assert 0 < converged.sum() < 64
    assert np.allclose(found[converged], expected[converged], atol=1e-9)


def test_an_action_puts_the_tool_where_decode_says():
    worlds, off_m, off_rad = batch(24), [], []
    for actions in random_actions(25, 24):
        target = decode(actions, worlds.T_base_tcp, worlds.width).T_base_tcp
        worlds.act(actions)
        off_m.append(np.linalg.norm(worlds.T_base_tcp[:, :3, 3] - target[:, :3, 3], axis=1)[worlds.reached])
        R = np.swapaxes(worlds.T_base_tcp[:, :3, :3], 1, 2) @ target[:, :3, :3]
        off_rad.append(np.array([rotation_angle(r) for r in R])[worlds.reached])
    assert np.median(np.concatenate(off_m)) < 0.001
    assert np.median(np.concatenate(off_rad)) < np.deg2rad(0.3)
    assert not worlds.broken.any()


def test_a_world_does_not_depend_on_threads_or_on_the_other_worlds():
    actions = random_actions(6, 6)
    runs = []
    for size, threads in ((6, 1), (6, 2), (3, 1)):
        worlds = batch(size, SETTINGS[:3], threads)
        for row in actions:
            worlds.act(row[:size])
        runs.append(everything(worlds)[:3])
    assert np.array_equal(runs[0], runs[1])
    assert np.array_equal(runs[0], runs[2])


def test_a_reset_leaves_the_other_worlds_as_they_are():
    actions = random_actions(6, 4)
    disturbed, undisturbed = batch(4, SETTINGS[:2]), batch(4, SETTINGS[:2])
    for i, row in enumerate(actions):
        if i == 3:
            before = everything(disturbed)
            reset(disturbed, np.array([1, 2]), yaw=0.2)
            assert np.array_equal(everything(disturbed)[[0, 3]], before[[0, 3]])
        disturbed.act(row)
        undisturbed.act(row)
    same = (everything(disturbed) == everything(undisturbed)).all(axis=1)
    assert same.tolist() == [True, False, False, True]


def test_a_world_that_was_reset_is_as_good_as_new():
    actions = random_actions(4, 2, seed=3)
    used, new = batch(2), batch(2)
    for row in random_actions(5, 2):
        used.act(row)
    reset(used, np.arange(2))
    for row in actions:
        used.act(row)
        new.act(row)
    assert np.array_equal(everything(used), everything(new))


def test_a_pose_out_of_reach_moves_nothing():
    worlds = batch(1)
    for _ in range(40):
        before = worlds.joints.copy()
        worlds.act(np.array([Action.PLUS_Z]))
        if not worlds.reached[0]:
            break
    assert not worlds.reached[0]
    assert np.abs(worlds.joints - before).max() < 0.02
    assert worlds.width[0] == pytest.approx(0.08)


def test_opening_and_closing_are_over_after_one_action():
    worlds = batch(1)
    for action, width in ((Action.CLOSE, 0.0), (Action.OPEN, 0.04)):
        worlds.act(np.array([action]))
        assert np.allclose(worlds.fingers, width, atol=0.002)
    assert not worlds.grasped[0]


def test_the_expert_puts_every_object_into_the_sink_as_in_a_world():
    worlds = BatchWorld(SETTINGS, TASK, 3)
    alone = [World(KITCHEN, TASK) for _ in OBJECTS]
    for i, (world, name) in enumerate(zip(alone, OBJECTS, strict=True)):
        world.reset(name, "left", 4 + i)
        T = world.T_base_object
        yaw = np.arctan2(T[1, 0], T[0, 0])
        worlds.reset(np.array([i]), world.shift[None], T[None, :3, 3], np.array([yaw]))
        assert np.allclose(worlds.T_base_object[i], T, atol=0.003)
        assert np.allclose(worlds.p_base_site[i], world.p_base_site)
    assert not TASK.success(worlds.task_state()).any()
    expert, done = Expert(RELEASED), np.zeros(3, dtype=bool)
    privileged = [world.privileged() for world in alone]
    for _ in range(TASK.horizon):
        T, tcp, fingers, grasped = worlds.T_base_object, worlds.T_base_tcp, worlds.fingers, worlds.grasped
        views = [replace(known, T_base_object=T[i]) for i, known in enumerate(privileged)]
        actions = [expert.act(view, tcp[i], fingers[i], grasped[i]) for i, view in enumerate(views)]
        worlds.act(np.array(actions, dtype=int))
        done |= TASK.success(worlds.task_state())
        if done.all():
            break
    assert done.tolist() == [True, True, True]


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match="1 worlds for 2 settings"):
        BatchWorld(SETTINGS[:2], TASK, 1)
    with pytest.raises(PlaceError, match="it offers put_in_sink"):
        BatchWorld(SETTINGS[:1], task_named("put_in_cabinet"), 1)
