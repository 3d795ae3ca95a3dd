"""Intervals of a success rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from casher_policy.statistics import clopper_pearson, percentiles, wilson

INTERVALS = pytest.mark.parametrize("interval", [wilson, clopper_pearson])
TRIALS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@INTERVALS
@given(trial=TRIALS)
def test_the_measured_rate_lies_in_its_interval(interval, trial):
    k, n = trial
    low, high = interval(k, n)
    assert 0 <= low <= k / n <= high <= 1 and low < high


@INTERVALS
@given(trial=TRIALS)
def test_counting_failures_instead_mirrors_the_interval(interval, trial):
    k, n = trial
    low, high = interval(k, n)
    assert interval(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@INTERVALS
@given(trial=TRIALS)
def test_one_more_success_raises_both_bounds(interval, trial):
    k, n = trial
    if k < n:
        assert all(a <= b for a, b in zip(interval(k, n), interval(k + 1, n), strict=True))


@INTERVALS
@given(trial=TRIALS)
def test_the_same_rate_from_more_trials_is_narrower(interval, trial):
    k, n = trial
    narrow, wide = interval(4 * k, 4 * n), interval(k, n)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


@INTERVALS
@given(trial=TRIALS, confidence=st.floats(0.5, 0.94))
def test_more_confidence_is_wider(interval, trial, confidence):
    inner, outer = interval(*trial, confidence), interval(*trial, 0.95)
    assert outer[0] <= inner[0] and inner[1] <= outer[1]


@INTERVALS
def test_without_trials_nothing_is_known(interval):
    assert interval(0, 0) == (0.0, 1.0)


@INTERVALS
@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(interval, k, n):
    with pytest.raises(ValueError, match=f"{k} of {n}"):
        interval(k, n)


@given(trial=TRIALS)
def test_both_agree_with_scipy(trial):
    test = binomtest(*trial)
    for interval, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        expected = test.proportion_ci(0.95, method)
        assert interval(*trial) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("n", [1, 5, 10, 30, 100])
def test_clopper_pearson_covers_every_rate_at_least_as_often_as_it_says(n):
    """Exact coverage: the probability of all outcomes whose interval holds the true rate."""
    bounds = np.array([clopper_pearson(k, n) for k in range(n + 1)])
    for rate in np.linspace(0.001, 0.999, 333):
        holds = (bounds[:, 0] <= rate) & (rate <= bounds[:, 1])
        assert binom.pmf(np.arange(n + 1), n, rate)[holds].sum() >= 0.95 - 1e-12


def test_wilson_covers_as_often_as_it_says_on_average():
    n = 30
    bounds = np.array([wilson(k, n) for k in range(n + 1)])
    rates = np.linspace(0.0005, 0.9995, 1000)
    coverage = [
        binom.pmf(np.arange(n + 1), n, rate)[(bounds[:, 0] <= rate) & (rate <= bounds[:, 1])].sum() for rate in rates
    ]
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.01)


@given(st.lists(st.floats(0, 10), min_size=1))
def test_percentiles_are_ordered_and_lie_among_the_values(values):
    p = percentiles(values)
    assert p["n"] == len(values) and p["max"] == max(values)
    ordered = [min(values), p["p50"], p["p90"], p["p99"], p["max"]]
    assert np.all(np.diff(ordered) >= -1e-12)  # interpolation rounds


def test_percentiles_of_nothing_are_unknown_not_zero():
    assert percentiles([]) == {"n": 0, "p50": None, "p90": None, "p99": None, "max": None}
