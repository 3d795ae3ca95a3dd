"""A node that listens to topics it knows by name only: whatever their type and quality of service, raw, counting
what is lost."""

import importlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from casher_bringup.bag import qos_profile
from casher_bringup.schemas import SchemaError, interface
from casher_bringup.sequence_gaps import SequenceGaps


@dataclass
class Topic:
    """A topic that is listened to."""

    name: str
    type: str
    qos: dict
    """qos_profile() of our subscription."""
    subscription: Any = None
    gaps: SequenceGaps = field(default_factory=SequenceGaps)
    publishers: set = field(default_factory=set)
    """Ids of all publishers there have been."""


class ListeningNode(Node):
    """Calls on_listening(topic) before it subscribes to a topic, and on_raw(topic, data, info, lost) for every
    message."""

    def __init__(self, name, **kwargs):
        super().__init__(name, **kwargs)
        self.depth = 1000
        """Messages of a topic that may wait to be taken."""
        self.topics = {}
        """Name -> Topic listened to."""
        self.unheard = {}
        """Name -> why a topic cannot be listened to."""

    def keep_only(self, names):
        """Stop listening to all but these topics. Latched topics are always subscribed to anew: they send what is
        latched again."""
        self.unheard = {}
        for topic in list(self.topics.values()):
            if topic.name not in names or topic.qos["durability"] == "transient_local":
                self.forget(topic)

    def listen_to(self, names):
        """Subscribe to topics that have appeared, or whose publishers now need another quality of service."""
        for name in names:
            publishers = self.get_publishers_info_by_topic(name)
            if not publishers or name in self.unheard:
                continue
            types = sorted({info.topic_type for info in publishers})
            qos = qos_profile(
                # What the least of the publishers offers: a subscription that asks for more hears nothing of it.
                reliability=_least(publishers, "reliability", ReliabilityPolicy.RELIABLE, "reliable", "best_effort"),
                durability=_least(
                    publishers, "durability", DurabilityPolicy.TRANSIENT_LOCAL, "transient_local", "volatile"
                ),
                depth=self.depth,
            )
            topic = self.topics.get(name)
            if topic is None or topic.qos != qos:
                if topic is not None:
                    self.forget(topic)
                topic = self.subscribe(name, types, qos)
            if topic is not None:
                topic.publishers.update(bytes(info.endpoint_gid) for info in publishers)

    def subscribe(self, name, types, qos):
        """Subscribe -> Topic, or None when this topic cannot be listened to."""
        try:
            if len(types) > 1:
                raise SchemaError(f"its publishers disagree on the type: {', '.join(types)}")
            interface(types[0])
            package, kind, short = types[0].split("/")
            message_class = getattr(importlib.import_module(f"{package}.{kind}"), short)
        except (SchemaError, ImportError, AttributeError) as error:
            self.unheard[name] = str(error)
            self.get_logger().error(f"{name} cannot be listened to: {error}")
            return None
        topic = Topic(name, types[0], qos)
        profile = QoSProfile(
            depth=qos["depth"],
            reliability=ReliabilityPolicy[qos["reliability"].upper()],
            durability=DurabilityPolicy[qos["durability"].upper()],
        )
        self.on_listening(topic)
        topic.subscription = self.create_subscription(
            message_class, name, partial(self.on_message, topic), profile, raw=True
        )
        self.topics[name] = topic
        return topic

    def forget(self, topic):
        self.destroy_subscription(topic.subscription)
        del self.topics[topic.name]

    def on_message(self, topic, data, info):
        """A message off the wire; info: its MessageInfo."""
        self.on_raw(
            topic, data, info, topic.gaps.observe(info["publication_sequence_number"], partial(self.count_ever, topic))
        )

    def count_ever(self, topic):
        """How many publishers of a topic there have been."""
        topic.publishers.update(bytes(info.endpoint_gid) for info in self.get_publishers_info_by_topic(topic.name))
        return len(topic.publishers)

    def wait_for_publishers(self, new, match_s, settle_s):
        """Until new subscriptions have found their publishers, and they us: what is sent from now on arrives."""
        if not new:
            return
        deadline = time.monotonic() + match_s
        while time.monotonic() < deadline:
            if all(topic.subscription.get_publisher_count() >= 1 for topic in new):
                break
            time.sleep(0.005)
        time.sleep(settle_s)

    def drain(self, quiet_s, drain_s):
        """Take what is still on its way: until nothing from before this call has arrived for a while."""
        asked_ns, start = time.time_ns(), time.monotonic()
        heard = start
        while time.monotonic() - start < drain_s and time.monotonic() - heard < quiet_s:
            taken = [info["source_timestamp"] for topic in list(self.topics.values()) for info in self.take_all(topic)]
            if any(stamp_ns <= asked_ns for stamp_ns in taken):
                heard = time.monotonic()
            time.sleep(0.005)

    def take_all(self, topic):
        """Handle what waits in a subscription -> the MessageInfo of each. The executor is busy with us and cannot."""
        infos = []
        handle = topic.subscription.handle
        with handle:
            while (taken := handle.take_message(topic.subscription.msg_type, True)) is not None:
                data, info = taken
                self.on_message(topic, data, info)
                infos.append(info)
        return infos


def _least(publishers, policy, most, name_of_most, name_of_less):
    every = all(getattr(info.qos_profile, policy) == most for info in publishers)
    return name_of_most if every else name_of_less
