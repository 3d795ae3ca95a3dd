"""The recovery ladder: one rung at a time, and down again only after a long calm. Driver calls that never return."""

import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casher_perception.driver_call import DriverHang, within
from casher_perception.recovery import Ladder, RecoveryLimits, Rung

LIMITS = RecoveryLimits(silence_s=1.0, start_s=5.0, calm_s=20.0)


def started():
    ladder = Ladder(LIMITS)
    ladder.started(100.0)
    return ladder


def test_each_silence_climbs_one_rung_until_the_last():
    ladder = started()
    ladder.good(101.0)
    assert [ladder.due(now_s) for now_s in (101.9, 102.1, 103.0, 103.2, 104.3, 105.4)] == [
        None, Rung.RESTART, None, Rung.RESET, Rung.FAULT, Rung.FAULT,
    ]  # fmt: skip


def test_a_start_has_more_time_than_a_frame():
    ladder = started()
    assert ladder.due(104.9) is None and ladder.due(105.1) is Rung.RESTART
    ladder.started(105.1)
    assert ladder.due(110.0) is None and ladder.due(110.2) is Rung.RESET


def test_a_frame_that_is_no_good_ends_the_wait_for_the_first():
    ladder = started()
    ladder.came(102.0)
    ladder.came(102.9)
    assert ladder.due(102.9) is None and ladder.due(103.1) is Rung.RESTART


def test_a_few_frames_after_a_rung_do_not_make_the_camera_well():
    ladder = started()
    assert ladder.due(106.0) is Rung.RESTART
    ladder.good(107.0)
    assert ladder.due(109.0) is Rung.RESET
    ladder.good(109.0 + LIMITS.calm_s + 1)
    assert ladder.due(109.0 + LIMITS.calm_s + 3) is Rung.RESTART


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans()), max_size=60))
def test_while_good_frames_come_in_time_nothing_is_ever_done(events):
    ladder, now_s = started(), 100.0
    ladder.good(now_s)
    for wait_s, asks in events:
        now_s += min(wait_s, LIMITS.silence_s)
        if asks:
            assert ladder.due(now_s) is None
        ladder.good(now_s)


def test_a_call_that_returns_gives_its_result_or_its_error():
    assert within(60.0, "sum", sum, [1, 2]) == 3
    with pytest.raises(ZeroDivisionError):
        within(60.0, "divide", lambda: 1 / 0)


def test_a_call_that_hangs_is_left_behind_with_its_name():
    never = threading.Event()
    with pytest.raises(DriverHang, match=r"hangs in 'pipeline.stop' for more than 0.05 s"):
        within(0.05, "pipeline.stop", never.wait)
    never.set()


HOLDS_THE_LOCK = """
import ctypes
from casher_perception import driver_call
driver_call.GRACE_S = -59.0  # with the limit below: ends after a second, and the limit itself is never reached
driver_call.within(60.0, "pipeline.start", ctypes.PyDLL(None).sleep, 600)  # PyDLL keeps Python's lock
"""


def test_a_call_that_lets_no_other_thread_run_ends_the_process():
    done = subprocess.run([sys.executable, "-c", HOLDS_THE_LOCK], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Timeout (0:00:01)" in done.stderr, done.stderr
