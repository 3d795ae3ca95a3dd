"""From a raw cloud to what a network sees: crop, voxels, a fixed number of points.

A mug is a hundredth of the surfaces in a kitchen's crop: of a thousand points spread evenly it gets ten, and no grasp
can be told from ten. So a second share of the points may be taken from a cube about the tool.

Data collection and the policy node call the same function.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from casher_perception.clouds import VoxelGrid, sample_farthest, sample_random

SAMPLINGS = ("farthest", "random")
_CANDIDATES = 4
"""Of 25 000 voxels 1024 points are so found in a third of the time, and on the average as near to every voxel."""


_MOST_POINTS = 1_000_000
"""A damaged or hostile checkpoint may not ask for all memory."""


class EmptyCloudError(ValueError):
    """No point of the cloud lies in the crop."""


@dataclass(frozen=True)
class Preprocessing:
    """How a cloud is prepared; a checkpoint carries it."""

    crop_low: tuple
    """(x, y, z) [m], base frame."""
    crop_high: tuple
    """(x, y, z) [m], base frame."""
    voxel_m: float = 0.005
    """Edge of the voxels [m]; each becomes the mean of its points."""
    points: int = 4096
    """How many points come out."""
    sampling: str = "farthest"
    """farthest (even over the surfaces; of _CANDIDATES times as many, drawn first) or random (denser where more voxels
    are)."""
    near_points: int = 0
    """How many further points come out of the cube about the tool."""
    near_m: float = 0.16
    """Half its edge [m], along the axes of the base."""

    @property
    def total(self):
        """Points in all: `points` of the crop, then `near_points`."""
        return self.points + self.near_points

    def __post_init__(self):
        for name in ("crop_low", "crop_high"):
            corner = tuple(float(v) for v in getattr(self, name))
            if len(corner) != 3 or not np.isfinite(corner).all():
                raise ValueError(f"{name} must be (x, y, z) in metres, got {corner}")
            object.__setattr__(self, name, corner)
        if not all(low < high for low, high in zip(self.crop_low, self.crop_high, strict=True)):
            raise ValueError(f"crop_low must be below crop_high, got {self.crop_low} and {self.crop_high}")
        for name in ("points", "near_points"):
            if type(getattr(self, name)) is not int or getattr(self, name) > _MOST_POINTS:
                raise ValueError(f"{name} must be a whole number up to {_MOST_POINTS}, got {getattr(self, name)!r}")
        if not self.voxel_m > 0 or self.points < 1:
            raise ValueError(f"voxel_m and points must be positive, got {self.voxel_m} and {self.points}")
        if self.sampling not in SAMPLINGS:
            raise ValueError(f"unknown sampling {self.sampling!r}: known are {', '.join(SAMPLINGS)}")
        if self.near_points < 0 or not self.near_m > 0:
            raise ValueError(
                f"near_points must not be negative, near_m positive, got {self.near_points} and {self.near_m}"
            )

    def voxels(self):
        """An empty VoxelGrid of the crop, for `preprocess`."""
        return VoxelGrid(self.crop_low, self.crop_high, self.voxel_m)

    def to_dict(self):
        """For JSON and checkpoints."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """The inverse of to_dict; ValueError for missing or unknown entries: no default hides in an old checkpoint."""
        names = [item.name for item in dataclasses.fields(cls)]
        if set(values) != set(names):
            raise ValueError(f"a preprocessing has exactly {', '.join(names)}; got {', '.join(values) or 'nothing'}")
        return cls(**values)


def preprocess(points, colours, preprocessing, seed, p_base_tcp=None, voxels=None):
    """Points [m] (N, 3) float32, base frame, and colours (N, 3) uint8 -> the same of preprocessing.total points.

    p_base_tcp: (3,) [m], needed for near_points. The same bits for the same arrays and seed. When there are fewer
    voxels each comes once, then repetitions drawn by the seed; with none about the tool, the near points are any of the
    crop. voxels: preprocessing.voxels(), kept from call to call by whoever asks often: new memory takes longer than a
    cloud.
    Raises EmptyCloudError when no point lies in the crop.
    """
    voxels = preprocessing.voxels() if voxels is None else voxels
    voxels.add(points, colours)
    means, mean_colours = voxels.take()
    if len(means) == 0:
        raise EmptyCloudError(_why_empty(points, (preprocessing.crop_low, preprocessing.crop_high)))
    chosen = _sample(means, preprocessing.points, preprocessing.sampling, seed)
    if preprocessing.near_points:
        if p_base_tcp is None:
            raise ValueError("points about the tool are wanted: give p_base_tcp, its position [m]")
        near = np.flatnonzero((np.abs(means - np.asarray(p_base_tcp, np.float32)) <= preprocessing.near_m).all(axis=1))
        near = near if len(near) else np.arange(len(means))
        sample = _sample(means[near], preprocessing.near_points, preprocessing.sampling, seed)
        chosen = np.concatenate([chosen, near[sample]])
    return means[chosen], mean_colours[chosen]


def _sample(points, n, sampling, seed):
    """Indices (n,) of points (M, 3)."""
    m = len(points)
    if m <= n:
        return np.concatenate([np.arange(m), np.random.default_rng(seed).integers(m, size=n - m)])
    generator = np.random.default_rng(seed)
    if sampling == "random":
        return sample_random(points, n, generator)
    if m <= _CANDIDATES * n:
        return sample_farthest(points, n, seed)
    candidates = generator.choice(m, _CANDIDATES * n, replace=False, shuffle=False)
    return candidates[sample_farthest(points[candidates], n, seed)]


def _why_empty(points, crop):
    box = f"no point in the crop {crop[0]} .. {crop[1]} m (base frame)"
    if len(points) == 0:
        return f"{box}: the cloud is empty; do the cameras see the workspace?"
    finite = points[np.isfinite(points).all(axis=1)]
    if len(finite) == 0:
        return f"{box}: none of the {len(points)} points is finite"
    low, high = (np.round(bound, 3).tolist() for bound in (finite.min(axis=0), finite.max(axis=0)))
    return f"{box}: the {len(points)} points span {low} .. {high}; is the rig's calibration that of this kitchen?"
