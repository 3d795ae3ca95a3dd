"""One episode of a task as it is kept: what was seen, what was done, and where it comes from."""

from dataclasses import dataclass, fields

import numpy as np

from casher_policy.action import ACTION_NAMES
from casher_training.clouds import Clouds

SOURCES = ("human", "expert", "teacher", "generalist")
"""Who acted: a person, the script, a policy trained on privileged state, or one that sees clouds."""
SIMULATED = "sim"
ROBOTS = (SIMULATED, "fr3", "panda")
ARRAYS = {
    "observations": (np.float32, 1, None),
    "actions": (np.uint8, 0, ()),
    "rewards": (np.float32, 0, ()),
    "robot_joints": (np.float32, 1, (7,)),
    "fingers": (np.float32, 1, (2,)),
    "object_poses": (np.float32, 1, (7,)),
    "door_angles": (np.float32, 1, ()),
}
"""Field of Trajectory -> (type, rows besides one for each action, shape of a row or None for any vector)."""


class TrajectoryError(ValueError):
    """A trajectory or a file of them that cannot be used: what, what was got, what to do."""


def action_set(steps):
    """action.ActionSteps -> what the 14 indices mean, in words that can be compared."""
    return f"{' '.join(ACTION_NAMES)}; {steps.translation_m:g} m, {steps.rotation_rad:g} rad"


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """T actions and the T + 1 states around them; base frame. TrajectoryError for arrays that do not fit together."""

    task: str
    twin: str
    """Name of the twin, or of the kitchen."""
    twin_hash: str
    """twin_version.place_hash of it."""
    object: str
    """Name of the object; objects.NO_OBJECT for a task without one."""
    seed: int
    """KitchenEnv's, of the world this is ..."""
    episode: int = 0
    """... and which of that seed's episodes."""
    preset: str
    """Of environment.PRESETS."""
    action_set: str
    """`action_set` of the preset's steps."""
    horizon: int
    """Actions that were allowed."""
    source: str
    """Of SOURCES."""
    robot: str = "sim"
    """'sim', 'fr3' or 'panda'. Without the simulator object and goal are unknown: NaN."""
    observations: np.ndarray
    """(T + 1, D) float32: KitchenEnv's privileged observation, the last one after the last action."""
    actions: np.ndarray
    """(T,) uint8."""
    rewards: np.ndarray
    """(T,) float32."""
    success: bool
    """The task's predicate held at the end; on a robot, what the person said."""
    robot_joints: np.ndarray
    """(T + 1, 7) float32 [rad]."""
    fingers: np.ndarray
    """(T + 1, 2) float32 [m], each from closed."""
    object_poses: np.ndarray
    """(T + 1, 7) float32: position [m], quat_xyzw of the object; NaN without one."""
    door_angles: np.ndarray
    """(T + 1,) float32 [rad], 0 without a door."""
    shift: tuple
    """(x, y, z) [m] of the whole kitchen in this episode."""
    software: str
    """casher_policy.software.software_id of what recorded it."""
    human_s: float = 0.0
    """[s] of a person's time it took."""
    noise: float = 0.0
    """Share of the actions that were drawn at random instead of decided."""
    policy: str = ""
    """Id of the checkpoint that acted, if one did."""
    bag: str = ""
    """Recording of the real cameras, if there is one: its folder, from the store's folder where it lies beneath."""
    recorded: str = ""
    """ISO 8601; the store fills it in."""
    clouds: Clouds | None = None
    """What a student sees of each state before an action, if somebody looked."""

    def __post_init__(self):
        length = len(np.atleast_1d(self.actions))
        if not length:
            raise TrajectoryError("a trajectory of no actions: there is nothing to keep")
        for name, (dtype, more, row) in ARRAYS.items():
            array = np.asarray(getattr(self, name))
            if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
                raise TrajectoryError(f"trajectory: {name} must be numbers, got {array.dtype}")
            shape = (length + more, *((array.shape[1:] if array.ndim == 2 else (-1,)) if row is None else row))
            if array.shape != shape:
                raise TrajectoryError(f"trajectory of {length} actions: {name} must be {shape}, got {array.shape}")
            object.__setattr__(self, name, np.ascontiguousarray(array, dtype=dtype))
        if np.asarray(self.actions).max() >= len(ACTION_NAMES):
            raise TrajectoryError(f"actions are 0..{len(ACTION_NAMES) - 1}, got {int(self.actions.max())}")
        if self.source not in SOURCES:
            raise TrajectoryError(f"unknown source {self.source!r}: known are {', '.join(SOURCES)}")
        if self.clouds is not None and len(self.clouds) != length:
            raise TrajectoryError(f"trajectory of {length} actions: one cloud each, got {len(self.clouds)}")
        object.__setattr__(self, "shift", tuple(float(v) for v in self.shift))
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "success", bool(self.success))

    def __len__(self):
        return len(self.actions)


HEADER = tuple(field.name for field in fields(Trajectory) if field.name not in {*ARRAYS, "clouds"})
"""Fields of a Trajectory that are no arrays."""
