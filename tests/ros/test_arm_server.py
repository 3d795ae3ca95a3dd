"""ArmServer over an arm without hardware: what it promises, what stops it, and what it tells once it has settled."""

import threading
import time

import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

from casher_franka.arm import HOME_JOINTS, ArmFault, ArmState
from casher_franka.envelope import Envelope
from casher_franka.kinematics import JOINT_RANGES, inverse, tcp_pose
from casher_franka.server_node import PROMISE_S, ArmServer
from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState
from casher_perception.conversions import stamp_ns
from casher_policy.action import Action
from casher_policy.asking import Asker

pytestmark = pytest.mark.ros

ROOM = Envelope(np.full(3, -2.0), np.full(3, 2.0), -2.0, *JOINT_RANGES["fr3"])
SLOW_HZ = 0.1
"""So seldom that no state of the timer comes within a test after the first action."""


class IdealArm:
    """Goes anywhere at once, or when `may_go` is set; `stop` holds until `recover`, as with every arm."""

    def __init__(self):
        self.q, self.moves, self.may_go = np.array(HOME_JOINTS), 0, threading.Event()
        self.fault, self.recovering, self.may_recover = "", threading.Event(), threading.Event()
        self.been = []
        """Where the tool was sent."""
        self.may_go.set()
        self.may_recover.set()

    def state(self):
        zeros = np.zeros(7)
        return ArmState(
            time.time_ns(), tcp_pose(self.q), self.q, zeros, np.full(2, 0.04), 0.08, False, False, self.fault
        )

    def move_to(self, target):
        self._wait()
        self.q, self.moves = inverse(np.array([target.T_base_tcp]), self.q[None])[0][0], self.moves + 1
        self.been.append(target.T_base_tcp[:3, 3])
        return self.state()

    def home(self):
        self._wait()
        self.q = np.array(HOME_JOINTS)
        return self.state()

    def stop(self):
        self.fault = "stopped"

    def recover(self):
        self.recovering.set()
        assert self.may_recover.wait(60.0)
        self.fault = ""

    def close(self):
        pass

    def _wait(self):
        end = time.monotonic() + 60.0
        while not self.may_go.wait(0.005):
            assert time.monotonic() < end
            if self.fault:
                break
        if self.fault:
            raise ArmFault(self.fault)


class Bench:
    def __init__(self, graph, lease_s=0.0, state_rate_hz=SLOW_HZ, room=ROOM, robot="sim"):
        self.graph, self.arm = graph, IdealArm()
        self.server_node = graph.add(Node, "arm")
        self.server = ArmServer(
            self.server_node, self.arm, room, state_rate_hz=state_rate_hz, robot=robot, lease_s=lease_s
        )
        node = self.client_node = graph.add(Node, "client")
        self.client = ActionClient(node, ExecuteAction, "/casher/execute_action")
        self.asker = Asker(node, node.default_callback_group)
        self.triggers = {name: node.create_client(Trigger, f"/casher/{name}") for name in ("home", "stop", "recover")}
        self.estop, self.lease = (node.create_publisher(Empty, f"/casher/{name}", 10) for name in ("estop", "lease"))
        self.watcher = node.create_publisher(String, "/casher/watcher", 10)
        self.states = []
        node.create_subscription(RobotState, "/casher/robot_state", self.states.append, 10)
        assert graph.wait(self.client.server_is_ready)
        assert graph.wait(lambda: all(client.service_is_ready() for client in self.triggers.values()))
        assert graph.wait(lambda: node.count_publishers("/casher/robot_state") == 1)
        published = (self.estop, self.lease, self.watcher)
        assert graph.wait(lambda: all(publisher.get_subscription_count() == 1 for publisher in published))

    def done(self, future):
        assert self.graph.wait(future.done), "no answer"
        return future.result()

    def ask(self, name):
        return self.triggers[name].call_async(Trigger.Request())

    def call(self, name):
        return self.done(self.ask(name))

    def send(self):
        return self.done(
            self.asker.ask(lambda: self.client.send_goal_async(ExecuteAction.Goal(action=int(Action.PLUS_X))))
        )

    def result(self, handle):
        return self.done(self.asker.ask(handle.get_result_async)).result


@pytest.fixture
def bench(graph):
    bench = Bench(graph)
    yield bench
    bench.arm.may_go.set()
    graph.spinning.stop()
    bench.server.close()


@pytest.fixture
def leased(graph):
    bench = Bench(graph, lease_s=0.5)
    yield bench
    bench.arm.may_go.set()
    graph.spinning.stop()
    bench.server.close()


def test_a_goal_whose_client_went_away_before_the_answer_does_not_keep_the_arm_for_ever(bench):
    accepted = bench.server._goal(ExecuteAction.Goal(action=int(Action.PLUS_X)))  # rclpy would now find nobody to tell
    assert accepted.name == "ACCEPT"
    assert bench.server._promised_until_s <= time.monotonic() + PROMISE_S
    bench.server._promised_until_s = time.monotonic() + 600.0  # however long the next lines take
    assert bench.call("home").success
    handles = []

    def accepted_again():
        handles.append(bench.send())
        time.sleep(0.1)
        return handles[-1].accepted

    assert not accepted_again(), "a goal that was accepted a moment ago is kept the arm for"
    bench.server._promised_until_s = time.monotonic()
    assert bench.graph.wait(accepted_again)
    assert bench.result(handles[-1]).success and bench.arm.moves == 1


def test_a_second_goal_is_rejected_from_the_moment_the_first_is_accepted(bench):
    bench.arm.may_go.clear()
    first = bench.send()
    assert first.accepted and not bench.send().accepted
    assert not bench.call("home").success
    bench.arm.may_go.set()
    assert bench.result(first).success and bench.send().accepted


def test_the_state_of_the_arm_at_rest_is_published_as_soon_as_it_has_settled(bench):
    for moves in (1, 2):
        result = bench.result(bench.send())
        settled_ns = stamp_ns(result.settled)
        assert bench.graph.wait(lambda ns=settled_ns: any(stamp_ns(s.header.stamp) == ns for s in bench.states))
        (state,) = (s for s in bench.states if stamp_ns(s.header.stamp) == settled_ns)
        assert not state.moving and state.tcp_pose == result.tcp_pose
        assert bench.arm.moves == moves


@pytest.mark.parametrize("press", ["estop", "stop"])
def test_an_emergency_stop_ends_an_action_by_name_and_holds_until_recover(bench, press):
    bench.arm.may_go.clear()
    handle = bench.send()
    for _ in range(3):  # several at once are one
        bench.estop.publish(Empty()) if press == "estop" else bench.ask("stop")
    fault = bench.result(handle).fault
    assert fault.startswith("stopped: " + ("an emergency stop was pressed" if press == "estop" else "/casher/stop"))
    bench.arm.may_go.set()
    assert bench.result(bench.send()).fault.startswith("stopped: ")
    assert not bench.call("home").success and bench.arm.moves == 0
    assert bench.call("recover").success
    assert bench.result(bench.send()).success


@pytest.fixture
def boxed(graph):
    """start(low, high) -> a Bench of a real robot whose box reaches so far from the start pose [m]; its arm is far
    enough off that the joints' way home leads over a box of 10 cm."""
    benches = []

    def start(low, high):
        p_home = tcp_pose(np.array(HOME_JOINTS))[:3, 3]
        benches.append(
            Bench(graph, room=Envelope(p_home + low, p_home + high, -2.0, *JOINT_RANGES["fr3"]), robot="fr3")
        )
        benches[0].arm.q = np.array([1.35, -0.865, -1.224, -2.796, -0.231, 3.718, 0.436])
        return benches[0]

    yield start
    graph.spinning.stop()
    benches[0].server.close()


def test_home_goes_in_straight_steps_within_the_box_until_the_joints_way_is_free(boxed):
    bench = boxed(-0.1, 0.1)
    room = bench.server.envelope
    answer = bench.call("home")
    assert answer.success, answer.message
    assert 0 < bench.arm.moves == len(bench.arm.been)
    assert all(np.all(p > room.low) and np.all(p < room.high) for p in bench.arm.been)
    assert np.array_equal(bench.arm.q, HOME_JOINTS)


def test_home_is_refused_and_nothing_moves_where_no_straight_step_is_free_either(boxed):
    bench = boxed(0.15, 0.4)  # neither the tool nor the start pose is in it
    before = bench.arm.q
    answer = bench.call("home")
    assert not answer.success and answer.message.startswith("outside_workspace: ")
    assert bench.arm.moves == 0 and np.array_equal(bench.arm.q, before)


def test_an_emergency_stop_ends_the_way_home(bench):
    bench.arm.may_go.clear()
    homing = bench.ask("home")
    assert bench.graph.wait(bench.server._busy.locked)
    bench.estop.publish(Empty())
    assert bench.done(homing).message.startswith("stopped: an emergency stop was pressed")


def test_an_emergency_stop_while_the_arm_recovers_wins(bench):
    bench.call("stop")
    bench.arm.may_recover.clear()
    recovering = bench.ask("recover")
    assert bench.graph.wait(bench.arm.recovering.is_set)
    bench.estop.publish(Empty())
    assert bench.graph.wait(lambda: bench.server._stops == 2), "the guard waits for nothing that the server does"
    bench.arm.may_recover.set()
    answer = bench.done(recovering)
    assert not answer.success and "stopped meanwhile" in answer.message
    assert bench.arm.fault == "stopped"


def test_an_emergency_stop_is_heard_while_every_thread_of_the_server_is_busy(bench, graph):
    let_go, waiting = threading.Event(), threading.Semaphore(0)

    def wait():
        waiting.release()
        let_go.wait(120.0)

    try:
        for _ in range(graph.THREADS):
            graph.executor.create_task(wait)
            assert waiting.acquire(timeout=60.0)
        estop = bench.estop  # published from this thread: the executor that spins client and server hangs
        end = time.monotonic() + 60.0
        estop.publish(Empty())
        while bench.arm.fault != "stopped" and time.monotonic() < end:
            time.sleep(0.01)
        assert bench.arm.fault == "stopped"
    finally:
        let_go.set()


def test_a_motion_stops_when_nobody_waits_for_it_any_more_and_the_next_one_runs(leased):
    leased.arm.may_go.clear()
    handle = leased.send()
    assert leased.result(handle).fault.startswith("lease: nobody has waited for the motion for ")
    answer = leased.call("home")
    assert not answer.success and answer.message.startswith("lease: ")
    leased.server._leases.motion_s = 60.0
    leased.arm.may_go.set()
    assert leased.result(leased.send()).success


def test_waiting_for_a_motion_renews_its_lease(leased):
    leased.server._leases.motion_s = 60.0
    leased.arm.may_go.clear()
    handle = leased.send()
    assert leased.graph.wait(lambda: leased.server._leases._motion is not None)
    begin = leased.server._leases._motion
    leased.lease.publish(Empty())
    assert leased.graph.wait(lambda: leased.server._leases._motion > begin)
    leased.arm.may_go.set()
    assert leased.result(handle).success


def test_a_watcher_that_dies_stops_the_arm_and_one_that_leaves_does_not(bench):
    leases = bench.server._leases
    leases.watcher_s = 60.0
    for word in ("page", "terminal"):
        bench.watcher.publish(String(data=word))
    assert bench.graph.wait(lambda: leases.watchers == ["page", "terminal"])
    bench.watcher.publish(String(data="page bye"))
    assert bench.graph.wait(lambda: leases.watchers == ["terminal"])
    assert bench.result(bench.send()).success
    leases.watcher_s = 0.1
    assert bench.graph.wait(lambda: bench.arm.fault == "stopped")
    assert "'terminal' has gone silent" in bench.result(bench.send()).fault
    assert bench.call("recover").success and bench.result(bench.send()).success


def test_an_emergency_stop_after_a_lost_lease_is_called_a_stop_and_holds(leased):
    leased.arm.may_go.clear()
    leased.server._lease_lost_s, leased.server._why_stopped = 1.0, "an emergency stop was pressed"
    assert str(leased.server._explained(ArmFault("stopped"))).startswith("stopped: an emergency stop was pressed")
    leased.server._why_stopped = ""
    assert leased.result(leased.send()).fault.startswith("lease: ")
    assert leased.server._lease_lost_s is None or leased.graph.wait(lambda: leased.server._lease_lost_s is None)


@pytest.mark.parametrize("fails", ["stop", "heard"])
def test_an_unexpected_error_does_not_end_the_guard(leased, fails):
    def broken(*_):
        raise OSError("no")

    arm, leases = leased.arm, leased.server._leases
    if fails == "stop":  # as the lease of a motion runs out
        stop, failures = arm.stop, []
        arm.stop = lambda: failures.append(1) or broken()
        arm.may_go.clear()
        handle = leased.send()
        assert leased.graph.wait(lambda: failures)
        arm.stop = stop
        leased.estop.publish(Empty())
        assert leased.result(handle).fault.startswith("stopped: an emergency stop was pressed")
    else:
        heard, leases.heard = leases.heard, broken
        leased.watcher.publish(String(data="page"))
        assert leased.graph.wait(lambda: arm.fault == "stopped"), "a guard that fails stops the arm"
        leases.heard = heard
        assert leased.call("recover").success
        leased.estop.publish(Empty())
        assert leased.graph.wait(lambda: arm.fault == "stopped")
