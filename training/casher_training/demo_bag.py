"""The bag of a demonstration on a real arm: where it lies, and what was seen before each action. No ROS is running.

Each action is a PolicyStep, as the policy node publishes them: it names the cloud by its stamp and carries the state
that a policy would have got.
"""

from pathlib import Path

from casher_perception.bag_reader import BagError, read_bag
from casher_policy.action import ACTION_NAMES
from casher_policy.episode import HUMAN, Episode, episode_from_fields, episode_id
from casher_policy.episode_topics import CLOUD_TOPIC, EPISODE_TOPIC, STEP_TOPIC
from casher_policy.software import software_id

BAGS = "bags"
"""Folder beside the trajectories."""


def episode_of(demo, start_ns):
    """The Episode that an ArmDemo begins at start_ns [ns since the epoch]."""
    return Episode(
        episode_id=episode_id(start_ns, demo.seed),
        index=demo.seed,
        robot=demo.robot,
        kitchen=demo.scene.kitchen,
        task=demo.task.name,
        object=demo.scene.object,
        side="",
        seed=demo.seed,
        policy=HUMAN,
        checkpoint_id="",
        calibration_id="",
        software=software_id(),
        horizon=demo.task.horizon,
        start_ns=start_ns,
    )


def bag_name(bag, folder):
    """Path of a bag -> what a Trajectory of the store in `folder` says of it: relative if it lies beneath."""
    bag, folder = Path(bag).absolute(), Path(folder).absolute()
    return str(bag.relative_to(folder) if bag.is_relative_to(folder) else bag)


def bag_path(name, folder):
    """The inverse of bag_name."""
    return Path(folder).absolute() / name


def read_steps(bag, actions):
    """The PolicySteps of a demonstration's bag, in order; actions: (T,) of its trajectory.

    BagError: an unreadable bag, other actions, or one that was decided on a cloud from before the arm had settled.
    """
    from casher_perception.conversions import stamp_ns

    first = next(read_bag(bag, [EPISODE_TOPIC]), None)
    if first is None:
        raise BagError(f"{bag} is not the bag of an episode: it has no {EPISODE_TOPIC}")
    episode = episode_from_fields(first.message)
    steps = [r.message for r in read_bag(bag, [STEP_TOPIC]) if r.message.episode_id == episode.episode_id]
    settled_ns = episode.start_ns
    for k, action in enumerate(actions):
        step = steps[k] if k < len(steps) else None
        if step is None or (step.step, step.action) != (k, int(action)):
            found = "nothing more" if step is None else f"step {step.step}, {step.action_name}"
            raise BagError(f"{bag}: step {k} of the trajectory is {ACTION_NAMES[action]}, the bag has {found}")
        if stamp_ns(step.cloud_stamp) <= settled_ns:
            raise BagError(f"{bag}: the cloud of step {k} is from before the arm had settled")
        settled_ns = stamp_ns(step.settled)
    if len(steps) > len(actions):
        raise BagError(f"{bag} has {len(steps)} steps, the trajectory {len(actions)}")
    return steps


def read_clouds(bag, steps):
    """Iterate over (k, PointCloud2 that step k names), in the order of the bag; BagError names what it lacks."""
    from casher_perception.conversions import stamp_ns

    wanted = {stamp_ns(step.cloud_stamp): k for k, step in enumerate(steps)}
    for record in read_bag(bag, [CLOUD_TOPIC]):
        k = wanted.pop(stamp_ns(record.message.header.stamp), None)
        if k is not None:
            yield k, record.message
    if wanted:
        missing = ", ".join(map(str, sorted(wanted.values())))
        raise BagError(f"{bag} lacks the clouds of {len(wanted)} of {len(steps)} steps: {missing}")


def why_unusable(bag, actions):
    """'' when the bag has a cloud for every action, else why not."""
    try:
        for _ in read_clouds(bag, read_steps(bag, actions)):
            pass
    except (BagError, ValueError, AttributeError) as error:
        return str(error)
    return ""
