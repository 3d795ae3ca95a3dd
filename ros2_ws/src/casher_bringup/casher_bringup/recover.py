"""Makes a bag readable whose recorder was killed, or whose file was cut short or damaged; what is whole in it is
kept."""

import dataclasses
import fcntl
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mcap.records import Channel, Message, Schema
from tyro.conf import Positional

from casher_bringup.bag import write_metadata
from casher_bringup.mcap_writer import McapWriter
from casher_bringup.salvage import Salvage
from casher_perception.bag_reader import METADATA, UNREADABLE, BagError, decode, encode, read_bag, topic_counts
from casher_policy.episode import Outcome
from casher_policy.episode_topics import EPISODE_TOPIC, STEP_TOPIC

UNFINISHED = ".unfinished"
"""Appended to the name of the original file, which is kept."""
KILLED = "recorder was killed"


@dataclass(frozen=True)
class RecoverArgs:
    """Make a bag readable whose recorder was killed."""

    folder: Positional[Path]
    """The bag's folder. The original file is kept in it, with .unfinished at the end of its name."""


@dataclass(frozen=True)
class Recovered:
    """What became of a bag."""

    folder: Path
    changed: bool
    """False: the bag was fine and nothing was touched."""
    topics: dict = field(default_factory=dict)
    """Topic -> (messages, [s] from the first to the last of them) in the bag now."""
    lost_bytes: int = 0
    """Bytes of the original that belonged to nothing whole."""
    aborted: bool = False
    """The episode had not ended: a record that says it was aborted was added."""


def recover(folder):
    """Folder of a bag -> Recovered; doing it again changes nothing. Raises BagError.

    Nothing is lost on the way: the original stays until the recovered file is whole, and after that under another
    name.
    """
    folder = Path(folder)
    topics = _survey(folder)
    if topics is not None and not _lacks_end(folder):
        return Recovered(folder, False, topics)
    source, target = _source(folder)
    partial = target.with_suffix(".mcap.part")
    try:
        partial.unlink(missing_ok=True)  # of a recovery that was itself killed
        with open(source, "rb") as file:
            _refuse_while_written(file, folder)
            salvage = Salvage(file)
            mcap, aborted = _rewrite(salvage, partial)
        if source == target:
            target.rename(target.with_name(target.name + UNFINISHED))
        if (folder / METADATA).exists():
            (folder / METADATA).rename(folder / (METADATA + UNFINISHED))
        partial.rename(target)
        write_metadata(folder, target.name, mcap)
    except OSError as error:
        raise BagError(
            f"cannot write into {folder}: {error.strerror}; the original is kept, free some space"
        ) from error
    except UNREADABLE as error:
        raise BagError(f"nothing can be recovered from {source}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return Recovered(folder, True, _survey(folder), salvage.lost_bytes, aborted)


def _survey(folder):
    """Topic -> (messages, seconds) of a bag that reads to its end as it promises, else None."""
    try:
        times = {topic: [] for topic in topic_counts(folder)}
        promised = sum(count for _, count in topic_counts(folder).values())
        for record in read_bag(folder, decoded=False):
            times[record.topic].append(record.log_ns)
    except BagError:
        return None
    if sum(map(len, times.values())) != promised:
        return None
    return {topic: (len(ns), (ns[-1] - ns[0]) * 1e-9 if ns else 0.0) for topic, ns in times.items()}


def _lacks_end(folder):
    """Whether a bag that reads has an episode still running at its end, as one whose last record found no room."""
    try:
        last = next(read_bag(folder, [EPISODE_TOPIC], newest_first=True), None)
    except BagError:
        return False
    return last is not None and getattr(last.message, "outcome", None) == Outcome.RUNNING


def _source(folder):
    """(file to recover from, file to make). Raises BagError for what is not a bag of ours."""
    if not folder.is_dir():
        raise BagError(f"{folder} is not a folder: name the folder of a bag, there is a file ending in .mcap in it")
    if list(folder.glob("*.db3")):
        raise BagError(f"{folder} is a sqlite3 bag: only bags in mcap, as the recorder writes them, can be recovered")
    originals, files = sorted(folder.glob(f"*.mcap{UNFINISHED}")), sorted(folder.glob("*.mcap"))
    if len(originals) == 1:  # of a recovery that was itself killed
        return originals[0], originals[0].with_name(originals[0].name.removesuffix(UNFINISHED))
    if len(files) != 1:
        below = "; name one of the folders in it" if not files and any(folder.glob("*/*.mcap")) else ""
        raise BagError(
            f"{folder} is not a bag of one episode: there are {len(files)} files ending in .mcap in it{below}"
        )
    return files[0], files[0]


def _refuse_while_written(file, folder):
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BagError(f"{folder} is being recorded right now: stop the recorder first") from None


def _rewrite(salvage, path):
    """Everything whole into a new file -> (its finished McapWriter, whether an 'aborted' was added). Raises
    ValueError, OSError."""
    mcap = McapWriter(path)
    schemas, channels = {}, {}  # by the original's ids: the record and its id in the new file
    last_ns, last_episode = 0, None
    try:
        for record in salvage:
            match record:
                case Schema() if record.id not in schemas:
                    schemas[record.id] = record, mcap.add_schema(record.name, record.data.decode())
                case Channel() if record.id not in channels and record.schema_id in schemas:
                    schema_id = schemas[record.schema_id][1]
                    channels[record.id] = record, mcap.add_channel(record.topic, schema_id, record.metadata)
                case Message() if record.channel_id in channels:
                    channel, channel_id = channels[record.channel_id]
                    mcap.add_message(channel_id, record.log_time, record.publish_time, record.data)
                    last_ns = max(last_ns, record.log_time)
                    if channel.topic == EPISODE_TOPIC:
                        last_episode = channel_id, schemas[channel.schema_id][0], record.data
        mcap.flush()
        if not mcap.counts:
            raise ValueError("there is no whole message in it")
        try:
            aborted = _aborted(mcap, last_episode, last_ns)
        except (AttributeError, TypeError) as error:
            raise ValueError(f"the definition of its EpisodeResult is damaged ({error})") from error
        if aborted is not None:
            mcap.add_message(last_episode[0], last_ns, last_ns, aborted)
    finally:
        mcap.finish()
    return mcap, aborted is not None


def _aborted(mcap, last_episode, last_ns):
    """The record that ends an episode which is still 'running', serialised; None for an episode that has ended, or
    for none."""
    if last_episode is None:
        return None
    _, schema, data = last_episode
    episode = decode(schema, data)
    if episode.outcome != Outcome.RUNNING:
        return None
    counts = {mcap.channels[channel_id].topic: count for channel_id, count in mcap.counts.items()}
    sec, nanosec = divmod(last_ns, 1_000_000_000)
    end = dataclasses.replace(episode.header.stamp, sec=sec, nanosec=nanosec)
    ended = dataclasses.replace(
        episode,
        header=dataclasses.replace(episode.header, stamp=end),
        end=end,
        outcome=str(Outcome.ABORTED),
        reason=KILLED,
        steps=counts.get(STEP_TOPIC, 0),
        messages_recorded=sum(counts.values()) - counts.get(EPISODE_TOPIC, 0),
    )
    return encode(schema, ended)


def main(args):
    """`casher bag recover FOLDER`; 0: the bag is readable now; 2: it is none, or nothing can be recovered."""
    try:
        recovered = recover(args.folder)
    except BagError as error:
        print(f"casher bag recover: {error}", file=sys.stderr)
        return 2
    print(f"{args.folder}: " + ("recovered" if recovered.changed else "is fine, nothing was changed"))
    for topic, (count, seconds) in recovered.topics.items():
        print(f"  {topic}: {count} messages over {seconds:.1f} s")
    if recovered.changed:
        print(f"  {recovered.lost_bytes} bytes of the original were of no use; it is kept (*{UNFINISHED})")
    if recovered.aborted:
        print(f"  the episode had not ended: it is marked as aborted, '{KILLED}'")
    return 0
