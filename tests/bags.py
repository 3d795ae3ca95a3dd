"""Bags of episodes that never happened, for the tests of recovery and report."""

import dataclasses

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.serialization import serialize_message

from casher_bringup.bag import BagWriter, qos_profile
from casher_bringup.schemas import interface
from casher_msgs.msg import PolicyStep
from casher_perception.conversions import cloud_message, stamp_message
from casher_policy.action import ACTION_NAMES
from casher_policy.conversions import episode_message
from casher_policy.episode import Episode, Outcome
from casher_policy.episode_topics import CLOUD_TOPIC, DIAGNOSTICS_TOPIC, EPISODE_TOPIC, STEP_TOPIC

START_NS = 1_800_000_000_000_000_000


def episode(**fields):
    """An Episode with every field set; `fields` replace its own."""
    index = fields.get("index", 0)
    known = {
        "episode_id": f"2027-01-15_08-00-00-{index}",
        "index": index,
        "robot": "sim",
        "kitchen": "demo",
        "task": "put_in_sink",
        "object": "mug",
        "side": "left",
        "seed": index,
        "policy": "expert",
        "checkpoint_id": "",
        "calibration_id": "demo-2027-01-10",
        "software": "0123abcd",
        "horizon": 135,
        "start_ns": START_NS,
        "end_ns": START_NS + 30_000_000_000,
        "steps": 40,
        "outcome": Outcome.SUCCESS,
        "judge": "predicate",
        "messages_recorded": 43,
    }
    return Episode(**{**known, **fields})


def kitchen_cloud(p_object, rng, n=6000):
    """A counter with a basin, a wall and an object of 10 cm at p_object (3,) -> points (n, 3) float32, colours (n,
    3) uint8."""
    u, v = rng.uniform(-1, 1, (2, n))
    kind = rng.choice(4, n, p=(0.5, 0.2, 0.22, 0.08))
    x, y, z = 0.5 + 0.3 * u, 0.6 * v, np.zeros(n)
    colours = np.tile((205, 196, 180), (n, 1))
    basin = (kind == 0) & (np.abs(x - 0.5) < 0.17) & (np.abs(y) < 0.22)
    z[basin] = -0.16
    colours[basin] = (150, 156, 163)
    wall = kind == 1
    x[wall], z[wall] = 0.8, 0.3 * (u[wall] + 1)
    colours[wall] = np.where(
        ((y[wall] * 10).astype(int) + (z[wall] * 10).astype(int))[:, None] % 2, (225, 230, 232), (180, 198, 205)
    )
    front = kind == 2
    x[front], z[front] = 0.2, 0.2 * (u[front] - 1)
    colours[front] = (110, 82, 60)
    body = kind == 3
    angle = np.pi * u[body]
    x[body], y[body] = p_object[0] + 0.04 * np.cos(angle), p_object[1] + 0.04 * np.sin(angle)
    z[body] = p_object[2] + 0.05 * (v[body] + 1)
    colours[body] = (200, 60, 45)
    shade = rng.uniform(0.9, 1.05, (n, 1))
    return np.stack([x, y, z], 1).astype(np.float32), np.clip(colours * shade, 0, 255).astype(np.uint8)


def policy_step(record, index, rng):
    """A PolicyStep with plausible times."""
    action = int(rng.integers(14))
    return PolicyStep(
        episode_id=record.episode_id,
        step=index,
        action=action,
        action_name=ACTION_NAMES[action],
        cloud_points=4096,
        cloud_age_s=float(rng.gamma(8, 0.008)),
        cloud_wait_s=float(rng.gamma(8, 0.015)),
        inference_s=float(rng.gamma(6, 0.002)),
        action_s=float(rng.gamma(20, 0.02)),
        refused="outside_workspace" if rng.uniform() < 0.03 else "",
    )


def open_bag(folder, record):
    """A BagWriter with the topics of an episode and its first record, 'running'."""
    bag = BagWriter(folder)
    bag.add_topic(
        EPISODE_TOPIC, interface("casher_msgs/msg/EpisodeResult"), [qos_profile(durability="transient_local")]
    )
    bag.add_topic(CLOUD_TOPIC, interface("sensor_msgs/msg/PointCloud2"), [qos_profile("best_effort")])
    bag.add_topic(STEP_TOPIC, interface("casher_msgs/msg/PolicyStep"))
    running = dataclasses.replace(
        record, outcome="running", reason="", judge="", end_ns=0, steps=0, messages_recorded=0
    )
    write(bag, EPISODE_TOPIC, episode_message(running, record.start_ns), record.start_ns)
    return bag


def write(bag, topic, message, ns):
    bag.write(topic, ns, ns, serialize_message(message))


def write_episode(folder, record, clouds=2, points=6000, finish=True, drift=()):
    """The bag of an Episode; finish=False leaves it as a killed recorder does; drift: (level, message) of the watch
    over the calibration, in this order. -> the BagWriter."""
    rng = np.random.default_rng(record.seed)
    bag = open_bag(folder, record)
    if drift:
        bag.add_topic(DIAGNOSTICS_TOPIC, interface("diagnostic_msgs/msg/DiagnosticArray"))
    for number, (level, message) in enumerate(drift):
        for name, value in (("drift", message), ("fusion", "all is well")):
            status = DiagnosticStatus(name=name, level=level, message=value)
            now = record.start_ns + number
            write(bag, DIAGNOSTICS_TOPIC, DiagnosticArray(status=[status]), now)
    side = 1.0 if record.side == "left" else -1.0
    start, end = np.array([0.5, 0.4 * side, 0.0]), np.array([0.5, 0.0, -0.16])
    last = end if record.outcome == Outcome.SUCCESS else start
    period_ns = 200_000_000
    for k in range(record.steps):
        now = record.start_ns + (k + 1) * period_ns
        if (clouds and k % max(1, record.steps // clouds) == 0) or k == record.steps - 1:
            p_object = start if k == 0 else last
            write(bag, CLOUD_TOPIC, cloud_message(*kitchen_cloud(p_object, rng, points), "base", now), now)
        step = policy_step(record, k, rng)
        step.header.stamp = stamp_message(now)
        write(bag, STEP_TOPIC, step, now + 1)
    if finish:
        write(
            bag, EPISODE_TOPIC, episode_message(record, record.end_ns), record.start_ns + (record.steps + 2) * period_ns
        )
        bag.close()
    else:
        bag.flush()
    return bag
