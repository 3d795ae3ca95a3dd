"""Only clouds of all cameras, close in time, are put together; who is silent is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casher_perception.freshness import PairMatcher, Silence

MS = 1_000_000
CAMERAS = ("camera_left", "camera_right")


def matcher(max_skew_s=0.05, cameras=CAMERAS):
    return PairMatcher(cameras, max_skew_s)


def feed(matcher, events):
    """Each cloud is its own (camera, stamp), so that a pair shows where it comes from."""
    return [pair for camera, stamp in events for pair in matcher.add(camera, stamp, (camera, stamp))]


def events(cameras):
    near = st.tuples(st.sampled_from(cameras), st.integers(0, 3000).map(lambda ms: ms * MS))
    far = st.tuples(st.sampled_from(cameras), st.integers(0, 10**7).map(lambda ms: ms * MS))
    return st.lists(st.one_of(near, near, far), max_size=80)


@pytest.mark.parametrize("cameras", [CAMERAS, ("a", "b", "c")])
def test_whatever_comes_a_pair_has_every_camera_and_is_close_and_is_stamped_by_its_oldest(cameras):
    @given(events(cameras), st.sampled_from([0.0, 0.02, 0.05, 1.0]))
    def holds(arrivals, max_skew_s):
        for pair in feed(matcher(max_skew_s, cameras), arrivals):
            assert tuple(pair.clouds) == cameras
            assert all(camera == cloud[0] for camera, cloud in pair.clouds.items())
            stamps = [stamp for _, stamp in pair.clouds.values()]
            assert pair.stamp_ns == min(stamps)
            assert max(stamps) - min(stamps) <= max_skew_s * 1e9

    holds()


@given(st.lists(st.tuples(st.sampled_from(CAMERAS), st.integers(0, 900).map(lambda ms: ms * MS)), max_size=60))
def test_without_a_jump_of_the_clock_no_cloud_is_used_twice_and_pairs_come_in_order(arrivals):
    pairs = feed(matcher(), arrivals)
    for camera in CAMERAS:
        used = [pair.clouds[camera][1] for pair in pairs]
        assert used == sorted(set(used))


@given(st.lists(st.integers(0, 10**13), max_size=50))
def test_one_camera_alone_never_makes_a_pair(stamps):
    assert feed(matcher(), [("camera_left", stamp) for stamp in stamps]) == []


@given(st.lists(st.integers(-10, 10).map(lambda ms: ms * MS), min_size=1, max_size=40), st.booleans())
def test_two_steady_cameras_lose_no_frame(jitters, left_first):
    order = CAMERAS if left_first else CAMERAS[::-1]
    arrivals = []
    for i, jitter in enumerate(jitters):
        arrivals += [(order[0], (i + 1) * 66 * MS), (order[1], (i + 1) * 66 * MS + jitter)]
    assert len(feed(matcher(), arrivals)) == len(jitters)


def test_the_closest_of_the_waiting_clouds_is_taken():
    (pair,) = feed(matcher(), [("camera_left", 10 * MS), ("camera_left", 43 * MS), ("camera_right", 40 * MS)])
    assert pair.stamp_ns == 40 * MS and pair.clouds["camera_left"][1] == 43 * MS


def test_clouds_too_far_apart_wait_for_a_better_partner():
    m = matcher()
    assert feed(m, [("camera_left", 0), ("camera_right", 51 * MS)]) == []
    (pair,) = feed(m, [("camera_left", 66 * MS)])
    assert pair.stamp_ns == 51 * MS


def test_a_duplicate_is_ignored():
    assert len(feed(matcher(), [("camera_left", 5), ("camera_left", 5), ("camera_right", 5), ("camera_right", 5)])) == 1


def test_a_cloud_older_than_what_was_used_is_ignored():
    m = matcher()
    feed(m, [("camera_left", 100 * MS), ("camera_right", 100 * MS)])
    assert feed(m, [("camera_left", 60 * MS), ("camera_right", 60 * MS)]) == []


def test_a_late_cloud_still_finds_its_waiting_partner():
    m = matcher(0.01)
    arrivals = [("camera_left", 0), ("camera_left", 66 * MS), ("camera_right", 132 * MS), ("camera_right", 66 * MS)]
    assert [pair.stamp_ns for pair in feed(m, arrivals)] == [66 * MS]


def test_after_the_clock_is_set_back_pairs_go_on_and_never_mix_the_two_times():
    m = matcher()
    hour = 3600 * 1000 * MS
    feed(m, [("camera_left", hour), ("camera_right", hour), ("camera_right", hour + 66 * MS)])
    pairs = feed(m, [(camera, i * 66 * MS) for i in range(10) for camera in CAMERAS])
    assert len(pairs) >= 9 and all(pair.stamp_ns < hour for pair in pairs)


def test_one_absurd_stamp_in_the_future_does_not_stop_the_pairs():
    m = matcher()
    feed(m, [("camera_left", 10**15)])
    assert len(feed(m, [(camera, i * 66 * MS) for i in range(10) for camera in CAMERAS])) >= 9


def test_a_clock_that_runs_slowly_backwards_does_not_stop_the_pairs_for_ever():
    m = matcher()
    feed(m, [("camera_left", 5000 * MS), ("camera_right", 5000 * MS)])
    steps = [(camera, (5000 - 66 * i) * MS) for i in range(1, 40) for camera in CAMERAS]
    assert len(feed(m, steps)) >= 1


def test_while_one_camera_is_silent_the_memory_stays_bounded():
    import gc
    import weakref

    class Cloud:
        pass

    m, alive = matcher(), weakref.WeakSet()
    for i in range(1000):
        cloud = Cloud()
        alive.add(cloud)
        m.add("camera_left", i * 66 * MS, cloud)
    del cloud
    gc.collect()
    assert len(alive) <= 10


def test_a_camera_that_is_not_of_the_rig_is_an_error():
    with pytest.raises(KeyError):
        matcher().add("camera_back", 0, None)


@pytest.mark.parametrize(("cameras", "skew"), [(("one",), 0.05), (("one", "one"), 0.05), (CAMERAS, -1.0)])
def test_a_matcher_that_cannot_be_is_refused(cameras, skew):
    with pytest.raises(ValueError):
        PairMatcher(cameras, skew)


def test_a_camera_is_silent_until_its_first_cloud_and_again_after_the_timeout():
    silence = Silence(CAMERAS, 1.0)
    assert silence.silent(100.0) == list(CAMERAS)
    assert silence.message("camera_left", 100.0) == "camera_left: no cloud yet"
    silence.heard("camera_left", 100.0)
    assert silence.silent(100.9) == ["camera_right"]
    silence.heard("camera_right", 101.0)
    assert silence.silent(101.3) == ["camera_left"]
    assert silence.message("camera_left", 101.3) == "camera_left: last cloud 1.3 s ago"
    assert silence.ages(101.5) == {"camera_left": 1.5, "camera_right": 0.5}


def test_clouds_that_never_fit_say_which_camera_is_behind_and_by_how_much():
    m = matcher()
    assert m.apart() is None
    assert feed(m, [("camera_left", 100 * MS), ("camera_left", 166 * MS)]) == [] and m.apart() is None
    assert feed(m, [("camera_right", 586 * MS)]) == []
    assert m.apart() == "camera_left is 0.420 s behind camera_right"
