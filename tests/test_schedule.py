from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from casher_bringup.schedule import schedule


@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 2), st.integers(0, 1000))
def test_every_combination_comes_equally_often_as_far_as_the_number_allows(episodes, objects, sides, seed):
    plan = schedule(episodes, "abcd"[:objects], ("left", "right")[:sides], seed)
    counts = Counter((name, side) for _, name, side, _ in plan)
    assert len(plan) == episodes
    if episodes >= objects * sides:
        assert len(counts) == objects * sides and max(counts.values()) - min(counts.values()) <= 1
    assert [s for *_, s in plan] == list(range(seed, seed + episodes))


@given(st.integers(1, 60), st.integers(1, 7))
def test_kitchens_come_one_after_the_other_and_equally_often(episodes, kitchens):
    names = [f"kitchen {i}" for i in range(kitchens)]
    where = [twin for twin, *_ in schedule(episodes, ("mug", "bowl"), ("left", "right"), 0, names)]
    counts = [where.count(name) for name in names]
    assert len(where) == episodes and max(counts) - min(counts) <= 1
    assert where == sorted(where, key=names.index)
