"""Each fault is done to the robot; the arm must name it, stand still, and recover with one operator action."""

import time

import numpy as np
import pytest
from rigs import wait

from casher_franka.arm import ArmFault
from casher_franka.driver import Failed
from casher_franka.kinematics import JOINT_RANGES
from casher_policy.action import OPEN_WIDTH_M, Action, decode


def stands_still(robot):
    """Whether no joint of the robot turns, by its own account."""
    before = robot.state()
    time.sleep(0.05)
    after = robot.state()
    return not after["moving"] and before["q"] == after["q"] and not any(after["dq"])


def ends_with(rig, name, begun):
    """The motion ended with this fault alone, and the arm stands still; the fault."""
    thread, faults = begun
    thread.join(60)
    assert [fault.name for fault in faults] == [name]
    assert stands_still(rig.robot)
    return faults[0]


def moves_again(rig):
    """One `recover`, and the arm goes where it is told."""
    rig.arm.recover()
    assert rig.arm.state().fault == ""
    before = rig.arm.state().T_base_tcp[0, 3]
    assert abs(rig.arm.move_to(rig.shifted(-0.02)).T_base_tcp[0, 3] - before + 0.02) < 1e-3


def test_a_reflex_ends_a_motion_and_nothing_moves_before_recover(rig):
    begun = rig.begin_and_see_it_move(0.15)
    rig.robot.inject("reflex", errors=["cartesian_reflex"])
    assert "cartesian_reflex" in ends_with(rig, "reflex", begun).detail
    assert rig.arm.state().fault == "reflex"
    with pytest.raises(ArmFault, match="reflex"):
        rig.arm.move_to(rig.shifted(0.02))
    with pytest.raises(ArmFault, match="reflex"):
        rig.arm.home()
    assert stands_still(rig.robot) and rig.robot.state()["errors"] == ["cartesian_reflex"]
    moves_again(rig)


def test_a_reflex_at_rest_is_seen(rig):
    rig.robot.inject("reflex", errors=["joint_reflex"])
    wait(lambda: rig.arm.state().fault == "reflex")
    moves_again(rig)


def test_a_reflex_that_nobody_has_seen_yet_is_not_cleared_by_moving(rig):
    rig.robot.inject("reflex")
    driver = rig.arm._driver
    with pytest.raises(Failed):
        driver.begin_joints(np.zeros(7), 1.0)
        while not driver.wait(0.02):
            pass
    assert rig.robot.state()["errors"] == ["cartesian_reflex"] and stands_still(rig.robot)


def test_a_pressed_user_stop_ends_a_motion_and_refuses_recovery_until_released(rig):
    begun = rig.begin_and_see_it_move(0.15)
    rig.robot.inject("user_stop")
    ends_with(rig, "user_stop", begun)
    with pytest.raises(ArmFault, match="user_stop"):
        rig.arm.recover()
    assert rig.arm.state().fault == "user_stop"
    rig.robot.inject("release")
    wait(lambda: rig.arm._measured[1].mode == "")
    assert rig.arm.state().fault == "user_stop", "a released button alone starts nothing"
    with pytest.raises(ArmFault, match="user_stop"):
        rig.arm.home()
    assert stands_still(rig.robot)
    moves_again(rig)


@pytest.mark.parametrize(("what", "name"), [("guide", "user_stop"), ("lock", "not_ready")])
def test_an_arm_that_a_person_has_taken_names_it_and_moves_again_only_after_recover(rig, what, name):
    rig.robot.inject(what)
    wait(lambda: rig.arm.state().fault == name)
    for ask in (rig.arm.home, rig.arm.recover):
        with pytest.raises(ArmFault, match=name):
            ask()
    rig.robot.inject("release")
    wait(lambda: rig.arm._measured[1].mode == "")
    assert rig.arm.state().fault == name, "an arm that is given back starts nothing by itself"
    moves_again(rig)


def test_a_target_beyond_a_joints_range_is_refused_and_nothing_moves(rig):
    q = rig.robot.state()["q"]
    q[6] = JOINT_RANGES[rig.kind][1][6] - 0.02
    rig.robot.inject("joints", q=q)
    wait(lambda: abs(rig.arm.state().joint_positions[6] - q[6]) < 1e-3)
    state = rig.arm.state()
    with pytest.raises(ArmFault, match="unreachable"):
        rig.arm.move_to(decode(int(Action.PLUS_RZ), state.T_base_tcp, state.width_command))
    assert rig.robot.state()["q"] == q


def test_a_joint_that_comes_to_its_end_stops_the_arm_with_a_reflex(rig):
    begun = rig.begin_and_see_it_move(0.15)
    rig.robot.inject("joint_limit")
    assert "joint_position_limits_violation" in ends_with(rig, "reflex", begun).detail
    moves_again(rig)


def test_half_a_second_of_silence_makes_the_state_old_and_is_survived(rig):
    end_ns = rig.robot.inject("gap", seconds=0.5)["at_ns"] + int(0.5e9)
    stamps = [rig.arm.state().stamp_ns]
    wait(lambda: stamps.append(rig.arm.state().stamp_ns) or stamps[-1] > end_ns)
    assert np.diff(stamps).max() > 0.3e9, "an old state must not look new"
    assert rig.arm.state().fault == ""
    begun = rig.begin_and_see_it_move(0.1)
    rig.robot.inject("gap", seconds=0.5)
    begun[0].join(60)
    assert begun[1] == []


def test_more_than_a_second_of_silence_is_a_lost_connection_and_recover_makes_a_new_one(rig):
    begun = rig.begin_and_see_it_move(0.15)
    rig.robot.inject("gap", seconds=2.5)
    ends_with(rig, "connection_lost", begun)
    assert rig.arm.state().fault == "connection_lost"
    time.sleep(0.5)
    wait(lambda: recovers(rig.arm))
    moves_again(rig)


def recovers(arm):
    try:
        arm.recover()
    except ArmFault as fault:
        assert fault.name == "connection_lost"
        return False
    return True


def test_a_connection_that_dies_in_a_motion_is_lost_until_the_robot_is_back(rig):
    begun = rig.begin_and_see_it_move(0.15)
    rig.robot.inject("dead")
    ends_with(rig, "connection_lost", begun)
    with pytest.raises(ArmFault, match="connection_lost"):
        rig.arm.home()
    rig.arm.stop()  # must not wait for anybody
    with pytest.raises(ArmFault, match="connection_lost"):
        rig.arm.recover()
    rig.robot.inject("revive")
    moves_again(rig)


def test_a_connection_that_dies_at_rest_is_seen(rig):
    rig.robot.inject("dead")
    wait(lambda: rig.arm.state().fault == "connection_lost")
    rig.robot.inject("revive")
    moves_again(rig)


def test_a_hand_that_was_not_homed_says_so_and_home_homes_it(rig):
    rig.robot.inject("not_homed")
    close = decode(int(Action.CLOSE), rig.arm.state().T_base_tcp, OPEN_WIDTH_M)
    with pytest.raises(ArmFault, match="gripper: "):
        rig.arm.move_to(close)
    assert stands_still(rig.robot)
    assert rig.arm.home().fingers.sum() == pytest.approx(OPEN_WIDTH_M, abs=1e-3)
    assert rig.arm.move_to(close).fingers.sum() == pytest.approx(0.0, abs=1e-3)


def test_a_robot_that_gets_no_commands_stops_with_a_reflex(rig):
    rig.robot.inject("patience", seconds=0.2)
    begun = rig.begin_and_see_it_move(0.15)
    rig.robot.inject("gap", seconds=0.4)
    assert "communication_constraints_violation" in ends_with(rig, "reflex", begun).detail
    rig.robot.inject("patience", seconds=1.0)
    moves_again(rig)
