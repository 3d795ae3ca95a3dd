import threading

import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_perception.geometry import rotation_angle
from casher_policy.action import Action, Target, decode
from casher_policy.task import task_named
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import OBJECTS, object_named
from casher_sim.sim_arm import SimArm
from casher_sim.world import World

TASK = task_named("put_in_sink")


@pytest.fixture
def world():
    world = World(kitchen_named("demo"), TASK)
    world.reset("box", "left", 0)
    return world


def act(world, action):
    target = decode(int(action), world.T_base_tcp, world.width_command)
    world.move_to(target)
    return target


def test_unknown_names_are_refused_with_the_known_ones(world):
    with pytest.raises(ValueError, match="unknown kitchen 'attic': known are demo"):
        kitchen_named("attic")
    with pytest.raises(ValueError, match="unknown object 'cup': known are mug, bowl, box"):
        object_named("cup")
    with pytest.raises(ValueError, match="unknown side 'top': known are left, right"):
        world.reset("box", "top", 0)
    with pytest.raises(ValueError, match="it offers put_in_sink"):
        World(kitchen_named("demo"), task_named("put_in_cabinet"))


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_stands_upright_on_the_worktop_on_the_side_asked_for(name, world):
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for seed in range(4):
            world.reset(name, side, seed)
            p, up = world.T_base_object[:3, 3], world.T_base_object[:3, 2]
            aside = sign * (p[1] - world.p_base_site[1])
            assert world.side == side
            assert 0.2 < aside < 0.45
            assert up[2] > 0.999
            assert p[2] == pytest.approx(world.kitchen.counter_z + world.shift[2], abs=0.003)
            assert not world.success()


def test_the_seed_says_everything(world):
    def after(seed):
        world.reset("mug", "", seed)
        for action in (Action.MINUS_Z, Action.PLUS_Y, Action.CLOSE):
            act(world, action)
        return world.side, world.data.qpos.copy()

    side, qpos = after(5)
    act(world, Action.PLUS_X)
    assert after(5)[0] == side
    assert np.array_equal(after(5)[1], qpos)
    assert not np.array_equal(after(6)[1], qpos)


def test_an_empty_side_is_drawn_from_the_seed(world):
    sides = set()
    for seed in range(12):
        world.reset("box", "", seed)
        sides.add(world.side)
    assert sides == {"left", "right"}


@pytest.mark.parametrize("action", list(Action)[:12])
def test_an_action_puts_the_tool_where_decode_says(world, action):
    for _ in range(2):
        target = act(world, action).T_base_tcp
        reached = world.T_base_tcp
        assert np.linalg.norm(reached[:3, 3] - target[:3, 3]) < 0.001
        assert rotation_angle(reached[:3, :3].T @ target[:3, :3]) < np.deg2rad(0.3)
        assert np.abs(world.joint_velocities).max() < 0.005


def test_opening_and_closing_are_idempotent(world):
    for action, width in ((Action.CLOSE, 0.0), (Action.OPEN, 0.04)):
        for _ in range(3):
            act(world, action)
        assert np.allclose(world.fingers, width, atol=0.001)
    assert not world.grasped


def test_a_pose_out_of_reach_is_refused_before_anything_moves(world):
    far = world.T_base_tcp
    far[:3, 3] = [1.2, 0.0, 0.4]
    before = world.data.qpos.copy()
    with pytest.raises(ArmFault, match="unreachable"):
        world.move_to(Target(far, 0.08))
    assert np.array_equal(world.data.qpos, before)


def test_home_opens_the_hand_and_takes_the_arm_to_the_start(world):
    for action in (Action.CLOSE, Action.PLUS_Y, Action.MINUS_RY):
        act(world, action)
    for _ in world.home_motion():
        pass
    assert np.allclose(world.joints, HOME_JOINTS, atol=0.003)
    assert np.allclose(world.fingers, 0.04, atol=0.001)


def test_success_needs_the_object_in_the_sink_and_not_above_it(world):
    for z, expected in ((0.001, True), (0.30, False)):
        x, y, floor = world.p_base_site
        world.data.qpos[world.scene.object_qpos] = [x, y, floor + z, 1.0, 0.0, 0.0, 0.0]
        world.data.qvel[world.scene.object_qvel] = 0.0
        assert world.success() == expected


def test_the_kitchen_moves_with_its_shift(world):
    site = {}
    for seed in (1, 2):
        world.reset("box", "left", seed)
        low, high = np.asarray(TASK.randomisation.background_m) * world.kitchen.background_scale
        assert (world.shift >= low).all() and (world.shift <= high).all()
        site[seed] = world.p_base_site - world.shift
        floor = world.data.geom_xpos[world.model.geom("basin_floor").id]
        assert np.allclose(floor[:2], world.p_base_site[:2])
    assert np.allclose(site[1], site[2])


def test_stop_ends_a_motion_and_recover_allows_the_next(world):
    arm = SimArm(world, speed=0.5)
    start = world.T_base_tcp[:3, 3]
    target = decode(int(Action.PLUS_Y), world.T_base_tcp, world.width_command)
    errors = []

    def move():
        try:
            arm.move_to(target)
        except ArmFault as fault:
            errors.append(fault)

    thread = threading.Thread(target=move)
    thread.start()
    while arm.state().T_base_tcp[1, 3] < start[1] + 0.005:
        assert thread.is_alive()
    arm.stop()
    thread.join(5.0)
    assert [fault.name for fault in errors] == ["stopped"]
    assert arm.state().fault == "stopped"
    assert arm.state().T_base_tcp[1, 3] < start[1] + 0.02
    with pytest.raises(ArmFault, match="stopped"):
        arm.move_to(target)
    arm.recover()
    assert np.linalg.norm(arm.move_to(target).T_base_tcp[:3, 3] - target.T_base_tcp[:3, 3]) < 0.001


def test_states_handed_out_do_not_change_later(world):
    arm = SimArm(world)
    before = arm.state()
    joints, T = before.joint_positions.copy(), before.T_base_tcp.copy()
    arm.move_to(decode(int(Action.PLUS_Z), before.T_base_tcp, before.width_command))
    assert np.array_equal(before.joint_positions, joints) and np.array_equal(before.T_base_tcp, T)
    assert arm.state().stamp_ns > before.stamp_ns
