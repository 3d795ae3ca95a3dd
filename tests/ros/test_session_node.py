"""The session node: the operator's services, and what ends an episode that is running."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from casher_bringup.session import SessionFault
from casher_bringup.session_node import EpisodePorts, SessionNode
from casher_msgs.action import RunPolicy
from casher_msgs.srv import Judge
from casher_policy.episode import Episode

pytestmark = pytest.mark.ros

RIG = Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"


def test_a_verdict_counts_only_while_there_is_something_to_judge(graph, tmp_path):
    parameters = {"rig": str(RIG), "robot": "fr3", "task": "put_in_sink", "policy": "random", "judge": "operator"}
    session = graph.add(SessionNode, parameters={**parameters, "out": str(tmp_path)})
    operator = graph.add(Node, "operator")
    judge = operator.create_client(Judge, "/casher/judge")
    assert graph.wait(judge.service_is_ready)

    def answer():
        future = judge.call_async(Judge.Request(succeeded=True, note="seen"))
        assert graph.wait(future.done)
        return future.result()

    with session.busy:  # an episode has begun, its scene is being set up
        assert not answer().accepted and "no episode is running" in answer().message
        assert session.verdict is None and not session.verdict_arrived.is_set()
        session.may_be_judged = True  # as when the policy begins
        assert answer().accepted and session.verdict.success and session.verdict.reason == "seen"


class EndlessPolicy(Node):
    """Offers /casher/run_policy and runs until it is cancelled."""

    def __init__(self, **kwargs):
        super().__init__("policy", **kwargs)
        self.begun = threading.Event()
        self.server = ActionServer(
            self,
            RunPolicy,
            "/casher/run_policy",
            self.execute,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def execute(self, goal):
        self.begun.set()
        while not goal.is_cancel_requested:
            time.sleep(0.01)
        goal.canceled()
        return RunPolicy.Result(outcome="cancelled", steps=3)


class Goal:
    """Of a RunEpisode nobody cancels."""

    is_cancel_requested = False


def test_a_recorder_that_fails_in_mid_episode_stops_the_policy(graph, tmp_path):
    parameters = {"rig": str(RIG), "robot": "fr3", "task": "put_in_sink", "policy": "random", "judge": "operator"}
    session = graph.add(SessionNode, parameters={**parameters, "out": str(tmp_path)})
    policy = graph.add(EndlessPolicy)
    recorder = graph.add(Node, "recorder").create_publisher(DiagnosticArray, "/diagnostics", 10)
    episode = Episode("id", 0, "fr3", "demo", "put_in_sink", "mug", "left", 0, "random", "", "c", "s", 135)
    assert graph.wait(lambda: recorder.get_subscription_count() > 0)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(EpisodePorts(session, Goal()).run_policy, episode, lambda *_: False)
        assert policy.begun.wait(20)
        failure = DiagnosticStatus(name="recorder", level=DiagnosticStatus.ERROR, message="the disk is full")
        recorder.publish(DiagnosticArray(status=[failure]))
        with pytest.raises(SessionFault, match="the disk is full"):
            running.result(20)
