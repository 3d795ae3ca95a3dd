"""No decision on anything seen before the arm was still, or by one camera alone."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from casher_perception.freshness import PairMatcher, Silence
from casher_policy.fusion_watch import FusionWatch
from casher_policy.step_gate import FreshGate

MS = 1_000_000
stamps = st.integers(0, 60)


@given(offered=st.lists(stamps, max_size=8), settled=stamps)
def test_what_is_taken_is_the_earliest_after_the_arm_settled(offered, settled):
    gate = FreshGate()
    for stamp in offered:
        gate.offer(stamp, f"cloud {stamp}", 10**9)
    taken = gate.wait_after(settled, 0.0)
    later = [stamp for stamp in offered if stamp > settled]
    assert (taken and taken.stamp_ns) == (min(later) if later else None)
    assert taken is None or taken.value == f"cloud {taken.stamp_ns}"


events = st.lists(st.one_of(st.tuples(st.just("offer"), stamps), st.tuples(st.just("settle"), stamps)), max_size=60)


@given(events)
def test_whatever_arrives_in_whatever_order_nothing_stale_and_nothing_twice_is_taken(events):
    gate, used = FreshGate(), []
    for count, (kind, stamp) in enumerate(events):
        if kind == "offer":
            gate.offer(stamp, count, 10**9)
        elif (taken := gate.wait_after(stamp, 0.0)) is not None:
            assert taken.stamp_ns > stamp
            used.append(taken.value)
    assert len(used) == len(set(used))


@given(st.lists(st.tuples(st.sampled_from(["left", "right"]), st.integers(0, 400)), max_size=60), st.integers(0, 400))
def test_behind_the_pair_matcher_both_eyes_saw_the_arm_at_rest(clouds, settled_ms):
    matcher, gate = PairMatcher(["left", "right"], 0.05), FreshGate()
    for camera, ms in clouds:
        for pair in matcher.add(camera, ms * MS, (camera, ms)):
            gate.offer(pair.stamp_ns, pair.clouds, 10**9)
    taken = gate.wait_after(settled_ms * MS, 0.0)
    if taken is not None:
        assert set(taken.value) == {"left", "right"}
        assert all(ms > settled_ms for _, ms in taken.value.values())


def test_a_cloud_stamped_at_the_moment_of_settling_is_too_old_but_a_state_is_not():
    gate = FreshGate()
    gate.offer(5, "at rest", 10)
    assert gate.wait_after(5, 0.0) is None
    gate.offer(5, "at rest", 10)
    assert gate.wait_after(5, 0.0, inclusive=True).value == "at rest"


def test_a_stamp_of_the_future_is_refused_and_remembered():
    gate = FreshGate()
    gate.offer(2_000 * MS, "from a wrong clock", 500 * MS)
    assert gate.wait_after(0, 0.0) is None
    assert gate.ahead_s == 1.5
    gate.offer(501 * MS, "two clocks read in turn", 500 * MS)
    assert gate.wait_after(0, 0.0).value == "two clocks read in turn"
    assert gate.ahead_s == 0


def test_a_fresh_cloud_is_not_pushed_out_by_stale_ones_before_it():
    gate = FreshGate()
    for stamp in range(100):
        gate.offer(stamp, stamp, 10**9)
    assert gate.wait_after(98, 0.0).value == 99


def test_a_wait_ends_when_a_fresh_cloud_comes_and_not_before():
    gate, settled, taken = FreshGate(), 100, []
    waiting = threading.Thread(target=lambda: taken.append(gate.wait_after(settled, 30.0)))
    waiting.start()
    for stamp in (50, 99, 100):
        gate.offer(stamp, "stale", 10**9)
    waiting.join(0.1)
    assert waiting.is_alive()
    gate.offer(101, "fresh", 10**9)
    waiting.join(10)
    assert taken[0].value == "fresh"


def test_a_wait_ends_when_it_is_stopped():
    stopped, taken = threading.Event(), []
    gate = FreshGate()
    waiting = threading.Thread(target=lambda: taken.append(gate.wait_after(0, 3600.0, stopped.is_set)))
    waiting.start()
    stopped.set()
    waiting.join(10)
    assert taken == [None]


def test_once_stopped_not_even_a_fresh_cloud_is_taken():
    gate = FreshGate()
    gate.offer(5, "fresh", 10)
    assert gate.wait_after(0, 1.0, lambda: True) is None


def test_a_wait_gives_up_after_its_time():
    begin = time.monotonic()
    assert FreshGate().wait_after(0, 0.05) is None
    assert time.monotonic() - begin >= 0.05


def watch(*statuses, at_ns=200):
    fusion = FusionWatch()
    for status in statuses:
        fusion.heard(*status, at_ns)
    return fusion


def test_a_silent_camera_is_named_in_fusions_words():
    silence = Silence(["camera_left", "camera_right"], 1.0)
    silence.heard("camera_left", 10.0)
    silence.heard("camera_right", 11.3)
    fusion = watch(*((f"fusion: {c}", c in silence.silent(11.3), silence.message(c, 11.3)) for c in silence.ages(0)))
    assert fusion.why(FreshGate(), 100, 3.0) == ("camera_silent", "camera_left: last cloud 1.3 s ago")


def test_two_silent_cameras_are_both_named():
    fusion = watch(("fusion: a", True, "a: no cloud yet"), ("fusion: b", True, "b: no cloud yet"))
    assert fusion.why(FreshGate(), 100, 3.0) == ("camera_silent", "a: no cloud yet; b: no cloud yet")


def test_a_camera_that_came_back_is_not_blamed():
    fusion = watch(("fusion: a", True, "a: no cloud yet"), ("fusion: a", False, "a: last cloud 0.0 s ago"))
    name, detail = fusion.why(FreshGate(), 100, 3.0)
    assert name == "no_cloud"
    assert "although every camera sends: are their stamps close enough" in detail


def test_cameras_whose_clocks_differ_are_named_in_fusions_words():
    cameras = (("fusion: a", False, "a: last cloud 0.0 s ago"), ("fusion: b", False, "b: last cloud 0.0 s ago"))
    apart = "nothing is fused: a is 0.420 s behind b"
    name, detail = watch(*cameras, ("fusion", True, apart)).why(FreshGate(), 100, 3.0)
    assert name == "no_cloud" and detail.endswith(apart)
    assert apart not in watch(*cameras, ("fusion", False, "7 clouds fused")).why(FreshGate(), 100, 3.0)[1]
    assert apart not in watch(("fusion", True, apart), at_ns=50).why(FreshGate(), 100, 3.0)[1]


def test_fusions_old_words_do_not_count():
    fusion = watch(("fusion: a", True, "a: no cloud yet"), at_ns=50)
    assert "nor word from the fusion node: is it running?" in fusion.why(FreshGate(), 100, 3.0)[1]


def test_other_nodes_diagnostics_are_not_fusions():
    assert "nor word from the fusion node" in watch(("casher: arm", True, "old")).why(FreshGate(), 100, 3.0)[1]


def test_a_wrong_clock_and_a_late_cloud_are_told_apart():
    fusion, gate = watch(("fusion: a", False, ""), at_ns=3_000 * MS), FreshGate()
    gate.offer(0, "", 10)
    assert "2.0 s older" in fusion.why(gate, 2_000 * MS, 3.0)[1]
    gate.offer(1_500 * MS, "", 0)
    assert "1.500 s in the future; set the cameras' clock" in fusion.why(gate, 100, 3.0)[1]
