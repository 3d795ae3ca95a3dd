"""The commanded motion of one action through joint space: minimum jerk, with the lead that position servos need to
follow without lag. World, batches of worlds and the other engines all move so."""

import numpy as np

STEPS = 30
"""Physics steps: 150 ms, in which 30 mm take less than 1 g of acceleration."""
LEAD_S = 0.05
"""Damping of the arm's servos over their stiffness: how far a moving target must lead."""
PEAK_SPEED = 1.875
"""Highest speed of a minimum jerk over its mean speed."""


def minimum_jerk(s):
    """s: share of the time, 0..1 -> share of the way, its first and its second derivative by s, of the shape of s."""
    return s**3 * (10 - 15 * s + 6 * s * s), 30 * s * s * (1 - s) ** 2, 60 * s * (1 - s) * (1 - 2 * s)


def ramp(q_start, q_goal, timestep_s, steps=STEPS):
    """Joints (B, 7) to joints (B, 7) [rad] -> what the servos are told at each physics step, (steps, B, 7) [rad]."""
    along, speed, _ = minimum_jerk((np.arange(1, steps + 1) / steps)[:, None, None])
    return np.asarray(q_start) + (np.asarray(q_goal) - q_start) * (along + LEAD_S * speed / (steps * timestep_s))
