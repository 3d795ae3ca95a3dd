"""The policy node: serves RunPolicy, one episode at a time, by asking the arm for one action after each fresh cloud."""

import concurrent.futures
import sys
import threading
import time
import traceback
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Empty

from casher_msgs.action import ExecuteAction, RunPolicy
from casher_msgs.msg import PolicyStep, RobotState, SimulationState
from casher_perception.conversions import cloud_arrays, stamp_ns
from casher_perception.parameters import declare
from casher_perception.spinning import init_node_process, spin
from casher_policy.asking import Asker
from casher_policy.conversions import expert_view, policy_step_message, state_vector
from casher_policy.episode_loop import EpisodeCancelled, EpisodeEnd, EpisodeFault, Executed, Sight, run_episode
from casher_policy.fusion_watch import FusionWatch
from casher_policy.policies import make_policy
from casher_policy.step_gate import FreshGate
from casher_policy.task import task_named

POLL_S = 0.02
STOP_S = 5.0
"""[s] an episode is given to end when the node is told to; the runner's patience is 8 s."""
RESULT_S = 1.0
"""[s] in which the executor sends the result of an episode that has just ended."""


@dataclass(frozen=True)
class PolicyConfig:
    """Parameters of the policy node."""

    policy: str
    """expert, random, student, or the path of a checkpoint."""
    task: str
    """Name of the task."""
    robot: str
    """sim, fr3 or panda; the expert runs in the simulator only."""
    cloud_timeout_s: float = 5.0
    """How long a step waits for a cloud from after the arm settled [s]; then the episode ends with a fault."""
    first_cloud_timeout_s: float = 20.0
    """The same for the first cloud since the node started [s]: cameras take their time to start."""
    state_timeout_s: float = 3.0
    """The same for the states of arm and simulator [s]."""
    action_timeout_s: float = 30.0
    """How long the arm may take for an action [s]: it comes to rest several times when it corrects its pose."""


class PolicyNode(Node):
    """Offers /casher/run_policy once its policy is loaded and warm."""

    def __init__(self, **kwargs):
        super().__init__("policy", **kwargs)
        self.config = declare(self, PolicyConfig)
        self.task = task_named(self.config.task)
        self.policy = make_policy(self.config.policy, self.config.task, self.config.robot)
        self.policy.warm_up()
        self.stopping = threading.Event()
        self.busy = threading.Lock()
        self.clouds, self.states, self.scenes = FreshGate(), FreshGate(), FreshGate()
        self.fusion = FusionWatch()
        self.arm = ArmClient(self)
        self.steps = self.create_publisher(PolicyStep, "/casher/policy_step", 10)
        sources = [
            (PointCloud2, "/casher/points", self.clouds, qos_profile_sensor_data),
            (RobotState, "/casher/robot_state", self.states, 10),
        ]
        if self.policy.needs_privileged:
            sources.append((SimulationState, "/sim/state", self.scenes, 10))
        group = MutuallyExclusiveCallbackGroup()
        for kind, topic, gate, qos in sources:
            self.create_subscription(kind, topic, self._offer_to(gate), qos, callback_group=group)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10, callback_group=group)
        self.server = ActionServer(
            self,
            RunPolicy,
            "/casher/run_policy",
            self._execute,
            callback_group=ReentrantCallbackGroup(),
            goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self.get_logger().info(f"policy '{self.policy.name}' is ready {self.policy.checkpoint_id[:12]}")

    def now_ns(self):
        """[ns] since the epoch."""
        return self.get_clock().now().nanoseconds

    def stop(self):
        """End a running episode, its action cancelled; returns once the arm has answered, or after STOP_S."""
        self.stopping.set()
        if self.busy.locked() and self.busy.acquire(timeout=STOP_S):
            self.busy.release()
            time.sleep(RESULT_S)

    def destroy_node(self):
        """Go; call when no episode runs."""
        # A node does not take its actions along: others would still see them offered.
        self.server.destroy()
        self.arm.destroy()
        super().destroy_node()

    def _offer_to(self, gate):
        return lambda message: gate.offer(stamp_ns(message.header.stamp), message, self.now_ns())

    def _on_diagnostics(self, message):
        for status in message.status:
            self.fusion.heard(status.name, status.level != DiagnosticStatus.OK, status.message, self.now_ns())

    def _on_goal(self, request):
        if request.task != self.task.name:
            self.get_logger().error(f"refused an episode of '{request.task}': this node runs '{self.task.name}'")
        elif self.busy.locked():
            self.get_logger().error("refused an episode: one is running")
        elif not self.stopping.is_set():
            return GoalResponse.ACCEPT
        return GoalResponse.REJECT

    def _execute(self, goal):
        if not self.busy.acquire(blocking=False):
            goal.abort()
            return RunPolicy.Result(outcome="fault", fault="policy: two episodes were asked for at the same time")
        try:
            end = self._run(goal)
        finally:
            self.busy.release()
        if end.fault:
            self.get_logger().error(f"episode {goal.request.episode_id}: {end.fault}")
        if goal.is_cancel_requested:
            goal.canceled()
        elif end.outcome == "horizon":
            goal.succeed()
        else:
            goal.abort()
        return RunPolicy.Result(outcome=end.outcome, fault=end.fault, steps=end.steps)

    def _run(self, goal):
        request = goal.request
        apparatus = RosApparatus(self, goal)
        try:
            return run_episode(self.policy, request.horizon or self.task.horizon, request.seed, apparatus)
        except Exception as error:  # our own bug: no action is under way, and the session must hear how it ended
            self.get_logger().error(traceback.format_exc())
            return EpisodeEnd("fault", f"policy: {error!r}", apparatus.published)


class RosApparatus:
    """casher_policy.episode_loop.Apparatus over ROS, for one goal."""

    def __init__(self, node, goal):
        self.node = node
        self.goal = goal
        self.published = 0

    def now_ns(self):
        return self.node.now_ns()

    def stopped(self):
        return self.goal.is_cancel_requested or self.node.stopping.is_set()

    def check(self):
        if self.goal.is_cancel_requested:
            raise EpisodeCancelled
        if self.node.stopping.is_set():
            raise EpisodeFault("policy_stopped", "the policy node was told to stop")

    def look(self, after_ns):
        node, config = self.node, self.node.config
        timeout_s = config.first_cloud_timeout_s if node.clouds.newest_ns is None else config.cloud_timeout_s
        cloud = node.clouds.wait_after(after_ns, timeout_s, self.stopped)
        self.check()
        if cloud is None:
            raise EpisodeFault(*node.fusion.why(node.clouds, after_ns, timeout_s))
        robot_state = self._state(node.states, after_ns, "arm_silent", "/casher/robot_state")
        view = None
        try:
            if cloud.value.header.frame_id != "base":
                raise ValueError(f"the cloud's frame must be 'base', got '{cloud.value.header.frame_id}'")
            points, colours = cloud_arrays(cloud.value) if node.policy.needs_cloud else (None, None)
            vector = state_vector(robot_state)
            if node.policy.needs_privileged:
                scene = self._state(node.scenes, after_ns, "simulator_silent", "/sim/state")
                view = expert_view(scene, robot_state)
        except ValueError as error:
            raise EpisodeFault("bad_message", str(error)) from error
        count = cloud.value.width * cloud.value.height
        return cloud, Sight(points, colours, count, vector, view)

    def _state(self, gate, after_ns, fault, topic):
        timeout_s = self.node.config.state_timeout_s
        # What was measured at the very moment of settling shows the arm at rest, unlike a cloud that took time to see.
        state = gate.wait_after(after_ns, timeout_s, self.stopped, inclusive=True)
        self.check()
        if state is None:
            raise EpisodeFault(fault, f"no {topic} from after the arm settled within {timeout_s:g} s")
        return state.value

    def execute(self, action):
        timeout_s = self.node.config.action_timeout_s
        ready = self.node.arm.wait_ready(timeout_s, self.stopped)
        self.check()
        if not ready:
            raise EpisodeFault("arm_silent", "nobody offers /casher/execute_action: is the arm node running?")
        goal = ExecuteAction.Goal(action=int(action), episode_id=self.goal.request.episode_id)
        result = self.node.arm.execute(goal, timeout_s, self.stopped)
        if not result.success and not result.refused:
            self.check()  # we cancelled it ourselves
            raise EpisodeFault("arm", result.fault or "the action ended without success, refusal or fault")
        return Executed(stamp_ns(result.settled), result.refused, result.tcp_pose)

    def publish(self, step):
        message = policy_step_message(step, self.goal.request.episode_id, self.now_ns())
        self.published += 1
        self.node.steps.publish(message)
        self.goal.publish_feedback(RunPolicy.Feedback(step=message))


class ArmClient:
    """One ExecuteAction at a time, from a thread that does not spin."""

    def __init__(self, node):
        group = MutuallyExclusiveCallbackGroup()
        self._client = ActionClient(node, ExecuteAction, "/casher/execute_action", callback_group=group)
        # From the thread that waits for the arm, so that a policy that hangs or dies does not keep it moving.
        self._lease = node.create_publisher(Empty, "/casher/lease", 10)
        self._ask = Asker(node, group).ask

    def destroy(self):
        """Forget the arm."""
        self._client.destroy()

    def renew_lease(self):
        """We still wait for the arm's motion: without this for a second, it stops."""
        self._lease.publish(Empty())

    def wait_ready(self, timeout_s, stopped):
        """Whether an arm offers its action within timeout_s [s]; gives up as soon as stopped() holds."""
        end = time.monotonic() + timeout_s
        while not (ready := self._client.server_is_ready()) and time.monotonic() < end and not stopped():
            time.sleep(POLL_S)
        return ready

    def execute(self, goal, timeout_s, stopped):
        """The Result of goal, cancelled as soon as stopped() holds; EpisodeFault when the arm is silent."""
        end = time.monotonic() + timeout_s
        accepting = self._ask(lambda: self._client.send_goal_async(goal))
        while not concurrent.futures.wait([accepting], POLL_S).done:
            try:
                self._require_alive(end, f"did not take action {goal.action} within {timeout_s:g} s")
            except EpisodeFault:
                accepting.add_done_callback(self._cancel_late)
                raise
        handle = accepting.result()
        if not handle.accepted:
            raise EpisodeFault("arm", f"it rejected action {goal.action}: its log says why")
        ending = self._ask(handle.get_result_async)
        cancelled = False
        while not concurrent.futures.wait([ending], POLL_S).done:
            self.renew_lease()
            if stopped() and not cancelled:
                cancelled = True
                self._ask(handle.cancel_goal_async)
            try:
                self._require_alive(end, f"gave no result of action {goal.action} within {timeout_s:g} s")
            except EpisodeFault:
                self._ask(handle.cancel_goal_async)  # should it hear us after all, it stands still
                raise
        return ending.result().result

    def _require_alive(self, end, failure):
        if not self._client.server_is_ready():
            raise EpisodeFault("arm_silent", "the arm node went away during an action")
        if time.monotonic() > end:
            raise EpisodeFault("arm_silent", f"the arm {failure}")

    def _cancel_late(self, accepting):
        # An action accepted after we gave up must not move the arm in the next episode.
        handle = accepting.result()
        if handle.accepted:
            self._ask(handle.cancel_goal_async)


def main():
    init_node_process()
    node = None
    try:
        node = PolicyNode()
        executor = MultiThreadedExecutor(num_threads=6)
        executor.add_node(node)
        return 0 if spin(executor, farewell=node.stop) else 1
    except KeyboardInterrupt:
        return 0
    except ValueError as error:  # a parameter or the checkpoint: the message says what to do
        rclpy.logging.get_logger("policy").fatal(str(error))
        return 1
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
