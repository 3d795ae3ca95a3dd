"""The session: serves RunEpisode by driving simulator or operator, recorder and policy through one episode."""

import concurrent.futures
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from casher_bringup.futures import result_of
from casher_bringup.session import PolicyEnd, SessionFault, Verdict, run_episode
from casher_franka.arm import FAULTS
from casher_msgs.action import RunEpisode, RunPolicy
from casher_msgs.msg import EpisodeResult, RobotState, SimulationState
from casher_msgs.srv import Judge, ResetScene, StartRecording, StopRecording
from casher_perception.conversions import stamp_ns
from casher_perception.parameters import declare
from casher_perception.rig import load_rig
from casher_perception.spinning import init_node_process, spin
from casher_policy.asking import Asker
from casher_policy.conversions import episode_from_message, episode_message
from casher_policy.episode import Episode
from casher_policy.episode_topics import EPISODE_TOPICS, image_topics
from casher_policy.policies import check_policy
from casher_policy.software import software_id
from casher_policy.task import task_named

POLL_S = 0.02
SERVICE_TIMEOUT_S = 10.0
HOME_TIMEOUT_S = 120.0
EPISODE_STOP_S = 0.2
"""[s] an episode is given to end when the node is told to: none, as a rule. The recorder says on record why it ends."""
START_TIMEOUT_S = 60.0
"""[s] a node may take to appear: a checkpoint loads slowly."""


@dataclass(frozen=True)
class SessionConfig:
    """Parameters of the session node."""

    rig: str
    """Path of the kitchen's rig file."""
    robot: str
    """sim, fr3 or panda."""
    task: str
    """Name of the task."""
    policy: str
    """As given to the policy node; for the record."""
    judge: str
    """predicate or operator."""
    out: str
    """Folder in which each episode gets a bag."""
    kitchen: str = ""
    """Name of the kitchen for the record; empty: the rig's."""
    record_images: bool = False
    """Record the cameras' images too, not only the clouds."""


class SessionNode(Node):
    """One episode at a time."""

    def __init__(self, **kwargs):
        super().__init__("session", **kwargs)
        self.config = declare(self, SessionConfig)
        self.rig = load_rig(self.config.rig)
        self.task = task_named(self.config.task)
        self.checkpoint_id = check_policy(self.config.policy, self.config.task, self.config.robot)
        self.software = software_id()
        self.group = ReentrantCallbackGroup()
        self.busy = threading.Lock()
        self.state = None
        self.state_arrived = threading.Condition()
        self.ready = threading.Event()
        self.may_be_ready = False
        self.verdict = None
        self.verdict_arrived = threading.Event()
        self.may_be_judged = False
        service = partial(self.create_client, callback_group=self.group)
        self.start_recording = service(StartRecording, "/casher/record/start")
        self.stop_recording = service(StopRecording, "/casher/record/stop")
        asking = MutuallyExclusiveCallbackGroup()
        self.recorder_failure = ""
        self.create_subscription(DiagnosticArray, "/diagnostics", self.on_diagnostics, 10, callback_group=self.group)
        self.policy = ActionClient(self, RunPolicy, "/casher/run_policy", callback_group=asking)
        self.asker = Asker(self, asking)
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.episodes = self.create_publisher(EpisodeResult, "/casher/episode", latched)
        if self.config.robot == "sim":
            self.reset_scene = service(ResetScene, "/sim/reset")
            self.create_subscription(SimulationState, "/sim/state", self.on_state, 10, callback_group=self.group)
        else:
            self.lease = self.create_publisher(Empty, "/casher/lease", 10)
            self.home = service(Trigger, "/casher/home")
            self.stop = service(Trigger, "/casher/stop")
            self.arm_fault = ""
            self.create_subscription(RobotState, "/casher/robot_state", self.on_arm, 10, callback_group=self.group)
        if self.config.judge == "operator":
            self.create_service(Trigger, "/casher/ready", self.on_ready, callback_group=self.group)
            self.create_service(Judge, "/casher/judge", self.on_judge, callback_group=self.group)
        self.server = ActionServer(
            self,
            RunEpisode,
            "/casher/run_episode",
            self.execute,
            callback_group=self.group,
            goal_callback=lambda _: GoalResponse.REJECT if self.busy.locked() else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def on_state(self, message):
        with self.state_arrived:
            self.state = message
            self.state_arrived.notify_all()

    def on_arm(self, message):
        self.arm_fault = message.fault

    def on_diagnostics(self, message):
        for status in message.status:
            if status.name == "recorder" and status.level == DiagnosticStatus.ERROR:
                self.recorder_failure = status.message

    def on_ready(self, _, response):
        # A word from before the arm stood still at home says nothing about the scene.
        response.success = self.may_be_ready
        if response.success:
            self.ready.set()
        else:
            response.message = "no episode waits for its scene to be set up"
        return response

    def on_judge(self, request, response):
        # Before the policy runs there is nothing to judge: such a word was meant for the episode before.
        response.accepted = self.may_be_judged
        if response.accepted:
            self.verdict = Verdict(request.succeeded, request.note, "operator")
            self.verdict_arrived.set()
        else:
            response.message = "no episode is running that could be judged"
        return response

    def execute(self, goal):
        with self.busy:
            request = goal.request
            template = Episode(
                episode_id="",
                index=request.index,
                robot=self.config.robot,
                kitchen=Path(request.twin).name or self.config.kitchen or self.rig.kitchen,
                task=self.task.name,
                object=request.object,
                side=request.side,
                seed=request.seed,
                policy=self.config.policy,
                checkpoint_id=self.checkpoint_id,
                calibration_id=self.rig.calibration.id,
                software=self.software,
                horizon=self.task.horizon,
            )
            self.verdict_arrived.clear()
            self.verdict = None
            try:
                episode, bag = run_episode(template, EpisodePorts(self, goal))
            finally:
                self.may_be_judged = self.may_be_ready = False
            self.episodes.publish(episode_message(episode, self.now_ns()))
            result = RunEpisode.Result(episode=episode_message(episode, self.now_ns()), bag=bag)
            if goal.is_cancel_requested:
                goal.canceled()
            else:
                goal.succeed()
            return result

    def now_ns(self):
        return self.get_clock().now().nanoseconds

    def topics(self):
        """What a bag holds: what the policy saw, decided and did, and the truth where there is one."""
        return [*EPISODE_TOPICS, *(image_topics(self.rig.cameras) if self.config.record_images else ())]


class EpisodePorts:
    """casher_bringup.session.Ports over ROS, for one goal."""

    def __init__(self, node, goal):
        self.node = node
        self.goal = goal

    def now_ns(self):
        return self.node.now_ns()

    def cancelled(self):
        return self.goal.is_cancel_requested or not self.node.context.ok()

    def progress(self, phase, step=0, action_name=""):
        self.goal.publish_feedback(RunEpisode.Feedback(phase=phase, step=step, action_name=action_name))

    def reset(self, object_name, side, seed):
        if self.node.config.robot == "sim":
            answer = self._call(
                self.node.reset_scene,
                ResetScene.Request(object=object_name, side=side, seed=seed, twin=self.goal.request.twin),
                HOME_TIMEOUT_S,
            )
            self._require(answer.success, f"reset: {answer.message}")
            return answer.object, answer.side
        twin = self.goal.request.twin
        self._require(not twin, f"twin '{twin}' was asked for, and this robot stands in a real kitchen")
        self._wait_for_arm()
        try:
            renew = partial(self.node.lease.publish, Empty())  # the arm goes on only while we wait for it
            answer = self._call(self.node.home, Trigger.Request(), HOME_TIMEOUT_S, renew)
        except SessionFault:
            self._call(self.node.stop, Trigger.Request())  # nobody watches a motion we no longer wait for
            raise
        self._require(answer.success, f"home: {answer.message}")
        self.node.ready.clear()
        self.node.may_be_ready = True
        self.progress(f"place the {object_name} on the {side}, then run `casher ready`")
        self._until(self.node.ready, "cancelled while the scene was being set up")
        self.node.may_be_ready = False
        return object_name, side

    def _wait_for_arm(self):
        """Until a person has cleared what keeps the arm from moving: the next episode would only meet it again."""
        told = ""
        while fault := self.node.arm_fault:
            if fault != told:
                told = fault
                self.node.get_logger().warning(f"waiting for the arm: {fault}: {FAULTS.get(fault, '')}")
                self.progress(f"waiting for the arm: {fault}: {FAULTS.get(fault, '')}")
            self._require(not self.cancelled(), f"cancelled while the arm could not move: {fault}")
            time.sleep(POLL_S)

    def start_recording(self, name, episode):
        uri = str(Path(self.node.config.out) / name)
        request = StartRecording.Request(
            uri=uri, topics=self.node.topics(), episode=episode_message(episode, self.now_ns())
        )
        answer = self._call(self.node.start_recording, request)
        self._require(answer.success, f"recorder: {answer.message}")
        self.node.recorder_failure = ""  # what it said of an earlier episode
        return uri

    def stop_recording(self, episode):
        answer = self._call(
            self.node.stop_recording, StopRecording.Request(episode=episode_message(episode, self.now_ns()))
        )
        self._require(answer.success, f"recorder: {answer.message}")
        return episode_from_message(answer.episode)

    def run_policy(self, episode, on_step):
        client = self.node.policy
        self._require(
            client.wait_for_server(START_TIMEOUT_S), "policy_silent: no policy node offers /casher/run_policy"
        )
        self.node.may_be_judged = True
        enough = threading.Event()
        done = 0

        def on_feedback(message):
            nonlocal done
            done = message.feedback.step.step + 1
            if on_step(done, message.feedback.step.action_name):
                enough.set()

        request = RunPolicy.Goal(
            episode_id=episode.episode_id, task=episode.task, seed=episode.seed, horizon=episode.horizon
        )
        accepting = self.node.asker.ask(lambda: client.send_goal_async(request, on_feedback))
        if not concurrent.futures.wait([accepting], SERVICE_TIMEOUT_S).done:
            accepting.add_done_callback(self._cancel_late)
            raise SessionFault(f"policy_silent: the policy node did not answer within {SERVICE_TIMEOUT_S:g} s")
        handle = accepting.result()
        self._require(handle.accepted, "policy: the policy node refused the goal; its log says why")
        ending = self.node.asker.ask(handle.get_result_async)
        try:
            self._watch(handle, ending, enough)
        finally:
            if not ending.done():  # the arm moves for nobody
                self.node.asker.ask(handle.cancel_goal_async)
        result = ending.result().result
        self._require(not self.node.recorder_failure, f"recorder: {self.node.recorder_failure}")
        return PolicyEnd(result.outcome, result.fault, result.steps)

    def _watch(self, handle, ending, enough):
        """Until the policy has ended; it is cancelled when it has nothing more to do."""
        cancelled = False
        while not concurrent.futures.wait([ending], POLL_S).done:
            present = self.node.policy.server_is_ready()
            self._require(present, "policy_silent: the policy node went away during the episode")
            judged = self.node.verdict_arrived.is_set()  # an operator's word needs no steps to hold
            # What is not recorded is not evaluated, and nothing moves without need.
            unrecorded = bool(self.node.recorder_failure)
            if not cancelled and (enough.is_set() or judged or unrecorded or self.cancelled()):
                self.node.asker.ask(handle.cancel_goal_async)
                cancelled = True

    def _cancel_late(self, accepting):
        # An episode accepted after we gave up must not move the arm: nobody watches or records it.
        handle = accepting.result()
        if handle.accepted:
            self.node.asker.ask(handle.cancel_goal_async)

    def succeeding(self):
        if self.node.config.judge == "operator":
            return self.node.verdict is not None
        return self.node.state is not None and self.node.state.success

    def verdict(self):
        if self.node.config.judge == "operator":
            self.progress("waiting for `casher judge success` or `casher judge failure`")
            self._until(self.node.verdict_arrived, "cancelled before it was judged")
            return self.node.verdict
        asked_ns = self.now_ns()
        with self.node.state_arrived:
            fresh = self.node.state_arrived.wait_for(
                lambda: self.node.state is not None and stamp_ns(self.node.state.header.stamp) > asked_ns,
                SERVICE_TIMEOUT_S,
            )
            state = self.node.state
        self._require(fresh, "judge: the simulator publishes no /sim/state")
        return Verdict(state.success, f"not fulfilled: {state.unfulfilled}" if state.unfulfilled else "", "predicate")

    def _call(self, client, request, timeout_s=SERVICE_TIMEOUT_S, meanwhile=lambda: None):
        self._require(client.wait_for_service(START_TIMEOUT_S), f"nobody offers {client.srv_name}")
        try:
            return result_of(client.call_async(request), timeout_s, client.srv_name, meanwhile)
        except TimeoutError as error:
            raise SessionFault(str(error)) from error

    def _require(self, holds, text):
        if not holds:
            raise SessionFault(text)

    def _until(self, event, why):
        while not event.wait(0.1):
            self._require(not self.cancelled(), why)


def main():
    init_node_process()
    try:
        node = SessionNode()
        executor = MultiThreadedExecutor(num_threads=6)
        executor.add_node(node)
        spin(executor, stop_s=EPISODE_STOP_S)
    except KeyboardInterrupt:
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
