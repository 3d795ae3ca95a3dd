"""Every episode under a folder, read from its bag alone."""

import fcntl
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from casher_bringup.cloud_picture import png, points_of, render
from casher_perception.bag_reader import METADATA, BagError, read_bag
from casher_policy.episode import Episode, Outcome, episode_from_fields
from casher_policy.episode_topics import CLOUD_TOPIC, DIAGNOSTICS_TOPIC, EPISODE_TOPIC, STEP_TOPIC

ERROR = 2
"""Of diagnostic_msgs/DiagnosticStatus."""
TIMES = ("cloud_age_s", "cloud_wait_s", "inference_s", "action_s")
"""Fields of PolicyStep that the report gives percentiles of."""


@dataclass(frozen=True)
class EpisodeBag:
    """What the report takes from one bag."""

    name: str
    """Path of the bag's folder, from the reported folder."""
    episode: Episode | None = None
    """Its last record, None when there is none that counts."""
    problem: str = ""
    """Why the bag is not part of the numbers; empty when it is."""
    actions: tuple = ()
    """(name, why it was refused or "") of each action taken."""
    times: dict = field(default_factory=dict)
    """Field of PolicyStep -> [s] of every step; `step_s`: from the end of a step to the end of the next."""
    pictures: tuple = ()
    """PNG of the first and of the last cloud; none when no cloud was recorded."""
    drift: str = ""
    """Which camera had moved by the end of the episode, as fusion saw it; empty when none had."""


def find_bags(directory):
    """Folders under `directory` (or itself) that hold a bag, finished or not, in order of their names."""
    directory = Path(directory)
    marks = (METADATA, "*.mcap", "*.mcap.unfinished")
    return sorted({path.parent for mark in marks for path in directory.rglob(mark)})


def read_episodes(directory, pictures=True):
    """EpisodeBag of every bag under `directory`, in the order the episodes began; those with a problem last."""
    directory = Path(directory)
    bags = [_read(folder, str(folder.relative_to(directory)), pictures) for folder in find_bags(directory)]
    bags.sort(key=lambda bag: (bool(bag.problem), bag.episode.start_ns if bag.episode else 0, bag.name))
    first, unique = {}, []
    for bag in bags:
        if not bag.problem and bag.episode.episode_id in first:
            other = first[bag.episode.episode_id]
            bag = EpisodeBag(bag.name, None, f"the same episode as {other}: an episode counts once")
        elif not bag.problem:
            first[bag.episode.episode_id] = bag.name
        unique.append(bag)
    return unique


def _read(folder, name, pictures):
    if not (folder / METADATA).exists():
        state = "is being recorded" if _is_locked(folder) else f"unfinished: run `casher bag recover {folder}`"
        return EpisodeBag(name, problem=state)
    try:
        last = next(read_bag(folder, [EPISODE_TOPIC], newest_first=True), None)
        if last is None:
            return EpisodeBag(name, problem=f"not the bag of an episode: it has no {EPISODE_TOPIC}")
        episode = episode_from_fields(last.message)
        if episode.outcome == Outcome.RUNNING:
            return EpisodeBag(name, problem=f"the episode has no end: run `casher bag recover {folder}`")
        steps = [record.message for record in read_bag(folder, [STEP_TOPIC])]
        return EpisodeBag(
            name,
            episode,
            actions=tuple((step.action_name, getattr(step, "refused", "")) for step in steps),
            times=_times(steps),
            pictures=_pictures(folder) if pictures else (),
            drift=_drift(folder),
        )
    except (BagError, ValueError, AttributeError) as error:
        return EpisodeBag(name, problem=str(error))


def _times(steps):
    ends = [step.header.stamp.sec + 1e-9 * step.header.stamp.nanosec for step in steps]
    times = {name: [float(getattr(step, name)) for step in steps] for name in TIMES}
    return {**times, "step_s": [b - a for a, b in pairwise(ends)]}


def _pictures(folder):
    clouds = [next(read_bag(folder, [CLOUD_TOPIC], newest_first=last), None) for last in (False, True)]
    return tuple(png(render(*points_of(cloud.message))) for cloud in clouds if cloud is not None)


def _drift(folder):
    """The alarm in the last word of the watch over the calibration."""
    for record in read_bag(folder, [DIAGNOSTICS_TOPIC], newest_first=True):
        for status in record.message.status:
            if status.name == "drift":
                return status.message if _level(status.level) == ERROR else ""
    return ""


def _level(level):
    """A `byte` of ROS, which readers give as a number or as bytes."""
    return level[0] if isinstance(level, bytes) else int(level)


def _is_locked(folder):
    """Whether a recorder has the folder's file open for writing."""
    for path in folder.glob("*.mcap"):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
