"""Demonstrations without a person: the scripted expert, as unsteady as one."""

import numpy as np

from casher_policy.action import Action
from casher_sim.batch_expert import BatchExpert

HESITATES = 0.5
"""Share of the noise that takes the last motion back; the rest goes anywhere."""


class NoisyExpert:
    """Acts on a demos_session.SimulatedDemo."""

    def __init__(self, demo, noise):
        """noise: 0..1, share of the actions that are not what the expert would do."""
        if not 0.0 <= noise < 1.0:
            raise ValueError(f"noise is a share of the actions, 0 or more and less than 1, got {noise}")
        self._demo, self._expert, self._noise = demo, BatchExpert(demo.env), noise

    def run(self):
        """One episode after `demo.start`, until it ends -> whether it succeeded. Deterministic by the demo's seed."""
        demo, random = self._demo, np.random.default_rng([self._demo.seed, 1])
        last = None
        while not demo.ended:
            decided = Action(int(self._expert.actions()[0]))
            action = decided if random.random() >= self._noise else _slip(random, last)
            demo.act(action)
            last = action if action < Action.OPEN else None
        return demo.success


def _slip(random, last):
    """A motion that nobody decided on: back where the tool came from, or anywhere."""
    if last is not None and random.random() < HESITATES:
        return Action(int(last) ^ 1)  # each motion's opposite is its neighbour
    return Action(int(random.integers(0, Action.OPEN)))
