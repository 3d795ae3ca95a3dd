"""What can be said about a success rate from few trials, and percentiles of times."""

import math

import numpy as np
from scipy.stats import beta, norm

PERCENTILES = (50, 90, 99)


def wilson(k, n, confidence=0.95):
    """Wilson's score interval of a rate after k successes in n trials -> (low, high); (0, 1) without trials.

    Its coverage is `confidence` on average over rates (Wilson 1927, J. Am. Stat. Assoc. 22, equation for (p - p0)^2).
    """
    _check(k, n, confidence)
    if n == 0:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + confidence / 2))
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(k * (n - k) / n + z**2 / 4)
    # At k = 0 and k = n a bound is 0 or 1; rounding must not move it.
    return 0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half


def clopper_pearson(k, n, confidence=0.95):
    """Clopper and Pearson's "exact" interval -> (low, high); (0, 1) without trials.

    Its coverage is at least `confidence` for every rate (Clopper, Pearson 1934, Biometrika 26).
    """
    _check(k, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def percentiles(values):
    """Values -> {"n", "p50", "p90", "p99", "max"}; all but n are None without values."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return {"n": 0, **{f"p{q}": None for q in PERCENTILES}, "max": None}
    at = np.percentile(values, PERCENTILES)
    return {
        "n": len(values),
        **{f"p{q}": float(v) for q, v in zip(PERCENTILES, at, strict=True)},
        "max": float(values.max()),
    }


def _check(k, n, confidence):
    if not 0 <= k <= n:
        raise ValueError(f"successes must be between 0 and the number of trials, got {k} of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
