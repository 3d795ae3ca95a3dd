"""The loader: every twin and view alike, the same batches for the same step, and damage that stops nothing."""

import itertools
from dataclasses import replace

import h5py
import numpy as np
import pytest

from casher_training.cloud_loader import CloudLoader
from casher_training.clouds import metres
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError
from tests.trajectories import PREPROCESSING, clouds, seen, trajectory

TASK = "put_in_sink"


def marked(seed, twin, view="cameras", steps=20, **changes):
    """A trajectory whose clouds say in their robot states which it is, and which step."""
    states = np.zeros((steps, 9), np.float32)
    states[:, 0], states[:, 1], states[:, 2] = seed, np.arange(steps), ("cameras", "meshes").index(view)
    return seen(seed, steps, view, twin=twin, clouds=clouds(seed, steps, view, robot_states=states), **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three twins: 5 trajectories by cameras each, 3 from meshes but for c; a much longer one among them."""
    path = tmp_path_factory.mktemp("clouds")
    with TrajectoryStore(path, "a") as store:
        for t, twin in enumerate("abc"):
            for i in range(5):
                store.append(marked(100 * t + i, twin, steps=60 if (t, i) == (0, 0) else 20))
            for i in range(3 if twin != "c" else 0):
                store.append(marked(100 * t + 50 + i, twin, "meshes"))
        store.append(trajectory(7, twin="a", source="human"))
    return path


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("points", "colours", "robot_states", "labels", "twins")
    )


def test_a_batch_is_what_was_kept_in_metres(folder):
    with CloudLoader(folder, TASK, 16) as loader, TrajectoryStore(folder) as store:
        batch = loader.batch(3)
        assert batch.points.shape == (16, PREPROCESSING.total, 3) and batch.labels.dtype.itemsize == 8
        kept = {t.seed: t for t in store.trajectories() if t.clouds is not None}
        for points, colours, state, label, twin in zip(
            batch.points, batch.colours, batch.robot_states, batch.labels, batch.twins, strict=True
        ):
            own = kept[int(state[0])]
            step = int(state[1])
            assert np.array_equal(points, metres(own.clouds.points[step]))
            assert np.array_equal(colours, own.clouds.colours[step])
            assert int(label) == own.clouds.labels[step] and loader.twins[int(twin)] == own.twin
        assert loader.pairs == 21 * 20 + 40 and loader.label_counts.sum() == loader.pairs
        assert loader.preprocessing == PREPROCESSING and loader.problems == []


@pytest.mark.parametrize("prefetch", [True, False])
def test_a_batch_depends_on_the_step_alone_whatever_was_read_before(folder, prefetch):
    with CloudLoader(folder, TASK, 16, seed=3) as loader:
        run = list(itertools.islice(loader.batches(0), 40))
    with CloudLoader(folder, TASK, 16, seed=3, prefetch=prefetch) as resumed:
        for step in (31, 32, 4, 39, 38, 0):
            assert same(resumed.batch(step), run[step])
        assert same(next(resumed.batches(17)), run[17])
    with CloudLoader(folder, TASK, 16, seed=4) as other:
        assert not same(other.batch(0), run[0])


def test_twins_and_views_come_equally_often_however_many_there_are_of_each(folder):
    with CloudLoader(folder, TASK, 20, per_scene=2) as loader:
        seen_in = {}
        for load in range(60):
            for twin, file, row in loader._schedule.trajectories(load):
                key = loader.twins[twin], loader.files[file].view
                seen_in.setdefault(key, []).append((file, row))
    assert {key: len(rows) for key, rows in seen_in.items()} == {
        ("a", "cameras"): 60, ("a", "meshes"): 60, ("b", "cameras"): 60, ("b", "meshes"): 60, ("c", "cameras"): 120,
    }  # fmt: skip
    for rows in seen_in.values():
        counts = [rows.count(row) for row in set(rows)]
        assert max(counts) - min(counts) <= 1  # each of them once before any comes again


def test_every_pair_of_a_load_is_handed_out_once_and_only_the_last_batch_is_filled_up(folder):
    with CloudLoader(folder, TASK, 32, per_scene=1) as loader:
        schedule = loader._schedule
        step = 0
        for load in range(4):
            batches = [loader.batch(step + k) for k in range(schedule.batches(load))]
            step += len(batches)
            ids = [(float(s[0]), float(s[1])) for batch in batches for s in batch.robot_states]
            there = sum(int(loader.files[file].steps[row]) for _, file, row in schedule.trajectories(load))
            assert len(set(ids)) == there and len(ids) - there < 32
            assert schedule.load_of(step - 1) == (load, len(batches) - 1)


def test_ranks_share_each_load_without_a_pair_in_common(folder):
    whole = CloudLoader(folder, TASK, 24, seed=1)
    parts = [CloudLoader(folder, TASK, 12, seed=1, rank=rank, world_size=2) for rank in range(2)]
    for step in range(6):
        together = [part.batch(step) for part in parts]
        assert np.array_equal(
            np.concatenate([batch.robot_states for batch in together]), whole.batch(step).robot_states
        )
    for loader in (whole, *parts):
        loader.close()


def test_a_batch_larger_than_everything_there_is_repeats_it(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        store.append(marked(0, "a", steps=5))
    with CloudLoader(tmp_path, TASK, 32, per_scene=1) as loader:
        steps = loader.batch(9).robot_states[:, 1].tolist()
        assert sorted(set(steps)) == [0, 1, 2, 3, 4] and len(steps) == 32


def test_views_sources_and_failures_are_chosen(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        store.append(marked(0, "a"))
        store.append(marked(1, "a", "meshes"))
        store.append(marked(2, "a", success=False))
        store.append(marked(3, "a", source="generalist", success=False))
        store.append(marked(4, "a", source="expert", task="other"))

    def used(**changes):
        with CloudLoader(tmp_path, TASK, 100, per_scene=8, **changes) as loader:
            return set(loader.batch(0).robot_states[:, 0].tolist())

    assert used() == {0, 1, 3}
    assert used(views=("meshes",)) == {1}
    assert used(sources=("teacher",)) == {0, 1}
    with pytest.raises(TrajectoryError, match=r"no clouds of put_in_sink \(.*; by human\) .* there are .*teacher"):
        used(sources=("human",))
    with pytest.raises(TrajectoryError, match=r"no trajectories at .*nowhere: 'casher collect' makes some"):
        CloudLoader(tmp_path / "nowhere", TASK, 8)


def test_clouds_of_another_preprocessing_or_action_set_are_refused_together(tmp_path):
    with TrajectoryStore(tmp_path / "a", "a") as store:
        store.append(marked(0, "a"))
    finer = replace(PREPROCESSING, voxel_m=0.004)
    with TrajectoryStore(tmp_path / "b", "a") as store:
        store.append(seen(1, preprocessing=finer))
    with TrajectoryStore(tmp_path / "c", "a") as store:
        store.append(marked(1, "b", action_set="others"))
    with pytest.raises(TrajectoryError, match=r"differ, another preprocessing: .*0\.004"):
        CloudLoader([tmp_path / "a", tmp_path / "b"], TASK, 8)
    with pytest.raises(TrajectoryError, match=r"differ, another action set: .*'others'"):
        CloudLoader([tmp_path / "a", tmp_path / "c"], TASK, 8)


def test_the_data_hash_is_of_the_content_wherever_it_lies(tmp_path):
    for name in "ab":
        with TrajectoryStore(tmp_path / name, "a") as store:
            store.append(marked(0, "a", recorded="2026-01-01"))
            store.append(marked(1, "b", recorded="2026-01-01"))

    def content(*names):
        with CloudLoader([tmp_path / name for name in names], TASK, 8) as loader:
            return loader.data_hash, loader.batch(5)

    first, batch = content("a")
    second, again = content("b")
    assert first == second and same(batch, again)
    with TrajectoryStore(tmp_path / "b", "a") as store:
        store.append(marked(2, "b"))
    assert content("b")[0] != first
    both, batch = content("a", "b")
    turned, again = content("b", "a")
    assert both == turned and same(batch, again)


def test_a_damaged_trajectory_is_passed_over_and_named_and_the_training_goes_on(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        for i in range(4):
            store.append(marked(i, "a"))
            store.append(marked(10 + i, "b"))
    with h5py.File(tmp_path / "a.put_in_sink.teacher.cameras.0.h5", "r+") as file:
        for i in range(3):
            file[f"data/demo_{i}/obs/points"][3, 2, 1] += 1
    with CloudLoader(tmp_path, TASK, 16, per_scene=1) as loader:
        run = [loader.batch(step) for step in range(24)]
        found = {float(v) for batch in run for v in batch.robot_states[:, 0]}
        assert found == {3, 10, 11, 12, 13} and all(len(batch) == 16 for batch in run)
        assert len(loader.problems) == 3
        assert all("a.put_in_sink" in p and "checksum" in p for p in loader.problems)
    with CloudLoader(tmp_path, TASK, 16, per_scene=1) as loader:
        assert same(loader.batch(20), run[20])
    for path in tmp_path.glob("b.*.h5"):
        path.unlink()
    with CloudLoader(tmp_path, TASK, 16, per_scene=1) as loader:  # whole loads are damaged
        assert {float(v) for step in range(8) for v in loader.batch(step).robot_states[:, 0]} == {3}


def test_nothing_but_damage_is_an_error_and_no_endless_search(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        store.append(marked(0, "a"))
    (path,) = tmp_path.glob("*.h5")
    with h5py.File(path, "r+") as file:
        file["data/demo_0/labels"][3] = 0 if file["data/demo_0/labels"][3] else 1
    with CloudLoader(tmp_path, TASK, 4) as loader, pytest.raises(TrajectoryError, match=r"none of the 1 .* checksum"):
        loader.batch(0)


def test_of_a_file_that_was_cut_off_what_is_whole_is_learned_from(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        for i in range(8):
            store.append(marked(i, "a"))
    (path,) = tmp_path.glob("*.h5")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with CloudLoader(tmp_path, TASK, 16) as loader:
        (problem,) = loader.problems
        assert "was cut off" in problem and "demo_7" in problem
        assert 2 < loader.trajectories < 8
        found = {float(v) for step in range(20) for v in loader.batch(step).robot_states[:, 0]}
        assert found == set(range(loader.trajectories))


def test_what_is_being_collected_is_learned_from_before_and_after_it_becomes_one_file(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        for i in range(4):
            store.append(marked(i, "a"))
        before = CloudLoader(tmp_path, TASK, 16, prefetch=False)
        expected = [before.batch(step) for step in range(10)]
        with CloudLoader(tmp_path, TASK, 16, prefetch=False) as during:
            first = during.batch(0)
            store.close()
            assert same(first, expected[0])
            assert all(same(during.batch(step), expected[step]) for step in range(10))
            assert during.problems == []
    with CloudLoader(tmp_path, TASK, 16) as after:
        assert after.data_hash == before.data_hash and same(after.batch(9), expected[9])
