"""`ArmServer` offers any `Arm` under the ROS names of docs/interfaces.md; `ArmNode` is the node of a real one."""

import concurrent.futures
import sys
import threading
import time
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from casher_franka import safety
from casher_franka.arm import ArmFault
from casher_franka.conversions import joint_state_message, robot_state_message, tcp_pose_message
from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState
from casher_perception.conversions import pose_message, stamp_message
from casher_perception.parameters import declare
from casher_perception.rig import load_rig
from casher_policy.action import ACTION_NAMES, RELEASED, decode

FEEDBACK_PERIOD_S = 0.05
_STOPPED_ON_REQUEST = ("stopped", "unreachable", "not_settled", "gripper")
"""Faults after which an arm that a cancel stopped is fit to move again; a reflex, say, wants a person."""
CLOSE_TIMEOUT_S = 5.0
PROMISE_S = 1.0
"""[s] the arm is kept for a goal that was accepted and has not begun. One whose client went away never begins."""


@dataclass(frozen=True)
class ArmConfig:
    """Parameters of the arm node."""

    rig: str
    """Rig file of the kitchen: its workspace box bounds the tcp."""
    host: str
    """Address of the robot's FCI."""
    robot: str = "fr3"
    """'fr3', or 'panda' (not yet)."""
    dynamics_factor: float = 0.2
    """Fraction of the robot's highest speed, acceleration and jerk."""
    realtime: str = "enforce"
    """'enforce' needs a PREEMPT_RT kernel; 'ignore' is for simulated robots."""


def _fr3(config):
    from casher_franka.franky_arm import FrankyArm  # only the machine at the robot has franky

    return FrankyArm(config.host, config.dynamics_factor, config.realtime)


def _panda(config):
    raise ValueError(
        "robot 'panda' needs an adapter over panda_py, which this version does not have: use an FR3 (robot:=fr3)"
    )


ARMS = {"fr3": _fr3, "panda": _panda}
"""Name of a robot -> ArmConfig -> Arm."""


def connect(config):
    """ArmConfig -> Arm; ValueError for what no retry will help, ArmFault when the robot does not answer."""
    if config.robot not in ARMS:
        raise ValueError(f"unknown robot {config.robot!r}: known are {', '.join(ARMS)}")
    if not config.host:
        raise ValueError(f"robot {config.robot!r} needs the address of its FCI: host:=172.16.0.2 or the like")
    return ARMS[config.robot](config)


class ArmServer:
    """Serves `arm` on `node`, which a MultiThreadedExecutor of at least 4 threads spins.

    One motion at a time: a goal or a `home` that comes while one runs is rejected. `stop` always gets through.
    """

    def __init__(self, node, arm, workspace, steps=RELEASED, state_rate_hz=30.0, robot="fr3"):
        """workspace: ((3,) low, (3,) high) [m], box of the tcp in base; robot: names the joints in /joint_states."""
        self.node, self.arm, self.workspace, self.steps, self.robot = node, arm, workspace, steps, robot
        self.limits = safety.Limits.of(steps)
        self.on_settled = None
        """Called with the ArmState after every action and `home`, before their result is sent; must return at once."""
        self._busy = threading.Lock()
        self._promised_until_s = 0.0
        self._stop_lock = threading.Lock()
        self._stop_called = False
        self._counts = {"executed": 0, "refused": 0, "faults": 0}
        self._last_fault = ""
        # Not on the executor's thread, so that the goal's callback can give feedback and see a cancel meanwhile.
        self._mover = concurrent.futures.ThreadPoolExecutor(1, "casher-arm")

        anytime, periodic = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self._robot_state = node.create_publisher(RobotState, "/casher/robot_state", 10)
        self._joint_states = node.create_publisher(JointState, "/joint_states", 10)
        self._tcp_pose = node.create_publisher(PoseStamped, "/casher/tcp_pose", 10)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timers = [
            node.create_timer(1.0 / state_rate_hz, self._publish_state, callback_group=periodic),
            node.create_timer(0.5, self._publish_diagnostics, callback_group=periodic),
        ]
        self._services = [
            node.create_service(Trigger, f"/casher/{name}", handler, callback_group=anytime)
            for name, handler in (("stop", self._stop), ("home", self._home), ("recover", self._recover))
        ]
        self._actions = ActionServer(
            node,
            ExecuteAction,
            "/casher/execute_action",
            self._execute,
            goal_callback=self._goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=anytime,
        )

    def close(self):
        """End a running motion and stop serving; call before the node is destroyed. The arm stays open."""
        if not self._busy.acquire(blocking=False):
            self.arm.stop()
            self._busy.acquire(timeout=CLOSE_TIMEOUT_S)  # until whoever waits for the motion has said how it ended
        self._mover.shutdown(wait=True)
        self._actions.destroy()

    def _goal(self, goal):
        if goal.action >= len(ACTION_NAMES):
            self.node.get_logger().error(f"rejected action {goal.action}: known are 0 .. {len(ACTION_NAMES) - 1}")
            return GoalResponse.REJECT
        # Promised only: rclpy begins no goal whose client has gone away, so nobody would release what is taken here.
        if self._busy.locked() or time.monotonic() < self._promised_until_s:
            self.node.get_logger().warning(f"rejected action {ACTION_NAMES[goal.action]}: the arm is still moving")
            return GoalResponse.REJECT
        self._promised_until_s = time.monotonic() + PROMISE_S
        return GoalResponse.ACCEPT

    def _execute(self, goal):
        taken = self._busy.acquire(blocking=False)
        self._promised_until_s = 0.0
        if not taken:
            goal.abort()
            return ExecuteAction.Result(fault="the arm was given another motion at the same moment: one at a time")
        try:
            return self._run(goal)
        finally:
            self._busy.release()

    def _run(self, goal):
        measured = self.arm.state()
        target = decode(goal.request.action, measured.T_base_tcp, measured.width_command, self.steps)
        verdict = safety.check(target, measured, self.workspace, self.limits, self.node.get_clock().now().nanoseconds)
        cancelled = False
        try:
            if not verdict.allow:
                raise ArmFault(verdict.name, verdict.detail)
            state, fault, cancelled = self._move(goal, target)
        except ArmFault as error:
            state, fault = self.arm.state(), error
        result = ExecuteAction.Result(
            settled=stamp_message(state.stamp_ns),
            tcp_pose=pose_message(state.T_base_tcp),
            target_pose=pose_message(target.T_base_tcp),
        )
        if self.on_settled is not None:
            self.on_settled(state)
        if not self.node.context.ok():
            return result
        # At once: the policy decides on a state from after the arm settled, and the next one may be a period away.
        self._robot_state.publish(robot_state_message(state, False))
        self._conclude(goal, result, fault, cancelled)
        return result

    def _move(self, goal, target):
        """Carry `target` out, with feedback. (state once still, ArmFault or None, whether a cancel stopped it)."""
        motion = self._mover.submit(self.arm.move_to, target)
        cancelled = False
        while not concurrent.futures.wait([motion], FEEDBACK_PERIOD_S).done:
            if not self.node.context.ok():
                self.arm.stop()
            elif goal.is_cancel_requested and not cancelled:
                cancelled = True
                self.arm.stop()
            else:
                goal.publish_feedback(ExecuteAction.Feedback(tcp_pose=pose_message(self.arm.state().T_base_tcp)))
        error = motion.exception()
        if error is not None and not isinstance(error, ArmFault):
            raise error
        if cancelled and (error is None or error.name in _STOPPED_ON_REQUEST):
            # A cancel ends an action and is no emergency: the arm may move again, unless someone called `stop` too.
            with self._stop_lock:
                if not self._stop_called:
                    self.arm.recover()
        return (motion.result() if error is None else self.arm.state()), error, cancelled

    def _conclude(self, goal, result, fault, cancelled):
        if fault is None:
            self._counts["executed"] += 1
            result.success = True
            goal.succeed()
        elif cancelled and fault.name == "stopped":
            result.fault = "stopped: the action was cancelled"
            goal.canceled()
        elif fault.name in safety.REFUSED:
            self._counts["refused"] += 1
            result.refused = str(fault)
            goal.succeed()
        else:
            self._counts["faults"] += 1
            result.fault = self._last_fault = str(fault)
            self.node.get_logger().error(f"action {ACTION_NAMES[goal.request.action]}: {fault}")
            goal.abort()

    def _stop(self, _request, response):
        with self._stop_lock:
            self._stop_called = True
            self.arm.stop()
        response.success, response.message = True, "the arm stands still; recover before it moves again"
        return response

    def _recover(self, _request, response):
        with self._stop_lock:
            try:
                self.arm.recover()
            except ArmFault as error:
                response.message = str(error)
                return response
            self._stop_called = False
        response.success, response.message = True, "the arm may move"
        return response

    def _home(self, _request, response):
        if not self._busy.acquire(blocking=False):
            response.message = "the arm is still moving: cancel the action or call /casher/stop first"
            return response
        try:
            state = self.arm.home()
        except ArmFault as error:
            self._last_fault = response.message = str(error)
            return response
        finally:
            self._busy.release()
        if self.on_settled is not None:
            self.on_settled(state)
        response.success, response.message = True, "at the start pose"
        return response

    def _publish_state(self):
        if not self.node.context.ok():  # shut down while this callback waited for its turn
            return
        state = self.arm.state()
        self._robot_state.publish(robot_state_message(state, self._busy.locked()))
        self._joint_states.publish(joint_state_message(state, self.robot))
        self._tcp_pose.publish(tcp_pose_message(state))

    def _publish_diagnostics(self):
        state, now = self.arm.state(), self.node.get_clock().now()
        age_s = (now.nanoseconds - state.stamp_ns) * 1e-9
        status = DiagnosticStatus(name="casher: arm", hardware_id=self.robot)
        if state.fault:
            status.level, status.message = DiagnosticStatus.ERROR, state.fault
        elif age_s > self.limits.state_age_s:
            status.level, status.message = DiagnosticStatus.STALE, f"the last measurement is {age_s:.1f} s old"
        else:
            status.level, status.message = DiagnosticStatus.OK, "moving" if self._busy.locked() else "ready"
        values = {**self._counts, "state_age_s": f"{age_s:.3f}", "last_fault": self._last_fault}
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = now.to_msg()
        self._diagnostics.publish(message)


class ArmNode(Node):
    """A real arm under the ROS names."""

    def __init__(self, **kwargs):
        super().__init__("arm", **kwargs)
        self.config = declare(self, ArmConfig)
        rig = load_rig(self.config.rig)
        self.arm = connect(self.config)
        self.server = ArmServer(self, self.arm, (rig.workspace_low, rig.workspace_high), robot=self.config.robot)

    def destroy_node(self):
        """Let the arm come to rest and go."""
        self.server.close()
        self.arm.close()
        super().destroy_node()


def main():
    rclpy.init()
    try:
        node = ArmNode()
    except (ValueError, ArmFault, OSError) as error:
        print(f"arm: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
