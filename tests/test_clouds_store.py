"""The store of clouds: what was appended is read back to the bit, and nothing damaged or hostile is believed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from casher_training.cloud_loader import CloudLoader
from casher_training.clouds import CloudsError, metres, quantise
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError
from tests.trajectories import PREPROCESSING, clouds, seen, trajectory

ROOT = Path(__file__).parents[1]


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


def test_arrays_that_do_not_fit_are_refused_with_their_shapes():
    with pytest.raises(CloudsError, match=r"20 steps: points must be \(20, 32, 3\), got \(20, 31, 3\)"):
        clouds(points=np.zeros((20, 31, 3), np.int16))
    with pytest.raises(CloudsError, match=r"points must be int16, got float64: use clouds.quantise"):
        clouds(points=np.zeros((20, 32, 3)))
    with pytest.raises(CloudsError, match=r"labels are 0..13, got 0..14"):
        clouds(labels=np.arange(20) % 15)
    with pytest.raises(CloudsError, match="robot_states must be finite"):
        clouds(robot_states=np.full((20, 9), np.nan, np.float32))
    with pytest.raises(CloudsError, match="unknown view 'eyes': known are cameras, meshes"):
        clouds(view="eyes")
    with pytest.raises(TrajectoryError, match="trajectory of 20 actions: one cloud each, got 19"):
        trajectory(clouds=clouds(steps=19))


def test_a_file_is_of_one_preprocessing(tmp_path):
    filled(tmp_path, 1)
    finer = replace(PREPROCESSING, voxel_m=0.004)
    with (
        TrajectoryStore(tmp_path, "a") as store,
        pytest.raises(TrajectoryError, match=r"trajectories of preprocessing .*0\.005.* got one of .*0\.004"),
    ):
        store.append(seen(1, preprocessing=finer))


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_a_broken_tail_of_clouds_is_named_and_what_comes_before_it_is_kept(tmp_path, share):
    (path,) = filled(tmp_path, 12, steps=60).glob("*.h5")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with TrajectoryStore(tmp_path) as store:
        (problem,) = store.problems
        assert "was cut off" in problem and "demo_11" in problem
        assert 12 * (share - 0.35) < len(store) < 12
        assert all(same_clouds(store.read(i).clouds, seen(i, steps=60).clouds) for i in range(len(store)))


@pytest.mark.parametrize("name", ["labels", "obs/points", "obs/colours", "obs/robot_state"])
def test_clouds_whose_bits_have_changed_are_passed_over_and_named(tmp_path, name):
    (path,) = filled(tmp_path).glob("*.h5")
    with h5py.File(path, "r+") as file:
        dataset = file[f"data/demo_1/{name}"]
        dataset[(0,) * dataset.ndim] = 1 if dataset[(0,) * dataset.ndim] != 1 else 0
    with TrajectoryStore(tmp_path) as store:
        assert [t.seed for t in store.trajectories()] == [0, 2]
        assert len(store.problems) == 1 and "demo_1" in store.problems[0] and "clouds' checksum" in store.problems[0]


def bomb(demo):
    """A terabyte that takes no room in the file."""
    del demo["obs/points"]
    demo.create_dataset("obs/points", (10**7, 32, 3), np.int16, chunks=(1024, 32, 3), compression="gzip")


def bomb_of_the_right_shape(demo):
    """Compressed, so that no byte of it need be there."""
    del demo["obs/points"]
    demo.create_dataset("obs/points", (20, 32, 3), np.int16, chunks=(20, 32, 3), compression="gzip")


def file_elsewhere(demo):
    """Whatever /etc/passwd holds, as points."""
    del demo["obs/points"]
    demo.create_dataset("obs/points", (20, 32, 3), np.int16, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def link_elsewhere(demo):
    """Another file's array."""
    other = demo.file.filename.replace("cameras.0", "meshes.0")
    del demo["obs/points"]
    demo["obs/points"] = h5py.ExternalLink(other, "data/demo_0/obs/points")


def objects(demo):
    """Text, where numbers should be."""
    del demo["obs/points"]
    demo["obs/points"] = np.array([b"cos\nsystem\n(S'true'\ntR."] * 20, dtype=object)


def preprocessing_of_another_shape(demo):
    """Names that Preprocessing does not have."""
    demo.attrs["clouds"] = np.bytes_(b'{"view": "cameras", "preprocessing": {"__reduce__": "os.system"}}')


@pytest.mark.parametrize(
    "harm",
    [bomb, bomb_of_the_right_shape, file_elsewhere, link_elsewhere, objects, preprocessing_of_another_shape],
    ids=lambda harm: harm.__name__,
)
def test_of_a_hostile_file_nothing_is_believed_and_the_rest_is_read(tmp_path, harm):
    filled(tmp_path)
    filled(tmp_path, view="meshes")
    with h5py.File(tmp_path / "demo.put_in_sink.teacher.cameras.0.h5", "r+") as file:
        harm(file["data/demo_1"])
    with TrajectoryStore(tmp_path) as store:
        assert [t.seed for t in store.trajectories()] == [0, 2, 0, 1, 2]
        assert len(store.problems) == 1 and "demo_1" in store.problems[0]
    with CloudLoader(tmp_path, "put_in_sink", 20, per_scene=10) as loader:
        assert len(loader.batch(0)) == 20 and len(loader.batch(9)) == 20
        assert len(loader.problems) == 1


def test_no_pickle_is_ever_read():
    package = ROOT / "training" / "casher_training"
    for name in ("cloud_file", "cloud_index", "cloud_loader", "trajectories", "trajectory_file", "lerobot_export"):
        source = (package / f"{name}.py").read_text()
        assert "pickle" not in source and "torch.load" not in source and "np.load" not in source


WRITER = """
import sys
from casher_training.trajectories import TrajectoryStore
from tests.trajectories import seen
store = TrajectoryStore(sys.argv[1], "a")
for seed in range(100000):
    store.append(seen(seed, steps=200))
    print(seed, flush=True)
    if seed % 5 == 4:
        store.close()
        store = TrajectoryStore(sys.argv[1], "a")
"""


def test_a_writer_of_clouds_killed_at_any_time_loses_at_most_what_it_was_writing(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = [writer.stdout.readline() for _ in range(8)]
    os.kill(writer.pid, signal.SIGKILL)
    written = len(lines) + len(writer.stdout.readlines())
    writer.wait(30)
    with TrajectoryStore(tmp_path) as store:
        assert written <= len(store) <= written + 1 and store.problems == []
        assert all(same_clouds(store.read(i).clouds, seen(i, steps=200).clouds) for i in range(len(store)))
