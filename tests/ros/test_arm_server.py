"""ArmServer over an arm without hardware: what it promises, and what it tells once the arm has settled."""

import threading
import time

import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

from casher_franka.arm import ArmState
from casher_franka.arm_node import PROMISE_S, ArmServer
from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState
from casher_perception.conversions import stamp_ns
from casher_policy.action import Action

pytestmark = pytest.mark.ros

WORKSPACE = (-2.0, -2.0, -2.0), (2.0, 2.0, 2.0)
SLOW_HZ = 0.1
"""So seldom that no state of the timer comes within a test after the first action."""


class IdealArm:
    """Goes anywhere at once, or when `may_go` is set."""

    def __init__(self):
        self.T, self.moves, self.may_go = np.eye(4), 0, threading.Event()
        self.may_go.set()

    def state(self):
        return ArmState(time.time_ns(), self.T, np.zeros(7), np.zeros(7), np.full(2, 0.04), 0.08, False, False, "")

    def move_to(self, target):
        assert self.may_go.wait(10.0)
        self.T, self.moves = np.array(target.T_base_tcp), self.moves + 1
        return self.state()

    def home(self):
        return self.state()

    def stop(self):
        self.may_go.set()

    def recover(self):
        pass

    def close(self):
        pass


class Bench:
    def __init__(self, graph):
        self.graph, self.arm = graph, IdealArm()
        self.server_node = graph.add(Node, "arm")
        self.server = ArmServer(self.server_node, self.arm, WORKSPACE, state_rate_hz=SLOW_HZ, robot="sim")
        self.client_node = graph.add(Node, "client")
        self.client = ActionClient(self.client_node, ExecuteAction, "/casher/execute_action")
        self.home = self.client_node.create_client(Trigger, "/casher/home")
        self.states = []
        self.client_node.create_subscription(RobotState, "/casher/robot_state", self.states.append, 10)
        assert graph.wait(self.client.server_is_ready) and graph.wait(self.home.service_is_ready)
        assert graph.wait(lambda: self.client_node.count_publishers("/casher/robot_state") == 1)

    def done(self, future):
        assert self.graph.wait(future.done), "no answer"
        return future.result()

    def send(self):
        return self.done(self.client.send_goal_async(ExecuteAction.Goal(action=int(Action.PLUS_X))))

    def result(self, handle):
        return self.done(handle.get_result_async()).result


@pytest.fixture
def bench(graph):
    bench = Bench(graph)
    yield bench
    bench.arm.may_go.set()
    bench.server.close()


def test_a_goal_whose_client_went_away_before_the_answer_does_not_keep_the_arm_for_ever(bench):
    accepted = bench.server._goal(ExecuteAction.Goal(action=int(Action.PLUS_X)))  # rclpy would now find nobody to tell
    assert accepted.name == "ACCEPT"
    assert bench.done(bench.home.call_async(Trigger.Request())).success
    handles = []

    def accepted_again():
        handles.append(bench.send())
        time.sleep(0.1)
        return handles[-1].accepted

    assert not accepted_again(), "a goal that was accepted a moment ago is kept the arm for"
    assert bench.graph.wait(accepted_again, 10 * PROMISE_S)
    assert bench.result(handles[-1]).success and bench.arm.moves == 1


def test_a_second_goal_is_rejected_from_the_moment_the_first_is_accepted(bench):
    bench.arm.may_go.clear()
    first = bench.send()
    assert first.accepted and not bench.send().accepted
    assert not bench.done(bench.home.call_async(Trigger.Request())).success
    bench.arm.may_go.set()
    assert bench.result(first).success and bench.send().accepted


def test_the_state_of_the_arm_at_rest_is_published_as_soon_as_it_has_settled(bench):
    for moves in (1, 2):
        result = bench.result(bench.send())
        settled_ns = stamp_ns(result.settled)
        assert bench.graph.wait(lambda ns=settled_ns: any(stamp_ns(s.header.stamp) == ns for s in bench.states), 3.0)
        (state,) = (s for s in bench.states if stamp_ns(s.header.stamp) == settled_ns)
        assert not state.moving and state.tcp_pose == result.tcp_pose
        assert bench.arm.moves == moves
