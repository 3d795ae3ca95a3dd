"""A rosbag2 of one episode, written so that `ros2 bag`, `rosbags`, `mcap-ros2-support` and Foxglove read it."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from casher_bringup.mcap_writer import McapWriter
from casher_perception.bag_reader import METADATA, BagError

FLUSH_INTERVAL_S = 0.5
"""A message reaches the operating system at the latest this long after it was written, if `flush_if_due` is called
at that pace."""
_FOREVER = {"sec": 9223372036, "nsec": 854775807}


def qos_profile(reliability="reliable", durability="volatile", depth=100):
    """Quality of service of a topic in rosbag2's form (metadata version 9, names instead of numbers)."""
    return {
        "history": "keep_last",
        "depth": depth,
        "reliability": reliability,
        "durability": durability,
        "deadline": dict(_FOREVER),
        "lifespan": dict(_FOREVER),
        "liveliness": "automatic",
        "liveliness_lease_duration": dict(_FOREVER),
        "avoid_ros_namespace_conventions": False,
    }


class BagWriter:
    """Writes <folder>/<folder's name>_0.mcap and, when closed, metadata.yaml. Not for several threads.

    Every method raises BagError. After one, `close()` still makes a readable bag of all that had reached the disk.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            raise BagError(f"{self.folder} exists already: name a new folder, nothing is ever overwritten") from None
        except OSError as error:
            raise BagError(
                f"cannot make the folder {self.folder}: {error.strerror}; name one that can be written"
            ) from error
        self._path = self.folder / f"{self.folder.name}_0.mcap"
        self._channels = {}
        self._schema_ids = {}
        self._flushed = time.monotonic()
        self._closed = False
        with self._failing("open"):
            self._mcap = McapWriter(self._path)

    @property
    def topics(self):
        """Topics declared so far."""
        return tuple(self._channels)

    def add_topic(self, topic, interface, qos=None):
        """Declare a topic of a casher_bringup.schemas.Interface; qos: list of qos_profile(), one for each
        publisher's."""
        qos_text = yaml.safe_dump(qos or [qos_profile()], sort_keys=False)
        with self._failing("write to"):
            if interface.name not in self._schema_ids:
                self._schema_ids[interface.name] = self._mcap.add_schema(interface.name, interface.text)
            self._channels[topic] = self._mcap.add_channel(
                topic,
                self._schema_ids[interface.name],
                {"offered_qos_profiles": qos_text, "topic_type_hash": interface.type_hash},
            )

    def write(self, topic, log_ns, publish_ns, data, flush=True):
        """Write a serialised (CDR) message of a declared topic; times [ns since the epoch]: received here, published
        there. flush: hand on what was written, if that is due."""
        with self._failing("write to"):
            self._mcap.add_message(self._channels[topic], log_ns, publish_ns, data)
        if flush:
            self.flush_if_due()

    def flush_if_due(self):
        """Hand what was written to the operating system, at most every FLUSH_INTERVAL_S."""
        if time.monotonic() - self._flushed >= FLUSH_INTERVAL_S:
            self.flush()

    def flush(self):
        """Hand what was written to the operating system: from here on it survives our own death."""
        self._flushed = time.monotonic()
        with self._failing("write to"):
            self._mcap.flush()

    def close(self):
        """Finish the file and write metadata.yaml. BagError says when something had to be given up for lack of room."""
        if self._closed:
            return
        self._closed = True
        with self._failing("finish"):
            given_up = self._mcap.finish()
            write_metadata(self.folder, self._path.name, self._mcap)
        if given_up:
            raise BagError(
                f"the disk is full: {self.folder} is readable, but {given_up} chunks of it (up to "
                f"{given_up * FLUSH_INTERVAL_S:.1f} s) had to be given up to close it; free some space"
            )

    @contextmanager
    def _failing(self, doing):
        try:
            yield
        except OSError as error:
            raise BagError(
                f"cannot {doing} the bag {self.folder}: {error.strerror}; free some space or record elsewhere"
            ) from error


def write_metadata(folder, mcap_name, mcap):
    """metadata.yaml of a finished McapWriter, all at once or not at all. Raises OSError."""
    counts = mcap.counts
    first, last = mcap.times
    start, duration = {"nanoseconds_since_epoch": first}, {"nanoseconds": last - first}
    topics = [
        {
            "topic_metadata": {
                "name": channel.topic,
                "type": mcap.schemas[channel.schema_id].name,
                "serialization_format": channel.message_encoding,
                "offered_qos_profiles": _profiles(channel.metadata.get("offered_qos_profiles", "[]")),
                "type_description_hash": channel.metadata.get("topic_type_hash", ""),
            },
            "message_count": counts[channel.id],
        }
        for channel in mcap.channels.values()
    ]
    information = {
        "version": 9,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": start,
        "message_count": counts.total(),
        "topics_with_message_count": topics,
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [mcap_name],
        "files": [{"path": mcap_name, "starting_time": start, "duration": duration, "message_count": counts.total()}],
        "custom_data": None,
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
    }
    path = Path(folder) / METADATA
    partial = path.with_suffix(".yaml.part")
    try:
        # A Dumper without aliases: rosbag2's YAML reader resolves them, people's do not.
        partial.write_text(
            yaml.dump({"rosbag2_bagfile_information": information}, Dumper=_PlainDumper, sort_keys=False)
        )
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _profiles(text):
    """The offered profiles of a channel; none where a recovered file has them damaged: no message depends on them."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return []


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True
