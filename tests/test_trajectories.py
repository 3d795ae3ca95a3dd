"""The store of trajectories: nothing that was appended is lost, and nothing that does not fit is used."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from casher_policy.action import PAPER, RELEASED
from casher_sim.kitchen import Kitchen, kitchen_named
from casher_sim.twin_kitchen import TwinKitchen
from casher_training.demonstrations import demonstrations
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import ARRAYS, Trajectory, TrajectoryError, action_set
from casher_training.twin_version import place_hash
from tests.trajectories import trajectory
from tests.twins import small_twin, write_twin

ROOT = Path(__file__).parents[1]
DEMO = kitchen_named("demo")


def filled(folder, count=3, **changes):
    with TrajectoryStore(folder, "a") as store:
        for seed in range(count):
            store.append(trajectory(seed, **changes))
    return folder


def only_file(folder):
    (path,) = folder.glob("*.h5")
    return path


def same(a, b):
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=True)
        if f.name in ARRAYS
        else getattr(a, f.name) == getattr(b, f.name)
        for f in dataclasses.fields(Trajectory)
        if f.name != "recorded"
    )


def test_what_is_appended_is_read_back_exactly_now_and_by_the_next_process(tmp_path):
    kept = [trajectory(0), trajectory(2**63 + 1, steps=7, object_poses=np.full((8, 7), np.nan)), trajectory(2)]
    with TrajectoryStore(tmp_path, "a") as store:
        ids = [store.append(t) for t in kept]
        assert same(store.read(1), kept[1])
    assert ids == [f"demo.put_in_sink.human.0.h5:demo_{i}" for i in range(3)]
    with TrajectoryStore(tmp_path) as store:
        assert len(store) == 3 and store.problems == []
        assert all(same(store.read(i), t) for i, t in enumerate(kept))
        assert store.read(0).recorded
    with TrajectoryStore(tmp_path, "a") as store:
        assert store.append(trajectory(9)).endswith("demo_3")


def test_a_file_has_robomimics_layout(tmp_path):
    with h5py.File(only_file(filled(tmp_path))) as file:
        demo = file["data/demo_1"]
        assert file["data"].attrs["total"] == 60 and demo.attrs["num_samples"] == 20
        assert {"actions", "rewards", "dones", "states", "obs"} <= set(demo)
        assert demo["actions"].dtype == np.uint8 and demo["obs/privileged"].shape == (21, 21)
        assert demo["dones"][:].tolist() == 19 * [0] + [1]


def test_kitchens_sources_and_rounds_have_files_of_their_own_and_are_found_by_them(tmp_path):
    with TrajectoryStore(tmp_path, "a", round=2) as store:
        store.append(trajectory(0))
        store.append(trajectory(1, source="expert", success=False))
        store.append(trajectory(2, twin="other"))
        store.append(trajectory(3, robot="fr3"))
    assert len(list(tmp_path.glob("*.2.h5"))) == 3
    with TrajectoryStore(tmp_path) as store:
        assert [t.seed for t in store.trajectories(twin="demo")] == [0]
        assert [t.seed for t in store.trajectories(source="expert", success=None)] == [1]
        assert [t.seed for t in store.trajectories(robot=None)] == [0, 3, 2]


WRITER = """
import sys
from casher_training.trajectories import TrajectoryStore
from tests.trajectories import trajectory
store = TrajectoryStore(sys.argv[1], "a")
for seed in range(100000):
    store.append(trajectory(seed, steps=400))
    print(seed, flush=True)
"""


def test_a_writer_killed_while_it_appends_loses_at_most_what_it_was_writing(tmp_path):
    filled(tmp_path, 2, steps=400)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = [writer.stdout.readline() for _ in range(5)]
    with pytest.raises(TrajectoryError, match="another process appends to"), TrajectoryStore(tmp_path, "a") as store:
        store.append(trajectory(7))
    os.kill(writer.pid, signal.SIGKILL)
    written = len(lines) + len(writer.stdout.readlines())
    writer.wait(30)
    with TrajectoryStore(tmp_path) as store:
        assert written + 2 <= len(store) <= written + 3 and store.problems == []
        assert [len(t) for t in store.trajectories()] == [400] * len(store)
        found = len(store)
    with TrajectoryStore(tmp_path, "a") as store:
        store.append(trajectory(7))
    assert [path.suffix for path in tmp_path.iterdir() if not path.name.startswith(".")] == [".h5"]
    with TrajectoryStore(tmp_path) as store:
        assert len(store) == found + 1 and store.problems == []


def test_a_merge_that_was_killed_before_it_tidied_up_counts_nothing_twice(tmp_path):
    store = TrajectoryStore(tmp_path / "a", "a")
    store.append(trajectory(0))
    store.append(trajectory(1))
    (new,) = (tmp_path / "a").glob("*.new")
    shutil.copytree(new, tmp_path / "kept")
    store.close()
    assert not new.exists()
    shutil.copytree(tmp_path / "kept", new)
    with TrajectoryStore(tmp_path / "a") as store:
        assert [t.seed for t in store.trajectories()] == [0, 1]
    with TrajectoryStore(tmp_path / "a", "a") as store:
        assert store.append(trajectory(2)).endswith("demo_2")
    assert not new.exists()
    with TrajectoryStore(tmp_path / "a") as store:
        assert [t.seed for t in store.trajectories()] == [0, 1, 2]


def test_who_reads_while_another_appends_and_merges_reads_on(tmp_path):
    writer = TrajectoryStore(tmp_path, "a")
    writer.append(trajectory(0))
    with TrajectoryStore(tmp_path) as reader:
        assert len(reader) == 1
        writer.append(trajectory(1))
        writer.close()
        assert same(reader.read(0), trajectory(0))


def test_two_who_append_in_turn_to_a_file_that_both_had_open_lose_nothing(tmp_path):
    filled(tmp_path, 1)
    second = TrajectoryStore(tmp_path, "a")
    with TrajectoryStore(tmp_path, "a") as first:
        first_id = first.append(trajectory(2))
        late = TrajectoryStore(tmp_path, "a")  # has seen the new trajectory in a file of its own
    ids = [first_id]
    for store, seed in ((second, 3), (late, 4)):
        ids.append(store.append(trajectory(seed)))
        store.close()
    assert ids == [f"demo.put_in_sink.human.0.h5:demo_{i}" for i in (1, 2, 3)]
    with TrajectoryStore(tmp_path) as store:
        assert [t.seed for t in store.trajectories()] == [0, 2, 3, 4] and store.problems == []


@pytest.mark.parametrize("share", [0.9, 0.6, 0.05])
def test_of_a_file_that_was_cut_off_what_is_whole_is_read_and_the_rest_is_named(tmp_path, share):
    path = only_file(filled(tmp_path, 20))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with TrajectoryStore(tmp_path) as store:
        (problem,) = store.problems
        assert "was cut off" in problem and str(path) in problem
        assert all(same(store.read(i), trajectory(i)) for i in range(len(store)))
        if share > 0.5:
            assert 20 * (share - 0.45) < len(store) < 20 and "lost: demo_" in problem and "demo_19" in problem


def test_appending_to_a_damaged_file_keeps_the_damaged_one_too(tmp_path):
    path = only_file(filled(tmp_path, 5))
    path.write_bytes(path.read_bytes()[:-1000])
    damaged = path.read_bytes()
    with TrajectoryStore(tmp_path, "a") as store:
        assert len(store) == 4
        assert store.append(trajectory(8)).endswith("demo_5")
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged
    with TrajectoryStore(tmp_path) as store:
        assert [t.seed for t in store.trajectories()] == [0, 1, 2, 3, 8] and store.problems == []


def test_a_trajectory_whose_bits_have_changed_is_passed_over_and_named(tmp_path):
    path = only_file(filled(tmp_path))
    with h5py.File(path, "r+") as file:
        file["data/demo_1/states"][3, 2] += 0.5
    with TrajectoryStore(tmp_path) as store:
        with pytest.raises(TrajectoryError, match=r"demo_1 in .* is damaged: its checksum"):
            store.read(1)
        assert [t.seed for t in store.trajectories()] == [0, 2]
        assert len(store.problems) == 1 and "demo_1" in store.problems[0]


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(20)])
def test_a_file_of_something_else_is_named_and_the_others_are_read(tmp_path, content):
    filled(tmp_path)
    (tmp_path / "other.h5").write_bytes(content)
    with TrajectoryStore(tmp_path) as store:
        assert len(store) == 3
        assert len(store.problems) == 1 and "other.h5" in store.problems[0]


def test_arrays_that_do_not_fit_together_are_refused(tmp_path):
    with pytest.raises(TrajectoryError, match=r"20 actions: robot_joints must be \(21, 7\), got \(20, 7\)"):
        trajectory(robot_joints=np.zeros((20, 7)))
    with pytest.raises(TrajectoryError, match=r"actions are 0..13, got 14"):
        trajectory(actions=np.full(20, 14))
    with pytest.raises(TrajectoryError, match="unknown source 'nobody': known are human"):
        trajectory(source="nobody")
    with pytest.raises(TrajectoryError, match=r"no trajectories at .*nowhere: 'casher demos collect'"):
        TrajectoryStore(tmp_path / "nowhere")


def demo_trajectory(seed, **changes):
    fields = {"twin_hash": place_hash(DEMO), "action_set": action_set(RELEASED), **changes}
    return trajectory(seed, **fields)


def test_a_teacher_gets_as_many_demonstrations_as_it_asks_for_or_is_told_what_is_missing(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        for seed in range(3):
            store.append(demo_trajectory(seed))
        store.append(demo_trajectory(3, success=False))
    assert [t.seed for t in demonstrations(tmp_path, DEMO, "put_in_sink", count=3)] == [0, 1, 2]
    with pytest.raises(TrajectoryError, match=r"4 demonstrations of put_in_sink in 'demo' are needed, .* there are 3"):
        demonstrations(tmp_path, DEMO, "put_in_sink", count=4)


def test_a_teacher_of_several_objects_gets_demonstrations_of_each_in_turn(tmp_path):
    with TrajectoryStore(tmp_path, "a") as store:
        for seed in range(7):
            store.append(demo_trajectory(seed, object="mug" if seed < 4 else "bowl"))

    def given(count, objects):
        return [t.seed for t in demonstrations(tmp_path, DEMO, "put_in_sink", count=count, objects=objects)]

    assert given(4, ("mug", "bowl")) == [0, 4, 1, 5]
    assert given(7, ("bowl", "mug")) == [4, 0, 5, 1, 6, 2, 3]
    assert given(5, None) == [0, 1, 2, 3, 4]
    with pytest.raises(TrajectoryError, match=r"with mug, box in 'demo' are needed, .* there are 2; none with box:"):
        given(2, ("mug", "box"))
    with h5py.File(only_file(tmp_path), "r+") as file:
        file["data/demo_4/states"][3, 2] += 0.5
    assert given(4, ("mug", "bowl")) == [0, 5, 1, 6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "put_in_cabinet"}, "has task 'put_in_cabinet', and 'put_in_sink' is asked for"),
        ({"action_set": action_set(PAPER)}, "0.02 rad', and .*0.2 rad' is asked for"),
        ({"twin_hash": "f" * 16}, "has twin_hash 'ffff.*the twin was changed after they were made: collect new ones"),
    ],
)
def test_demonstrations_of_another_task_action_set_or_twin_version_are_refused(tmp_path, changes, message):
    with TrajectoryStore(tmp_path, "a") as store:
        store.append(demo_trajectory(0, **changes))
    with pytest.raises(TrajectoryError, match=message):
        demonstrations(tmp_path, DEMO, "put_in_sink", count=1)


def test_one_file_holds_one_version_of_a_kitchen(tmp_path):
    filled(tmp_path, 1)
    with (
        TrajectoryStore(tmp_path, "a") as store,
        pytest.raises(TrajectoryError, match="twin_hash '0123456789abcdef', got one of 'other'"),
    ):
        store.append(trajectory(1, twin_hash="other"))


def test_a_twins_version_changes_with_its_content_and_not_with_its_provenance(tmp_path):
    twin = small_twin()
    first = place_hash(TwinKitchen(write_twin(twin, tmp_path / "a")))
    later = dataclasses.replace(twin, provenance=dataclasses.replace(twin.provenance, date="2026-03-01"))
    assert place_hash(TwinKitchen(write_twin(later, tmp_path / "b"))) == first
    moved = small_twin(sites={"sink": dataclasses.replace(twin.sites["sink"], rim_z=0.11)})
    assert place_hash(TwinKitchen(write_twin(moved, tmp_path / "c"))) != first
    mesh = write_twin(twin, tmp_path / "d") / "kitchen.glb"
    mesh.write_bytes(mesh.read_bytes() + b" ")
    assert place_hash(TwinKitchen(tmp_path / "d")) != first
    assert place_hash(Kitchen("demo", counter_z=0.06)) != place_hash(DEMO)
