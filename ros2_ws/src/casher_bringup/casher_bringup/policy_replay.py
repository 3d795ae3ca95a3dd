"""A recorded episode decided once more: the same clouds, states and seed through the same policy code.

Step k of a bag names its cloud by the stamp and carries the state the policy saw; the episode's record has the seed and
the checkpoint's id. So nothing is guessed, and on the machine that recorded the answers are the same to the last bit.
"""

from dataclasses import dataclass

import numpy as np

from casher_perception.bag_reader import BagError, read_bag
from casher_policy.action import ACTION_NAMES
from casher_policy.episode import episode_from_fields
from casher_policy.episode_topics import CLOUD_TOPIC, EPISODE_TOPIC, STEP_TOPIC
from casher_policy.policies import ExpertPolicy


@dataclass(frozen=True)
class Recorded:
    """What a bag says of one episode."""

    episode: object
    """casher_policy.episode.Episode"""
    steps: tuple
    """PolicySteps in order."""
    clouds: dict
    """Stamp [ns] -> PointCloud2, of the clouds that the steps used."""


@dataclass(frozen=True)
class Agreement:
    """How a policy's answers compare with those recorded."""

    steps: int
    """In the bag."""
    replayed: int
    actions_equal: int
    largest_difference: float
    """Between a probability then and now, over all steps and actions."""
    first_difference: str = ""
    """The first step with another action, in words; empty when there is none."""
    stopped: str = ""
    """Why not all steps were replayed."""

    @property
    def agrees(self):
        """There are steps, every one was replayed and has its action again."""
        return 0 < self.actions_equal == self.replayed == self.steps


def read_recorded(folder):
    """Recorded out of a finished bag; BagError."""
    from casher_perception.conversions import stamp_ns

    last = next(read_bag(folder, [EPISODE_TOPIC], newest_first=True), None)
    if last is None:
        raise BagError(f"{folder} is not the bag of an episode: it has no {EPISODE_TOPIC}")
    try:
        episode = episode_from_fields(last.message)
    except (ValueError, AttributeError) as error:
        raise BagError(f"{folder}: its episode's record cannot be read: {error}") from error
    if episode.policy == ExpertPolicy.name:
        raise BagError(f"{folder} was decided by the expert on the simulator's state: there is no cloud to replay")
    steps = tuple(record.message for record in read_bag(folder, [STEP_TOPIC]))
    wanted = {stamp_ns(step.cloud_stamp) for step in steps}
    seen = ((stamp_ns(record.message.header.stamp), record.message) for record in read_bag(folder, [CLOUD_TOPIC]))
    return Recorded(episode, steps, {ns: cloud for ns, cloud in seen if ns in wanted})


def replay(recorded, policy):
    """Ask policy, a policies.Policy that needs nothing privileged, at every step again -> Agreement."""
    policy.reset(recorded.episode.seed)
    equal, largest, first, done = 0, 0.0, "", 0
    stopped = "" if recorded.steps else "it has no step: nothing was decided, so there is nothing to compare"
    for index, step in enumerate(recorded.steps):
        try:
            points, colours = _cloud(recorded, step, index) if policy.needs_cloud else (None, None)
            decision = policy.act(points, colours, np.array(step.observation_state, np.float32), None)
        except ValueError as error:
            # What a later step draws depends on all before it, so nothing after a gap can be compared.
            stopped = f"step {index}: {error}"
            break
        done += 1
        difference = np.abs(decision.probabilities - np.asarray(step.probabilities, np.float32)).max()
        largest = max(largest, float(difference))
        if int(decision.action) == step.action:
            equal += 1
        elif not first:
            now = ACTION_NAMES[decision.action]
            first = (
                f"step {index}: {step.action_name} then ({step.probabilities[step.action]:.3f}), "
                f"{now} now ({decision.probabilities[decision.action]:.3f})"
            )
    return Agreement(len(recorded.steps), done, equal, largest, first, stopped)


def _cloud(recorded, step, index):
    from casher_perception.conversions import cloud_arrays, stamp_ns

    if step.step != index:
        raise ValueError(f"the bag goes on with step {step.step}: what lies between was not recorded")
    ns = stamp_ns(step.cloud_stamp)
    if ns not in recorded.clouds:
        raise ValueError(f"its cloud, stamped {ns} ns, is not in the bag")
    return cloud_arrays(recorded.clouds[ns])
