"""One evaluation episode from reset to verdict, without ROS: the session node gives it the ports to the world."""

import dataclasses
from dataclasses import dataclass
from typing import Protocol

from casher_policy.episode import Episode, Outcome, episode_id

HOLD_STEPS = 5
"""Steps the predicate must hold in a row before the policy is stopped for having succeeded: 0.5 s of motion."""


class SessionFault(Exception):
    """The apparatus failed, not the policy; the text is the episode's reason."""


@dataclass(frozen=True)
class PolicyEnd:
    """How the policy's run ended."""

    outcome: str
    """"horizon", "cancelled" or "fault"."""
    fault: str
    steps: int


@dataclass(frozen=True)
class Verdict:
    """Whether the task is done, and who says so."""

    success: bool
    reason: str
    """What is not fulfilled, or the operator's note."""
    judge: str
    """"predicate" or "operator"."""


class Ports(Protocol):
    """What an episode needs of the world. Every call blocks until done and raises SessionFault when it cannot be."""

    def now_ns(self) -> int: ...

    def reset(self, object_name: str, side: str, seed: int) -> tuple[str, str]:
        """Arm home, scene set up -> the object and the side as set up."""

    def start_recording(self, name: str, episode: Episode) -> str:
        """Open a bag -> its folder."""

    def run_policy(self, episode: Episode, on_step) -> PolicyEnd:
        """Run to the horizon; on_step(steps_done, action_name) after every step ends the run when it returns True."""

    def succeeding(self) -> bool:
        """Whether the task looks done now: the predicate's latest word, or an operator's verdict that came early."""

    def verdict(self) -> Verdict:
        """The final word, on what is true now."""

    def stop_recording(self, episode: Episode) -> Episode:
        """Write the record, close the bag -> the record as written."""

    def cancelled(self) -> bool:
        """Whether a person asked to end the episode."""

    def progress(self, phase: str, step: int = 0, action_name: str = "") -> None:
        """Tell whoever watches."""


def bag_name(index, object_name, side):
    """Of an episode's folder; sorts by index."""
    return f"{index:03d}_{object_name}_{side}"


def run_episode(template, ports):
    """Reset, record, run, judge, save -> (Episode, bag folder or "").

    template: an Episode with what is known before the reset. Whatever happens once the bag is open, it is closed with
    a record that says how the episode ended.
    """
    ports.progress("resetting")
    try:
        object_name, side = ports.reset(template.object, template.side, template.seed)
    except SessionFault as fault:
        return _ended(template, ports, Outcome.FAULT, str(fault)), ""
    start_ns = ports.now_ns()
    episode = dataclasses.replace(
        template, object=object_name, side=side, start_ns=start_ns, episode_id=episode_id(start_ns, template.index)
    )
    ports.progress("recording")
    try:
        bag = ports.start_recording(bag_name(episode.index, object_name, side), episode)
    except SessionFault as fault:
        return _ended(episode, ports, Outcome.FAULT, str(fault)), ""
    try:
        episode = _run_and_judge(episode, ports)
    except SessionFault as fault:
        episode = _ended(episode, ports, Outcome.FAULT, str(fault))
    except BaseException as error:  # our own bug: the bag is closed with it on record before it travels on
        ports.stop_recording(_ended(episode, ports, Outcome.FAULT, f"session: {error!r}"))
        raise
    ports.progress("saving", episode.steps)
    try:
        episode = ports.stop_recording(episode)
    except SessionFault as fault:
        # A verdict that is not on record is no verdict: the report, made from the bags alone, must not differ from us.
        episode = dataclasses.replace(episode, outcome=Outcome.FAULT, reason=str(fault))
    return episode, bag


def _run_and_judge(episode, ports):
    held = 0

    def on_step(steps, action_name):
        nonlocal held
        ports.progress("running", steps, action_name)
        held = held + 1 if ports.succeeding() else 0
        return ports.cancelled() or held >= HOLD_STEPS

    end = ports.run_policy(episode, on_step)
    episode = dataclasses.replace(episode, steps=end.steps)
    if end.outcome == "fault":
        return _ended(episode, ports, Outcome.FAULT, end.fault)
    if ports.cancelled():
        return _ended(episode, ports, Outcome.ABORTED, "the episode was cancelled")
    ports.progress("judging", end.steps)
    verdict = ports.verdict()
    outcome = Outcome.SUCCESS if verdict.success else Outcome.FAILURE
    return dataclasses.replace(_ended(episode, ports, outcome, verdict.reason), judge=verdict.judge)


def _ended(episode, ports, outcome, reason):
    end_ns = ports.now_ns()
    return dataclasses.replace(
        episode, start_ns=episode.start_ns or end_ns, end_ns=end_ns, outcome=outcome, reason=reason
    )
