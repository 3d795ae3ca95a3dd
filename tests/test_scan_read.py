"""Scans read, and bad ones refused by name."""

import json
import struct
import warnings
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdShade
from twins import textured_square

from casher_sim import scan_read, scan_usdz
from casher_sim.mesh_file import as_trimesh, surface_colours, write_glb
from casher_sim.scan_read import ScanError, read_scan

MIDDLE = np.array([[1.0, 1.0, 1.0]]) / 3


def centre_colours(mesh):
    """Colours in the middle of every triangle."""
    return surface_colours(mesh, np.arange(len(mesh.faces)), np.repeat(MIDDLE, len(mesh.faces), axis=0)).tolist()


def write_obj(folder):
    """textured_square as OBJ, MTL and PNG."""
    square = textured_square()
    Image.fromarray(square.texture).save(folder / "paint.png")
    (folder / "scan.mtl").write_text("newmtl paint\nKd 1 1 1\nmap_Kd paint.png\n")
    lines = ["mtllib scan.mtl", "usemtl paint"]
    lines += [f"v {x} {y} {z}" for x, y, z in square.vertices] + [f"vt {u} {v}" for u, v in square.uv]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in square.faces]
    (folder / "scan.obj").write_text("\n".join(lines))
    return folder / "scan.obj"


def write_gltf(folder):
    """textured_square as glTF with buffers and texture next to it."""
    for name, data in trimesh.Scene(as_trimesh(textured_square())).export(file_type="gltf").items():
        (folder / name).write_bytes(data)
    return folder / "model.gltf"


def write_usdz(path, up="Y", metres_per_unit=1.0, asset="paint.png", with_picture=True, extra=()):
    """textured_square as USDZ, made as scanning apps do: one stage, one picture."""
    folder = path.parent / "usd"
    folder.mkdir()
    square = textured_square()
    Image.fromarray(square.texture).save(folder / "paint.png")
    stage = Usd.Stage.CreateNew(str(folder / "scan.usdc"))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, metres_per_unit)
    mesh = UsdGeom.Mesh.Define(stage, "/kitchen")
    mesh.CreatePointsAttr(square.vertices)
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex").Set(square.uv)
    material = UsdShade.Material.Define(stage, "/paint")
    shader = UsdShade.Shader.Define(stage, "/paint/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    texture = UsdShade.Shader.Define(stage, "/paint/texture")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(asset)
    texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(texture.ConnectableAPI(), "rgb")
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    stage.Save()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(folder / "scan.usdc", "scan.usdc")
        if with_picture:
            archive.write(folder / "paint.png", "paint.png")
        for name, content in extra:
            archive.writestr(name, content)
    return path


def test_every_format_brings_the_same_triangles_and_colours(tmp_path):
    write_glb(tmp_path / "scan.glb", [textured_square()])
    files = [tmp_path / "scan.glb", write_gltf(tmp_path), write_obj(tmp_path), write_usdz(tmp_path / "scan.usdz")]
    wanted = centre_colours(textured_square())
    for file in files:
        (mesh,) = read_scan(file).meshes
        assert mesh.vertices[mesh.faces].mean(axis=(0, 1)) == pytest.approx([0.5, 0.5, 0.0], abs=0.01), file
        assert sorted(centre_colours(mesh)) == sorted(wanted), file


def test_the_format_tells_axis_and_unit_where_it_can(tmp_path):
    write_glb(tmp_path / "scan.glb", [textured_square()])
    told = [(s.up_hint, s.scale_hint) for s in map(read_scan, (tmp_path / "scan.glb", write_obj(tmp_path)))]
    assert told == [("y", 1.0), (None, None)]
    scan = read_scan(write_usdz(tmp_path / "scan.usdz", up="Z", metres_per_unit=0.01))
    assert (scan.up_hint, scan.scale_hint) == ("z", 0.01)


def test_a_node_s_transform_is_applied(tmp_path):
    scene = trimesh.Scene()
    scene.add_geometry(as_trimesh(textured_square()), transform=trimesh.transformations.translation_matrix((5, 6, 7)))
    (tmp_path / "scan.glb").write_bytes(scene.export(file_type="glb"))
    assert read_scan(tmp_path / "scan.glb").meshes[0].vertices.min(axis=0).tolist() == [5, 6, 7]


def test_a_scan_without_colours_is_warned_about(tmp_path):
    (tmp_path / "scan.glb").write_bytes(trimesh.creation.box().export(file_type="glb"))
    assert "grey" in read_scan(tmp_path / "scan.glb").warnings[0]


def glb_with(tree):
    """A GLB file of that JSON and nothing else."""
    content = json.dumps(tree).encode()
    content += b" " * (-len(content) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(content), len(content), 0x4E4F534A) + content


def refusal(path):
    with pytest.raises(ScanError) as error:
        read_scan(path)
    assert path.name in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("scan.glb", b"", "empty"),
        ("scan.glb", b"PK\x03\x04 and then something else", "not a GLB"),
        ("scan.glb", glb_with({"asset": {"version": "2.0"}}), "empty"),
        ("scan.glb", glb_with({"asset": {"version": "2.0"}, "images": [{"uri": "wood.png"}]}), "wood.png"),
        ("scan.glb", glb_with({"asset": {"version": "2.0"}, "images": [{"uri": "../wood.png"}]}), "outside"),
        ("scan.glb", glb_with({"extensionsRequired": ["KHR_draco_mesh_compression"]}), "compressed"),
        ("scan.gltf", b"{", "not glTF"),
        ("scan.gltf", json.dumps({"buffers": [{"uri": "scan.bin"}]}).encode(), "scan.bin"),
        ("scan.gltf", json.dumps({"buffers": [{"uri": "%2e%2e/scan.bin"}]}).encode(), "outside"),
        ("scan.gltf", json.dumps({"buffers": [{"uri": "https://example.org/a.bin"}]}).encode(), "outside"),
        ("scan.gltf", json.dumps({"buffers": [{"uri": "/etc/passwd"}]}).encode(), "outside"),
        ("scan.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "empty"),
        ("scan.obj", b"mtllib scan.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "scan.mtl"),
        ("scan.obj", b"mtllib ../../scan.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "outside"),
        ("scan.obj", b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "NaN"),
        ("scan.obj", b"v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "one place"),
        ("scan.usdz", b"not a zip", "not a USDZ"),
        ("scan.ply", b"ply", "GLB"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    assert text in refusal(tmp_path / name)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "no file" in refusal(tmp_path / "scan.glb")


def test_a_glb_cut_off_in_a_transfer_is_refused(tmp_path):
    write_glb(tmp_path / "scan.glb", [textured_square()])
    (tmp_path / "scan.glb").write_bytes((tmp_path / "scan.glb").read_bytes()[:-100])
    assert "cut off" in refusal(tmp_path / "scan.glb")


def test_vertices_that_are_not_numbers_are_refused(tmp_path):
    square = textured_square()
    square.vertices[1, 2] = np.inf
    write_glb(tmp_path / "scan.glb", [square])
    assert "1 vertices that are NaN or infinite" in refusal(tmp_path / "scan.glb")


def test_a_missing_texture_is_named(tmp_path):
    file = write_obj(tmp_path)
    (tmp_path / "paint.png").unlink()
    assert "paint.png" in refusal(file)


def test_a_texture_s_name_may_have_spaces(tmp_path):
    file = write_obj(tmp_path)
    (tmp_path / "paint.png").rename(tmp_path / "my paint.png")
    (tmp_path / "scan.mtl").write_text("newmtl paint\nmap_Kd my paint.png\n")
    assert read_scan(file).meshes[0].texture is not None


def test_a_texture_that_is_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    file = write_obj(folder)
    (folder / "paint.png").rename(tmp_path / "paint.png")
    (folder / "paint.png").symlink_to(tmp_path / "paint.png")
    assert "link out" in refusal(file)


def test_a_file_beyond_2_gib_is_refused_unread(tmp_path):
    with (tmp_path / "scan.glb").open("wb") as file:
        file.truncate(scan_read.MAX_BYTES + 1)  # sparse: takes no space
    assert "2 GiB" in refusal(tmp_path / "scan.glb")


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_an_archive_that_writes_outside_is_refused(tmp_path, name):
    path = write_usdz(tmp_path / "scan.usdz", extra=[(name, "boo")])
    assert "outside" in refusal(path)


def test_an_archive_that_holds_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    assert "outside" in refusal(write_usdz(tmp_path / "scan.usdz", extra=[(link, "/etc/passwd")]))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "scan.usdz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scan.usdc", bytes(64 * 1024**2))
    assert "zip bomb" in refusal(path)


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path):
    path = tmp_path / "scan.usdz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scan.usdc", bytes(range(256)) * 64)
    content = path.read_bytes()
    true, told = struct.pack("<I", 256 * 64), struct.pack("<I", 200)
    path.write_bytes(content.replace(true, told))
    assert "damaged" in refusal(path)


def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_usdz, "MAX_ENTRIES", 5)
    assert "entries" in refusal(write_usdz(tmp_path / "scan.usdz", extra=[(f"{i}.txt", "") for i in range(5)]))


def test_an_archive_without_a_stage_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "scan.usdz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no USD stage" in refusal(tmp_path / "scan.usdz")


def test_an_archive_that_lacks_its_texture_is_refused(tmp_path):
    assert "paint.png" in refusal(write_usdz(tmp_path / "scan.usdz", with_picture=False))


def test_a_stage_that_refers_outside_of_its_archive_is_refused(tmp_path):
    assert "outside" in refusal(write_usdz(tmp_path / "scan.usdz", asset="../../paint.png"))


def test_a_stage_that_is_no_stage_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "scan.usdz", "w") as archive:
        archive.writestr("scan.usda", "hello")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "cannot be read" in refusal(tmp_path / "scan.usdz")
