"""Reads a rosbag2 of one MCAP file, such as an episode's, without ROS."""

import functools
import struct
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

METADATA = "metadata.yaml"
UNREADABLE = (OSError, McapError, ValueError, struct.error)
"""What the readers raise on a damaged file."""


class BagError(RuntimeError):
    """A bag that cannot be written or read: which, why, and what to do."""


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
