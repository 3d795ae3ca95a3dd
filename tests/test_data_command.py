"""casher data info, check, export: what they say, and what they return."""

import json
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from casher_training import data_check, data_export, data_info
from casher_training.clouds import metres
from casher_training.trajectories import TrajectoryStore
from tests.trajectories import clouds, seen, trajectory


@pytest.fixture
def folder(tmp_path):
    with TrajectoryStore(tmp_path / "set", "a") as store:
        for seed in range(3):
            store.append(seen(seed, 10 + seed))
        store.append(seen(3, view="meshes", twin="other"))
        store.append(seen(4, view="meshes", twin="other", source="generalist", success=False))
        store.append(trajectory(5))
    return tmp_path / "set"


def test_info_says_what_there_is_of_each_twin_view_and_source(folder, tmp_path, capsys):
    assert data_info.main(data_info.InfoArgs((folder,), json=True, png=tmp_path / "clouds.png")) == 0
    said = json.loads(capsys.readouterr().out)
    rows = {(r["twin"], r["view"], r["source"]): (r["episodes"], r["failed"], r["pairs"]) for r in said["rows"]}
    assert rows == {
        ("demo", "cameras", "teacher"): (3, 0, 33),
        ("demo", "no clouds", "human"): (1, 0, 0),
        ("other", "meshes", "teacher"): (1, 0, 20),
        ("other", "meshes", "generalist"): (1, 1, 20),
    }
    assert sum(said["labels"].values()) == 73 and len(said["preprocessings"]) == 1
    size = sum(path.stat().st_size for path in folder.glob("*.h5"))
    assert sum(row["MB"] for row in said["rows"]) == pytest.approx(size / 1e6)
    assert np.asarray(Image.open(tmp_path / "clouds.png")).std() > 1
    assert data_info.main(data_info.InfoArgs((folder,))) == 0
    assert "data hash" in capsys.readouterr().out


def test_nothing_there_is_said(folder, tmp_path, capsys):
    nowhere = (tmp_path / "nowhere",)
    assert data_info.main(data_info.InfoArgs(nowhere)) == 2
    assert data_check.main(data_check.CheckArgs(nowhere)) == 2
    assert data_export.main(data_export.ExportArgs(nowhere, tmp_path / "out")) == 2
    assert capsys.readouterr().err.count("nowhere: 'casher collect' makes some") == 3
    with TrajectoryStore(tmp_path / "plain", "a") as store:
        store.append(trajectory(0))
    assert data_info.main(data_info.InfoArgs((tmp_path / "plain",), png=tmp_path / "none.png")) == 2
    assert "no clouds to draw" in capsys.readouterr().err


def test_check_names_what_is_damaged_and_what_cannot_be_meant(folder, capsys):
    assert data_check.main(data_check.CheckArgs((folder,))) == 0
    assert "read 6 trajectories, 73 pairs" in capsys.readouterr().out
    with h5py.File(folder / "demo.put_in_sink.teacher.cameras.0.h5", "r+") as file:
        file["data/demo_1/obs/colours"][0, 0, 0] ^= 1
    with TrajectoryStore(folder, "a") as store:
        store.append(seen(6, twin="odd", clouds=clouds(6, points=np.full((20, 32, 3), 9000, np.int16))))
        store.append(seen(7, twin="odd", clouds=clouds(7, robot_states=np.zeros((20, 9), np.float32))))
        twice = seen(8, twin="odd", recorded="2026-01-01")
        store.append(twice)
        store.append(twice)
    assert data_check.main(data_check.CheckArgs((folder,))) == 1
    said = capsys.readouterr().out
    assert "demo.put_in_sink.teacher.cameras.0.h5:demo_1" in said and "checksum" in said
    assert "demo_0: points outside of the crop" in said and "demo_0: 20 of 20 clouds are one point only" in said
    assert "demo_1: the tool's quaternions should have length 1 and have 0.000" in said
    assert "demo_3 is the same as" in said and "problems: 5" in said


def test_an_export_without_pyarrow_says_what_to_install(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert data_export.main(data_export.ExportArgs((folder,), tmp_path / "out")) == 2
    assert "needs pyarrow, which is not installed: pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_lerobot_data_set_holds_what_the_store_holds(folder, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "lerobot"
    assert data_export.main(data_export.ExportArgs((folder,), out, view="cameras")) == 0
    info = json.loads((out / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and (info["total_episodes"], info["total_frames"]) == (3, 33)
    assert info["features"]["observation.points"]["shape"] == [32, 3]
    table = parquet.read_table(out / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(table.column_names) == set(info["features"])
    episodes = parquet.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    with TrajectoryStore(folder) as store:
        for i, episode in zip(store.select(view="cameras"), episodes, strict=True):
            kept = store.read(i)
            rows = table.slice(episode["dataset_from_index"], episode["length"])
            assert np.array_equal(
                np.array(rows["observation.points"].to_pylist(), np.float32), metres(kept.clouds.points)
            )
            assert rows["action"].to_pylist() == kept.actions.tolist()
            assert rows["next.done"].to_pylist() == [False] * (len(kept) - 1) + [True]
            assert episode["name"] == store.name(i) and episode["tasks"] == ["put_in_sink"]
    stats = json.loads((out / "meta/stats.json").read_text())
    points = np.array(table["observation.points"].to_pylist()).reshape(-1, 3)
    assert np.allclose(stats["observation.points"]["mean"], points.mean(axis=0), atol=1e-6)
    assert np.allclose(stats["observation.points"]["std"], points.std(axis=0), atol=1e-6)

    assert data_export.main(data_export.ExportArgs((folder,), out)) == 2
    assert "is there already" in capsys.readouterr().err
    assert data_export.main(data_export.ExportArgs((folder,), tmp_path / "mixed")) == 2
    assert "has other data than the trajectories before it" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lerobot", "set"]
