"""An action client asked from a thread that does not spin it, many times in a row, is answered every time."""

from concurrent.futures import wait

from rclpy.action import ActionClient, ActionServer
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from casher_msgs.action import ExecuteAction
from casher_policy.asking import Asker


class Both(Node):
    """A server that answers at once, and its client."""

    def __init__(self, **kwargs):
        super().__init__("both", **kwargs)
        group = MutuallyExclusiveCallbackGroup()
        self.server = ActionServer(
            self, ExecuteAction, "/at_once", self.execute, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self.client = ActionClient(self, ExecuteAction, "/at_once", callback_group=group)
        self.asker = Asker(self, group)

    def execute(self, goal):
        goal.succeed()
        return ExecuteAction.Result(success=True, fault=str(goal.request.action))


def test_no_answer_is_ever_lost(graph):
    node = graph.add(Both)
    assert graph.wait(node.client.server_is_ready)
    for number in range(150):
        goal = ExecuteAction.Goal(action=number % 14)
        handle = node.asker.result_of(lambda goal=goal: node.client.send_goal_async(goal), 10.0, "the server")
        answer = node.asker.ask(handle.get_result_async)
        assert wait([answer], 10.0).done
        assert answer.result().result.fault == str(number % 14)


def test_what_a_question_raises_reaches_the_one_who_asked(graph):
    node = graph.add(Both)
    answer = node.asker.ask(lambda: 1 / 0)
    assert isinstance(answer.exception(10.0), ZeroDivisionError)
