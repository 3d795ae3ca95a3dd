"""The session node: the operator's services, and what ends an episode that is running."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from casher_bringup import session_node
from casher_bringup.session import SessionFault
from casher_bringup.session_node import EpisodePorts, SessionNode
from casher_msgs.action import RunEpisode, RunPolicy
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
        self.begun, self.may_accept, self.cancelled = threading.Event(), threading.Event(), threading.Event()
        self.may_accept.set()
        self.server = ActionServer(
            self,
            RunPolicy,
            "/casher/run_policy",
            self.execute,
            callback_group=ReentrantCallbackGroup(),
            goal_callback=self.accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def accept(self, _):
        return GoalResponse.ACCEPT if self.may_accept.wait(60) else GoalResponse.REJECT

    def execute(self, goal):
        self.begun.set()
        while not goal.is_cancel_requested:
            time.sleep(0.01)
        goal.canceled()
        self.cancelled.set()
        return RunPolicy.Result(outcome="cancelled", steps=3)


class Goal:
    """Of a RunEpisode nobody cancels."""

    is_cancel_requested = False
    request = RunEpisode.Goal()

    def __init__(self):
        self.phases = []

    def publish_feedback(self, message):
        self.phases.append(message.phase)


class BrokenGoal:
    """Of a RunEpisode that cannot be asked whether it is cancelled."""

    @property
    def is_cancel_requested(self):
        raise RuntimeError("our own bug")


PARAMETERS = {"rig": str(RIG), "robot": "fr3", "task": "put_in_sink", "policy": "random", "judge": "operator"}
EPISODE = Episode("id", 0, "fr3", "demo", "put_in_sink", "mug", "left", 0, "random", "", "c", "s", 135)


def test_ready_counts_only_once_the_session_has_asked_for_it(graph, tmp_path):
    session = graph.add(SessionNode, parameters={**PARAMETERS, "out": str(tmp_path)})
    arm, may_go, homing = graph.add(Node, "arm"), threading.Event(), threading.Event()

    def home(_, response):
        homing.set()
        response.success = may_go.wait(60)
        return response

    arm.create_service(Trigger, "/casher/home", home)
    ready = graph.add(Node, "operator").create_client(Trigger, "/casher/ready")
    assert graph.wait(ready.service_is_ready)

    def answer():
        future = ready.call_async(Trigger.Request())
        assert graph.wait(future.done)
        return future.result()

    goal = Goal()
    with ThreadPoolExecutor() as pool:
        resetting = pool.submit(EpisodePorts(session, goal).reset, "mug", "left", 0)
        assert homing.wait(60)
        early = answer()  # the arm is still on its way
        assert not early.success and "no episode waits" in early.message
        may_go.set()
        assert graph.wait(lambda: any("place the mug" in phase for phase in goal.phases), 60)
        assert not resetting.done()
        assert answer().success
        assert resetting.result(60) == ("mug", "left")
    assert not answer().success


def test_an_episode_that_the_policy_accepts_too_late_is_cancelled(graph, tmp_path, monkeypatch):
    session = graph.add(SessionNode, parameters={**PARAMETERS, "out": str(tmp_path)})
    policy = graph.add(EndlessPolicy)
    policy.may_accept.clear()
    monkeypatch.setattr(session_node, "SERVICE_TIMEOUT_S", 0.1)
    with pytest.raises(SessionFault, match="policy_silent: the policy node did not answer"):
        EpisodePorts(session, Goal()).run_policy(EPISODE, lambda *_: False)
    assert not policy.begun.is_set()
    policy.may_accept.set()
    assert graph.wait(policy.cancelled.is_set, 60)


def test_an_error_of_the_session_leaves_no_policy_running(graph, tmp_path):
    session = graph.add(SessionNode, parameters={**PARAMETERS, "out": str(tmp_path)})
    policy = graph.add(EndlessPolicy)
    with pytest.raises(RuntimeError, match="our own bug"):
        EpisodePorts(session, BrokenGoal()).run_policy(EPISODE, lambda *_: False)
    assert graph.wait(policy.cancelled.is_set, 60)


def test_a_recorder_that_fails_in_mid_episode_stops_the_policy(graph, tmp_path):
    parameters = {"rig": str(RIG), "robot": "fr3", "task": "put_in_sink", "policy": "random", "judge": "operator"}
    session = graph.add(SessionNode, parameters={**parameters, "out": str(tmp_path)})
    policy = graph.add(EndlessPolicy)
    recorder = graph.add(Node, "recorder").create_publisher(DiagnosticArray, "/diagnostics", 10)
    episode = Episode("id", 0, "fr3", "demo", "put_in_sink", "mug", "left", 0, "random", "", "c", "s", 135)
    assert graph.wait(lambda: recorder.get_subscription_count() > 0)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(EpisodePorts(session, Goal()).run_policy, episode, lambda *_: False)
        assert policy.begun.wait(60)
        failure = DiagnosticStatus(name="recorder", level=DiagnosticStatus.ERROR, message="the disk is full")
        recorder.publish(DiagnosticArray(status=[failure]))
        with pytest.raises(SessionFault, match="the disk is full"):
            running.result(60)
