"""What a physics engine has to do for the task code to run on it: N equal scenes of arm, kitchen and object, stepped
together. Implementations: engine_mujoco, engine_warp, engine_isaac."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class EngineState:
    """Measured in B scenes; base frame."""

    joints: np.ndarray
    """(B, 7) [rad]"""
    fingers: np.ndarray
    """(B, 2) [m], each from closed."""
    T_base_object: np.ndarray
    """(B, 4, 4)"""
    object_velocity: np.ndarray
    """(B, 3) [m/s] of the object's origin."""


class Engine(Protocol):
    """Steps of TIMESTEP_S of robot.py; deterministic."""

    size: int
    """B, the number of scenes."""

    def reset(self, joints, T_base_object):
        """Arm at joints (B, 7) [rad], hand open, object at T_base_object (B, 4, 4), everything at rest."""

    def advance(self, joint_targets, width):
        """One physics step for each row of joint_targets (steps, B, 7) [rad]; width: (B,) [m], 0 grasps."""

    def state(self):
        """EngineState of now."""
