"""The sizes of the network, apart from the network itself: a checkpoint's header is read without torch."""

import dataclasses
from dataclasses import dataclass

LEVELS = 3
"""Of the U-Net; the grid is halved between them."""
EMBEDDING = 128
"""Numbers the encoder makes of a cloud: 64 channels, each pooled by its maximum and by its mean."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of one `PolicyNetwork`; the bounds keep a damaged file from asking for all memory."""

    grid: int
    """Cells along each side of the crop box; a multiple of 4."""
    channels: int
    """Of the U-Net's first level; each further level has twice as many."""
    point_features: int
    """Numbers per point that go into the grid."""
    hidden: int
    """Width of the local PointNet."""
    blocks: int
    """Residual blocks of the local PointNet, with a maximum over each cell between two."""
    use_colour: bool = True
    """Whether a point brings its colour; the ancestor's did not."""
    light: bool = False
    """Whether the U-Net is the light one, made for CPUs, instead of the paper's."""
    near_grid: int = 0
    """Cells along each edge of a second box that moves along with the tool; 0: none, as in the paper."""

    def __post_init__(self):
        bounds = {"grid": 64, "channels": 128, "point_features": 256, "hidden": 256, "blocks": 16}
        for name, most in bounds.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number 1 .. {most}, got {value!r}")
        if type(self.near_grid) is not int or not 0 <= self.near_grid <= bounds["grid"]:
            raise ValueError(f"near_grid must be a whole number 0 .. {bounds['grid']}, got {self.near_grid!r}")
        for name in ("grid", "near_grid"):
            if getattr(self, name) % 2 ** (LEVELS - 1):
                multiple = f"{name} must be a multiple of {2 ** (LEVELS - 1)}: the U-Net halves it"
                raise ValueError(f"{multiple}, got {getattr(self, name)}")
        for name in ("use_colour", "light"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")

    def to_dict(self):
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """The inverse of to_dict; ValueError for missing or unknown entries."""
        names = [item.name for item in dataclasses.fields(cls)]
        if not isinstance(values, dict) or set(values) != set(names):
            raise ValueError(f"a network config has exactly {', '.join(names)}, got {values!r}")
        return cls(**values)


PRESETS = {
    "cpu": NetworkConfig(grid=12, channels=16, point_features=16, hidden=16, blocks=3, near_grid=12, light=True),
    "paper": NetworkConfig(grid=32, channels=32, point_features=32, hidden=32, blocks=5),
}
"""cpu: learns on two cores in minutes; paper: the ancestor's sizes."""
