"""The record of one evaluation episode: which kitchen, object, side, policy and calibration; how many steps; how it
ended
and who says so.

`EpisodeResult.msg` carries the same fields; the report reads them back from the bags.
"""

import time
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How an episode ended."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    """The policy had its chance and did not do it."""
    FAULT = "fault"
    """The apparatus failed, not the policy: a silent camera, a reflex. Reported apart, never counted as a trial."""
    ABORTED = "aborted"
    """A person stopped it. Not counted as a trial either."""


JUDGED = (Outcome.SUCCESS, Outcome.FAILURE)
"""Outcomes that count as trials of the policy."""

HUMAN = "human"
"""In place of a policy: a person decided, the episode is a demonstration."""

SIDES = ("left", "right")
"""Of the goal site, seen from the robot, on which the object starts: left is +y."""


@dataclass(frozen=True)
class Episode:
    """Identity, course and outcome of one episode."""

    episode_id: str
    index: int
    robot: str
    kitchen: str
    task: str
    object: str
    side: str
    seed: int
    policy: str
    checkpoint_id: str
    """SHA-256 of the checkpoint's file; empty for a policy without one."""
    calibration_id: str
    software: str
    horizon: int
    start_ns: int = 0
    """[ns] since the epoch."""
    end_ns: int = 0
    steps: int = 0
    outcome: Outcome = Outcome.RUNNING
    reason: str = ""
    judge: str = ""
    messages_recorded: int = 0
    messages_dropped: int = 0

    def __post_init__(self):
        object.__setattr__(self, "outcome", Outcome(self.outcome))

    @property
    def counts(self):
        """Whether the episode is a trial of the policy."""
        return self.outcome in JUDGED

    @property
    def duration_s(self):
        """[s] from the first action asked for to the end."""
        return (self.end_ns - self.start_ns) * 1e-9


SAME_FIELDS = (
    *("episode_id", "index", "robot", "kitchen", "task", "object", "side", "seed", "policy", "checkpoint_id"),
    *("calibration_id", "software", "horizon", "steps", "reason", "judge", "messages_recorded", "messages_dropped"),
)
"""Fields with the same name and meaning in Episode and EpisodeResult.msg."""


def episode_id(start_ns, index):
    """Unique on one machine: when the run's episode began, and its number."""
    second = time.strftime("%Y%m%dT%H%M%S", time.gmtime(start_ns // 1_000_000_000))
    return f"{second}.{start_ns // 1_000_000 % 1000:03d}Z-{index:03d}"


def episode_from_fields(message):
    """An EpisodeResult, or any object with its fields as bag readers return them -> Episode. Needs no ROS."""

    def nanoseconds(stamp):
        return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)

    return Episode(
        **{name: getattr(message, name) for name in SAME_FIELDS},
        start_ns=nanoseconds(message.start),
        end_ns=nanoseconds(message.end),
        outcome=message.outcome,
    )
