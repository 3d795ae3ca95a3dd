"""ArmServer and ArmNode over the real franky client and franky-sim."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from casher_franka.arm_node import ARMS, ArmNode
from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState
from casher_perception.conversions import stamp_ns, transform_from_pose
from casher_policy.action import ACTION_NAMES, Action, decode
from casher_policy.asking import Asker

pytestmark = pytest.mark.ros

RIG = str(Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")


class Client(Node):
    """What the policy and the operator do with an arm."""

    def __init__(self, **kwargs):
        super().__init__("client", **kwargs)
        self.actions = ActionClient(self, ExecuteAction, "/casher/execute_action")
        self.asker = Asker(self, self.default_callback_group)
        self.triggers = {name: self.create_client(Trigger, f"/casher/{name}") for name in ("stop", "home", "recover")}
        self.seen = {}
        for name, kind, topic in (
            ("states", RobotState, "/casher/robot_state"),
            ("joints", JointState, "/joint_states"),
            ("poses", PoseStamped, "/casher/tcp_pose"),
            ("diagnostics", DiagnosticArray, "/diagnostics"),
        ):
            self.seen[name] = []
            self.create_subscription(kind, topic, self.seen[name].append, 100)

    def last(self, name):
        return self.seen[name][-1]


class Bench:
    """The arm's node, its client and what waits for both."""

    def __init__(self, graph, arm):
        self.graph, self.node = graph, arm
        self.client = graph.add(Client)
        assert graph.wait(lambda: self.client.actions.server_is_ready())
        assert graph.wait(lambda: all(c.service_is_ready() for c in self.client.triggers.values()))
        assert graph.wait(lambda: self.client.seen["states"])

    def done(self, future, timeout_s=60.0):
        assert self.graph.wait(future.done, timeout_s), "no answer"
        return future.result()

    def call(self, name):
        return self.done(self.client.triggers[name].call_async(Trigger.Request()))

    def ask(self, question):
        return self.client.asker.ask(question)

    def send(self, action, on_feedback=None):
        goal = ExecuteAction.Goal(action=int(action))
        return self.done(self.ask(lambda: self.client.actions.send_goal_async(goal, feedback_callback=on_feedback)))

    def act(self, action):
        """(status, result) of an action carried to its end."""
        handle = self.send(action)
        assert handle.accepted
        answer = self.done(self.ask(handle.get_result_async))
        return answer.status, answer.result


@pytest.fixture
def bench(graph, fr3_host):
    node = graph.add(
        ArmNode,
        parameters={"rig": RIG, "host": fr3_host, "dynamics_factor": 0.15, "realtime": "ignore", "lease_s": 0.0},
    )
    bench = Bench(graph, node)
    assert bench.call("home").success
    assert graph.wait(lambda: not bench.client.last("states").moving)  # measured after home
    return bench


@pytest.fixture
def slow(bench):
    """An arm that takes seconds for an action: whatever is asked meanwhile comes in time, on a busy machine too."""
    robot = bench.node.arm._driver._robot
    robot.relative_dynamics_factor = 0.03
    yield bench
    robot.relative_dynamics_factor = 0.15


def test_an_action_moves_the_arm_and_says_when_it_had_settled(bench):
    settled = []
    bench.node.server.on_settled = settled.append
    before = bench.node.arm.state()
    feedback = []
    handle = bench.send(Action.MINUS_Z, lambda message: feedback.append(message.feedback))
    answer = bench.done(bench.ask(handle.get_result_async))
    result = answer.result
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert result.success and not result.refused and not result.fault
    T = transform_from_pose(result.tcp_pose)
    assert np.allclose(T[:3, 3] - before.T_base_tcp[:3, 3], [0, 0, -0.03], atol=1e-3)
    assert stamp_ns(result.settled) > before.stamp_ns
    assert [state.stamp_ns for state in settled] == [stamp_ns(result.settled)]
    assert feedback


def test_the_target_is_decoded_from_the_measured_pose_bit_for_bit(bench, monkeypatch):
    measured, targets = [], []
    arm = bench.node.arm
    state, move_to = arm.state, arm.move_to
    monkeypatch.setattr(arm, "state", lambda: measured.append(state()) or measured[-1])
    monkeypatch.setattr(arm, "move_to", lambda target: targets.append(target) or move_to(target))
    _, result = bench.act(Action.PLUS_RX)
    assert result.success
    decoded = [decode(int(Action.PLUS_RX), s.T_base_tcp, s.width_command).T_base_tcp for s in measured]
    assert any(np.array_equal(T, targets[0].T_base_tcp) for T in decoded)


def test_state_joints_and_pose_agree_and_carry_the_arms_names(bench):
    for name in ("joints", "poses", "diagnostics"):
        bench.client.seen[name].clear()
    assert bench.graph.wait(lambda: all(bench.client.seen[name] for name in ("joints", "poses", "diagnostics")))
    state, joints, pose = (bench.client.last(name) for name in ("states", "joints", "poses"))
    assert state.header.frame_id == pose.header.frame_id == "base"
    assert joints.name[0] == "fr3_joint1" and joints.name[-1] == "fr3_finger_joint2" and len(joints.position) == 9
    assert np.allclose(state.joint_positions, joints.position[:7], atol=1e-3)
    assert not state.gripper_closed and not state.moving and state.fault == ""
    assert bench.graph.wait(lambda: bench.client.last("diagnostics").status[0].message == "ready")


def test_the_gripper_closes_where_the_arm_stands(bench):
    before = transform_from_pose(bench.act(Action.PLUS_X)[1].tcp_pose)
    _, result = bench.act(Action.CLOSE)
    assert result.success
    assert np.allclose(transform_from_pose(result.tcp_pose), before, atol=1e-3)
    assert bench.graph.wait(lambda: bench.client.last("states").gripper_closed)
    assert bench.act(Action.OPEN)[1].success
    assert bench.graph.wait(lambda: not bench.client.last("states").gripper_closed)


def test_an_action_out_of_the_workspace_is_refused_with_numbers_and_the_next_one_runs(bench):
    p = bench.node.arm.state().T_base_tcp[:3, 3]
    server = bench.node.server
    server.envelope = dataclasses.replace(server.envelope, low=p - 0.02, high=p + 0.02, table_m=-1.0)
    status, result = bench.act(Action.PLUS_X)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert not result.success and result.fault == ""
    assert result.refused.startswith("outside_workspace: x ")
    assert f"{p[0] + 0.03:.3f} m" in result.refused
    assert np.allclose(transform_from_pose(result.tcp_pose)[:3, 3], p, atol=1e-4)
    assert bench.act(Action.PLUS_RZ)[1].success


def test_a_goal_or_home_while_an_action_runs_is_rejected(slow):
    first = slow.send(Action.PLUS_X)
    assert first.accepted
    assert not slow.send(Action.PLUS_Y).accepted
    answer = slow.call("home")
    assert not answer.success and "still moving" in answer.message
    assert slow.done(slow.ask(first.get_result_async)).result.success


def test_an_unknown_action_is_rejected(bench):
    assert not bench.send(len(ACTION_NAMES)).accepted


def test_the_state_keeps_coming_while_an_action_runs(slow):
    handle = slow.send(Action.PLUS_Y)
    seen = slow.client.seen["states"]
    assert slow.graph.wait(lambda: sum(state.moving for state in seen) >= 5)
    moving = [np.array(state.joint_positions) for state in seen if state.moving]
    assert np.abs(moving[-1] - moving[0]).max() > 1e-4
    slow.done(slow.ask(handle.get_result_async))


def test_a_cancelled_action_stands_still_and_the_arm_may_move_again(slow):
    start = slow.node.arm.state().T_base_tcp[:3, 3]
    handle = slow.send(Action.PLUS_X)
    slow.done(slow.ask(handle.cancel_goal_async))
    answer = slow.done(slow.ask(handle.get_result_async))
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert not answer.result.success and answer.result.fault == "stopped: the action was cancelled"
    assert transform_from_pose(answer.result.tcp_pose)[0, 3] - start[0] < 0.028
    assert slow.node.arm.state().fault == ""
    assert slow.act(Action.PLUS_Y)[1].success


def test_stop_works_while_an_action_runs_and_only_recover_lets_the_arm_move_again(slow):
    handle = slow.send(Action.PLUS_X)
    assert slow.call("stop").success
    answer = slow.done(slow.ask(handle.get_result_async))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.fault.startswith("stopped: /casher/stop was called")
    assert slow.graph.wait(lambda: slow.client.last("states").fault == "stopped")
    assert slow.act(Action.PLUS_Y)[1].fault.startswith("stopped: ")
    assert not slow.call("home").success
    assert slow.call("recover").success
    assert slow.act(Action.PLUS_Y)[1].success


def test_a_cancel_does_not_undo_a_stop(slow):
    handle = slow.send(Action.PLUS_X)
    stopped, cancelled = (
        slow.client.triggers["stop"].call_async(Trigger.Request()),
        slow.ask(handle.cancel_goal_async),
    )
    slow.done(stopped)
    slow.done(cancelled)
    slow.done(slow.ask(handle.get_result_async))
    assert slow.node.arm.state().fault == "stopped"
    slow.call("recover")


def test_a_robot_that_goes_away_is_the_fault_of_the_action(graph, fr3_process):
    fr3_process.start()
    parameters = {"rig": RIG, "host": fr3_process.host, "dynamics_factor": 0.05, "realtime": "ignore", "lease_s": 0.0}
    bench = Bench(graph, graph.add(ArmNode, parameters=parameters))
    moving = threading.Event()
    handle = bench.send(Action.MINUS_Z, lambda _: moving.set())
    assert graph.wait(moving.is_set)
    fr3_process.end()
    answer = bench.done(bench.ask(handle.get_result_async))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.fault.startswith("connection_lost: ")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"robot": "panda", "host": "127.0.0.251"}, "127.0.0.251"),
        ({"robot": "ur5", "host": "127.0.0.251"}, "known are " + ", ".join(ARMS)),
        ({"host": ""}, "host:="),
        ({"host": "127.0.0.251"}, "127.0.0.251"),
    ],
)
def test_a_robot_that_cannot_be_had_is_refused_with_the_reason(graph, parameters, says):
    with pytest.raises(Exception, match=says):
        graph.add(ArmNode, parameters={"rig": RIG, **parameters})
