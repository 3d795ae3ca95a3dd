"""One episode: every action follows a fresh cloud, and nothing follows a fault."""

import numpy as np
import pytest

from casher_policy.action import Action
from casher_policy.episode_loop import EpisodeCancelled, EpisodeFault, Executed, Sight, run_episode
from casher_policy.policies import Decision, PolicyError, RandomPolicy
from casher_policy.preprocess import EmptyCloudError
from casher_policy.step_gate import Stamped

MS = 1_000_000
STATE = np.arange(9, dtype=np.float32)


class World:
    """An apparatus on a clock of its own: a cloud 40 ms after settling that takes 10 ms to come, an action 100 ms."""

    def __init__(self, **troubles):
        self.time_ns = 10**12
        self.log = []
        self.steps = []
        self.troubles = troubles

    def _trouble(self, where):
        self.log.append(where)
        error = self.troubles.get(f"{where} {self.log.count(where) - 1}")
        if error is not None:
            raise error

    def now_ns(self):
        return self.time_ns

    def look(self, after_ns):
        self._trouble("look")
        self.looked_after_ns = after_ns
        self.time_ns += 50 * MS
        cloud = Stamped(self.time_ns - 10 * MS, self.time_ns, "cloud")
        return cloud, Sight(np.zeros((5, 3), np.float32), np.zeros((5, 3), np.uint8), 5, STATE, None)

    def check(self):
        self._trouble("check")

    def execute(self, action):
        self._trouble("execute")
        self.time_ns += 100 * MS
        refused = "outside_workspace: z" if self.log.count("execute") == self.troubles.get("refused") else ""
        return Executed(self.time_ns - self.troubles.get("settled_early_ns", 1 * MS), refused, "pose")

    def publish(self, step):
        self._trouble("publish")
        self.steps.append(step)


class FixedPolicy(RandomPolicy):
    """Answers +x, or raises."""

    def __init__(self, error=None):
        self.error = error

    def reset(self, seed):
        self.seed = seed

    def act(self, points, colours, robot_state, privileged):
        if self.error:
            raise self.error
        return Decision(Action.PLUS_X, np.eye(14, dtype=np.float32)[0])


def test_an_episode_takes_its_steps_to_the_horizon_and_no_further():
    world, policy = World(), FixedPolicy()
    end = run_episode(policy, 3, 42, world)
    assert (end.outcome, end.fault, end.steps) == ("horizon", "", 3)
    assert policy.seed == 42
    assert world.log == ["look", "check", "execute", "publish"] * 3
    assert [step.index for step in world.steps] == [0, 1, 2]


def test_the_first_cloud_is_later_than_the_episode_and_every_other_than_the_last_action():
    world, after = World(), []
    look = world.look
    world.look = lambda after_ns: after.append(after_ns) or look(after_ns)
    began = world.time_ns
    run_episode(FixedPolicy(), 3, 0, world)
    assert after == [began, *(step.executed.settled_ns for step in world.steps[:2])]


def test_a_step_says_how_old_its_cloud_was_and_how_long_it_waited():
    world = World()
    run_episode(FixedPolicy(), 2, 0, world)
    step = world.steps[1]
    assert step.cloud_wait_s == pytest.approx(0.051)
    assert step.cloud_age_s == pytest.approx(0.010)
    assert step.inference_s >= 0 and step.action_s >= 0
    assert step.cloud_points == 5
    assert np.array_equal(step.robot_state, STATE)


def test_a_refused_action_is_a_step_and_the_episode_goes_on():
    world = World(refused=2)
    assert run_episode(FixedPolicy(), 3, 0, world).steps == 3
    assert [step.executed.refused for step in world.steps] == ["", "outside_workspace: z", ""]


@pytest.mark.parametrize(
    ("where", "steps", "log"),
    [
        ("look 1", 1, ["look", "check", "execute", "publish", "look"]),
        ("check 1", 1, ["look", "check", "execute", "publish", "look", "check"]),
        ("execute 1", 1, ["look", "check", "execute", "publish", "look", "check", "execute"]),
        ("look 0", 0, ["look"]),
    ],
)
def test_nothing_is_done_after_a_fault_or_a_cancel(where, steps, log):
    for error, outcome, fault in (
        (
            EpisodeFault("camera_silent", "camera_left: no cloud yet"),
            "fault",
            "camera_silent: camera_left: no cloud yet",
        ),
        (EpisodeCancelled(), "cancelled", ""),
    ):
        world = World(**{where: error})
        end = run_episode(FixedPolicy(), 5, 0, world)
        assert (end.outcome, end.fault, end.steps) == (outcome, fault, steps)
        assert world.log == log


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (EmptyCloudError("no point in the crop"), "empty_cloud: no point in the crop"),
        (PolicyError("answers nan"), "policy: answers nan"),
    ],
)
def test_a_policy_that_cannot_decide_moves_nothing(error, fault):
    world = World()
    end = run_episode(FixedPolicy(error), 5, 0, world)
    assert (end.outcome, end.fault, end.steps) == ("fault", fault, 0)
    assert "execute" not in world.log


def test_a_cloud_that_is_not_fresh_is_our_bug_and_moves_nothing():
    world = World()
    stale = Stamped(world.time_ns, world.time_ns, "cloud")
    world.look = lambda after_ns: (stale, None)
    with pytest.raises(AssertionError):
        run_episode(FixedPolicy(), 5, 0, world)
    assert "execute" not in world.log


def test_an_arm_whose_clock_is_behind_ends_the_episode_since_it_would_let_stale_clouds_through():
    world = World(settled_early_ns=3_600_000 * MS)
    end = run_episode(FixedPolicy(), 5, 0, world)
    assert end.fault == "arm: it says that it settled 3599.9 s before it was asked to move: set its clock"
    assert end.steps == 0
