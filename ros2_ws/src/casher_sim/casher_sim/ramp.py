"""The commanded motion of one action through joint space, the same for every engine: minimum jerk, with the lead that
position servos need to follow without lag."""

import numpy as np

STEPS = 30
"""Physics steps: 150 ms, in which 30 mm take less than 1 g of acceleration."""
LEAD_S = 0.05
"""Damping of the arm's servos over their stiffness: how far a moving target must lead."""


def ramp(q_start, q_goal, timestep_s, steps=STEPS):
    """Joints (B, 7) to joints (B, 7) [rad] -> what the servos are told at each physics step, (steps, B, 7) [rad]."""
    s = (np.arange(1, steps + 1) / steps)[:, None, None]
    along = s**3 * (10 - 15 * s + 6 * s * s)
    speed = 30 * s * s * (1 - s) ** 2 / (steps * timestep_s)
    return np.asarray(q_start) + (np.asarray(q_goal) - q_start) * (along + LEAD_S * speed)
