"""The settings of a student's training, and the two presets."""

from dataclasses import asdict, dataclass, field, fields, replace

from casher_policy import network_config
from casher_policy.network_config import NetworkConfig


@dataclass(frozen=True)
class Augmentation:
    """How a batch of clouds is changed before each step, drawn anew for every cloud. 0 switches a part off."""

    jitter_m: float = 0.003
    """Standard deviation [m] along each axis ..."""
    jitter_share: float = 0.3
    """... of this share of the points."""
    dropout: float = 0.3
    """Up to this share of the points is replaced by copies of others."""
    gain: float = 0.2
    """Brightness is multiplied by up to 1 +- this ..."""
    tint: float = 0.08
    """... each colour channel by up to 1 +- this ..."""
    offset: float = 0.08
    """... and shifted by up to this part of the range."""
    grey: float = 0.3
    """Up to this share of the saturation is taken away."""
    shift_m: float = 0.01
    """The cloud moves by up to this [m] against the robot, as with a calibration that is off ..."""
    turn_rad: float = 0.01
    """... and turns by up to this [rad] about its middle."""
    hole_share: float = 0.2
    """Share of the clouds in which the points in a box about one of them are gone ..."""
    hole_m: float = 0.08
    """... whose edges are half this [m] to twice this."""

    def check(self):
        """ValueError for a setting that cannot be."""
        most = {"jitter_m": 0.05, "shift_m": 0.1, "turn_rad": 0.3, "hole_m": 1.0, "dropout": 0.95}
        for item in fields(self):
            value, highest = getattr(self, item.name), most.get(item.name, 1.0)
            if not 0 <= value <= highest:
                raise ValueError(f"augmentation.{item.name} is 0 .. {highest}, got {value}")


@dataclass(frozen=True)
class StudentConfig:
    """Maximum likelihood of the teacher's actions, equation 2."""

    network: NetworkConfig = network_config.PRESETS["cpu"]
    """Sizes; of a checkpoint that is trained on, its own are taken."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    batch_size: int = 64
    """Pairs of one optimiser step, of all processes together."""
    micro_batch: int = 32
    """Pairs that go through the network at once; gradients are added up. The result does not depend on it."""
    learning_rate: float = 1e-3
    """Highest of the schedule: a linear rise, then half a cosine."""
    warm_up: int = 100
    """Steps of the rise."""
    last_rate: float = 0.01
    """Learning rate at the end, as a part of the highest."""
    weight_decay: float = 0.01
    """Of matrices and kernels, not of biases and norms."""
    gradient_clip: float = 5.0
    ema: float = 0.999
    """Decay of the moving average of the weights, which is what gets evaluated and saved; less in the first steps."""
    label_smoothing: float = 0.0
    class_balance: float = 0.0
    """Weight of an action: its frequency in the data to the power of minus this. 0 is equation 2, 1 equals all out."""
    per_scene: int = 2
    """Trajectories of each twin in memory at once."""
    frozen_batches: int = 64
    """With a frozen encoder: batches whose embeddings are computed once and gone through again and again."""

    def check(self):
        """ValueError for a setting that cannot be."""
        self.augmentation.check()
        for name in ("batch_size", "micro_batch", "per_scene", "frozen_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is greater than 0, got {getattr(self, name)}")
        for name in ("last_rate", "ema", "label_smoothing", "class_balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is 0 .. 1, got {getattr(self, name)}")
        for name in ("warm_up", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, got {getattr(self, name)}")

    def to_dict(self):
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """What `to_dict` gave; ValueError for unknown or missing fields and for settings that cannot be."""
        names = {item.name for item in fields(cls)}
        inner = {item.name for item in fields(Augmentation)}
        if set(values) != names or set(values["augmentation"]) != inner:
            wrong = (names ^ set(values)) or (inner ^ set(values["augmentation"]))
            raise ValueError(f"student settings differ in {', '.join(sorted(wrong))}")
        network, augmentation = NetworkConfig.from_dict(values["network"]), Augmentation(**values["augmentation"])
        config = cls(**{**values, "network": network, "augmentation": augmentation})
        config.check()
        return config


CPU = StudentConfig()
PAPER = replace(
    CPU,
    network=network_config.PRESETS["paper"],
    batch_size=33_600,
    micro_batch=256,
    learning_rate=3e-4,
    per_scene=5,
)
"""One step for all pairs of a load, five trajectories of about 120 steps of each of 56 scenes, as the paper's text
says; the learning rate is the ancestor's."""
PRESETS = {"cpu": CPU, "paper": PAPER}
"""`cpu` learns on two cores; `paper` is meant for GPUs."""
