from dataclasses import replace

import numpy as np
import pytest

from casher_franka.arm import ArmFault
from casher_policy.action import Action, ActionSteps, decode
from casher_policy.episode import SIDES
from casher_policy.expert import Expert, Privileged
from casher_policy.task import task_named
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import OBJECTS
from casher_sim.world import World

OPEN, HALF = np.array([0.04, 0.04]), np.array([0.02, 0.02])


def pose(x, y, z, down=False):
    T = np.diag([1.0, -1.0, -1.0, 1.0]) if down else np.eye(4)
    T[:3, 3] = x, y, z
    return T


@pytest.fixture
def scene():
    return Privileged(
        T_base_object=pose(0.5, 0.3, 0.05),
        object_height=0.08,
        grasp_width=0.03,
        p_object_grasp=np.array([0.0, 0.0, 0.06]),
        grasp_yaw=np.pi / 2,
        grasp_yaw_freedom=0.0,
        p_base_site=np.array([0.57, 0.0, -0.12]),
        clearance_z=0.07,
    )


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", OBJECTS)
def test_the_expert_puts_every_object_from_either_side_into_the_sink(name, side):
    world, expert = World(kitchen_named("demo"), task_named("put_in_sink")), Expert()
    for seed in (0, 1):
        world.reset(name, side, seed)
        for _ in range(world.task.horizon):
            action = expert.act(world.privileged(), world.T_base_tcp, world.fingers, world.grasped)
            try:
                world.move_to(decode(int(action), world.T_base_tcp, world.width_command))
            except ArmFault as fault:
                pytest.fail(f"the expert asked for {action.name}: {fault}")
            if world.success():
                break
        assert world.success(), world.task.unfulfilled(world.task_state())


def test_the_same_state_gives_the_same_action(scene):
    T = pose(0.47, 0.0, 0.39, down=True)
    assert Expert().act(scene, T, OPEN, False) == Expert().act(scene, T, OPEN, False)


def test_a_tilted_tool_is_turned_down_before_it_travels(scene):
    tilted = pose(0.47, 0.0, 0.21, down=True)
    for action in (Action.PLUS_RX, Action.MINUS_RX, Action.PLUS_RY, Action.MINUS_RY):
        T = decode(int(action), tilted, 0.08).T_base_tcp
        back = Expert().act(scene, T, OPEN, False)
        assert np.allclose(decode(int(back), T, 0.08).T_base_tcp, tilted, atol=1e-9)


def test_the_tool_travels_above_the_object_before_it_goes_down(scene):
    assert Expert().act(scene, pose(0.5, 0.0, 0.21, down=True), OPEN, False) == Action.PLUS_Y
    assert Expert().act(scene, pose(0.5, 0.3, 0.39, down=True), OPEN, False) == Action.MINUS_Z
    assert Expert().act(scene, pose(0.5, 0.2, 0.10, down=True), OPEN, False) == Action.PLUS_Z


def test_high_up_the_tool_goes_down_before_it_turns_or_travels_as_a_cabinet_may_hang_there(scene):
    high = pose(0.5, 0.0, 0.39, down=True)
    tilted = decode(int(Action.PLUS_RY), high, 0.08).T_base_tcp
    for T in (high, tilted):
        assert Expert().act(scene, T, OPEN, False) == Action.MINUS_Z


@pytest.mark.parametrize("turned", [-0.118, -0.082, 0.082, 0.118])
def test_a_turn_that_goes_a_little_too_far_is_not_taken_back(scene, turned):
    # A direction next to half a step off, and a tool that stands 18 mm off on the grid.
    c, s = np.cos(turned), np.sin(turned)
    T_object = scene.T_base_object.copy()
    T_object[:2, :2] = [[c, -s], [s, c]]
    view, T = replace(scene, T_base_object=T_object), pose(0.513, 0.287, 0.21, down=True)
    taken = []
    for _ in range(6):
        action = Expert().act(view, T, OPEN, False)
        if action not in (Action.PLUS_RZ, Action.MINUS_RZ):
            break
        taken.append(action)
        T = decode(int(action), T, 0.08, ActionSteps(rotation_rad=0.203)).T_base_tcp
    assert len(taken) <= 1


def test_the_fingers_close_at_the_grasp_point(scene):
    assert Expert().act(scene, pose(0.505, 0.29, 0.11, down=True), OPEN, False) == Action.CLOSE


def test_the_closing_direction_follows_the_object(scene):
    turned = scene.T_base_object.copy()
    c, s = np.cos(0.25), np.sin(0.25)
    turned[:2, :2] = [[c, -s], [s, c]]
    T = pose(0.5, 0.3, 0.39, down=True)
    action = Expert().act(replace(scene, T_base_object=turned), T, OPEN, False)
    after = decode(int(action), T, 0.08).T_base_tcp
    assert action in (Action.PLUS_RZ, Action.MINUS_RZ)
    assert abs(after[:3, 1] @ turned[:3, 1]) > abs(T[:3, 1] @ turned[:3, 1])


def test_a_round_object_is_closed_on_along_the_error_of_the_tool(scene):
    # 14 mm off along y is 14 mm along the closing direction of a tool that closes along y, and 14 mm off the middle of
    # one that closes along x.
    off = pose(0.5, 0.286, 0.39, down=True)
    free = replace(scene, grasp_yaw=0.0, grasp_yaw_freedom=np.pi / 2)
    assert Expert().act(free, off, OPEN, False) == Action.MINUS_Z
    across = off.copy()
    across[:3, :3] = across[:3, :3] @ np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert Expert().act(free, across, OPEN, False) in (Action.PLUS_RZ, Action.MINUS_RZ)


def test_a_held_object_is_lifted_clear_before_it_travels(scene):
    at_grasp = pose(0.5, 0.3, 0.11, down=True)
    assert Expert().act(scene, at_grasp, HALF, True) == Action.PLUS_Z
    lifted = replace(scene, T_base_object=pose(0.5, 0.3, 0.08))
    assert Expert().act(lifted, pose(0.5, 0.3, 0.14, down=True), HALF, True) == Action.MINUS_Y


def test_over_the_site_the_object_is_lowered_and_let_go(scene):
    above = replace(scene, T_base_object=pose(0.57, 0.0, 0.08))
    assert Expert().act(above, pose(0.57, 0.0, 0.14, down=True), HALF, True) == Action.MINUS_Z
    down = replace(scene, T_base_object=pose(0.57, 0.0, -0.10))
    assert Expert().act(down, pose(0.57, 0.0, -0.04, down=True), HALF, True) == Action.OPEN


def test_what_slipped_out_of_the_hand_is_approached_again(scene):
    closed = np.zeros(2)
    assert Expert().act(scene, pose(0.5, 0.1, 0.2, down=True), closed, False) == Action.OPEN
    assert Expert().act(scene, pose(0.5, 0.1, 0.2, down=True), OPEN, False) == Action.PLUS_Y


def test_an_object_in_the_sink_is_left_alone(scene):
    placed = replace(scene, T_base_object=pose(0.6, 0.02, -0.12))
    for T in (pose(0.5, 0.1, 0.3, down=True), pose(0.6, 0.02, -0.06, down=True)):
        assert Expert().act(placed, T, OPEN, False) == Action.OPEN
