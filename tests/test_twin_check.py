"""What `casher twin check` and `casher twin show` say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image
from twins import SINK_Z, WORKTOP_Z, small_twin, write_twin

from casher_sim.kitchen import kitchen_named
from casher_sim.kitchen_look import kitchen_meshes
from casher_sim.mesh_file import as_trimesh, write_hulls
from casher_sim.twin import Joint, Provenance, Site, Spawn, TaskSupport, to_scan
from casher_sim.twin_check import CheckArgs, check_twin, main
from casher_sim.twin_show import ShowArgs
from casher_sim.twin_show import main as show


def findings(tmp_path, **changes):
    return [(f.level, f.text) for f in check_twin(write_twin(small_twin(**changes), tmp_path))]


def test_a_good_twin_has_no_findings(tmp_path):
    assert findings(tmp_path) == []


BODIES = small_twin().bodies


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({"sites": {}}, "error", "put_in_sink needs the site 'sink'"),
        ({"handle": None}, "error", "open_cabinet needs a handle"),
        ({"spawns": {}}, "error", "nowhere for its object to start"),
        ({"tasks": {"put_in_sink": TaskSupport(())}}, "error", "has no objects"),
        ({"tasks": {}}, "warning", "no task"),
        ({"spawns": {"left": Spawn((0.8, 0.6, WORKTOP_Z), (0.05, 0.05))}}, "error", "1.00 m from the base"),
        ({"spawns": {"left": Spawn((0.1, 0.2, WORKTOP_Z), (0.05, 0.05))}}, "error", "0.22 m from the base"),
        ({"sites": {"sink": Site((0.9, 0.0, SINK_Z), (0.2, 0.2), WORKTOP_Z)}}, "error", "outside the crop"),
        ({"sites": {"sink": Site((0.55, -0.1, SINK_Z), (0.2, 0.2), -0.2)}}, "error", "not above its surface"),
        ({"sites": {"sink": Site((0.55, -0.1, 0.0), (0.2, 0.2), WORKTOP_Z)}}, "warning", "60 mm below it"),
        ({"T_base_scan": np.eye(4)}, "error", "tilts the scan's up axis y by 90 deg"),
        ({"provenance": Provenance("scan", "2026-01-31", "test")}, "warning", "without consent"),
        (
            {"bodies": (BODIES[0], replace(BODIES[1], joint=Joint("hinge", (0, 0, 1), (0, 0, 0), (0, 0.5), 0.1, 0.1)))},
            "error",
            "opens to 0.5 rad",
        ),
        ({"bodies": (replace(BODIES[0], visual="missing.glb"), BODIES[1])}, "error", "missing.glb"),
        ({"bodies": (BODIES[0], replace(BODIES[1], boxes=()))}, "warning", "'door' has no collision"),
    ],
)
def test_what_is_wrong_is_found(tmp_path, changes, level, text):
    found = findings(tmp_path, **changes)
    assert any(level == a and text in b for a, b in found), found


def test_a_twin_in_the_wrong_unit_is_suspicious(tmp_path):
    folder = write_twin(small_twin(), tmp_path)
    path = folder / "twin.yaml"
    path.write_text(path.read_text().replace("scale: 0.01", "scale: 1.0"))
    assert any("check scale" in finding.text for finding in check_twin(folder))


def test_flat_hulls_are_errors(tmp_path):
    twin = small_twin()
    folder = write_twin(twin, tmp_path)
    flat = trimesh.creation.box((0.6, 0.8, 0.2)).vertices * (1, 1, 0)
    write_hulls(folder / "kitchen_collision.glb", [(to_scan(twin, flat), trimesh.creation.box().faces)])
    assert any(f.level == "error" and "flat" in f.text for f in check_twin(folder))


def test_a_mesh_outside_of_the_folder_is_an_error(tmp_path):
    folder = write_twin(small_twin(), tmp_path / "twin")
    (folder / "kitchen.glb").rename(tmp_path / "kitchen.glb")
    (folder / "kitchen.glb").symlink_to(tmp_path / "kitchen.glb")
    assert any(f.level == "error" and "outside" in f.text for f in check_twin(folder))


def test_the_command_fails_for_errors_only(tmp_path, capsys):
    good = write_twin(small_twin(), tmp_path / "good")
    bad = write_twin(small_twin(sites={}), tmp_path / "bad")
    assert main(CheckArgs((good,))) == 0
    assert main(CheckArgs((good, bad, tmp_path / "none"), json=True)) == 1
    told = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert told[str(good)] == []
    assert {finding["level"] for finding in told[str(bad)]} == {"error"}
    assert "no twin.yaml" in told[str(tmp_path / "none")][0]["text"]


def test_a_picture_shows_the_worktop_and_the_spawn(tmp_path):
    folder = write_twin(small_twin(), tmp_path)
    png = tmp_path / "a.png"
    assert show(ShowArgs(folder, png=png, size=(80, 60), eye=(0.5, 0.35, 1.0), target=(0.5, 0.35, 0.0))) == 0
    picture = np.asarray(Image.open(png)).astype(int)
    middle, beside = picture[30, 40], picture[30, 48]
    assert middle[1] > middle[0] + 50, "the spawn's mark is green"
    assert abs(beside - beside.mean()).max() < 3, "the worktop is grey"
    assert beside.mean() < 200


def test_a_browser_shows_the_demo_kitchen_from_all_sides_and_files_stay_as_they_were():
    textured = [mesh for mesh in kitchen_meshes(kitchen_named("demo")) if mesh.texture is not None]
    assert textured and all(as_trimesh(mesh).visual.material.doubleSided for mesh in textured)
    assert {as_trimesh(mesh, two_sided=False).visual.material.doubleSided for mesh in textured} == {False}


def test_showing_what_is_no_twin_fails_with_a_sentence(tmp_path, capsys):
    assert show(ShowArgs(tmp_path, png=tmp_path / "a.png")) == 2
    assert "no twin.yaml" in capsys.readouterr().err
    folder = write_twin(small_twin(), tmp_path / "kitchen")
    assert show(ShowArgs(tmp_path, png=tmp_path / "a.png")) == 2
    assert f"name {folder}" in capsys.readouterr().err
    assert show(ShowArgs(folder, png=tmp_path / "none" / "a.png", size=(8, 6))) == 2
    assert "cannot write the picture" in capsys.readouterr().err
