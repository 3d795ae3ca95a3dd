"""A rosbag2 of one episode: written so that `ros2 bag`, `rosbags`, `mcap-ros2-support` and Foxglove read it, and
read back without ROS."""

import functools
import os
import struct
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from casher_bringup.mcap_writer import McapWriter

FLUSH_INTERVAL_S = 0.5
"""A message reaches the operating system at the latest this long after it was written, if `flush_if_due` is called
at that pace."""
METADATA = "metadata.yaml"
EPISODE_TOPIC = "/casher/episode"
UNREADABLE = (OSError, McapError, ValueError, struct.error)
"""What the readers raise on a damaged file."""
_FOREVER = {"sec": 9223372036, "nsec": 854775807}


class BagError(RuntimeError):
    """A bag that cannot be written or read: which, why, and what to do."""


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
                "offered_qos_profiles": yaml.safe_load(channel.metadata.get("offered_qos_profiles", "[]")),
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


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


@functools.lru_cache(maxsize=256)
def typestore_for(name, text):
    """A rosbags typestore that knows the message `name` from its embedded `ros2msg` text, and what it contains."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, name))
    return store


def decode(schema, data):
    """mcap.records.Schema and CDR bytes -> message object; arrays of numbers are numpy arrays. Raises ValueError."""
    try:
        return typestore_for(schema.name, schema.data.decode()).deserialize_cdr(data, schema.name)
    except Exception as error:  # the definition comes from the file: when it is damaged, anything can go wrong
        raise ValueError(f"a {schema.name} does not read as its definition says ({error})") from error


def encode(schema, message):
    """The inverse of decode()."""
    return bytes(typestore_for(schema.name, schema.data.decode()).serialize_cdr(message, schema.name))


class Record(NamedTuple):
    """One message out of a bag."""

    topic: str
    type: str
    message: Any
    log_ns: int


def mcap_file(folder):
    """The one MCAP file of a finished bag. Raises BagError for anything else."""
    folder = Path(folder)
    metadata = folder / METADATA
    if not metadata.exists():
        known = next(folder.glob("*.mcap"), None) if folder.is_dir() else None
        what = (
            f"was not finished: run `casher bag recover {folder}`" if known else "is not a bag: it has no metadata.yaml"
        )
        raise BagError(f"{folder} {what}")
    try:
        information = yaml.safe_load(metadata.read_text())["rosbag2_bagfile_information"]
        storage, names = information["storage_identifier"], information["relative_file_paths"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BagError(f"{metadata} cannot be read: {error}") from error
    if storage != "mcap" or len(names) != 1:
        raise BagError(f"{folder}: only bags of one mcap file are read here, this is {len(names)} of {storage}")
    return folder / names[0]


def read_bag(folder, topics=None, newest_first=False, decoded=True):
    """Iterate over the Records (topic, type, message, log_ns) of a finished bag in the order they were received; no
    ROS is needed.

    topics: only these; decoded: False leaves a message as its CDR bytes. Reading the first few is cheap: chunks are
    read as they are needed. Raises BagError.
    """
    path = mcap_file(folder)
    try:
        with open(path, "rb") as file:
            reader = make_reader(file, validate_crcs=True)
            for schema, channel, message in reader.iter_messages(topics=topics, reverse=newest_first):
                content = decode(schema, message.data) if decoded else message.data
                yield Record(channel.topic, schema.name, content, message.log_time)
    except UNREADABLE as error:
        raise BagError(
            f"{path} cannot be read ({type(error).__name__}: {error}): try `casher bag recover {folder}`"
        ) from error


def topic_counts(folder):
    """Topic -> (type, number of messages) of a finished bag. Raises BagError."""
    path = mcap_file(folder)
    try:
        with open(path, "rb") as file:
            summary = make_reader(file).get_summary()
    except UNREADABLE as error:
        raise BagError(
            f"{path} cannot be read ({type(error).__name__}: {error}): try `casher bag recover {folder}`"
        ) from error
    counts = summary.statistics.channel_message_counts
    return {c.topic: (summary.schemas[c.schema_id].name, counts.get(c.id, 0)) for c in summary.channels.values()}
