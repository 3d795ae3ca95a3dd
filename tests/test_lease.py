"""Who has to be alive for the arm to move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casher_franka.lease import Leases

times = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20)


@given(times)
def test_a_motion_whose_lease_is_renewed_in_time_is_never_lost(pauses):
    leases, now = Leases(1.0, 1.0), 10.0
    leases.begin(now)
    for pause in pauses:
        now += pause
        assert leases.motion_lost(now) is None
        leases.renew(now)


@given(times)
def test_a_motion_nobody_waits_for_is_lost_once(pauses):
    leases, now, lost = Leases(1.0, 1.0), 10.0, []
    leases.begin(now)
    for pause in pauses:
        now += pause
        lost.append(leases.motion_lost(now))
    assert sum(x is not None for x in lost) == (now - 10.0 > 1.0)


def test_a_renewal_between_motions_does_not_begin_one():
    leases = Leases(1.0, 1.0)
    leases.renew(0.0)
    assert leases.motion_lost(100.0) is None
    leases.begin(100.0)
    leases.end()
    leases.renew(100.1)
    assert leases.motion_lost(200.0) is None


def test_without_a_lease_motions_need_nobody():
    leases = Leases(0.0, 1.0)
    leases.begin(0.0)
    assert leases.motion_lost(1e6) is None


def test_a_watcher_counts_from_when_it_is_first_heard_until_it_leaves():
    leases = Leases(1.0, 1.0)
    assert leases.watcher_lost(100.0) == ""
    leases.heard("terminal", 100.0)
    leases.heard("page", 100.0)
    assert leases.watchers == ["page", "terminal"]
    leases.heard("page bye", 100.5)
    assert leases.watcher_lost(101.0) == ""
    assert leases.watcher_lost(101.1) == "terminal"
    assert leases.watcher_lost(101.2) == "" and leases.watchers == []
    leases.heard("terminal", 102.0)
    assert leases.watcher_lost(102.5) == "" and leases.watcher_lost(103.5) == "terminal"


@pytest.mark.parametrize("times_s", [(-1.0, 1.0), (1.0, 0.0)])
def test_a_lease_that_ends_before_it_begins_is_refused(times_s):
    with pytest.raises(ValueError, match="must be positive"):
        Leases(*times_s)
