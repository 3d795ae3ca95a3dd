"""The last look before the arm moves: whether a decoded target may be carried out.

A target is allowed or refused, never changed: a clipped action is another action than the one the policy chose, and the
record would not say so. The names of the verdicts are those of `arm.FAULTS`.
"""

from dataclasses import dataclass

import numpy as np

from casher_perception.geometry import rotation_angle
from casher_policy.action import ActionSteps

MARGIN = 1.5
"""A target further from the measured pose than this many steps is not what `decode` gives."""
REFUSED = ("outside_workspace", "unreachable")
"""Verdicts on the policy's choice: the arm stays, the episode goes on. All others are faults of the apparatus."""


@dataclass(frozen=True)
class Limits:
    """What one action may ask for."""

    translation_m: float
    """Furthest a target's position may be from the measured one."""
    rotation_rad: float
    """Furthest a target's orientation may be from the measured one."""
    state_age_s: float = 0.2
    """Oldest measurement a decision may rest on."""
    width_m: float = 0.08
    """Widest the fingers open."""

    @classmethod
    def of(cls, steps: ActionSteps):
        """The limits for actions of these steps."""
        return cls(MARGIN * steps.translation_m, MARGIN * steps.rotation_rad)


@dataclass(frozen=True)
class Verdict:
    """What `check` says of a target."""

    name: str = ""
    """Empty when allowed, else a key of `arm.FAULTS`."""
    detail: str = ""
    """In words, with the numbers."""

    @property
    def allow(self):
        """Whether the arm may move."""
        return not self.name

    @property
    def reason(self):
        """'name: detail', empty when allowed."""
        return f"{self.name}: {self.detail}" if self.name else ""


def check(target, state, workspace, limits, now_ns):
    """Verdict on `target` (action.Target) for an arm in `state` (ArmState).

    workspace: ((3,) low, (3,) high) [m], box of the tcp in base; now_ns: [ns] since the epoch. An arm that already
    stands outside the box, because someone guided it there, may go wherever it does not get further out on any axis.
    """
    T, measured = np.asarray(target.T_base_tcp), state.T_base_tcp
    if state.fault:
        return Verdict(state.fault, "the arm does not move until this is cleared")
    age_s = (now_ns - state.stamp_ns) * 1e-9
    if abs(age_s) > limits.state_age_s:
        return Verdict(
            "connection_lost", f"the last measurement is {age_s:.3f} s old, at most {limits.state_age_s} s is"
        )
    if not (np.isfinite(T).all() and np.isfinite(measured).all() and np.isfinite(target.width)):
        return Verdict(
            "unsafe", f"target or measured pose is not finite: {T[:3, 3].tolist()}, {measured[:3, 3].tolist()}"
        )
    if not 0.0 <= target.width <= limits.width_m:
        return Verdict("unsafe", f"fingers {float(target.width):.4f} m apart, possible are 0 to {limits.width_m} m")
    step_m = np.linalg.norm(T[:3, 3] - measured[:3, 3])
    if step_m > limits.translation_m:
        return Verdict("unsafe", f"a step of {step_m:.4f} m, at most {limits.translation_m:.4f} m is one action")
    step_rad = rotation_angle(measured[:3, :3].T @ T[:3, :3])
    if step_rad > limits.rotation_rad:
        return Verdict("unsafe", f"a turn of {step_rad:.4f} rad, at most {limits.rotation_rad:.4f} rad is one action")
    return _inside(T[:3, 3], measured[:3, 3], workspace)


def _inside(p, p_measured, workspace):
    low, high = np.asarray(workspace[0]), np.asarray(workspace[1])
    outside = np.maximum(np.maximum(low - p, p - high), 0.0)
    outside_now = np.maximum(np.maximum(low - p_measured, p_measured - high), 0.0)
    worse = outside > outside_now
    if not worse.any():
        return Verdict()
    axes = ", ".join(
        f"{'xyz'[i]} {p[i]:.3f} m is not in {low[i]:.3f} .. {high[i]:.3f} m" for i in np.flatnonzero(worse)
    )
    return Verdict("outside_workspace", axes)
