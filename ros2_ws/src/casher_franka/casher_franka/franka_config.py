"""How a Franka arm and its hand are to behave; the same for an FR3 and a Panda."""

import math
from dataclasses import dataclass

REALTIME = ("enforce", "ignore")
FOLLOWING = ("joint", "cartesian")
MAX_SPEED_M_S, MAX_FORCE_N = 0.1, 70.0
"""Of the Franka hand: its fingers' relative speed, and the force it can hold without end."""


@dataclass(frozen=True)
class FrankaConfig:
    """ValueError for what no Franka does."""

    host: str
    """Address of the robot's FCI."""
    dynamics_factor: float = 0.2
    """Fraction of the robot's highest speed, acceleration and jerk."""
    realtime: str = "enforce"
    """'enforce' needs a PREEMPT_RT kernel; 'ignore' is for simulated robots."""
    collision_torque: tuple = (20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0)
    """[N m] on each joint from outside that stops the arm with a reflex."""
    collision_force: tuple = (30.0, 30.0, 30.0, 30.0, 30.0, 30.0)
    """[N, N m] on the tool along and about x, y, z that stops the arm with a reflex."""
    following: str = "joint"
    """Which spring of an FR3 follows a motion: 'joint' (joint_stiffness) or 'cartesian' (cartesian_stiffness)."""
    joint_stiffness: tuple = (3000.0, 3000.0, 3000.0, 2500.0, 2500.0, 2000.0, 2000.0)
    """[N m/rad] of the robot's own spring at each joint; a Panda uses it only to hold still."""
    cartesian_stiffness: tuple = (3000.0, 3000.0, 3000.0, 300.0, 300.0, 300.0)
    """[N/m, N m/rad] of the robot's own spring at the tool, along and about x, y, z."""
    panda_stiffness: tuple = (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 100.0)
    """[N m/rad] of the spring at each joint by which a Panda follows a motion; an FR3 has no use for it."""
    panda_damping: tuple = (50.0, 50.0, 50.0, 20.0, 20.0, 20.0, 10.0)
    """[N m s/rad] that go with it."""
    gripper_speed: float = 0.1
    """[m/s] of the fingers towards each other."""
    gripper_force: float = 40.0
    """[N] of a grasp."""

    def __post_init__(self):
        if not self.host:
            raise ValueError("a robot needs the address of its FCI: host:=172.16.0.2 or the like")
        for name, known in (("realtime", REALTIME), ("following", FOLLOWING)):
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}: known are {', '.join(known)}")
        _within("dynamics_factor", [self.dynamics_factor], 1, 0.0, 1.0)
        _within("collision_torque", self.collision_torque, 7, 0.0, 100.0)
        _within("collision_force", self.collision_force, 6, 0.0, 200.0)
        _within("joint_stiffness", self.joint_stiffness, 7, 0.0, 14250.0)
        _within("cartesian_stiffness (x, y, z)", self.cartesian_stiffness[:3], 3, 10.0, 3000.0)
        _within("cartesian_stiffness (about x, y, z)", self.cartesian_stiffness[3:], 3, 1.0, 300.0)
        _within("panda_stiffness", self.panda_stiffness, 7, 0.0, 1000.0)
        _within("panda_damping", self.panda_damping, 7, 0.0, 100.0)
        _within("gripper_speed", [self.gripper_speed], 1, 0.0, MAX_SPEED_M_S)
        _within("gripper_force", [self.gripper_force], 1, 0.0, MAX_FORCE_N)


def _within(name, values, count, low, high):
    """ValueError unless these are `count` numbers above low (or at it, if it is not 0) and at most high."""
    if len(values) != count:
        raise ValueError(f"{name} must have {count} numbers here, got {list(values)}")
    for value in values:
        if not (math.isfinite(value) and (low <= value if low else value > 0.0) and value <= high):
            lowest = f"at least {low}" if low else "above 0"
            raise ValueError(f"{name} must be {lowest} and at most {high}, got {value}")
