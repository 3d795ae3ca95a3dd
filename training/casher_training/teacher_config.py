"""The settings of a teacher's training, and the two presets."""

from dataclasses import asdict, dataclass, fields, replace

ACTIVATIONS = ("relu", "tanh")


@dataclass(frozen=True)
class TeacherConfig:
    """PPO with the behaviour cloning term of equation 1. n_steps is the task's horizon (Table IV)."""

    layers: tuple = (256, 256)
    """Widths of policy and value network."""
    activation: str = "relu"
    """One of ACTIVATIONS."""
    worlds: int = 128
    """Copies of the scenes in all; every scene gets the same number."""
    batch_size: int = 1080
    """Samples in one PPO minibatch."""
    epochs: int = 6
    learning_rate: float = 3e-4
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    entropy_weight: float = 0.0
    value_weight: float = 0.5
    gradient_clip: float = 0.5
    bc_weight: float = 0.02
    """gamma of equation 1; 0 trains without demonstrations. Beside a warm start the paper's 0.1 holds the policy at the
    demonstrations' slips."""
    bc_batch: int = 64
    """Demonstrated pairs for each PPO minibatch."""
    warm_start: int = 1200
    """Gradient steps of plain behaviour cloning before PPO."""
    value_only: int = 1
    """First updates in which only the value network learns: a fresh one would mislead the cloned policy."""
    ppo: bool = True
    """False: behaviour cloning alone, `warm_start` steps of it."""

    def check(self):
        """ValueError for a setting that cannot be."""
        least = {"worlds": 1, "batch_size": 2, "epochs": 1, "bc_batch": 1, "warm_start": 0, "value_only": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is at least {lowest}, got {getattr(self, name)}")
        for name in ("learning_rate", "clip_range", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is greater than 0, got {getattr(self, name)}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation is one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if not self.layers or not all(isinstance(width, int) and width > 0 for width in self.layers):
            raise ValueError(f"layers are widths such as [256, 256], got {list(self.layers)}")
        if not (0 <= self.discount <= 1 and 0 <= self.gae_lambda <= 1):
            raise ValueError(f"discount and gae_lambda are 0 .. 1, got {self.discount} and {self.gae_lambda}")

    def to_dict(self):
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """What `to_dict` gave; ValueError for unknown or missing fields."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"teacher settings differ in {', '.join(sorted(names ^ set(values)))}")
        return cls(**{**values, "layers": tuple(values["layers"])})


CPU = TeacherConfig()
PAPER = replace(
    CPU,
    activation="tanh",
    worlds=2048,
    batch_size=31257,
    epochs=10,
    entropy_weight=0.0,
    gradient_clip=5.0,
    bc_weight=0.1,
    bc_batch=32,
    warm_start=0,
    value_only=0,
)
"""Table IV; the rest are the defaults of Stable-Baselines3, as the paper says."""
PRESETS = {"cpu": CPU, "paper": PAPER}
"""`paper` is the paper's Table IV, meant for a GPU and 2048 worlds; `cpu` is what learns on two cores."""
