"""A scan's file, from somebody's phone, read with suspicion: GLB, glTF, OBJ with its materials and textures, USDZ.

Nothing outside the file's own folder is opened, and archives are measured before they are unpacked.
"""

import io
import json
import re
import struct
import urllib.parse
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import trimesh

from casher_sim.mesh_file import TexturedMesh, from_trimesh

MAX_BYTES = 2 * 1024**3
SUFFIXES = (".glb", ".gltf", ".obj", ".usdz")


class ScanError(ValueError):
    """A scan that is refused: says what is wrong with it and what to do."""


@dataclass(frozen=True, eq=False)
class ScanFile:
    """What a scan's file holds, in its own frame and units."""

    meshes: list[TexturedMesh]
    up_hint: str | None
    """'y' or 'z' where the format says so; None where it does not."""
    scale_hint: float | None
    """Metres per unit where the format says so."""
    warnings: list[str]


def read_scan(path):
    """File of a scan -> ScanFile. ScanError for a file that cannot be used, or that tries something it should not."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ScanError(f"{path.name}: a scan is one of {', '.join(SUFFIXES)}: export it again as GLB")
    if not path.is_file():
        raise ScanError(f"no file {path}: check the path")
    if path.stat().st_size > MAX_BYTES:
        size = path.stat().st_size / 1024**3
        raise ScanError(f"{path.name} has {size:.1f} GiB, at most 2 GiB are read: export it with less detail")
    if path.stat().st_size == 0:
        raise ScanError(f"{path.name} is empty: copy it again")
    if path.suffix.lower() == ".usdz":
        from casher_sim.scan_usdz import read_usdz  # late: loads usd-core

        scan = read_usdz(path)
    else:
        _refuse_missing_parts(path)
        hints = {".obj": (None, None)}.get(path.suffix.lower(), ("y", 1.0))
        scan = ScanFile(_load(path), *hints, [])
    _refuse_bad_geometry(path, scan.meshes)
    untextured = sum(mesh.texture is None and len(np.unique(mesh.colours, axis=0)) == 1 for mesh in scan.meshes)
    if untextured:
        warning = f"{untextured} of {len(scan.meshes)} meshes have neither texture nor vertex colours: they stay grey"
        scan.warnings.append(warning)
    return scan


def safe_member(name):
    """Whether a path written in a file stays in that file's folder."""
    path = PurePosixPath(urllib.parse.unquote(name).replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and not re.match(r"^[A-Za-z][A-Za-z0-9+.-]*:", str(name))


def _load(path):
    try:
        if path.suffix.lower() == ".glb":
            # from bytes: there is nothing outside of it to open
            scene = trimesh.load_scene(io.BytesIO(path.read_bytes()), file_type="glb", process=False)
        else:
            scene = trimesh.load_scene(path, process=False)
    except Exception as error:  # a parser raises whatever it stumbled over
        detail = str(error) or type(error).__name__
        raise ScanError(f"{path.name} cannot be read: {detail}: export it again as GLB") from error
    meshes = []
    for node in sorted(scene.graph.nodes_geometry):
        T_file_node, geometry = scene.graph[node]
        mesh = scene.geometry[geometry]
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            meshes.append(from_trimesh(mesh.copy().apply_transform(T_file_node)))
    return meshes


def _refuse_missing_parts(path):
    """Whatever the file refers to must lie next to it."""
    named = {".glb": _gltf_parts, ".gltf": _gltf_parts, ".obj": _obj_parts}[path.suffix.lower()](path)
    outside = sorted(name for name in named if not safe_member(name))
    if outside:
        names = ", ".join(map(repr, outside[:3]))
        raise ScanError(f"{path.name} refers to files outside of its folder ({names}): export it again as GLB")
    folder = path.parent.resolve()
    if path.suffix.lower() == ".glb" and named:
        raise ScanError(
            f"{path.name} keeps parts outside of itself ({', '.join(sorted(named)[:3])}): export it with its textures"
        )
    for name in sorted(named):
        part = folder / urllib.parse.unquote(name).replace("\\", "/")
        if not part.resolve().is_relative_to(folder):
            raise ScanError(f"{path.name} refers to {name!r}, a link out of its folder: copy the file there instead")
        if not part.is_file():
            raise ScanError(f"{path.name} needs {name!r} next to it, which is missing: copy it there or export as GLB")
    total = sum((folder / urllib.parse.unquote(name).replace("\\", "/")).stat().st_size for name in named)
    if total > MAX_BYTES:
        raise ScanError(f"the files of {path.name} have {total / 1024**3:.1f} GiB, at most 2 GiB are read")


def _gltf_parts(path):
    data = path.read_bytes()
    if path.suffix.lower() == ".glb":
        if len(data) < 20 or data[:4] != b"glTF":
            raise ScanError(f"{path.name} is not a GLB file: it starts with {data[:4]!r}: export it again")
        length = struct.unpack_from("<I", data, 12)[0]
        if struct.unpack_from("<I", data, 8)[0] > len(data) or 20 + length > len(data):
            raise ScanError(f"{path.name} is cut off after {len(data)} bytes: copy it again")
        data = data[20 : 20 + length]
    try:
        tree = json.loads(data)
        entries = [*tree.get("buffers", ()), *tree.get("images", ())]
        uris = {entry["uri"] for entry in entries if "uri" in entry}
    except (ValueError, AttributeError, TypeError) as error:
        raise ScanError(f"{path.name} is not glTF: {error}: export it again as GLB") from None
    required = set(tree.get("extensionsRequired", ()))
    if unreadable := required & {"KHR_draco_mesh_compression", "EXT_meshopt_compression"}:
        raise ScanError(f"{path.name} is compressed with {', '.join(sorted(unreadable))}: export it without")
    return {uri for uri in uris if not uri.startswith("data:")}


def _obj_parts(path):
    named = set()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("mtllib "):
                named.add(line[7:].strip())
    for name in list(named):
        material = path.parent / name
        if safe_member(name) and material.is_file():
            text = material.read_text(encoding="utf-8", errors="replace")
            for value in re.findall(r"^\s*map_Kd\s+(.+?)\s*$", text, re.MULTILINE):
                # options such as -s 1 1 1 come before the name, which may have spaces
                named.add(value.split()[-1] if value.startswith("-") else value)
    return named


def _refuse_bad_geometry(path, meshes):
    if not meshes or sum(len(mesh.faces) for mesh in meshes) == 0:
        raise ScanError(f"{path.name} is empty: it has no triangles: export the mesh, not the point cloud")
    for i, mesh in enumerate(meshes):
        bad = int((~np.isfinite(mesh.vertices)).any(axis=1).sum())
        if bad:
            raise ScanError(f"{path.name}: mesh {i} has {bad} vertices that are NaN or infinite: export it again")
        if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
            raise ScanError(f"{path.name}: mesh {i} has triangles without vertices: export it again")
    if np.ptp(np.concatenate([mesh.vertices for mesh in meshes]), axis=0).max() == 0:
        raise ScanError(f"{path.name}: all vertices are in one place: export it again")
