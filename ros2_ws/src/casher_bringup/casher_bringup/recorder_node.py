"""The recorder: one bag for each episode, every topic as it comes off the wire, and a count of what did not come."""

import dataclasses
import time
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from rclpy.validate_topic_name import validate_topic_name

from casher_bringup import run_end
from casher_bringup.listening_node import ListeningNode
from casher_bringup.recording import Recording
from casher_bringup.schemas import interface
from casher_msgs.srv import StartRecording, StopRecording
from casher_perception.bag_reader import BagError
from casher_perception.parameters import declare
from casher_perception.spinning import init_node_process, spin
from casher_policy.conversions import episode_from_message, episode_message
from casher_policy.episode import Outcome
from casher_policy.episode_topics import EPISODE_TOPIC, STEP_TOPIC


@dataclass(frozen=True)
class RecorderConfig:
    """Parameters of the recorder."""

    depth: int = 1000
    """Messages of a topic that may wait to be written: a second of the fastest one."""
    scan_period_s: float = 0.2
    """[s] between looks for topics that have appeared."""
    match_s: float = 1.0
    """[s] a new subscription is given to find its publishers before StartRecording returns."""
    settle_s: float = 0.1
    """[s] after that for the publishers to find us: what they send then arrives."""
    quiet_s: float = 0.1
    """[s] without a message from before StopRecording after which none is believed to be on its way."""
    drain_s: float = 1.0
    """[s] after which StopRecording waits for messages no longer."""


class RecorderNode(ListeningNode):
    """Serves /casher/record/start and /casher/record/stop."""

    def __init__(self, **kwargs):
        super().__init__("recorder", **kwargs)
        self.config = declare(self, RecorderConfig)
        self.depth = self.config.depth
        self.wanted = ()
        self.recording = None
        self.episode = None
        self.failure = ""
        self.create_service(StartRecording, "/casher/record/start", self.on_start)
        self.create_service(StopRecording, "/casher/record/stop", self.on_stop)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(self.config.scan_period_s, self.on_scan)
        self.create_timer(1.0, self.publish_diagnostics)

    def on_start(self, request, response):
        """Open a bag; returns once every topic that exists is being listened to."""
        try:
            if self.recording is not None:
                raise BagError(f"{self.recording.folder} is being recorded: call /casher/record/stop first")
            if not request.topics:
                raise BagError("no topics were named: there is nothing to record")
            for name in request.topics:
                validate_topic_name(name)
            names = {self.resolve_topic_name(name) for name in request.topics} - {EPISODE_TOPIC}
            record = serialize_message(request.episode)
            self.recording = Recording(request.uri, record, time.time_ns())
        except (BagError, InvalidTopicNameException) as error:
            response.message = str(error)
            self.get_logger().error(f"cannot record: {error}")
            return response
        self.episode = episode_from_message(request.episode)
        self.failure = ""
        self.wanted = tuple(sorted(names))
        self.keep_only(names)
        kept = dict(self.topics)
        for topic in kept.values():
            self.on_listening(topic)
        self.listen_to(self.wanted)
        new = [topic for name, topic in self.topics.items() if name not in kept]
        self.wait_for_publishers(new, self.config.match_s, self.config.settle_s)
        self.get_logger().info(f"recording {request.uri}")
        response.success = not self.failure
        response.message = self.failure
        return response

    def on_stop(self, request, response):
        """Write all that was published before this call, then the episode's record; close the bag."""
        if self.recording is None:
            response.message = self.failure or "nothing is being recorded: call /casher/record/start first"
            response.episode = episode_message(self.episode, time.time_ns()) if self.failure else request.episode
            return response
        recording = self.recording
        self.drain(self.config.quiet_s, self.config.drain_s)
        if self.recording is not None:
            episode = dataclasses.replace(
                _explained(episode_from_message(request.episode)),
                messages_recorded=recording.messages.total(),
                messages_dropped=recording.dropped.total(),
            )
            self.finish(episode)
        response.success = not self.failure
        response.message = self.failure or self.remarks(recording)
        response.episode = episode_message(self.episode, time.time_ns())
        response.dropped = [f"{name}: {count}" for name, count in sorted(recording.dropped.items()) if count]
        return response

    def remarks(self, recording):
        """What a person should know about a bag that is in order."""
        silent = [name for name in self.wanted if not recording.messages[name] and name not in self.unheard]
        parts = [f"{name}: {reason}" for name, reason in self.unheard.items()]
        if silent:
            parts.append(f"no message on {', '.join(silent)}")
        return "; ".join(parts)

    def finish(self, episode):
        """Close the bag with this Episode as its last record."""
        recording, self.recording = self.recording, None
        self.episode = episode
        now_ns = time.time_ns()
        try:
            recording.finish(serialize_message(episode_message(episode, now_ns)), now_ns)
        except BagError as error:
            self.failure = self.failure or str(error)
            self.get_logger().error(str(error))
        self.publish_diagnostics()

    def cut_short(self, outcome, reason):
        """End a recording that nobody stopped; the bag says how far it got and why."""
        if self.recording is None:
            return
        now_ns = time.time_ns()
        self.get_logger().error(f"recording of {self.recording.folder} ends: {reason}")
        self.finish(
            dataclasses.replace(
                self.episode,
                outcome=outcome,
                reason=reason,
                end_ns=now_ns,
                steps=self.recording.messages[STEP_TOPIC],
                messages_recorded=self.recording.messages.total(),
                messages_dropped=self.recording.dropped.total(),
            )
        )

    def on_scan(self):
        if self.recording is not None:
            self.listen_to(self.wanted)
            self.attempt(lambda: self.recording.flush_if_due())

    def on_listening(self, topic):
        self.attempt(lambda: self.recording.add_topic(topic.name, interface(topic.type), [topic.qos]))

    def on_raw(self, topic, data, info, lost):
        """Subscriptions outlive an episode, so that the next one begins without loss; between episodes nothing is
        kept."""
        if self.recording is None:
            return
        self.recording.dropped[topic.name] += lost
        self.attempt(
            lambda: self.recording.write(topic.name, info["received_timestamp"], info["source_timestamp"], data)
        )

    def attempt(self, write):
        """Write to the bag; when that fails the recording ends, and what there is of it is closed."""
        if self.recording is None:
            return
        try:
            write()
        except BagError as error:
            self.failure = str(error)
            self.cut_short(Outcome.FAULT, f"recorder: {error}")

    def publish_diagnostics(self):
        recording = self.recording
        status = DiagnosticStatus(level=DiagnosticStatus.OK, name="recorder", message="idle")
        if self.failure:
            status.level, status.message = DiagnosticStatus.ERROR, self.failure
        elif recording is not None:
            status.message = f"recording {recording.folder}"
            status.values = [
                KeyValue(key="messages", value=str(recording.messages.total())),
                KeyValue(key="dropped", value=str(recording.dropped.total())),
            ]
            if recording.dropped.total() or self.unheard:
                status.level = DiagnosticStatus.WARN
                status.message += "; " + (self.remarks(recording) or "messages were lost on the way")
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        if self.context.ok():
            self.diagnostics.publish(message)


def _explained(episode):
    """An Episode that failed while the run was being ended: its record says what ended the run."""
    if episode.outcome != Outcome.FAULT or not run_end.is_near():
        return episode
    outcome, why = run_end.told()
    return dataclasses.replace(episode, outcome=outcome, reason=f"{why} ({episode.reason})")


def main(args=None):
    """Node main; ends with 0 on SIGINT and SIGTERM, after closing the bag that is open."""
    init_node_process(args)
    node = None
    try:
        node = RecorderNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spin(executor)  # an impatient second Ctrl-C does not cost the bag
    except KeyboardInterrupt:
        pass
    finally:
        if node is not None:
            node.cut_short(*run_end.told())
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
