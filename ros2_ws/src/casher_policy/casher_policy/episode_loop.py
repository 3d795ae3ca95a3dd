"""One episode of a policy: fresh cloud, decision, one action, until the horizon.

It knows no ROS: the node is its `Apparatus`.
"""

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from casher_policy.policies import Decision
from casher_policy.preprocess import EmptyCloudError
from casher_policy.step_gate import Stamped

CLOCK_SLACK_S = 0.5
"""An arm that need not move may report a measurement as old as this; an older one would let stale clouds through."""


class EpisodeFault(Exception):
    """The apparatus failed and the episode ends. As text: "name: detail"."""

    def __init__(self, name, detail):
        self.name = name
        super().__init__(f"{name}: {detail}")


class EpisodeCancelled(Exception):
    """Someone asked to end the episode; the arm stands still."""


@dataclass(frozen=True)
class Sight:
    """What there is to decide on, all of it measured once the arm stood still."""

    points: np.ndarray | None
    """(N, 3) float32 [m], base frame; None when the policy reads no cloud."""
    colours: np.ndarray | None
    """(N, 3) uint8"""
    cloud_points: int
    """N, known even when the cloud was not read."""
    robot_state: np.ndarray
    """(9,) float32, see casher_policy.observation."""
    privileged: Any
    """policies.ExpertView for a policy that needs it, else None."""


@dataclass(frozen=True)
class Executed:
    """What came of an action."""

    settled_ns: int
    """[ns] since the epoch, when the arm was still again."""
    refused: str
    """Empty, or why the safety core kept the arm where it was."""
    tcp_pose: Any
    """Measured once settled, as the arm gave it; for the record."""


@dataclass(frozen=True)
class Step:
    """The record of one decision; PolicyStep.msg documents the fields."""

    index: int
    decision: Decision
    robot_state: np.ndarray
    cloud_stamp_ns: int
    cloud_points: int
    cloud_age_s: float
    cloud_wait_s: float
    inference_s: float
    action_s: float
    executed: Executed


@dataclass(frozen=True)
class EpisodeEnd:
    """How a run ended."""

    outcome: str
    """ "horizon", "cancelled" or "fault"."""
    fault: str
    """Empty, or "name: detail"."""
    steps: int
    """Actions executed."""


class Apparatus(Protocol):
    """Cameras and arm. Every call blocks until done and raises EpisodeFault or EpisodeCancelled when it cannot be."""

    def now_ns(self) -> int:
        """[ns] since the epoch, on the clock that stamps clouds and states."""

    def look(self, after_ns: int) -> tuple[Stamped, Sight]:
        """Wait for the first cloud later than after_ns and for states that are no older than it.

        The Stamped is the cloud's.
        """

    def execute(self, action) -> Executed:
        """Carry out one Action; returns once the arm is still."""

    def publish(self, step: Step) -> None:
        """Tell recorder and session."""

    def check(self) -> None:
        """Raise EpisodeCancelled when someone asked for the end."""


def run_episode(policy, horizon, seed, apparatus):
    """Run policy, a policies.Policy, for at most horizon actions -> EpisodeEnd. None follows a fault or a cancel."""
    policy.reset(seed)
    settled_ns = apparatus.now_ns()
    steps = 0
    try:
        while steps < horizon:
            step = _one_step(policy, steps, settled_ns, apparatus)
            settled_ns = step.executed.settled_ns
            steps += 1
            apparatus.publish(step)
    except EpisodeCancelled:
        return EpisodeEnd("cancelled", "", steps)
    except EpisodeFault as fault:
        return EpisodeEnd("fault", str(fault), steps)
    return EpisodeEnd("horizon", "", steps)


def _one_step(policy, index, settled_ns, apparatus):
    cloud, sight = apparatus.look(settled_ns)
    assert cloud.stamp_ns > settled_ns, "a cloud from before the arm settled"
    begin = time.perf_counter()
    try:
        decision = policy.act(sight.points, sight.colours, sight.robot_state, sight.privileged)
    except EmptyCloudError as error:
        raise EpisodeFault("empty_cloud", str(error)) from error
    except ValueError as error:
        raise EpisodeFault("policy", str(error)) from error
    inference_s = time.perf_counter() - begin
    decided_ns = apparatus.now_ns()
    apparatus.check()
    begin = time.perf_counter()
    executed = apparatus.execute(decision.action)
    action_s = time.perf_counter() - begin
    require_clock(executed.settled_ns, decided_ns)
    return Step(
        index=index,
        decision=decision,
        robot_state=sight.robot_state,
        cloud_stamp_ns=cloud.stamp_ns,
        cloud_points=sight.cloud_points,
        cloud_age_s=(decided_ns - cloud.stamp_ns) * 1e-9,
        cloud_wait_s=(cloud.arrival_ns - settled_ns) * 1e-9,
        inference_s=inference_s,
        action_s=action_s,
        executed=executed,
    )


def require_clock(settled_ns, asked_ns):
    """EpisodeFault when an arm says that it settled long before it was asked to move, both [ns since the epoch]."""
    early_s = (asked_ns - settled_ns) * 1e-9
    if early_s > CLOCK_SLACK_S:
        raise EpisodeFault("arm", f"it says that it settled {early_s:.1f} s before it was asked to move: set its clock")
