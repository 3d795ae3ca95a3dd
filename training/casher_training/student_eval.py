"""How well a student does: success for each twin, why the rest failed, and where it departs from a teacher."""

from dataclasses import dataclass

import numpy as np

from casher_policy.action import ACTION_NAMES
from casher_training.teacher_eval import evaluation_of


@dataclass(frozen=True)
class Agreement:
    """With a teacher, in the states that the student brought about."""

    confusion: np.ndarray
    """(14, 14) int64: teacher's greedy action by row, student's by column."""

    @property
    def rate(self):
        """Share of the states in which both choose the same; NaN without any."""
        total = self.confusion.sum()
        return float(np.trace(self.confusion) / total) if total else float("nan")

    def worst(self, n=5):
        """The n most frequent differences -> [(teacher's, student's, how often)]."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:n]
        pairs = [divmod(int(i), len(ACTION_NAMES)) for i in order]
        return [(ACTION_NAMES[a], ACTION_NAMES[b], int(wrong[a, b])) for a, b in pairs if wrong[a, b]]

    def to_dict(self):
        """For JSON."""
        return {"rate": round(self.rate, 4), "confusion": self.confusion.tolist(), "actions": ACTION_NAMES}


def evaluate(workers, shares, seed, view, done=lambda share, episodes: None):
    """workers: of student_episodes.student_workers for these shares -> TeacherEvaluation.

    view: of clouds.VIEWS; done is called with the number of a share and its Episodes when they are there.
    """
    episodes = [None] * len(shares)
    for i, result in workers.each("run", [(i, seed, view) for i in range(len(shares))]):
        episodes[i] = result
        done(i, result)
    return evaluation_of(shares, episodes)


def agreement(episodes):
    """[Episodes] whose labels are a teacher's -> Agreement."""
    n = len(ACTION_NAMES)
    confusion = np.zeros((n, n), np.int64)
    for e in episodes:
        alive = np.arange(len(e.actions))[:, None] < e.steps
        np.add.at(confusion, (e.labels[alive], e.actions[alive]), 1)
    return Agreement(confusion)
