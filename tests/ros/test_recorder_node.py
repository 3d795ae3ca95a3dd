"""The recorder among other nodes."""

import signal
import subprocess
import sys

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from mcap.records import Message
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from std_msgs.msg import String, UInt32
from tf2_msgs.msg import TFMessage

from casher_bringup import run_end
from casher_bringup.recorder_node import RecorderNode
from casher_bringup.recover import recover
from casher_bringup.salvage import Salvage
from casher_bringup.sequence_gaps import SequenceGaps
from casher_msgs.msg import EpisodeResult
from casher_msgs.srv import StartRecording, StopRecording
from casher_perception.bag_reader import BagError, read_bag
from casher_policy.episode_topics import EPISODE_TOPIC

pytestmark = pytest.mark.ros
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
EPISODE = EpisodeResult(episode_id="e0", outcome="running", horizon=135)


class Session(Node):
    """What the session does with a recorder, and something to record."""

    def __init__(self, graph, **kwargs):
        super().__init__("session", **kwargs)
        self.graph = graph
        self.start_client = self.create_client(StartRecording, "/casher/record/start")
        self.stop_client = self.create_client(StopRecording, "/casher/record/stop")
        self.numbers = self.create_publisher(UInt32, "/numbers", 1000)

    def call(self, client, request):
        assert self.graph.wait(client.service_is_ready)
        future = client.call_async(request)
        assert self.graph.wait(future.done)
        return future.result()

    def start(self, folder, topics=("/numbers",)):
        return self.call(
            self.start_client, StartRecording.Request(uri=str(folder), topics=list(topics), episode=EPISODE)
        )

    def stop(self, outcome="success", reason=""):
        episode = EpisodeResult(episode_id="e0", outcome=outcome, reason=reason)
        return self.call(self.stop_client, StopRecording.Request(episode=episode))

    def heard(self, publisher):
        """Whether one recorder listens: one in a process of its own may find us after it has said that it records."""
        assert self.graph.wait(lambda: publisher.get_subscription_count() == 1)

    def publish(self, count, first=0):
        for number in range(first, first + count):
            self.numbers.publish(UInt32(data=number))


@pytest.fixture
def session(graph):
    return graph.add(Session, graph)


@pytest.fixture
def recorder(graph):
    return graph.add(RecorderNode)


@pytest.fixture
def recorder_process(ros_domain):
    """Starts recorders as processes of their own; those still there at the end are killed."""
    started = []

    def start(**kwargs):
        command = [sys.executable, "-m", "casher_bringup.recorder_node"]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **kwargs))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def numbers(folder):
    return [r.message.data for r in read_bag(folder, ["/numbers"])]


def outcomes(folder):
    return [(r.message.outcome, r.message.reason) for r in read_bag(folder, [EPISODE_TOPIC])]


def on_disk(folder):
    """Messages a recorder killed now would leave."""
    with open(folder / f"{folder.name}_0.mcap", "rb") as file:
        return sum(isinstance(record, Message) for record in Salvage(file))


def test_everything_published_before_stop_is_in_the_bag(recorder, session, tmp_path):
    assert session.start(tmp_path / "bag").success
    session.publish(500)
    answer = session.stop()
    assert answer.success, answer.message
    assert numbers(tmp_path / "bag") == list(range(500))
    assert (answer.episode.messages_recorded, answer.episode.messages_dropped, answer.dropped) == (500, 0, [])
    *_, last = read_bag(tmp_path / "bag", [EPISODE_TOPIC])
    assert (last.message.messages_recorded, last.message.outcome) == (500, "success")


def test_the_episode_is_the_first_and_the_last_record(recorder, session, tmp_path):
    session.start(tmp_path / "bag")
    session.publish(10)
    session.stop("failure")
    topics = [r.topic for r in read_bag(tmp_path / "bag")]
    assert topics[0] == topics[-1] == EPISODE_TOPIC and topics.count(EPISODE_TOPIC) == 2
    assert [outcome for outcome, _ in outcomes(tmp_path / "bag")] == ["running", "failure"]


def test_each_of_two_episodes_holds_its_own_messages(recorder, session, tmp_path):
    session.start(tmp_path / "first")
    session.publish(20)
    session.stop()
    session.publish(20, first=100)
    session.start(tmp_path / "second")
    session.publish(20, first=200)
    answer = session.stop()
    assert numbers(tmp_path / "first") == list(range(20))
    assert numbers(tmp_path / "second")[-20:] == list(range(200, 220))
    assert answer.dropped == []


def test_a_latched_message_is_in_every_bag(recorder, session, graph, tmp_path):
    latched = session.create_publisher(TFMessage, "/tf_static", LATCHED)
    latched.publish(TFMessage(transforms=[TransformStamped(child_frame_id="camera_left")]))
    for name in ("first", "second"):
        assert session.start(tmp_path / name, ["/tf_static"]).success
        session.stop()
        (record,) = read_bag(tmp_path / name, ["/tf_static"])
        assert record.message.transforms[0].child_frame_id == "camera_left"


def test_a_topic_that_appears_later_is_recorded(recorder, session, graph, tmp_path):
    session.start(tmp_path / "bag", ["/late", "/numbers"])
    late = session.create_publisher(String, "/late", qos_profile_sensor_data)
    assert graph.wait(lambda: late.get_subscription_count() == 1)
    late.publish(String(data="here"))
    assert session.stop().success
    assert [r.message.data for r in read_bag(tmp_path / "bag", ["/late"])] == ["here"]


def test_a_topic_nobody_published_is_named(recorder, session, tmp_path):
    session.start(tmp_path / "bag", ["/numbers", "/nobody"])
    session.publish(1)
    answer = session.stop()
    assert answer.success and "/nobody" in answer.message


def test_a_best_effort_publisher_that_joins_a_reliable_one_is_heard_too(recorder, session, graph, tmp_path):
    session.start(tmp_path / "bag")
    second = session.create_publisher(UInt32, "/numbers", qos_profile_sensor_data)
    assert graph.wait(lambda: second.get_subscription_count() == 1 and session.numbers.get_subscription_count() == 1)
    second.publish(UInt32(data=7))
    session.publish(1, first=8)
    assert session.stop().success
    assert sorted(numbers(tmp_path / "bag")) == [7, 8]


def test_two_publishers_of_a_topic_are_not_taken_for_losses(recorder, session, graph, tmp_path):
    second = session.create_publisher(UInt32, "/numbers", 1000)
    session.publish(30)
    session.start(tmp_path / "bag")
    for number in range(50):
        second.publish(UInt32(data=number))
        session.publish(1, first=number)
    answer = session.stop()
    assert answer.dropped == [] and answer.episode.messages_recorded == 100


@pytest.mark.parametrize(
    ("request_of", "says"),
    [
        (lambda tmp: {"folder": tmp}, "exists already"),
        (lambda tmp: {"folder": "/proc/casher/bag"}, "name one that can be written"),
        (lambda tmp: {"folder": tmp / "bag", "topics": []}, "no topics"),
        (lambda tmp: {"folder": tmp / "bag", "topics": ["/not a name"]}, "not a name"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_leaves_the_recorder_usable(
    recorder, session, tmp_path, request_of, says
):
    answer = session.start(**request_of(tmp_path))
    assert not answer.success and says in answer.message
    assert not session.stop().success
    assert session.start(tmp_path / "good").success and session.stop().success


def test_a_second_start_is_refused_and_the_first_goes_on(recorder, session, tmp_path):
    session.start(tmp_path / "first")
    answer = session.start(tmp_path / "second")
    assert not answer.success and "record/stop" in answer.message
    session.publish(5)
    assert session.stop().success and numbers(tmp_path / "first") == list(range(5))


@pytest.mark.parametrize(
    ("died", "record"),
    [
        ("", ("aborted", "interrupted by the operator (arm: stopped)")),
        ("node 'arm' was killed by signal 9", ("fault", "node 'arm' was killed by signal 9 (arm: stopped)")),
    ],
)
def test_what_fails_because_the_run_is_ended_is_put_down_to_its_end(
    recorder, session, tmp_path, monkeypatch, died, record
):
    monkeypatch.setenv(run_end.VARIABLE, str(tmp_path / "run_end"))
    for name in ("before", "after"):
        assert session.start(tmp_path / name).success
        assert session.stop("fault", "arm: stopped").success
        run_end.tell(tmp_path / "run_end", died)
    assert outcomes(tmp_path / "before")[-1] == ("fault", "arm: stopped")
    assert outcomes(tmp_path / "after")[-1] == record


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recorder_leaves_a_readable_bag_of_an_aborted_episode(
    recorder_process, session, graph, tmp_path, number
):
    process = recorder_process()
    assert session.start(tmp_path / "bag").success
    session.heard(session.numbers)
    session.publish(50)
    assert graph.wait(lambda: on_disk(tmp_path / "bag") == 51)
    process.send_signal(number)
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()
    assert numbers(tmp_path / "bag") == list(range(50))
    assert outcomes(tmp_path / "bag") == [("running", ""), ("aborted", "interrupted by the operator")]
    assert not recover(tmp_path / "bag").changed


def test_a_killed_recorder_leaves_a_bag_that_can_be_recovered(recorder_process, session, graph, tmp_path):
    process = recorder_process()
    assert session.start(tmp_path / "bag").success
    session.heard(session.numbers)
    session.publish(50)
    assert graph.wait(lambda: on_disk(tmp_path / "bag") == 51)
    process.kill()
    process.wait(60)
    with pytest.raises(BagError, match="casher bag recover"):
        numbers(tmp_path / "bag")
    assert recover(tmp_path / "bag").aborted
    assert numbers(tmp_path / "bag") == list(range(50))
    assert outcomes(tmp_path / "bag")[-1] == ("aborted", "recorder was killed")


def test_a_full_disk_ends_the_recording_and_says_so(recorder_process, session, graph, tmp_path):
    """A limit on the size of a file stands in for the disk."""

    def limit():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    errors = []

    def on_diagnostics(message):
        errors.extend(s.message for s in message.status if s.name == "recorder" and s.level == DiagnosticStatus.ERROR)

    session.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
    text = session.create_publisher(String, "/text", 1000)
    recorder_process(preexec_fn=limit)
    assert session.start(tmp_path / "bag", ["/text"]).success
    session.heard(text)
    for _ in range(40):
        text.publish(String(data="x" * 10_000))
    assert graph.wait(lambda: errors), "no error in /diagnostics"
    answer = session.stop()
    assert not answer.success and "free some space" in answer.message
    assert outcomes(tmp_path / "bag")[-1][0] == answer.episode.outcome == "fault"
    assert "free some space" in outcomes(tmp_path / "bag")[-1][1]
    assert session.start(tmp_path / "next", ["/text"]).success


def losses(observed, publishers=1):
    gaps = SequenceGaps()
    return [gaps.observe(number, lambda: publishers) for number in observed]


def test_the_first_message_may_carry_any_number():
    assert losses([7, 8, 9]) == [0, 0, 0]


def test_a_jump_counts_what_lies_between():
    assert losses([1, 2, 5, 6, 10]) == [0, 0, 2, 0, 3]


def test_a_publisher_that_begins_anew_has_lost_nothing():
    assert losses([5, 6, 1, 2, 4]) == [0, 0, 0, 0, 1]


def test_interleaved_publishers_are_told_apart():
    assert losses([1, 50, 2, 51, 3, 54, 5], publishers=2) == [0, 0, 0, 0, 0, 2, 1]
