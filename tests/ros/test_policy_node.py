"""The policy node among stand-ins for fusion and the arm: it acts on fresh clouds only, and says why it stopped."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from checkpoints import random_checkpoint
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Pose
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from casher_msgs.action import ExecuteAction, RunPolicy
from casher_msgs.msg import PolicyStep, RobotState, SimulationState
from casher_perception.conversions import cloud_message, pose_message, stamp_message, stamp_ns
from casher_policy.action import ACTION_NAMES, Action
from casher_policy.asking import Asker
from casher_policy.policy_node import PolicyNode

pytestmark = pytest.mark.ros
DOWN = np.array([[1.0, 0, 0, 0.46], [0, -1.0, 0, 0], [0, 0, -1.0, 0.39], [0, 0, 0, 1.0]])


class Kitchen(Node):
    """Fusion, arm and simulator state as the tests want them: `sending`, `lag_s`, `script` and so on say how."""

    def __init__(self, **kwargs):
        super().__init__("kitchen", **kwargs)
        self.sending = True
        self.lag_s = 0.0
        self.frame = "base"
        self.at = 0.3
        self.silent_camera = ""
        self.motion_s = 0.01
        self.script = {}
        self.begun, self.settled, self.asked, self.cancelled = [], [], [], []
        self.release = threading.Event()
        self.group = ReentrantCallbackGroup()
        self.clouds = self.create_publisher(PointCloud2, "/casher/points", qos_profile_sensor_data)
        self.states = self.create_publisher(RobotState, "/casher/robot_state", 10)
        self.scenes = self.create_publisher(SimulationState, "/sim/state", 10)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(0.02, self.publish, callback_group=self.group)
        self.create_timer(0.1, self.diagnose, callback_group=self.group)
        self.arm = None

    def open_arm(self):
        self.arm = ActionServer(
            self, ExecuteAction, "/casher/execute_action", self.execute, callback_group=self.group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )  # fmt: skip
        return self

    def destroy_node(self):
        if self.arm:
            self.arm.destroy()
        super().destroy_node()

    def publish(self):
        now = time.time_ns()
        if self.sending:
            points = np.full((7, 3), self.at, np.float32) + np.arange(7, dtype=np.float32)[:, None] * 0.02
            colours = np.zeros((7, 3), np.uint8)
            self.clouds.publish(cloud_message(points, colours, self.frame, now - int(self.lag_s * 1e9)))
        state = RobotState(tcp_pose=pose_message(DOWN), finger_positions=[0.04, 0.04], finger_max=0.04)
        state.header.stamp = stamp_message(now)
        self.states.publish(state)
        scene = SimulationState(task="put_in_sink", object_height=0.1, object_grasp_width=0.06, clearance_z=0.1)
        scene.object_pose = pose_message(np.eye(4))
        scene.object_pose.position.x = 0.46
        scene.header.stamp = stamp_message(now)
        self.scenes.publish(scene)

    def diagnose(self):
        statuses = []
        for camera in ("camera_left", "camera_right"):
            silent = camera == self.silent_camera
            level = DiagnosticStatus.STALE if silent else DiagnosticStatus.OK
            message = f"{camera}: last cloud {1.3 if silent else 0.0} s ago"
            statuses.append(DiagnosticStatus(name=f"fusion: {camera}", level=level, message=message))
        self.diagnostics.publish(DiagnosticArray(status=statuses))

    def execute(self, goal):
        self.begun.append(time.time_ns())
        self.asked.append((goal.request.action, goal.request.episode_id))
        what = self.script.get(len(self.asked) - 1, "")
        end = time.monotonic() + (30.0 if what == "hang" else self.motion_s)
        while time.monotonic() < end and not self.release.is_set():
            if goal.is_cancel_requested:
                self.cancelled.append(len(self.asked) - 1)
                goal.canceled()
                return ExecuteAction.Result(fault="stopped: the action was cancelled")
            time.sleep(0.002)
        result = ExecuteAction.Result(tcp_pose=Pose())
        if what.startswith("refuse "):
            result.refused = what.removeprefix("refuse ")
        elif what.startswith("fault "):
            result.fault = what.removeprefix("fault ")
        else:
            result.success = True
        result.settled = stamp_message(time.time_ns())
        self.settled.append(stamp_ns(result.settled))
        if result.fault:
            goal.abort()
        else:
            goal.succeed()
        return result


class Session(Node):
    """Asks for an episode and keeps what comes of it."""

    def __init__(self, **kwargs):
        super().__init__("session", **kwargs)
        self.client = ActionClient(self, RunPolicy, "/casher/run_policy")
        self.asker = Asker(self, self.default_callback_group)
        self.steps, self.feedback = [], []
        self.create_subscription(PolicyStep, "/casher/policy_step", self.steps.append, 50)
        self.episode = self.end = self.rejected = None

    def destroy_node(self):
        self.client.destroy()
        super().destroy_node()

    def ask(self, horizon=3, task="put_in_sink", seed=0):
        self.episode = self.end = self.rejected = None
        goal = RunPolicy.Goal(episode_id="the-episode", task=task, seed=seed, horizon=horizon)
        asked = self.asker.ask(lambda: self.client.send_goal_async(goal, self.feedback.append))
        asked.add_done_callback(self.on_answer)

    def cancel(self, graph):
        """The node may be at work before its answer has arrived."""
        assert graph.wait(lambda: self.episode is not None)
        self.asker.ask(self.episode.cancel_goal_async)

    def on_answer(self, future):
        self.episode = future.result()
        self.rejected = not self.episode.accepted
        if not self.rejected:
            ending = self.asker.ask(self.episode.get_result_async)
            ending.add_done_callback(lambda f: setattr(self, "end", f.result().result))


@pytest.fixture
def stage(graph):
    """start(policy, ...) -> kitchen, session and node, connected."""

    def start(policy="random", arm=True, **parameters):
        kitchen = graph.add(Kitchen)
        if arm:
            kitchen.open_arm()
        session = graph.add(Session)
        settings = {"policy": policy, "task": "put_in_sink", "robot": "sim", "cloud_timeout_s": 30.0, **parameters}
        node = graph.add(PolicyNode, parameters=settings)
        assert graph.wait(session.client.server_is_ready)
        assert graph.wait(lambda: node.clouds.newest_ns is not None and node.states.newest_ns is not None)
        assert graph.wait(lambda: session.count_publishers("/casher/policy_step") == 1)
        return kitchen, session, node

    return start


def finished(graph, session, timeout_s=60.0):
    assert graph.wait(lambda: session.end is not None, timeout_s)
    return session.end.outcome, session.end.fault, session.end.steps


def test_an_episode_runs_to_its_horizon_and_every_step_is_told(graph, stage):
    kitchen, session, _ = stage()
    session.ask(horizon=5)
    assert finished(graph, session) == ("horizon", "", 5)
    assert graph.wait(lambda: len(session.steps) == 5)
    assert [f.feedback.step for f in session.feedback] == session.steps
    assert [step.step for step in session.steps] == [0, 1, 2, 3, 4]
    assert [(step.action, "the-episode") for step in session.steps] == kitchen.asked
    for step in session.steps:
        assert step.episode_id == "the-episode"
        assert step.action_name == ACTION_NAMES[step.action]
        assert sum(step.probabilities) == pytest.approx(1, abs=1e-5)
        assert step.observation_state.tolist() == pytest.approx([1, 1, 0.46, 0, 0.39, 1, 0, 0, 0])
        assert step.cloud_points == 7
        assert step.refused == ""
        assert step.action_s >= kitchen.motion_s


def test_every_action_begins_after_a_cloud_from_after_the_arm_had_settled(graph, stage):
    kitchen, session, _ = stage()
    session.ask(horizon=8)
    finished(graph, session)
    assert graph.wait(lambda: len(session.steps) == 8)
    for k, step in enumerate(session.steps):
        assert stamp_ns(step.settled) == kitchen.settled[k]
        assert stamp_ns(step.cloud_stamp) < kitchen.begun[k]
        if k:
            assert stamp_ns(step.cloud_stamp) > kitchen.settled[k - 1]
        assert step.cloud_wait_s >= 0 and step.cloud_age_s >= 0


@pytest.mark.parametrize("policy", ["random", "expert"])
def test_a_stale_cloud_never_moves_the_arm(graph, stage, policy):
    kitchen, session, _ = stage(policy, cloud_timeout_s=0.6)
    kitchen.lag_s = 3600.0  # clouds keep coming, of a world an hour ago
    session.ask()
    outcome, fault, steps = finished(graph, session)
    assert (outcome, steps) == ("fault", 0)
    assert fault.startswith("no_cloud: no fused cloud from after the arm settled within 0.6 s")
    assert kitchen.asked == []


def test_a_camera_that_falls_silent_ends_the_episode_by_its_name(graph, stage):
    kitchen, session, _ = stage(cloud_timeout_s=2.0)
    session.ask(horizon=1000)
    assert graph.wait(lambda: len(session.steps) >= 2)
    kitchen.sending, kitchen.silent_camera = False, "camera_left"
    outcome, fault, steps = finished(graph, session)
    assert (outcome, fault) == ("fault", "camera_silent: camera_left: last cloud 1.3 s ago")
    assert steps == len(kitchen.asked) == len(session.steps)


def test_a_cancel_stops_the_action_that_is_under_way(graph, stage):
    kitchen, session, _ = stage()
    kitchen.script = {1: "hang"}
    session.ask(horizon=10)
    assert graph.wait(lambda: len(kitchen.asked) == 2)
    session.cancel(graph)
    assert finished(graph, session) == ("cancelled", "", 1)
    assert kitchen.cancelled == [1]
    assert len(kitchen.asked) == 2


def test_a_cancel_ends_a_wait_for_clouds(graph, stage):
    kitchen, session, _ = stage(cloud_timeout_s=60.0)
    kitchen.sending = False
    session.ask()
    assert graph.wait(lambda: session.episode is not None)
    session.cancel(graph)
    assert finished(graph, session) == ("cancelled", "", 0)


def test_after_a_cancel_the_next_episode_runs(graph, stage):
    kitchen, session, _ = stage()
    kitchen.script = {0: "hang"}
    session.ask()
    assert graph.wait(lambda: len(kitchen.asked) == 1)
    session.cancel(graph)
    finished(graph, session)
    session.ask(horizon=2)
    assert finished(graph, session) == ("horizon", "", 2)


def test_an_arms_fault_ends_the_episode_in_its_words(graph, stage):
    kitchen, session, _ = stage()
    kitchen.script = {1: "fault reflex: it met something"}
    session.ask(horizon=10)
    assert finished(graph, session) == ("fault", "arm: reflex: it met something", 1)
    assert len(kitchen.asked) == 2


def test_a_refused_action_is_on_record_and_the_episode_goes_on(graph, stage):
    kitchen, session, _ = stage()
    kitchen.script = {1: "refuse outside_workspace: too low"}
    session.ask(horizon=3)
    assert finished(graph, session) == ("horizon", "", 3)
    assert graph.wait(lambda: len(session.steps) == 3)
    assert [step.refused for step in session.steps] == ["", "outside_workspace: too low", ""]


def test_an_arm_that_was_never_there_is_a_fault(graph, stage):
    _, session, _ = stage(arm=False, action_timeout_s=0.5)
    session.ask()
    outcome, fault, steps = finished(graph, session)
    assert (outcome, steps) == ("fault", 0)
    assert fault == "arm_silent: nobody offers /casher/execute_action: is the arm node running?"


def test_an_arm_that_gives_no_result_is_a_fault_and_its_action_is_cancelled(graph, stage):
    kitchen, session, _ = stage(action_timeout_s=3.0)
    kitchen.script = {0: "hang"}
    session.ask()
    outcome, fault, steps = finished(graph, session)
    assert (outcome, steps) == ("fault", 0)
    assert fault.startswith("arm_silent: the arm gave no result of action")
    assert graph.wait(lambda: kitchen.cancelled == [0])


def test_an_arm_that_vanishes_during_an_action_is_a_fault_long_before_the_timeout(graph, stage, tmp_path):
    _, session, _ = stage(arm=False, action_timeout_s=3600.0)
    arm = subprocess.Popen([sys.executable, "-c", VANISHING_ARM], stdout=subprocess.PIPE, text=True)
    try:
        session.ask(horizon=10)
        assert arm.stdout.readline() == "moving\n"
        arm.send_signal(signal.SIGTERM)
        outcome, fault, steps = finished(graph, session)
    finally:
        arm.kill()
        arm.wait(10)
    assert (outcome, fault, steps) == ("fault", "arm_silent: the arm node went away during an action", 0)


VANISHING_ARM = """
import signal, sys, threading, rclpy
from rclpy.action import ActionServer
from rclpy.executors import MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from casher_msgs.action import ExecuteAction
from casher_perception.spinning import Spinning

def move(goal):
    print("moving", flush=True)
    left.wait()
    sys.exit()  # ends this thread without a result

rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
asked, left = threading.Event(), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
node = rclpy.create_node("arm")
server = ActionServer(node, ExecuteAction, "/casher/execute_action", move)
executor = MultiThreadedExecutor(2)
executor.add_node(node)
spinning = Spinning(executor)
asked.wait()
spinning.stop(0.5)
server.destroy()
node.destroy_node()
rclpy.shutdown()
left.set()
"""


def test_a_cloud_in_another_frame_moves_nothing(graph, stage):
    kitchen, session, _ = stage()
    kitchen.frame = "camera_left_color_optical_frame"
    session.ask()
    assert finished(graph, session)[1].startswith("bad_message: the cloud's frame must be 'base', got 'camera_left")
    assert kitchen.asked == []


def test_the_expert_runs_on_the_simulators_state(graph, stage):
    _, session, _ = stage("expert")
    session.ask(horizon=2)
    assert finished(graph, session) == ("horizon", "", 2)
    assert graph.wait(lambda: len(session.steps) == 2)
    assert all(max(step.probabilities) == 1 and sum(step.probabilities) == 1 for step in session.steps)


def test_a_checkpoint_runs_and_the_same_seed_repeats_its_decisions(graph, stage, tmp_path):
    path = tmp_path / "student.safetensors"
    random_checkpoint(path)
    kitchen, session, _ = stage(str(path))
    for _ in range(2):
        session.ask(horizon=2, seed=3)
        assert finished(graph, session) == ("horizon", "", 2)
    assert graph.wait(lambda: len(session.steps) == 4)
    first, second = session.steps[:2], session.steps[2:]
    assert [list(step.probabilities) for step in first] == [list(step.probabilities) for step in second]
    assert all(step.action == np.argmax(step.probabilities) and step.inference_s > 0 for step in first)
    kitchen.at = 5.0
    session.ask(horizon=2)
    assert finished(graph, session)[1].startswith("empty_cloud: no point in the crop")


def test_another_task_and_a_second_episode_at_once_are_rejected(graph, stage):
    kitchen, session, _ = stage()
    session.ask(task="open_cabinet")
    assert graph.wait(lambda: session.rejected is True)
    kitchen.script = {0: "hang"}
    session.ask()
    assert graph.wait(lambda: len(kitchen.asked) == 1)
    assert graph.wait(lambda: session.episode is not None)
    other = graph.add(Session)
    assert graph.wait(other.client.server_is_ready)
    other.ask()
    assert graph.wait(lambda: other.rejected is True)
    session.cancel(graph)
    finished(graph, session)


def test_horizon_zero_is_the_tasks_own(graph, stage):
    kitchen, session, _ = stage()
    kitchen.script = {0: "hang"}
    session.ask(horizon=0)
    assert graph.wait(lambda: len(kitchen.asked) == 1)
    kitchen.release.set()
    assert finished(graph, session, 60.0) == ("horizon", "", 135)


def test_a_policy_that_breaks_ends_the_episode_and_not_the_node(graph, stage):
    kitchen, session, node = stage()
    act = node.policy.act
    node.policy.act = lambda *_: 1 / 0
    session.ask()
    assert finished(graph, session) == ("fault", "policy: ZeroDivisionError('division by zero')", 0)
    assert kitchen.asked == []
    node.policy.act = act
    session.ask(horizon=1)
    assert finished(graph, session) == ("horizon", "", 1)


def command(*parameters):
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    return [sys.executable, "-m", "casher_policy.policy_node", "--ros-args", *arguments]


def test_ctrl_c_during_an_action_cancels_it_and_the_node_ends_well(graph):
    kitchen, session = graph.add(Kitchen).open_arm(), graph.add(Session)
    kitchen.script = {1: "hang"}
    node = subprocess.Popen(
        command("policy:=random", "task:=put_in_sink", "robot:=sim"), stderr=subprocess.PIPE, text=True
    )
    try:
        assert graph.wait(session.client.server_is_ready)
        session.ask(horizon=10)
        assert graph.wait(lambda: len(kitchen.asked) == 2)
        node.send_signal(signal.SIGINT)
        _, errors = node.communicate(timeout=20)
    finally:
        node.kill()
        node.wait(10)
    assert node.returncode == 0
    assert "Traceback" not in errors
    assert kitchen.cancelled == [1] and len(kitchen.asked) == 2
    assert finished(graph, session) == ("fault", "policy_stopped: the policy node was told to stop", 1)


@pytest.mark.parametrize(
    ("policy", "robot", "words"),
    [("expert", "fr3", "reads the simulator's privileged state"), ("exprt", "sim", "unknown policy 'exprt'")],
)
def test_a_node_with_a_wrong_policy_says_so_and_exits(policy, robot, words):
    node = subprocess.run(
        command(f"policy:={policy}", "task:=put_in_sink", f"robot:={robot}"),
        capture_output=True, text=True, timeout=60, env=dict(os.environ),
    )  # fmt: skip
    assert node.returncode == 1
    assert words in node.stderr and "Traceback" not in node.stderr
    assert Action.OPEN.name not in node.stderr
