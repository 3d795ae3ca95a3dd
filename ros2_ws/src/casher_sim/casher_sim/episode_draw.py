"""Random numbers of episodes, drawn for many worlds at once: a hash of (seed, episode, index), without any state.

So an episode depends on its own seed and number alone, not on what was drawn for other worlds or before.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seeds, episodes, n):
    """seeds (B,) uint64, episodes (B,) integers -> (B, n) in [0, 1)."""
    with np.errstate(over="ignore"):
        key = _mix(_mix(np.asarray(seeds, dtype=np.uint64)) + np.asarray(episodes).astype(np.uint64) * _GOLDEN)
        values = _mix(key[:, None] + np.arange(1, n + 1, dtype=np.uint64) * _GOLDEN)
    return (values >> np.uint64(11)) * 2.0**-53


def _mix(z):
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = z + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def between(u, bounds):
    """u (B, k) in [0, 1), bounds (low, high), each (k,) -> (B, k)."""
    low, high = np.asarray(bounds, dtype=np.float64)
    return low + u * (high - low)
