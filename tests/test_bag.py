"""Bags: written by us, opened by everybody."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from bags import START_NS, episode, kitchen_cloud, open_bag, write, write_episode
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from casher_bringup.bag import BagWriter, qos_profile
from casher_bringup.recording import Recording
from casher_bringup.schemas import SchemaError, interface
from casher_msgs.msg import PolicyStep
from casher_perception.bag_reader import BagError, read_bag, topic_counts
from casher_perception.conversions import cloud_arrays, cloud_message
from casher_policy.conversions import episode_message
from casher_policy.episode import episode_from_fields
from casher_policy.episode_topics import CLOUD_TOPIC, EPISODE_TOPIC, STEP_TOPIC

EVERY_KIND = ("casher_msgs/msg/EpisodeResult", "tf2_msgs/msg/TFMessage", "diagnostic_msgs/msg/DiagnosticArray")


@pytest.fixture
def bag(tmp_path):
    record = episode(steps=6)
    write_episode(tmp_path / "bag", record)
    return tmp_path / "bag", record


def test_rosbags_reads_every_message_with_the_embedded_schemas(bag):
    folder, record = bag
    with Reader(folder) as reader:
        assert reader.message_count == sum(count for _, count in topic_counts(folder).values())
    with AnyReader([folder]) as reader:
        seen = [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]
    assert [m.step for topic, m in seen if topic == STEP_TOPIC] == list(range(record.steps))
    assert [m.outcome for topic, m in seen if topic == EPISODE_TOPIC] == ["running", "success"]


def test_mcap_ros2_support_reads_the_same_messages(bag):
    folder, record = bag
    with open(folder / "bag_0.mcap", "rb") as file:
        seen = [
            (c.topic, m)
            for _, c, _, m in make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages()
        ]
    assert [m.step for topic, m in seen if topic == STEP_TOPIC] == list(range(record.steps))
    assert [m.outcome for topic, m in seen if topic == EPISODE_TOPIC] == ["running", "success"]


def test_an_episode_and_a_cloud_come_back_as_they_were_written(tmp_path):
    record = episode(reason="", seed=2**63, messages_dropped=3)
    points, colours = kitchen_cloud((0.5, 0.3, 0.0), np.random.default_rng(0), 500)
    writer = open_bag(tmp_path / "bag", record)
    write(writer, CLOUD_TOPIC, cloud_message(points, colours, "base", 7), 8)
    writer.close()
    (cloud,) = (r.message for r in read_bag(tmp_path / "bag", [CLOUD_TOPIC]))
    assert all(np.array_equal(a, b) for a, b in zip(cloud_arrays(cloud), (points, colours), strict=True))
    write_episode(tmp_path / "whole", record)
    *_, last = read_bag(tmp_path / "whole", [EPISODE_TOPIC])
    assert episode_from_fields(last.message) == record


def test_reading_newest_first_is_reading_backwards(bag):
    folder, _ = bag
    forward = [r.log_ns for r in read_bag(folder, decoded=False)]
    assert forward == sorted(forward)
    assert [r.log_ns for r in read_bag(folder, newest_first=True, decoded=False)] == forward[::-1]


def test_reading_needs_no_ros(bag):
    """In a Python that cannot import any of ROS."""
    folder, record = bag
    code = f"""
import sys
for name in ("rclpy", "casher_msgs", "sensor_msgs", "builtin_interfaces", "rosidl_runtime_py"):
    sys.modules[name] = None
from casher_perception.bag_reader import read_bag
assert sum(1 for _ in read_bag({str(folder)!r})) == {record.steps + 2 + 3}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_the_type_hash_is_that_of_the_running_type_support(name):
    package, kind, short = name.split("/")
    module = __import__(f"{package}.{kind}", fromlist=[short])
    installed = json.loads((Path(get_package_share_directory(package)) / kind / f"{short}.json").read_text())
    assert interface(name).type_hash in {item["hash_string"] for item in installed["type_hashes"]}
    assert interface(name).type_hash == _hash_on_the_wire(getattr(module, short))


def _hash_on_the_wire(message_class):
    """What a publisher of this type tells its peers."""
    import rclpy
    from rclpy.context import Context

    context = Context()
    rclpy.init(context=context)
    try:
        node = rclpy.create_node("hash", context=context)
        node.create_publisher(message_class, "/hash", 1)
        value = node.get_publishers_info_by_topic("/hash")[0].topic_type_hash
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    return f"RIHS01_{bytes(value.value).hex()}" if not isinstance(value, str) else value


def test_a_schema_holds_every_type_it_needs_once():
    text = interface("casher_msgs/msg/EpisodeResult").text
    assert text.count("MSG: std_msgs/Header") == text.count("MSG: builtin_interfaces/Time") == 1


@pytest.mark.parametrize("name", ["casher_msgs/srv/StartRecording", "casher_msgs/action/RunEpisode"])
def test_services_and_actions_have_a_schema_too(name):
    assert "MSG: casher_msgs/EpisodeResult" in interface(name).text
    assert interface(name).type_hash.startswith("RIHS01_")


@pytest.mark.parametrize("name", ["nowhere_msgs/msg/Thing", "std_msgs/msg/Thing", "std_msgs/String"])
def test_an_interface_that_is_not_installed_is_named(name):
    with pytest.raises(SchemaError, match=name):
        interface(name)


def test_the_metadata_names_every_topic_with_its_quality_of_service_in_words(bag):
    folder, _ = bag
    information = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    topics = {t["topic_metadata"]["name"]: t for t in information["topics_with_message_count"]}
    assert information["version"] == 9
    assert topics[CLOUD_TOPIC]["topic_metadata"]["offered_qos_profiles"][0]["reliability"] == "best_effort"
    assert {name: t["message_count"] for name, t in topics.items()} == {
        n: c for n, (_, c) in topic_counts(folder).items()
    }


def test_a_folder_that_exists_is_never_written_into(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "bag")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match="file/bag"):
        BagWriter(tmp_path / "file" / "bag")


def test_what_is_not_a_finished_bag_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(BagError, match="not a bag"):
        list(read_bag(tmp_path))
    write_episode(tmp_path / "killed", episode(steps=2), finish=False)
    with pytest.raises(BagError, match="casher bag recover"):
        list(read_bag(tmp_path / "killed"))


def test_a_full_disk_leaves_a_readable_bag_of_what_fitted(tmp_path):
    """In a process whose files may not grow beyond 2.5 MB."""
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from bags import *
from casher_perception.bag_reader import BagError
bag = open_bag({str(tmp_path / "bag")!r}, episode())
resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, 2_500_000))
points, colours = kitchen_cloud((0.5, 0.3, 0.0), np.random.default_rng(0), 6000)
written = 0
try:
    while True:
        write(bag, CLOUD_TOPIC, cloud_message(points, colours, "base", written), START_NS + written)
        written += 1
        assert written < 100
except BagError as error:
    assert "cannot write to the bag" in str(error), error
write(bag, EPISODE_TOPIC, episode_message(episode(outcome="aborted"), 0), START_NS + written)
try:
    bag.close()
except BagError as error:
    assert "given up" in str(error), error
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(__file__).parent, env={**os.environ, "PYTHONPATH": "."}
    )
    seen = list(read_bag(tmp_path / "bag"))
    assert os.path.getsize(tmp_path / "bag" / "bag_0.mcap") <= 2_500_000
    assert sum(r.topic == CLOUD_TOPIC for r in seen) >= 10
    assert seen[-1].message.outcome == "aborted"


def test_the_end_of_an_episode_is_on_record_even_if_the_disk_fills_up_just_then(tmp_path, monkeypatch):
    def message(**fields):
        return serialize_message(episode_message(episode(**fields), 0))

    recording = Recording(tmp_path / "bag", message(outcome="running"), START_NS)
    recording.add_topic(STEP_TOPIC, interface("casher_msgs/msg/PolicyStep"), [qos_profile()])
    for step in range(40):
        recording.write(STEP_TOPIC, START_NS + step, START_NS + step, serialize_message(PolicyStep(step=step)))
        recording._bag.flush()
    mcap, append = recording._bag._mcap, recording._bag._mcap._append
    room = mcap._end + 10

    def nearly_full(data):
        if mcap._end + len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(data)

    monkeypatch.setattr(mcap, "_append", nearly_full)
    recording._bag._flushed -= 60.0  # handing on what is written is due
    with pytest.raises(BagError, match="given up"):
        recording.finish(message(outcome="success"), START_NS + 100)
    last = next(read_bag(tmp_path / "bag", [EPISODE_TOPIC], newest_first=True))
    assert last.message.outcome == "success"


def test_a_failed_write_takes_nothing_back_that_was_written(tmp_path, monkeypatch):
    writer = open_bag(tmp_path / "bag", episode())
    writer.flush()
    write(writer, STEP_TOPIC, PolicyStep(step=1), 1)
    append = writer._mcap._append

    def full(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer._mcap, "_append", full)
    with pytest.raises(BagError, match="No space left"):
        writer.flush()
    monkeypatch.setattr(writer._mcap, "_append", append)
    write(writer, STEP_TOPIC, PolicyStep(step=2), 2)
    writer.close()
    assert [r.message.step for r in read_bag(tmp_path / "bag", [STEP_TOPIC])] == [2]
    assert len(list(read_bag(tmp_path / "bag", [EPISODE_TOPIC]))) == 1
