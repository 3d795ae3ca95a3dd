"""How well a teacher does: success with intervals for each twin, and why the rest failed."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from casher_policy.statistics import wilson
from casher_training.shard import Share


@dataclass(frozen=True)
class Result:
    """Of one twin, or of all."""

    name: str
    successes: int
    episodes: int
    reasons: dict
    """Reason -> how many episodes failed by it."""
    median_steps: float
    """Of the successes; NaN without any."""

    @property
    def rate(self):
        """Share of successes."""
        return self.successes / self.episodes

    @property
    def interval(self):
        """Wilson's 95 % interval."""
        return wilson(self.successes, self.episodes)

    def to_dict(self):
        """For JSON."""
        low, high = self.interval
        return {
            "name": self.name,
            "successes": self.successes,
            "episodes": self.episodes,
            "rate": round(self.rate, 4),
            "wilson_95": [round(low, 4), round(high, 4)],
            "reasons": self.reasons,
            "median_steps": None if np.isnan(self.median_steps) else self.median_steps,
        }


@dataclass(frozen=True)
class TeacherEvaluation:
    """Results by twin and by scene, and the episodes they come from."""

    twins: list
    """[Result] by twin."""
    scenes: list
    """[Result] by scene, in the order of the shares."""
    overall: Result
    episodes: list
    """[Episodes] by scene."""

    @property
    def worst_bound(self):
        """The lowest lower bound of any twin's interval."""
        return min(result.interval[0] for result in self.twins)


def shares_of(scenes, task, episodes_per_twin, preset="released"):
    """Scenes -> [Share]; a twin's episodes are spread evenly over its objects."""
    count = Counter(scene.twin for scene in scenes)
    return [Share(scene, task, max(1, round(episodes_per_twin / count[scene.twin])), preset) for scene in scenes]


def evaluate(workers, shares, weights, seed, greedy=False, done=lambda share, episodes: None):
    """workers: of teacher_episodes.episode_workers for these shares; weights {name: array} -> TeacherEvaluation.

    done: called with the number of a share and its Episodes when they are there.
    """
    episodes = [None] * len(shares)
    for i, result in workers.each("run", [(i, weights, seed, greedy) for i in range(len(shares))]):
        episodes[i] = result
        done(i, result)
    return evaluation_of(shares, episodes)


def evaluation_of(shares, episodes):
    """[Share] and the Episodes of each -> TeacherEvaluation."""
    scenes = [_result(share.scene.name, [e]) for share, e in zip(shares, episodes, strict=True)]
    of_twin = {}
    for share, e in zip(shares, episodes, strict=True):
        of_twin.setdefault(share.scene.kitchen, []).append(e)
    twins = [_result(name, group) for name, group in of_twin.items()]
    return TeacherEvaluation(twins, scenes, _result("all", episodes), episodes)


def _result(name, group):
    success = np.concatenate([e.success for e in group])
    steps = np.concatenate([e.steps for e in group])[success]
    reasons = Counter(reason for e in group for reason in e.reasons if reason)
    median = float(np.median(steps)) if len(steps) else float("nan")
    return Result(name, int(success.sum()), len(success), dict(reasons.most_common()), median)
