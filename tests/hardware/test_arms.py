"""What every arm does: home, the 14 actions, grasping, stopping. Real clients throughout."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fci.process import fci_server
from rigs import VERSION, config, opened, served, wait
from scipy.spatial.transform import Rotation

from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_franka.connecting import near
from casher_franka.kinematics import T_FLANGE_TCP, tcp_pose
from casher_perception.geometry import rotation_angle
from casher_policy.action import ACTION_NAMES, OPEN_WIDTH_M, Action, decode

MM, DEGREE = 1e-3, np.radians(1.0)


def test_home_is_the_start_pose_with_the_fingers_open(any_rig):
    state = any_rig.arm.home()
    assert np.allclose(state.joint_positions, HOME_JOINTS, atol=5e-3)
    assert np.allclose(state.fingers, OPEN_WIDTH_M / 2, atol=2e-3)
    assert state.width_command == OPEN_WIDTH_M
    assert not state.moving and state.fault == ""
    assert 0.45 < state.T_base_tcp[0, 3] < 0.47 and 0.37 < state.T_base_tcp[2, 3] < 0.40


@pytest.mark.parametrize("action", Action, ids=ACTION_NAMES)
def test_an_action_ends_where_decode_says(any_rig, action):
    before = any_rig.arm.state()
    target = decode(int(action), before.T_base_tcp, before.width_command)
    state = any_rig.arm.move_to(target)
    # The joints, too, must be there: franky-sim reports the desired pose as the measured one, and its joint 7 chatters.
    for reached, tolerance in ((state.T_base_tcp, 0.2), (tcp_pose(state.joint_positions), 0.5)):
        assert np.linalg.norm(reached[:3, 3] - target.T_base_tcp[:3, 3]) < 1.0 * MM
        assert rotation_angle(reached[:3, :3].T @ target.T_base_tcp[:3, :3]) < tolerance * DEGREE
    assert state.width_command == target.width
    assert state.stamp_ns > before.stamp_ns
    assert not state.moving


def test_closing_on_nothing_holds_nothing_and_is_no_fault(any_rig):
    arm = any_rig.arm
    arm.home()
    state = arm.move_to(decode(int(Action.CLOSE), arm.state().T_base_tcp, OPEN_WIDTH_M))
    assert state.fingers.sum() < 5 * MM
    assert not state.grasped
    arm.move_to(decode(int(Action.OPEN), arm.state().T_base_tcp, 0.0))


def test_closing_on_an_object_holds_it_until_it_slips(rig):
    rig.robot.inject("object", width=0.045)
    state = rig.arm.move_to(decode(int(Action.CLOSE), rig.arm.state().T_base_tcp, OPEN_WIDTH_M))
    assert state.grasped and abs(state.fingers.sum() - 0.045) < MM
    assert rig.arm.move_to(rig.shifted(dz=0.02)).grasped, "lifting keeps the grip"
    rig.robot.inject("slip")
    wait(lambda: not rig.arm.state().grasped)
    assert rig.arm.state().fault == ""


def test_stop_interrupts_a_motion_and_only_recover_lets_it_move_again(any_rig):
    arm = any_rig.arm
    start = arm.state().T_base_tcp[0, 3]
    thread, faults = any_rig.begin_and_see_it_move(0.15)
    seen = arm.state()
    assert seen.moving
    wait(lambda: arm.state().stamp_ns > seen.stamp_ns)
    assert thread.is_alive(), "the state is read while the arm moves"
    arm.stop()
    thread.join(60)
    assert [fault.name for fault in faults] == ["stopped"]
    assert arm.state().T_base_tcp[0, 3] - start < 0.14
    assert arm.state().fault == "stopped"
    with pytest.raises(ArmFault, match="stopped"):
        arm.home()
    arm.recover()
    assert arm.state().fault == ""
    arm.home()


def test_stop_before_a_motion_has_begun_counts(rig):
    thread, faults = rig.begin(rig.shifted(0.15))
    rig.arm.stop()
    thread.join(60)
    assert [fault.name for fault in faults] == ["stopped"]
    assert rig.arm.state().fault == "stopped"
    assert not rig.robot.state()["moving"]


def test_a_hand_stopped_half_way_opens_again(rig):
    target = decode(int(Action.CLOSE), rig.arm.state().T_base_tcp, OPEN_WIDTH_M)
    thread, faults = rig.begin(target)
    wait(lambda: rig.robot.state()["width"] < 0.07)
    rig.arm.stop()
    thread.join(60)
    assert [fault.name for fault in faults] == ["stopped"]
    assert 0.0 < rig.robot.state()["width"] < 0.075
    rig.arm.recover()
    assert abs(rig.arm.home().fingers.sum() - OPEN_WIDTH_M) < MM


def test_an_unreachable_target_is_refused_and_nothing_moves(rig):
    before = rig.robot.state()["q"]
    with pytest.raises(ArmFault) as caught:
        rig.arm.move_to(rig.shifted(dx=2.0))
    assert caught.value.name == "unreachable"
    assert rig.robot.state()["q"] == before
    assert rig.arm.state().fault == ""


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


@pytest.mark.parametrize("module_rig", ["fr3"], indirect=True)
def test_a_planner_that_fails_is_asked_again_and_then_the_target_is_unreachable(rig, monkeypatch):
    before = rig.arm.state().T_base_tcp
    monkeypatch.setattr(rig.arm._driver, "_robot", Planless(rig.arm._driver._robot, failures=1))
    assert rig.arm.move_to(rig.shifted(-0.03)).T_base_tcp[0, 3] < before[0, 3] - 0.029
    rig.arm._driver._robot.failures = 100
    with pytest.raises(ArmFault, match="unreachable: Motion planner failed"):
        rig.arm.move_to(rig.shifted(0.03))
    assert rig.arm.state().fault == ""


def test_a_long_way_is_gone_straight(rig):
    turn = Rotation.from_rotvec([0.0, 0.0, 0.4]).as_matrix()
    start, target = rig.arm.state().T_base_tcp, rig.shifted(dx=-0.12, dz=0.08, turn=turn)
    thread, faults = rig.begin(target)
    off = []
    while thread.is_alive():
        way = target.T_base_tcp[:3, 3] - start[:3, 3]
        p = rig.arm.state().T_base_tcp[:3, 3] - start[:3, 3]
        off.append(np.linalg.norm(p - way * (p @ way) / (way @ way)))
        thread.join(0.01)
    assert not faults and max(off) < 10 * MM
    assert near(rig.arm.state().T_base_tcp, target.T_base_tcp, MM, 0.2 * DEGREE)


@pytest.mark.parametrize("kind", VERSION)
def test_what_is_configured_reaches_the_robot(kind):
    chosen = {
        "collision_torque": (11.0,) * 7,
        "collision_force": (12.0,) * 6,
        "joint_stiffness": (1000.0,) * 7,
        "cartesian_stiffness": (500.0, 500.0, 500.0, 50.0, 50.0, 50.0),
    }
    with served(kind, chosen, with_hand=False) as rig:
        settings = rig.robot.state()["settings"]
        assert settings["collision"] == [11.0] * 28 + [12.0] * 24
        assert tuple(settings["joint_impedance"]) == chosen["joint_stiffness"]
        assert tuple(settings["cartesian_impedance"]) == chosen["cartesian_stiffness"]
        # No hand is named in this robot's settings: the tool is put where its fingertips are.
        assert near(np.reshape(settings["NE_T_EE"], (4, 4), order="F"), T_FLANGE_TCP)
        state = rig.arm.state()
        assert near(state.T_base_tcp, tcp_pose(state.joint_positions))


@pytest.mark.parametrize(("kind", "other"), [("fr3", "panda"), ("panda", "fr3")])
def test_a_robot_of_the_other_generation_is_refused_with_both_versions(kind, other):
    with (
        fci_server(version=VERSION[other]) as robot,
        pytest.raises(ArmFault, match=rf"(?s)^connection_lost: .*\b{VERSION[other]}\b.*robot:={other}") as caught,
        opened(kind, robot.host),
    ):
        pass
    assert str(VERSION[kind]) in str(caught.value)


@pytest.mark.parametrize("kind", VERSION)
def test_a_host_that_does_not_answer_is_a_lost_connection_named_in_the_error(kind):
    begin = time.monotonic()
    for host in ("127.0.0.251", "192.0.2.1"):  # the second is TEST-NET-1: nobody answers, not even a refusal
        with pytest.raises(ArmFault, match=rf"connection_lost: .*{host}") as caught, opened(kind, host):
            pass
        assert caught.value.name == "connection_lost"
    assert time.monotonic() - begin < 30, "libfranka's own wait is minutes"


def test_the_makers_own_client_reads_this_server_too():
    read = (
        "import sys, pylibfranka as p; r = p.Robot(sys.argv[1], p.RealtimeConfig.kIgnore); r.load_model();"
        "a, b = r.read_once(), r.read_once(); assert b.time.to_sec() > a.time.to_sec(); print(*a.q, *a.O_T_EE)"
    )
    with fci_server(version=10) as robot:
        done = subprocess.run([sys.executable, "-c", read, robot.host], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        numbers = np.array(done.stdout.split(), dtype=float)
        assert np.allclose(numbers[:7], robot.state()["q"], atol=1e-6)
        assert np.allclose(np.reshape(numbers[7:], (4, 4), order="F"), tcp_pose(numbers[:7]), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"host": ""}, "host:="),
        ({"realtime": "soft"}, "known are enforce, ignore"),
        ({"following": "tool"}, "known are joint, cartesian"),
        ({"dynamics_factor": 0.0}, "dynamics_factor must be above 0 and at most 1.0, got 0.0"),
        ({"dynamics_factor": 1.1}, "at most 1.0"),
        ({"collision_torque": (20.0,) * 6}, "collision_torque must have 7 numbers"),
        ({"collision_force": (float("nan"),) * 6}, "collision_force"),
        ({"cartesian_stiffness": (5000.0, 1.0, 1.0, 1.0, 1.0, 1.0)}, "at most 3000.0, got 5000.0"),
        ({"gripper_force": 100.0}, "gripper_force must be above 0 and at most 70.0, got 100.0"),
    ],
)
def test_what_no_franka_does_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        config(**{"host": "127.0.0.1", **change})


def test_an_adapter_is_imported_only_when_it_is_used():
    code = "import casher_franka.arm_node, sys; sys.exit('franky' in sys.modules or 'panda_py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=60).returncode == 0
