"""One episode being recorded: its bag, its first and last record, and what was counted on the way. No ROS."""

import contextlib
from collections import Counter

from casher_bringup.bag import BagWriter, qos_profile
from casher_bringup.schemas import interface
from casher_perception.bag_reader import BagError
from casher_policy.episode_topics import EPISODE_TOPIC

EPISODE_TYPE = "casher_msgs/msg/EpisodeResult"


class Recording:
    """Opens the bag and writes the episode's first record at once, so that even a recorder killed now leaves its
    trace.

    Records are serialised (CDR) EpisodeResults. Raises BagError, also from `add_topic` and `write`: the recording is
    over then, and only `finish` is of use.
    """

    def __init__(self, folder, record, now_ns):
        self.messages = Counter()
        """Topic -> messages written, the episode's own records apart."""
        self.dropped = Counter()
        """Topic -> messages that were published and did not arrive."""
        self._bag = BagWriter(folder)
        self.folder = self._bag.folder
        try:
            self._bag.add_topic(
                EPISODE_TOPIC, interface(EPISODE_TYPE), [qos_profile(durability="transient_local", depth=10)]
            )
            self._bag.write(EPISODE_TOPIC, now_ns, now_ns, record)
            self._bag.flush()
        except BagError:
            self._discard()
            raise

    def add_topic(self, topic, interface, qos):
        """Declare a topic unless it is already; see BagWriter.add_topic."""
        if topic not in self._bag.topics:
            self._bag.add_topic(topic, interface, qos)

    def write(self, topic, log_ns, publish_ns, data):
        """A serialised message of a declared topic."""
        self._bag.write(topic, log_ns, publish_ns, data)
        self.messages[topic] += 1

    def flush_if_due(self):
        """Hand what was written to the operating system; to be called a few times a second."""
        self._bag.flush_if_due()

    def finish(self, record, now_ns):
        """Write the episode's last record and close the bag."""
        try:
            # Not handed on yet: when the disk is full `close` makes room for it, while a flush that fails loses it.
            self._bag.write(EPISODE_TOPIC, now_ns, now_ns, record, flush=False)
        finally:
            self._bag.close()

    def _discard(self):
        """Nothing was recorded yet: leave nothing behind that looks like an episode."""
        with contextlib.suppress(BagError):
            self._bag.close()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()
