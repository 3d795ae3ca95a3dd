"""What the recorder and the cameras have to do with a demonstration on a real arm: a bag, and a cloud for every action.

To the recorder the person is one more policy: each action is told as a PolicyStep, which names the cloud that shows the
state before it. That is the one a policy would have waited for.
"""

import dataclasses
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from casher_msgs.msg import PolicyStep
from casher_msgs.srv import StartRecording, StopRecording
from casher_perception.conversions import stamp_ns
from casher_policy.action import ACTION_NAMES, Action
from casher_policy.asking import Asker
from casher_policy.conversions import episode_message, policy_step_message
from casher_policy.episode import Outcome
from casher_policy.episode_loop import Executed, Step
from casher_policy.episode_topics import CLOUD_TOPIC, DIAGNOSTICS_TOPIC, EPISODE_TOPICS, STEP_TOPIC
from casher_policy.fusion_watch import FusionWatch
from casher_policy.policies import Decision
from casher_policy.policy_node import POLL_S
from casher_policy.step_gate import FreshGate, Stamped
from casher_training.demo_bag import bag_name, why_unusable
from casher_training.demos_session import DemoError

CLOUD_S, FIRST_CLOUD_S = 10.0, 20.0
"""[s] a fused cloud is waited for; the first since we are there: cameras take their time to start."""
RECORDER_S, LISTENS_S = 30.0, 10.0
"""[s] the recorder is given to be found and to answer; to listen to our steps once it has said that it records."""
MIN_FREE_BYTES = 1_000_000_000
"""Three minutes of what the cameras see: nobody's demonstration is to end because of a full disk."""
DISCARDED = "discarded"
"""Folder, beside the bags, of the last demonstration that was discarded."""
AWAY = "it went away"
WITHOUT = "--no-bag goes on without the cameras: a student cannot learn from what is saved then"


@dataclass(frozen=True, eq=False)
class Sight:
    """What shows the state before an action."""

    cloud: Stamped
    """A PointCloud2."""
    settled_ns: int
    """[ns] since the epoch: from then on the arm stood still."""
    robot_state: np.ndarray
    """(9,) float32, see casher_policy.observation."""


class DemoRecorder:
    """One bag at a time, of the episodes of an ArmDemo. Its methods are for one thread that does not spin the node."""

    begun = "recording: leave the scene to the arm now; B begins anew"

    def __init__(self, node, bags, store, stopped):
        """bags: folder; store: folder of the trajectories; stopped(): whether waiting is to end.

        DemoError without a recorder or without a fused cloud.
        """
        self._node, self._bags, self._store, self._stopped = node, Path(bags).absolute(), store, stopped
        group, listening = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self._start = node.create_client(StartRecording, "/casher/record/start", callback_group=group)
        self._stop = node.create_client(StopRecording, "/casher/record/stop", callback_group=group)
        self._ask = Asker(node, group).result_of
        self._steps = node.create_publisher(PolicyStep, STEP_TOPIC, 10)
        self._clouds, self._fusion = FreshGate(), FusionWatch()
        node.create_subscription(
            PointCloud2, CLOUD_TOPIC, self._on_cloud, qos_profile_sensor_data, callback_group=listening
        )
        node.create_subscription(DiagnosticArray, DIAGNOSTICS_TOPIC, self._on_diagnostics, 10, callback_group=listening)
        self._episode, self._actions, self._begun_ns = None, [], 0
        self._failure, self._remark, self.is_open = "", "", False

    @property
    def name(self):
        """Of the bag, as a Trajectory says it; '' without one."""
        return bag_name(self._folder, self._store) if self._episode else ""

    def require(self):
        """DemoError unless there are room, a recorder and a fused cloud of now: to be called before anything moves."""
        there = next(folder for folder in (self._bags, *self._bags.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if free < MIN_FREE_BYTES:
            raise DemoError(
                f"only {free / 1e6:.0f} MB are free at {there}, and a minute of clouds takes 300 MB: free some, or "
                f"name another place with --bags; {WITHOUT}"
            )
        if not self._start.wait_for_service(RECORDER_S):
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            raise DemoError(
                f"nobody offers /casher/record/start on ROS domain {domain}, so that nothing would be recorded: "
                f"start the recorder; {WITHOUT}"
            )
        try:
            self.look(self._now_ns())
        except DemoError as error:
            raise DemoError(f"{error}; {WITHOUT}") from None

    def begin(self, episode):
        """Open a bag for an Episode; DemoError."""
        self._episode, self._actions, self._remark = None, [], ""
        folder = self._bags / episode.episode_id
        record = episode_message(episode, self._now_ns())
        request = StartRecording.Request(uri=str(folder), topics=list(EPISODE_TOPICS), episode=record)
        try:
            answer = self._ask(lambda: self._start.call_async(request), RECORDER_S, "/casher/record/start")
        except TimeoutError as error:
            self._episode, self.is_open = episode, True  # should it have begun all the same
            self.discard()
            raise DemoError(f"the recorder: {error}") from None
        if not answer.success:
            raise DemoError(f"the recorder: {answer.message}")
        self._episode, self._begun_ns, self.is_open = episode, self._now_ns(), True
        self._failure = ""  # of an earlier episode: until now the recorder repeats it
        if not folder.is_dir():
            self.discard()
            raise DemoError(
                f"the recorder says that it writes {folder}, and there is nothing: it must run on this machine"
            )
        if not self._someone_listens():
            self.discard()
            raise DemoError(f"the recorder does not listen to {STEP_TOPIC}: press B again")

    def look(self, settled_ns):
        """The first fused cloud later than settled_ns [ns since the epoch], Stamped; DemoError when none comes."""
        timeout_s = FIRST_CLOUD_S if self._clouds.newest_ns is None else CLOUD_S
        cloud = self._clouds.wait_after(settled_ns, timeout_s, self._stopped)
        if cloud is None:
            name, detail = self._fusion.why(self._clouds, settled_ns, timeout_s)
            raise DemoError(f"{name}: {detail}; without a cloud the arm is not moved")
        return cloud

    def require_recording(self):
        """DemoError when nothing more is being recorded of this episode."""
        if not self.is_open:
            raise DemoError("its bag is closed: enter saves it, X discards it")
        if not self._stop.service_is_ready():
            self._failure = self._failure or AWAY
        if self._failure:
            raise DemoError(
                f"the recorder: {self._failure}. Nothing more is recorded, so the arm is not moved: B begins anew"
            )

    def note(self, action, sight, executed: Executed, decided_ns, action_s):
        """An action was carried out on this Sight; tell the recorder. decided_ns [ns], action_s [s]: when, how long."""
        cloud = sight.cloud
        step = Step(
            index=len(self._actions),
            decision=Decision(Action(action), np.eye(len(ACTION_NAMES), dtype=np.float32)[int(action)]),
            robot_state=sight.robot_state,
            cloud_stamp_ns=cloud.stamp_ns,
            cloud_points=cloud.value.width * cloud.value.height,
            cloud_age_s=(decided_ns - cloud.stamp_ns) * 1e-9,
            cloud_wait_s=(cloud.arrival_ns - sight.settled_ns) * 1e-9,
            inference_s=0.0,
            action_s=action_s,
            executed=executed,
        )
        self._steps.publish(policy_step_message(step, self._episode.episode_id, self._now_ns()))
        self._actions.append(int(action))

    def keep(self):
        """Close the bag of an episode that succeeded -> '' or why a student cannot learn from it."""
        if self.is_open:
            self._close(Outcome.SUCCESS, "", "operator")
            self._remark = self._remark or why_unusable(self._folder, self._actions)
        return self._remark

    def forget(self):
        """The bag belongs to a trajectory that was saved."""
        self._episode = None

    def discard(self):
        """Close the bag and put it away: the last one that has actions in it is kept, in the folder DISCARDED."""
        if self._episode is None:
            return
        if self.is_open:
            self._close(Outcome.ABORTED, "discarded by the demonstrator", "")
        folder, self._episode = self._folder, None
        if not folder.is_dir():
            return
        if self._actions:
            last = self._bags / DISCARDED
            shutil.rmtree(last, ignore_errors=True)
            last.mkdir()
            folder.rename(last / folder.name)
        else:
            shutil.rmtree(folder)

    @property
    def _folder(self):
        return self._bags / self._episode.episode_id

    def _close(self, outcome, reason, judge):
        now_ns = self._now_ns()
        record = dataclasses.replace(
            self._episode, end_ns=now_ns, steps=len(self._actions), outcome=outcome, reason=reason, judge=judge
        )
        request = StopRecording.Request(episode=episode_message(record, now_ns))
        self.is_open = False
        recover = f"try `casher bag recover {self._folder}`"
        if not self._stop.service_is_ready():
            self._remark = f"the recorder: {AWAY}; {recover}"
            return
        try:
            answer = self._ask(lambda: self._stop.call_async(request), RECORDER_S, "/casher/record/stop")
            self._remark = "" if answer.success else f"the recorder: {answer.message}"
        except TimeoutError as error:
            self._remark = f"the recorder: {error}; {recover}"

    def _someone_listens(self):
        end_ns = self._now_ns() + int(LISTENS_S * 1e9)
        while not self._steps.get_subscription_count():
            if self._now_ns() > end_ns or self._stopped():
                return False
            time.sleep(POLL_S)
        return True

    def _on_cloud(self, message):
        self._clouds.offer(stamp_ns(message.header.stamp), message, self._now_ns())

    def _on_diagnostics(self, message):
        for status in message.status:
            wrong = status.level != DiagnosticStatus.OK
            self._fusion.heard(status.name, wrong, status.message, self._now_ns())
            of_now = stamp_ns(message.header.stamp) > self._begun_ns
            if status.name == "recorder" and status.level == DiagnosticStatus.ERROR and of_now:
                self._failure = status.message

    def _now_ns(self):
        return self._node.get_clock().now().nanoseconds
