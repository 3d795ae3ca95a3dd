"""The arm's outside as capsules, and how far it is from itself and from a worktop. Batched, pure numpy.

Each capsule is a segment between two points of a link's frame and a radius; together they hold every vertex of the
maker's meshes of that link (`tests/test_arm_shape.py`), the fingers wherever they stand. FR3 and Panda look the same.
"""

import numpy as np

from casher_franka.kinematics import LINKS, link_frames

CABLES_M = 0.01
"""Added to every capsule from the forearm on: cables and their ties lie on it."""

CAPSULES = (
    ("link0", (-0.004, 0.0, 0.055), (-0.062, 0.0, 0.038), 0.110),
    ("link1", (0.0, 0.0, -0.166), (0.0, -0.022, -0.083), 0.066),
    ("link1", (0.0, -0.061, -0.010), (0.0, -0.038, -0.008), 0.077),
    ("link2", (0.0, -0.015, 0.078), (0.0, -0.002, 0.039), 0.071),
    ("link2", (0.0, -0.165, -0.002), (0.0, -0.081, 0.030), 0.067),
    ("link3", (0.075, 0.064, -0.004), (0.083, 0.027, 0.0), 0.067),
    ("link3", (0.001, -0.001, -0.100), (0.011, 0.004, -0.053), 0.063),
    ("link4", (0.003, -0.001, 0.044), (-0.008, 0.004, 0.043), 0.073),
    ("link4", (-0.075, 0.066, -0.003), (-0.083, 0.091, 0.0), 0.068),
    ("link5", (-0.005, 0.075, -0.097), (0.0, -0.002, -0.241), 0.062 + CABLES_M),
    ("link5", (0.0, 0.046, 0.002), (0.002, 0.101, -0.005), 0.061 + CABLES_M),
    ("link6", (0.080, 0.047, -0.002), (0.086, -0.031, 0.0), 0.054 + CABLES_M),
    ("link6", (0.034, 0.010, 0.010), (0.002, -0.001, 0.007), 0.059 + CABLES_M),
    ("link7", (0.033, 0.033, 0.083), (-0.004, -0.006, 0.075), 0.053 + CABLES_M),
    ("tcp", (0.0, -0.078, -0.082), (0.0, 0.072, -0.078), 0.052 + CABLES_M),
    ("tcp", (0.0, -0.048, -0.012), (0.0, 0.048, -0.012), 0.024),
)
"""Link, the segment's two ends [m] in its frame, radius [m]. Of the two in `tcp`, the first is the hand's body, the
second what its fingers sweep."""

_FRAME = np.array([LINKS.index(link) for link, *_ in CAPSULES])
_ENDS = np.array([(a, b) for _, a, b, _ in CAPSULES])
_RADIUS = np.array([radius for *_, radius in CAPSULES])

_BODY = {"link0": 0, "link1": 1, "link2": 2, "link3": 3, "link4": 4, "link5": 5, "link6": 6, "link7": 7, "tcp": 7}
_BODY_OF = np.array([_BODY[link] for link, *_ in CAPSULES])
_I, _J = (
    np.array(side)
    for side in zip(
        *(
            (i, j)
            for i in range(len(CAPSULES))
            for j in range(i + 1, len(CAPSULES))
            # Neighbours always touch; the ranges of the joints keep all other parts apart.
            if _BODY_OF[i] <= 2 and _BODY_OF[j] >= 5
        ),
        strict=True,
    )
)
REACHES_DOWN = np.isin([link for link, *_ in CAPSULES], ("link7", "tcp"))
"""(C,) bool: the capsules of the hand, which may go below the worktop, into a sink."""
OVER_TABLE = _BODY_OF >= 3
"""(C,) bool: the capsules that can come near a worktop at all; base and shoulder stay where they are."""


def capsule_ends(q):
    """Joints [rad] (B, 7) -> the ends [m] of the capsules' segments in base, (B, C, 2, 3)."""
    T = link_frames(q)[:, _FRAME]
    return np.einsum("bcij,cej->bcei", T[..., :3, :3], _ENDS) + T[:, :, None, :3, 3]


def self_clearance(ends):
    """Capsules (B, C, 2, 3) -> the least distance [m] of two parts of the arm that can meet, (B,); negative inside."""
    apart = _segment_distance(ends[:, _I, 0], ends[:, _I, 1], ends[:, _J, 0], ends[:, _J, 1])
    return (apart - _RADIUS[_I] - _RADIUS[_J]).min(axis=1)


def table_clearance(ends, table_m, floor_m):
    """Capsules (B, C, 2, 3) -> the least distance [m] from the planes below them, (B,); negative beneath.

    table_m: height of the worktop, below which only the hand may reach; floor_m: what the hand's capsules stay above.
    """
    lowest = ends[..., 2].min(axis=2) - _RADIUS
    arm, hand = OVER_TABLE & ~REACHES_DOWN, REACHES_DOWN
    return np.minimum(lowest[:, arm].min(axis=1) - table_m, lowest[:, hand].min(axis=1) - floor_m)


def _segment_distance(a, b, c, d):
    """Least distance [m] (...) of the segments a-b and c-d, each (..., 3) (Ericson, Real-Time Collision Detection)."""
    u, v, w = b - a, d - c, a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    s = np.clip((uv * vw - uw * vv) / np.maximum(uu * vv - uv * uv, 1e-12), 0.0, 1.0)
    t = np.clip((uv * s + vw) / vv, 0.0, 1.0)
    s = np.clip((uv * t - uw) / uu, 0.0, 1.0)
    return np.linalg.norm(w + s[..., None] * u - t[..., None] * v, axis=-1)
