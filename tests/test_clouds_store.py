"""The store of clouds: what was appended is read back to the bit, and nothing damaged or hostile is believed."""

import h5py
import numpy as np
import pytest

from casher_training.clouds import CloudsError, metres, quantise
from casher_training.trajectories import TrajectoryStore
from tests.trajectories import seen, trajectory


def same_clouds(a, b):
    return (a.view, a.preprocessing) == (b.view, b.preprocessing) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) and getattr(a, name).dtype == getattr(b, name).dtype
        for name in ("points", "colours", "robot_states", "labels")
    )


def filled(folder, count=3, **changes):
    with TrajectoryStore(folder, "a") as store:
        for seed in range(count):
            store.append(seen(seed, **changes))
    return folder


def test_quantised_points_are_within_a_twentieth_of_a_millimetre():
    points = np.random.default_rng(0).uniform(-3.27, 3.27, (1000, 3)).astype(np.float32)
    assert np.abs(metres(quantise(points)) - points).max() < 5.1e-5
    assert metres(quantise(points)).dtype == np.float32
    assert np.array_equal(quantise(metres(quantise(points))), quantise(points))


@pytest.mark.parametrize("bad", [3.3, -3.3, np.nan, np.inf])
def test_a_point_out_of_range_or_not_finite_is_refused(bad):
    with pytest.raises(CloudsError, match=rf"coordinate is {bad:g} m, .* within \+-3.2767 m"):
        quantise(np.array([[0.1, bad, 0.2]]))


def test_clouds_are_read_back_exactly_before_and_after_the_files_become_one(tmp_path):
    kept = [seen(0), seen(1, view="meshes"), seen(2, steps=7), trajectory(3)]
    with TrajectoryStore(tmp_path, "a") as store:
        ids = [store.append(t) for t in kept]
        assert all(same_clouds(store.read(i).clouds, t.clouds) for i, t in enumerate(kept[:3]))
    assert ids == [
        "demo.put_in_sink.teacher.cameras.0.h5:demo_0",
        "demo.put_in_sink.teacher.meshes.0.h5:demo_0",
        "demo.put_in_sink.teacher.cameras.0.h5:demo_1",
        "demo.put_in_sink.human.0.h5:demo_0",
    ]
    with TrajectoryStore(tmp_path) as store:
        assert store.problems == [] and len(store) == 4
        (mesh,) = store.select(view="meshes")
        assert same_clouds(store.read(mesh).clouds, kept[1].clouds)
        first, third = (store.read(i) for i in store.select(view="cameras"))
        assert same_clouds(first.clouds, kept[0].clouds) and same_clouds(third.clouds, kept[2].clouds)
        (plain,) = store.select(view="")
        assert store.read(plain).clouds is None


def test_a_file_with_clouds_has_robomimics_layout_uncompressed(tmp_path):
    (path,) = filled(tmp_path).glob("*.h5")
    with h5py.File(path) as file:
        assert file["data"].attrs["format"] == 2
        demo = file["data/demo_1"]
        assert demo["obs/points"].shape == (20, 32, 3) and demo["obs/points"].dtype == np.int16
        assert demo["obs/colours"].dtype == np.uint8 and demo["obs/robot_state"].shape == (20, 9)
        assert demo["obs/points"].chunks is None and demo["labels"].shape == (20,)
        assert demo.attrs["label_counts"].sum() == 20
