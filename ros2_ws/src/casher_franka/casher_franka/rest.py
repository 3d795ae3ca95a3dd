"""When an arm has come to rest. Measured speeds are too noisy to tell, so the way of the joints does."""

import collections

import numpy as np

REST_RAD = 5e-4


class Rest:
    """Fed with measurements, it says whether no joint has gone further than REST_RAD for `window_s`."""

    def __init__(self, window_s):
        self._window_s = window_s
        self._seen = collections.deque()  # of (the robot's clock [s], joints)

    def add(self, clock_s, joint_positions):
        """One measurement; one that is not newer than the last tells nothing."""
        if self._seen and clock_s <= self._seen[-1][0]:
            return
        self._seen.append((clock_s, np.array(joint_positions)))
        while len(self._seen) > 1 and clock_s - self._seen[1][0] >= self._window_s:
            self._seen.popleft()  # the window is from the youngest measurement that is old enough

    @property
    def reached(self):
        """Whether the arm is at rest."""
        if not self._seen or self._seen[-1][0] - self._seen[0][0] < self._window_s:
            return False
        return bool(np.ptp([q for _, q in self._seen], axis=0).max() < REST_RAD)
