"""The twin's file and frames."""

import numpy as np
import pytest
import yaml
from twins import small_twin, textured_square, write_twin

from casher_sim.mesh_file import MeshError, plain_mesh, read_glb, read_hulls, surface_colours, write_glb
from casher_sim.twin import Y_UP_TO_BASE, Body, Consent, TwinError, to_base, to_scan
from casher_sim.twin_file import file_inside, load_twin, save_twin


def text(folder):
    return (folder / "twin.yaml").read_text()


def changed(folder, change):
    """twin.yaml after `change` was applied to its values."""
    values = yaml.safe_load(text(folder))
    change(values)
    (folder / "twin.yaml").write_text(yaml.safe_dump(values))
    return folder


def test_a_twin_written_read_and_written_again_is_the_same(tmp_path):
    write_twin(small_twin(consent=Consent("the owner", "research", "2026-01-31")), tmp_path / "a")
    (tmp_path / "b").mkdir()
    save_twin(load_twin(tmp_path / "a"), tmp_path / "b")
    assert text(tmp_path / "a") == text(tmp_path / "b")


def test_what_is_read_is_what_was_written(tmp_path):
    twin = small_twin()
    read = load_twin(write_twin(twin, tmp_path))
    np.testing.assert_allclose(read.T_base_scan, twin.T_base_scan, atol=1e-12)
    for name in ("name", "bodies", "sites", "handle", "spawns", "tasks", "physics", "provenance", "consent", "scale"):
        assert getattr(read, name) == getattr(twin, name), name


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda v: v["bodies"][1]["joint"].update(axis=[0, 0, 2]), "bodies[1].joint.axis"),
        (lambda v: v["bodies"][1]["joint"].update(range=[1.0, 0.0]), "bodies[1].joint.range"),
        (lambda v: v["bodies"][1]["joint"].update(type="ball"), "bodies[1].joint.type"),
        (lambda v: v["bodies"][1]["boxes"][0].update(half_size=[1, 1, 0]), "bodies[1].boxes[0].half_size"),
        (lambda v: v["bodies"][0].update(friction=-1), "bodies[0].friction"),
        (lambda v: v["bodies"][0].update(visual="../kitchen.glb"), "bodies[0].visual"),
        (lambda v: v["bodies"][0].update(visual="/tmp/kitchen.glb"), "bodies[0].visual"),
        (lambda v: v["bodies"][0].update(visual="kitchen.obj"), "bodies[0].visual"),
        (lambda v: v["bodies"][0].update(parent="wall"), "bodies[0].parent"),
        (lambda v: v["bodies"][1].update(name="kitchen"), "bodies[1].name"),
        (lambda v: v.update(bodies=[]), "bodies"),
        (lambda v: v["sites"]["sink"].update(position=[0, 0]), "sites.sink.position"),
        (lambda v: v["sites"]["sink"].update(rim_z=float("nan")), "sites.sink.rim_z"),
        (lambda v: v["handle"].update(body="kitchen"), "handle.body"),
        (lambda v: v["spawns"].update(behind=v["spawns"].pop("left")), "spawns"),
        (lambda v: v["tasks"].update(wash_up={"objects": []}), "tasks"),
        (lambda v: v["T_base_scan"].update(quat_xyzw=[0, 0, 0, 2]), "T_base_scan.quat_xyzw"),
        (lambda v: v.update(scale=0), "scale"),
        (lambda v: v.update(scan_up="x"), "scan_up"),
        (lambda v: v.update(consent="none needed"), "consent"),
        (lambda v: v["provenance"].update(date="yesterday"), "provenance.date"),
        (lambda v: v["provenance"].update(seed=1.5), "provenance.seed"),
        (lambda v: v["bodies"][0].update(colour="red"), "bodies[0] has unknown fields colour"),
        (lambda v: v["physics"].pop("friction"), "physics lacks friction"),
        (lambda v: v.pop("consent"), "lacks consent"),
        (lambda v: v.update(version=2), "version must be 1"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(tmp_path, change, path):
    folder = changed(write_twin(small_twin(), tmp_path), change)
    with pytest.raises(TwinError) as error:
        load_twin(folder)
    assert path in str(error.value)
    assert str(folder / "twin.yaml") in str(error.value)


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: [", "!!python/object/apply:os.system ['true']", "\x00"])
def test_a_file_that_is_no_twin_is_refused(tmp_path, content):
    (tmp_path / "twin.yaml").write_text(content)
    with pytest.raises(TwinError):
        load_twin(tmp_path)


def test_a_folder_without_a_twin_says_how_to_make_one(tmp_path):
    with pytest.raises(TwinError, match="casher scan import"):
        load_twin(tmp_path)


def test_a_twin_that_cannot_be_read_back_is_not_written(tmp_path):
    write_twin(small_twin(), tmp_path)
    before = text(tmp_path)
    with pytest.raises(TwinError, match="scale"):
        save_twin(small_twin(scale=-1.0), tmp_path)
    assert text(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kitchen.glb", "kitchen_collision.glb", "twin.yaml"]


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.glb").write_bytes(b"x")
    folder = tmp_path / "twin"
    folder.mkdir()
    (folder / "kitchen.glb").symlink_to(tmp_path / "secret.glb")
    with pytest.raises(TwinError, match="outside"):
        file_inside(folder, "kitchen.glb")


def test_to_base_and_back_changes_nothing():
    twin = small_twin()
    points = np.random.default_rng(0).uniform(-200, 200, (50, 3))
    np.testing.assert_allclose(to_scan(twin, to_base(twin, points)), points, atol=1e-9)


def test_a_metre_up_in_the_scan_is_a_metre_up_in_the_base():
    twin = small_twin(scale=0.01, T_base_scan=Y_UP_TO_BASE)
    np.testing.assert_allclose(to_base(twin, [[0.0, 100.0, 0.0]]), [[0.0, 0.0, 1.0]], atol=1e-12)


def test_a_texture_survives_a_glb_file(tmp_path):
    write_glb(tmp_path / "a.glb", [textured_square()])
    (mesh,) = read_glb(tmp_path / "a.glb")
    middle = np.array([[1.0, 1.0, 1.0]]) / 3
    for face, wanted in ((0, (255, 255, 0)), (1, (255, 0, 0))):  # centres at (2/3, 1/3) and (1/3, 2/3)
        np.testing.assert_array_equal(surface_colours(mesh, np.array([face]), middle)[0], wanted)


def test_hulls_come_back_one_by_one(tmp_path):
    write_twin(small_twin(bodies=(Body("kitchen", "kitchen.glb", "kitchen_collision.glb"),), handle=None), tmp_path)
    ((vertices, faces),) = read_hulls(tmp_path / "kitchen_collision.glb")
    assert (vertices.shape, faces.shape) == ((8, 3), (12, 3))


@pytest.mark.parametrize("content", [b"", b"glTF", b"not a mesh at all, but long enough to be one"])
def test_a_broken_mesh_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.glb").write_bytes(content)
    with pytest.raises(MeshError, match=r"a\.glb"):
        read_glb(tmp_path / "a.glb")


def test_vertices_that_are_not_finite_are_refused(tmp_path):
    mesh = textured_square()
    mesh.vertices[0] = np.nan
    write_glb(tmp_path / "a.glb", [plain_mesh(mesh.vertices, mesh.faces)])
    with pytest.raises(MeshError, match="finite"):
        read_glb(tmp_path / "a.glb")
