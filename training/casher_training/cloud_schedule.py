"""Which trajectories are read together, and which pairs of them make which batch: a function of files, seed and step.

A LOAD is `per_scene` trajectories of every twin, one view after the other where a twin has two. Its pairs are shuffled
and handed out in batches; a few come twice where they do not fill the last one. Nothing is kept from load to load, so
that a resumed training finds any step again without reading what came before it.
"""

from bisect import bisect_right

import numpy as np

_ORDER, _PAIRS = 0, 1
"""Of what a random stream decides."""


class CloudSchedule:
    """Loads and batches of CloudFiles."""

    def __init__(self, files, batch, seed, per_scene):
        """files: list of CloudFile; batch: pairs, of all ranks together."""
        self.files, self.batch, self.seed, self.per_scene = files, batch, seed, per_scene
        self.twins = tuple(sorted({file.twin for file in files}))
        self._groups = [self._views_of(twin) for twin in self.twins]
        self._starts = [0]
        """First step of each load that is known so far, and of the one after."""

    def load_of(self, step):
        """Step -> (load, which batch of it)."""
        while self._starts[-1] <= step:
            self._starts.append(self._starts[-1] + self.batches(len(self._starts) - 1))
        load = bisect_right(self._starts, step) - 1
        return load, step - self._starts[load]

    def batches(self, load):
        """How many batches a load has."""
        pairs = sum(int(self.files[file].steps[row]) for _, file, row in self.trajectories(load))
        return -(-pairs // self.batch)

    def trajectories(self, load):
        """-> [(twin, file, row)] of a load: indices into `twins`, `files` and the file's trajectories."""
        return [
            (twin, *self._draw(twin, load * self.per_scene + k))
            for twin in range(len(self.twins))
            for k in range(self.per_scene)
        ]

    def pairs(self, load, there):
        """Order in which the `there` pairs of a load come, (batches * batch,) indices; some twice to fill it up."""
        order = np.random.default_rng([self.seed, _PAIRS, load]).permutation(there)
        return np.resize(order, self.batches(load) * self.batch)

    def _views_of(self, twin):
        """-> [(K, 2) array of (file, row)], one for each view that the twin was seen in."""
        views = sorted({file.view for file in self.files if file.twin == twin})
        return [
            np.array(
                [
                    (i, row)
                    for i, file in enumerate(self.files)
                    if (file.twin, file.view) == (twin, view)
                    for row in range(len(file.keys))
                ],
                dtype=np.int32,
            )
            for view in views
        ]

    def _draw(self, twin, n):
        """The n-th trajectory of a twin -> (file, row): all of them, in a new order each time round."""
        groups = self._groups[twin]
        view = (n + twin) % len(groups)
        again, i = divmod(n // len(groups), len(groups[view]))
        order = np.random.default_rng([self.seed, _ORDER, twin, view, again]).permutation(len(groups[view]))
        return tuple(int(v) for v in groups[view][order[i]])
