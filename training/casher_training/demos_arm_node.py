"""The same demonstrations on a real arm: each key is one ExecuteAction, to whatever arm node is running.

What a simulator knows and a robot does not, object and goal, is NaN in what is recorded; what the cameras see, a
DemoRecorder has put into a bag.
"""

import os
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState
from casher_perception.conversions import stamp_ns
from casher_perception.spinning import Spinning
from casher_policy.asking import Asker
from casher_policy.episode_loop import EpisodeFault, Executed, require_clock
from casher_policy.episode_topics import TRUTH_TOPIC
from casher_policy.policy_node import ArmClient
from casher_policy.step_gate import FreshGate
from casher_policy.task import task_named
from casher_training.demo_bag import BAGS, episode_of
from casher_training.demo_trajectory import demo_trajectory
from casher_training.demos_conversions import measurement
from casher_training.demos_no_recorder import NoRecorder
from casher_training.demos_recorder_node import DemoRecorder, Sight
from casher_training.demos_session import DemoError

ANSWER_S, ACTION_S, HOME_S = 5.0, 30.0, 60.0
"""[s] an arm node is given to say anything, to carry out an action and correct its pose, to go to its start pose."""
LATE_S = 3.0
"""[s] after the key the arm does not set out for its start pose any more."""


class ArmDemo:
    """What demos_session.SimulatedDemo is for the simulator. Raises DemoError when no arm is there."""

    judged_by_person = True

    def __init__(self, scene, task, robot, preset="released", context=None, store=None, bags=None):
        """scene: scenes.Scene, of the twin of this kitchen; robot: 'fr3' or 'panda'; preset: 'released'.

        context: an rclpy context that is running; None: one of its own, on the domain ROS_DOMAIN_ID.
        store: folder of the trajectories; bags: folder of their bags, BAGS beside them if it is not given. Without a
        store nothing is recorded, and nobody asks for cameras.
        """
        if preset != "released":
            raise DemoError(f"arm nodes carry out actions of the preset 'released', got {preset!r}")
        self.scene, self.task, self.robot, self.preset = scene, task_named(task), robot, preset
        self._context, self._own_context = context or Context(), context is None
        if self._own_context:
            rclpy.init(context=self._context)
        self._node = Node("casher_demos", context=self._context)
        group = MutuallyExclusiveCallbackGroup()
        self._arm = ArmClient(self._node)
        self._services = {
            name: self._node.create_client(Trigger, f"/casher/{name}", callback_group=group)
            for name in ("stop", "home", "recover")
        }
        self._asker = Asker(self._node, group)
        self._gate, self._closing = FreshGate(), threading.Event()
        self._fault, self._fault_ns = "", 0
        self._node.create_subscription(RobotState, "/casher/robot_state", self._heard, 10)
        self._recorder = NoRecorder()
        if store is not None:
            self._recorder = DemoRecorder(self._node, bags or Path(store) / BAGS, store, self._closing.is_set)
        executor = MultiThreadedExecutor(num_threads=5, context=self._context)
        executor.add_node(self._node)
        self._spinning = Spinning(executor, name="casher demos")
        try:
            if not self._arm.wait_ready(ANSWER_S, self._closing.is_set):
                raise DemoError(
                    f"nobody offers /casher/execute_action on ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}: start "
                    "the arm node, and set ROS_DOMAIN_ID to its domain"
                )
            self._recorder.require()
        except BaseException:  # Ctrl-C, too
            self.close()
            raise

    @property
    def rehearsed(self):
        """Whether the arm is the simulator's: it tells what no arm knows."""
        return self._node.count_publishers(TRUTH_TOPIC) > 0

    @property
    def steps(self):
        """Actions so far."""
        return len(self._actions)

    @property
    def state(self):
        """SceneState of now."""
        return self._states[-1]

    def start(self, seed):
        """A new episode; the arm does not move. Its start pose is reached by `home`."""
        self._actions = []  # first: without a measurement the last episode must not go on under this seed
        self.seed, self.success, self.ended, self.note, self._homed = int(seed), False, "", "", False
        self._recorder.forget()
        self._begin(self._measured(0))

    def home(self):
        """The arm goes to its start pose, and the episode begins there -> what the person should know of it."""
        pressed_s = time.monotonic()
        self._actions, self._homed = [], False  # whatever comes of it, the last episode does not go on
        for name in ("stop", "home"):  # an arm that cannot be told to stop is not told to move
            self._require(name)
        self.discard()
        self._recorder.require()
        if (late_s := time.monotonic() - pressed_s) > LATE_S:  # nobody expects a motion that long after a key
            raise DemoError(f"it took {late_s:.0f} s until all was ready to record, now it is: press B again")
        self._call("home", HOME_S)
        self._recorder.begin(episode_of(self, self._now_ns()))
        self._settled_ns = self._now_ns()
        self._begin(self._measured(self._settled_ns))
        self._see()
        self.success, self.ended, self.note, self._homed = False, "", "", True
        return self._recorder.begun

    def act(self, action):
        """One action of the arm; DemoError when it is not allowed or did not end well."""
        if not self._homed:
            raise DemoError("an episode begins at the start pose: press B, the arm goes there")
        if self.ended:
            raise DemoError(f"the episode has ended ({self.ended}): save or discard it")
        self._recorder.require_recording()
        if self._sight and not self._fault and self._fault_ns > self._sight.settled_ns:
            self._settled_ns = self._sight = None  # who let it move again may have moved it
        if self._sight is None:  # that may take seconds, and nobody expects a motion seconds after a key
            self._see()
            raise DemoError("the state before it had not been seen yet, now it has: press the key again")
        sight, decided_ns = self._sight, self._now_ns()
        self._sight = self._settled_ns = None
        try:
            result = self._arm.execute(ExecuteAction.Goal(action=int(action)), ACTION_S, self._closing.is_set)
            settled_ns = stamp_ns(result.settled)
            if result.success or result.refused:
                require_clock(settled_ns, decided_ns)
        except EpisodeFault as fault:
            raise DemoError(f"the arm: {fault}") from None
        if not result.success and not result.refused:
            raise DemoError(f"the arm: {result.fault or 'the action ended without success, refusal or fault'}")
        action_s = (self._now_ns() - decided_ns) * 1e-9
        observation, state, self._vector = self._measured(settled_ns)
        self._actions.append(int(action))
        self._observations.append(observation)
        self._states.append(state)
        self._settled_ns = settled_ns
        executed = Executed(settled_ns, result.refused, result.tcp_pose)
        self._recorder.note(action, sight, executed, decided_ns, action_s)
        self.note = f"refused: {result.refused}" if result.refused else ""
        if self.steps >= self.task.horizon:
            self.ended = f"all {self.task.horizon} steps are used up"
        else:
            self._see()

    def stop(self):
        """The arm stands still, at once; any thread -> what the person should know. It moves again after `recover`."""
        self._services["stop"].call_async(Trigger.Request())
        if not self._services["stop"].service_is_ready():
            return "STOP WAS NOT HEARD: nobody offers /casher/stop; press the robot's own button"
        return "STOP: V lets the arm move again"

    def recover(self):
        """Let the arm move again; where it stands now is the state before the next action."""
        self._call("recover", ANSWER_S)
        if self._homed and not self.ended:
            self._settled_ns = self._sight = None
            self._see()

    def keep(self):
        """It succeeded, as the person says: its bag is closed -> '' or why a student cannot learn from it."""
        return self._recorder.keep()

    def discard(self):
        """Its bag is closed and put away."""
        self._recorder.discard()

    def undo(self):
        """What a real arm has done cannot be undone: DemoError."""
        raise DemoError("what a real arm has done cannot be undone: discard the episode, or drive back")

    def unfulfilled(self):
        """Unknown here: the person judges."""
        return []

    def trajectory(self, source, human_s=0.0, noise=0.0):
        """What happened since the start pose -> Trajectory, its success as the person said."""
        rewards = np.zeros(self.steps)
        rewards[-1] = self.success
        about = {"source": source, "human_s": human_s, "noise": noise, "bag": self._recorder.name}
        return demo_trajectory(self, self._observations, self._actions, rewards, self._states, **about)

    def close(self):
        """Leave the arm as it is and go."""
        try:
            if self._recorder.is_open:
                self.discard()
        finally:
            self._closing.set()
            self._spinning.stop()
            self._arm.destroy()
            self._node.destroy_node()
            if self._own_context:
                rclpy.shutdown(context=self._context)

    def _begin(self, measured):
        observation, state, self._vector = measured
        self._actions, self._observations, self._states, self._sight = [], [observation], [state], None

    def _see(self):
        """What is there before the next action, from after the arm came to rest; DemoError, and nothing has moved."""
        if self._settled_ns is None:  # a motion did not end well, or somebody guided the arm
            now_ns = self._now_ns()
            self._observations[-1], self._states[-1], self._vector = self._measured(now_ns)
            self._settled_ns = now_ns
        self._sight = Sight(self._recorder.look(self._settled_ns), self._settled_ns, self._vector)

    def _now_ns(self):
        return self._node.get_clock().now().nanoseconds

    def _heard(self, message):
        stamp = stamp_ns(message.header.stamp)
        self._fault = message.fault
        if message.fault:
            self._fault_ns = stamp
        self._gate.offer(stamp, message, self._now_ns())

    def _require(self, name):
        if not self._services[name].wait_for_service(ANSWER_S):
            raise DemoError(f"nobody offers /casher/{name}: is the arm node still running?")

    def _call(self, name, timeout_s):
        self._require(name)
        client, renew = self._services[name], self._arm.renew_lease
        try:
            answer = self._asker.result_of(
                lambda: client.call_async(Trigger.Request()), timeout_s, f"/casher/{name}", renew
            )
        except TimeoutError as error:
            raise DemoError(str(error)) from None
        if not answer.success:
            raise DemoError(f"{name}: {answer.message}")

    def _measured(self, after_ns):
        """The first measurement at or after that time -> observation (D,), SceneState, a policy's state (9,)."""
        found = self._gate.wait_after(after_ns, ANSWER_S, self._closing.is_set, inclusive=True)
        if found is None:
            raise DemoError(f"no /casher/robot_state within {ANSWER_S:g} s: is the arm node still running?")
        return measurement(found.value)
