"""FrankaArm over a driver that something holds back, and a hand that is stopped while it moves."""

import time

import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_franka.driver import HandMeasured, Measured, NoPlan
from casher_franka.franka_arm import FrankaArm
from casher_franka.franka_hand import FrankaHand
from casher_franka.kinematics import tcp_pose
from casher_policy.action import OPEN_WIDTH_M, Target


class HeldDriver:
    """A `Driver` that comes no further than `least_x` allows."""

    hand_period_s = 0.01

    def __init__(self, least_x):
        self.T, self.least_x, self.mode = tcp_pose(np.array([HOME_JOINTS]))[0], least_x, ""
        self.width, self.commands, self.on_grasp = OPEN_WIDTH_M, [], lambda: None

    def measure(self):
        q = np.array(HOME_JOINTS)
        return Measured(time.monotonic(), self.T.copy(), q, np.zeros(7), self.mode)

    def measure_hand(self):
        return HandMeasured(self.width, False)

    def begin_pose(self, T_base_tcp, fraction):
        T = T_base_tcp.copy()
        T[0, 3] = max(T[0, 3], self.least_x)
        self.T = T

    def wait(self, timeout_s):
        return True

    def grasp(self):
        self.commands.append("grasp")
        self.width = 0.0
        self.on_grasp()
        return True

    def move_fingers(self, width):
        self.commands.append("open")
        self.width = width
        return True

    def close(self):
        pass


@pytest.fixture
def held():
    driver = HeldDriver(tcp_pose(np.array([HOME_JOINTS]))[0, 0, 3] - 0.005)
    arm = FrankaArm(lambda: driver)
    yield driver, arm
    arm.close()


def shifted(arm, dx):
    T = arm.state().T_base_tcp
    T[0, 3] += dx
    return Target(T, OPEN_WIDTH_M)


def test_an_arm_that_is_held_far_from_its_target_says_so_and_by_how_much(held):
    _, arm = held
    with pytest.raises(ArmFault, match=r"not_settled: something holds the arm, 0\.025 m from its target"):
        arm.move_to(shifted(arm, -0.03))
    assert arm.move_to(shifted(arm, 0.03)).fault == ""


def test_an_arm_that_has_moved_does_not_say_that_its_target_was_refused(held, monkeypatch):
    driver, arm = held
    begin_pose = driver.begin_pose

    def once(T_base_tcp, fraction):
        if driver.commands:
            raise NoPlan("no trajectory")
        driver.commands.append("pose")
        begin_pose(T_base_tcp, fraction)

    monkeypatch.setattr(driver, "begin_pose", once)
    assert arm.move_to(shifted(arm, -0.007)).fault == ""
    assert arm.state().T_base_tcp[0, 3] == driver.least_x
    with pytest.raises(ArmFault, match="unreachable"):
        arm.move_to(shifted(arm, 0.03))
    driver.commands.clear()
    with pytest.raises(ArmFault, match="not_settled: something holds the arm"):
        arm.move_to(shifted(arm, -0.03))


def test_a_user_stop_holds_after_its_release_until_recover(held):
    driver, arm = held
    driver.mode = "user_stop"
    end = time.monotonic() + 20.0
    while not arm.state().fault:
        assert time.monotonic() < end
    driver.mode = ""
    while arm._measured[1].mode:
        assert time.monotonic() < end
    with pytest.raises(ArmFault, match="user_stop"):
        arm.move_to(shifted(arm, 0.03))
    arm.recover()
    assert arm.state().fault == "" and arm.move_to(shifted(arm, 0.03)).fault == ""


def test_fingers_that_were_stopped_are_told_again_though_they_were_told_the_same_before():
    driver, stopped = HeldDriver(0.0), []
    hand = FrankaHand(lambda: driver, lambda: bool(stopped), pytest.fail)
    hand.measured, hand.width_command = driver.measure_hand(), OPEN_WIDTH_M
    driver.on_grasp = lambda: stopped.append(1)
    with pytest.raises(ArmFault, match="stopped"):
        hand.grip(0.0)
    stopped.clear()
    hand.grip(OPEN_WIDTH_M)
    assert driver.commands == ["grasp", "open"] and driver.width == OPEN_WIDTH_M
