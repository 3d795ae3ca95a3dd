"""The real franky client against franky-sim's FCI server."""

import socket
import threading
import time

import franky
import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_franka.franky_arm import FrankyArm
from casher_franka.franky_connection import T_FLANGE_TCP
from casher_perception.geometry import rotation_angle
from casher_policy.action import ACTION_NAMES, OPEN_WIDTH_M, Action, Target, decode

MM, DEGREE = 1e-3, np.radians(1.0)


def open_arm(host):
    return FrankyArm(host, dynamics_factor=0.4, realtime="ignore")


@pytest.fixture(scope="module")
def arm(fr3_host):
    arm = open_arm(fr3_host)
    arm.home()
    yield arm
    arm.close()


def tcp_of_joints(arm, joints):
    """T_base_tcp from the measured joints: franky-sim reports the desired pose as the measured one."""
    return np.array(
        arm._robot.model.pose(franky.Frame.EndEffector, joints, franky.Affine(T_FLANGE_TCP), franky.Affine()).matrix
    )


def moving(arm, target):
    """Run move_to in a thread; (thread, list that receives its ArmFault)."""
    faults = []

    def run():
        try:
            arm.move_to(target)
        except ArmFault as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, faults


def shifted(arm, dx):
    T = arm.state().T_base_tcp
    T[0, 3] += dx
    return Target(T, np.float64(arm.state().width_command))


def wait(condition, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def test_home_is_the_start_pose_with_the_fingers_open(arm):
    state = arm.home()
    assert np.allclose(state.joint_positions, HOME_JOINTS, atol=5e-3)
    assert np.allclose(state.fingers, OPEN_WIDTH_M / 2, atol=2e-3)
    assert state.width_command == OPEN_WIDTH_M
    assert not state.moving and state.fault == ""
    assert 0.45 < state.T_base_tcp[0, 3] < 0.47 and 0.37 < state.T_base_tcp[2, 3] < 0.40


@pytest.mark.parametrize("action", Action, ids=ACTION_NAMES)
def test_an_action_ends_where_decode_says(arm, action):
    before = arm.state()
    target = decode(int(action), before.T_base_tcp, before.width_command)
    state = arm.move_to(target)
    # franky-sim's joint 7 chatters about where it should be, which only the joints show.
    for reached, tolerance in ((state.T_base_tcp, 0.2), (tcp_of_joints(arm, state.joint_positions), 0.5)):
        assert np.linalg.norm(reached[:3, 3] - target.T_base_tcp[:3, 3]) < 1.0 * MM
        assert rotation_angle(reached[:3, :3].T @ target.T_base_tcp[:3, :3]) < tolerance * DEGREE
    assert state.width_command == target.width
    assert state.stamp_ns > before.stamp_ns
    assert not state.moving


def test_closing_on_nothing_holds_nothing_and_is_no_fault(arm):
    state = arm.move_to(decode(int(Action.CLOSE), arm.state().T_base_tcp, OPEN_WIDTH_M))
    assert state.fingers.sum() < 5 * MM
    assert not state.grasped
    arm.move_to(decode(int(Action.OPEN), arm.state().T_base_tcp, 0.0))


def test_the_state_is_read_while_the_arm_moves(arm):
    start = arm.state().T_base_tcp[0, 3]
    thread, faults = moving(arm, shifted(arm, 0.08))
    wait(lambda: abs(arm.state().T_base_tcp[0, 3] - start) > 0.02)
    seen = arm.state()
    assert seen.moving
    assert time.time_ns() - seen.stamp_ns < 0.2e9
    thread.join(10)
    assert not faults
    arm.move_to(shifted(arm, -0.08))


def test_stop_interrupts_a_motion_and_only_recover_lets_it_move_again(arm):
    start = arm.state().T_base_tcp[0, 3]
    thread, faults = moving(arm, shifted(arm, 0.15))
    wait(lambda: abs(arm.state().T_base_tcp[0, 3] - start) > 0.01)
    arm.stop()
    thread.join(10)
    assert [fault.name for fault in faults] == ["stopped"]
    assert arm.state().T_base_tcp[0, 3] - start < 0.14
    assert arm.state().fault == "stopped"
    with pytest.raises(ArmFault, match="stopped"):
        arm.home()
    arm.recover()
    assert arm.state().fault == ""
    arm.home()


class Planless:
    """A robot whose motion planner fails the first times, as Ruckig does now and then."""

    def __init__(self, robot, failures):
        self.robot, self.failures = robot, failures

    def __getattr__(self, name):
        return getattr(self.robot, name)

    def move(self, *args, **kwargs):
        if self.failures:
            self.failures -= 1
            raise RuntimeError("Motion planner failed with error code -111")
        self.robot.move(*args, **kwargs)


def test_a_planner_that_fails_is_asked_again_and_then_the_target_is_unreachable(arm, monkeypatch):
    before = arm.state().T_base_tcp
    monkeypatch.setattr(arm, "_robot", Planless(arm._robot, failures=1))
    assert arm.move_to(shifted(arm, -0.03)).T_base_tcp[0, 3] < before[0, 3] - 0.029
    arm._robot.failures = 100
    with pytest.raises(ArmFault, match="unreachable: Motion planner failed"):
        arm.move_to(shifted(arm, 0.03))
    arm._robot.failures = 0
    assert arm.state().fault == ""
    arm.move_to(shifted(arm, 0.03))


def test_a_host_that_does_not_answer_is_a_lost_connection_named_in_the_error():
    begin = time.monotonic()
    with pytest.raises(ArmFault, match=r"connection_lost: .*127\.0\.0\.251") as caught:
        FrankyArm("127.0.0.251")
    assert caught.value.name == "connection_lost"
    with pytest.raises(
        ArmFault, match=r"connection_lost: .*192\.0\.2\.1"
    ):  # TEST-NET-1: nobody answers, not even a refusal
        FrankyArm("192.0.2.1")
    assert time.monotonic() - begin < 30, "libfranka's own wait is minutes"


def test_a_host_that_takes_the_connection_and_says_nothing_is_a_lost_connection():
    with socket.create_server(("127.0.0.252", 1337)), pytest.raises(ArmFault, match=r"connection_lost: 127\.0\.0\.252"):
        FrankyArm("127.0.0.252", realtime="ignore")


def test_unknown_realtime_lists_the_known():
    with pytest.raises(ValueError, match="known are enforce, ignore"):
        FrankyArm("127.0.0.251", realtime="soft")


def test_after_the_robot_was_away_recover_makes_a_new_connection(fr3_process):
    robot = fr3_process
    robot.start()
    arm = open_arm(robot.host)
    try:
        robot.end()
        wait(lambda: arm.state().fault == "connection_lost")
        with pytest.raises(ArmFault, match="connection_lost"):
            arm.home()
        with pytest.raises(ArmFault, match="connection_lost"):
            arm.recover()
        robot.start()
        arm.recover()
        assert arm.home().fault == ""
    finally:
        arm.close()
