"""`ArmServer` offers any `Arm`, real or simulated, under the ROS names of docs/interfaces.md."""

import concurrent.futures
import contextlib
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from casher_franka import safety
from casher_franka.arm import HOME_JOINTS, ArmFault
from casher_franka.conversions import joint_state_message, robot_state_message, tcp_pose_message
from casher_franka.envelope import Limits
from casher_franka.guard_node import Guard
from casher_franka.lease import Leases
from casher_franka.retreat import towards_home
from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState
from casher_perception.conversions import pose_message, stamp_message
from casher_policy.action import ACTION_NAMES, RELEASED, decode

FEEDBACK_PERIOD_S = 0.05
_STOPPED_ON_REQUEST = ("stopped", "unreachable", "not_settled", "gripper")
"""Faults after which an arm that a cancel stopped is fit to move again; a reflex, say, wants a person."""
CLOSE_TIMEOUT_S = 5.0
PROMISE_S = 1.0
"""[s] the arm is kept for a goal that was accepted and has not begun. One whose client went away never begins."""
FRESH_S = 1.0
"""[s] a measurement is waited for that is young enough to decide on."""
RETREAT_STEPS = 40
WATCHER_S = 1.0
"""[s] a watcher (`casher estop`) may be silent."""


class ArmServer:
    """Serves `arm` on `node`, which a MultiThreadedExecutor of at least 4 threads spins.

    One motion at a time: a goal or a `home` that comes while one runs is rejected. What stops the arm is served by a
    guard in a thread of its own.
    """

    def __init__(self, node, arm, envelope, steps=RELEASED, state_rate_hz=30.0, robot="fr3", lease_s=0.0):
        """envelope: envelope.Envelope of the kitchen; robot: names the joints in /joint_states.

        lease_s: how long [s] whoever asked for a motion may be silent on /casher/lease before it stops; 0: for ever.
        """
        self.node, self.arm, self.envelope, self.steps, self.robot = node, arm, envelope, steps, robot
        self.limits = Limits.of(steps)
        self.on_settled = None
        """Called with the ArmState after every action and `home`, before their result is sent; must return at once."""
        self._busy, self._resting = threading.Lock(), False
        self._promised_until_s = 0.0
        self._stops, self._why_stopped, self._lease_lost_s = 0, "", None
        self._leases = Leases(lease_s, WATCHER_S)
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
            for name, handler in (("home", self._home), ("recover", self._recover))
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
        self._guard = Guard(node.context, self._leases, self.stop, self._stop_motion)

    def stop(self, reason):
        """Stand still until `recover`; waits for nothing but the arm, from any thread."""
        # First the count: whoever is about to let the arm move again sees it, or is seen by the arm's own stop.
        self._stops += 1
        self._why_stopped = reason
        try:
            self.arm.stop()
        except Exception as error:  # it must not end the guard, which is asked again
            self.node.get_logger().fatal(f"stop: {error!r}")
        self.node.get_logger().warning(f"stopped: {reason}")

    def rest(self):
        """End a running motion and begin no other; its client hears of it where the node is still spun."""
        if self._resting:
            return
        self._resting = True
        if not self._busy.acquire(blocking=False):
            self.arm.stop()
            self._busy.acquire(timeout=CLOSE_TIMEOUT_S)  # until whoever waits for the motion has said how it ended
        self._mover.shutdown(wait=True)

    def close(self):
        """Stop serving; call once nobody spins the node any more, before it is destroyed. The arm stays open."""
        self.rest()
        self._guard.close()
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
            self._lease_lost_s = None
            self._busy.release()

    def _run(self, goal):
        measured, now_ns = self._measured()
        target = decode(goal.request.action, measured.T_base_tcp, measured.width_command, self.steps)
        verdict = safety.check(target, measured, self.envelope, self.limits, now_ns)
        cancelled = False
        try:
            self._require(verdict)
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
        stops = self._stops
        with self._leased():
            motion, cancelled = self._follow(goal, self._mover.submit(self.arm.move_to, target))
        error = motion.exception()
        if error is not None and not isinstance(error, ArmFault):
            raise error
        if (cancelled or self._lease_lost_s is not None) and (error is None or error.name in _STOPPED_ON_REQUEST):
            # A cancel ends an action and is no emergency: the arm may move again, unless someone called `stop` too.
            self._clear(stops)
        return (motion.result() if error is None else self.arm.state()), self._explained(error), cancelled

    def _follow(self, goal, motion):
        """Give feedback until the motion has ended -> (motion, whether it was cancelled)."""
        cancelled = False
        while not concurrent.futures.wait([motion], FEEDBACK_PERIOD_S).done:
            if not self.node.context.ok():
                self.arm.stop()
            elif goal.is_cancel_requested and not cancelled:
                cancelled = True
                self.arm.stop()
            else:
                goal.publish_feedback(ExecuteAction.Feedback(tcp_pose=pose_message(self.arm.state().T_base_tcp)))
        return motion, cancelled

    @contextlib.contextmanager
    def _leased(self):
        """A motion's lease, from its beginning to its end."""
        self._lease_lost_s = None
        self._leases.begin(time.monotonic())
        try:
            yield
        finally:
            self._leases.end()

    def _stop_motion(self, silent_s):
        self._lease_lost_s = silent_s
        try:
            self.arm.stop()
        except Exception as error:  # it must not end the guard, which asks again
            self.node.get_logger().fatal(f"stop: {error!r}")
        self.node.get_logger().error(f"nobody has waited for the motion for {silent_s:.1f} s: it was stopped")

    def _clear(self, stops):
        """Let the arm move again unless a stop came after the `stops`-th; such a one wins in any order."""
        if self._stops == stops:
            self.arm.recover()
            if self._stops != stops:
                self.arm.stop()

    def _measured(self):
        """(ArmState, now [ns]); one that is too old to decide on is waited past for a moment."""
        end = time.monotonic() + FRESH_S
        while True:
            state, now_ns = self.arm.state(), self.node.get_clock().now().nanoseconds
            age_s = abs(now_ns - state.stamp_ns) * 1e-9
            if age_s <= self.limits.state_age_s or state.fault or time.monotonic() > end:
                return state, now_ns
            time.sleep(0.01)

    def _require(self, verdict):
        """ArmFault unless the safety core allows the motion."""
        if not verdict.allow:
            raise self._explained(ArmFault(verdict.name, verdict.detail))

    def _explained(self, fault):
        """`fault`, or why the arm was stopped where that is all it says."""
        if fault is None or fault.name != "stopped":
            return fault
        if self._why_stopped:  # before the lease: it holds until `recover`
            return ArmFault("stopped", f"{self._why_stopped}: `recover` when it is safe")
        if self._lease_lost_s is not None:
            return ArmFault("lease", f"nobody has waited for the motion for {self._lease_lost_s:.1f} s")
        return fault

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

    def _recover(self, _request, response):
        stops = self._stops
        try:
            self._clear(stops)
        except ArmFault as error:
            response.message = str(error)
            return response
        if self._stops != stops:
            response.message = f"stopped meanwhile: {self._why_stopped}"
            return response
        self._why_stopped = ""
        response.success, response.message = True, "the arm may move"
        return response

    def _home(self, _request, response):
        if not self._busy.acquire(blocking=False):
            response.message = "the arm is still moving: cancel the action or call /casher/stop first"
            return response
        stops = self._stops
        try:
            with self._leased():
                state = self._go_home()
        except ArmFault as error:
            self._last_fault = response.message = str(self._explained(error))
            if self._lease_lost_s is not None and error.name in _STOPPED_ON_REQUEST:
                with contextlib.suppress(ArmFault):  # then the state goes on to say it
                    self._clear(stops)
            return response
        finally:
            self._lease_lost_s = None
            self._busy.release()
        if self.on_settled is not None:
            self.on_settled(state)
        response.success, response.message = True, "at the start pose"
        return response

    def _go_home(self):
        """Home by the joints; while that would take the tool out of the box, straight towards the start pose first."""
        for _ in range(RETREAT_STEPS):
            measured, now_ns = self._measured()
            boxed = self.robot != "sim"  # nobody stands beside a simulated arm
            verdict = safety.check_home(measured, HOME_JOINTS, self.envelope, self.limits, now_ns, boxed)
            if verdict.name != "outside_workspace":
                break
            target = towards_home(measured, self.limits)
            if target is None or not safety.check(target, measured, self.envelope, self.limits, now_ns).allow:
                break
            self.arm.move_to(target)
        self._require(verdict)
        return self.arm.home()

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
        values |= {"stopped": self._why_stopped, "watchers": ", ".join(self._leases.watchers)}
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = now.to_msg()
        self._diagnostics.publish(message)
