"""The course of one episode, over ports that live in memory."""

import pytest

from casher_bringup.session import HOLD_STEPS, PolicyEnd, SessionFault, Verdict, bag_name, run_episode
from casher_policy.episode import Episode, Outcome, episode_id

TEMPLATE = Episode("", 3, "sim", "demo", "put_in_sink", "mug", "", 7, "expert", "", "paper", "abc", 135)


class World:
    """In-memory ports: a policy of `steps` steps, and a scene whose success begins at `succeeds_at` (and may end)."""

    def __init__(self, steps=135, succeeds_at=None, fails_again_at=None, fault="", cancel_at=None, broken=()):
        self.steps, self.succeeds_at, self.fails_again_at = steps, succeeds_at, fails_again_at
        self.fault, self.cancel_at, self.broken = fault, cancel_at, broken
        self.step, self.clock, self.record, self.phases = 0, 10**18, None, []

    def check(self, what):
        if what in self.broken:
            raise SessionFault(f"{what} is broken")

    def now_ns(self):
        self.clock += 1_000_000
        return self.clock

    def reset(self, object_name, side, seed):
        self.check("reset")
        return object_name, side or "left"

    def start_recording(self, name, episode):
        self.check("start_recording")
        self.record = episode
        return f"/bags/{name}"

    def run_policy(self, episode, on_step):
        self.check("run_policy")
        while self.step < self.steps:
            self.step += 1
            if on_step(self.step, "+x"):
                return PolicyEnd("cancelled", "", self.step)
        return PolicyEnd("fault" if self.fault else "horizon", self.fault, self.step)

    def succeeding(self):
        after = self.succeeds_at is not None and self.step >= self.succeeds_at
        return after and not (self.fails_again_at and self.step >= self.fails_again_at)

    def verdict(self):
        self.check("verdict")
        return Verdict(self.succeeding(), "" if self.succeeding() else "not fulfilled: upright", "predicate")

    def stop_recording(self, episode):
        self.check("stop_recording")
        self.record = episode
        return episode

    def cancelled(self):
        return self.cancel_at is not None and self.step >= self.cancel_at

    def progress(self, phase, step=0, action_name=""):
        self.phases.append(phase)


def test_a_policy_that_never_succeeds_runs_to_the_horizon_and_fails_with_the_reason():
    world = World()
    episode, bag = run_episode(TEMPLATE, world)
    assert (episode.outcome, episode.steps, episode.reason) == (Outcome.FAILURE, 135, "not fulfilled: upright")
    assert bag == "/bags/003_mug_left" and world.record == episode and episode.judge == "predicate"
    assert list(dict.fromkeys(world.phases)) == ["resetting", "recording", "running", "judging", "saving"]


def test_a_success_that_holds_ends_the_episode_early():
    episode, _ = run_episode(TEMPLATE, World(succeeds_at=40))
    assert (episode.outcome, episode.steps) == (Outcome.SUCCESS, 40 + HOLD_STEPS - 1)


def test_a_success_that_does_not_hold_is_none():
    episode, _ = run_episode(TEMPLATE, World(succeeds_at=40, fails_again_at=40 + HOLD_STEPS - 1))
    assert (episode.outcome, episode.steps) == (Outcome.FAILURE, 135)


def test_a_fault_of_the_apparatus_is_no_failure_of_the_policy():
    episode, _ = run_episode(TEMPLATE, World(steps=5, fault="camera_silent: camera_left"))
    assert (episode.outcome, episode.reason, episode.steps) == (Outcome.FAULT, "camera_silent: camera_left", 5)
    assert not episode.counts


def test_a_cancelled_episode_is_aborted_even_when_the_task_is_done():
    episode, _ = run_episode(TEMPLATE, World(cancel_at=8, succeeds_at=1))
    assert episode.outcome == Outcome.ABORTED or episode.steps < 8


@pytest.mark.parametrize("broken", ["run_policy", "verdict"])
def test_whatever_fails_once_the_bag_is_open_the_bag_is_closed_with_the_reason(broken):
    world = World(broken=(broken,))
    episode, bag = run_episode(TEMPLATE, world)
    assert bag and world.record == episode
    assert (episode.outcome, episode.reason) == (Outcome.FAULT, f"{broken} is broken")
    assert episode.end_ns > episode.start_ns > 0


@pytest.mark.parametrize("broken", ["reset", "start_recording"])
def test_without_a_scene_or_a_bag_nothing_moves(broken):
    world = World(broken=(broken,))
    episode, bag = run_episode(TEMPLATE, world)
    assert (bag, world.step, episode.outcome) == ("", 0, Outcome.FAULT)


def test_a_verdict_that_could_not_be_recorded_is_no_verdict():
    episode, _ = run_episode(TEMPLATE, World(succeeds_at=1, broken=("stop_recording",)))
    assert episode.outcome == Outcome.FAULT


def test_our_own_bug_closes_the_bag_before_it_is_raised():
    world = World()
    world.verdict = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run_episode(TEMPLATE, world)
    assert world.record.outcome == Outcome.FAULT and "ZeroDivisionError" in world.record.reason


def test_ids_and_folders_of_episodes_sort_by_time_and_number():
    assert bag_name(2, "mug", "left") < bag_name(10, "bowl", "left")
    assert episode_id(10**18, 1) < episode_id(10**18 + 10**9, 0)
    assert episode_id(10**18, 1) != episode_id(10**18, 2)
