"""USDZ: a zip archive of a USD stage and its textures. The archive is measured before anything in it is unpacked."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from casher_sim.mesh_file import GREY, TexturedMesh
from casher_sim.scan_read import MAX_BYTES, ScanError, ScanFile, safe_member

MAX_ENTRIES = 2000
MAX_RATIO = 100.0
"""Unpacked over packed size. USDZ stores without compression, so that honest archives have a ratio of 1."""
STAGES = (".usdc", ".usda", ".usd")


def read_usdz(path):
    """USDZ file -> ScanFile. ScanError for what is no such archive, or would overwrite files or fill the disk."""
    with tempfile.TemporaryDirectory(prefix="casher_usdz_") as folder:
        stage = _unpack(path, Path(folder))
        return _read_stage(path, stage)


def _unpack(path, folder):
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ScanError(f"{path.name} is not a USDZ archive: {error}: export it again") from None
    with archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise ScanError(f"{path.name} has {len(entries)} entries, at most {MAX_ENTRIES} are unpacked")
        for entry in entries:
            if not safe_member(entry.filename) or entry.external_attr >> 28 == 0xA:
                raise ScanError(
                    f"{path.name} wants to write outside of its folder ({entry.filename!r}): do not trust it"
                )
        size = sum(entry.file_size for entry in entries)
        packed = max(1, sum(entry.compress_size for entry in entries))
        if size > MAX_BYTES or size / packed > MAX_RATIO:
            told = f"{size / 1024**2:.0f} MiB from {packed / 1024**2:.1f} MiB"
            raise ScanError(f"{path.name} would unpack to {told}, a zip bomb's ratio or size: do not trust it")
        stages = [entry.filename for entry in entries if entry.filename.lower().endswith(STAGES)]
        if not stages:
            raise ScanError(f"{path.name} has no USD stage in it: export it again")
        try:
            for entry in entries:
                if not entry.is_dir():
                    _extract(archive, entry, folder)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise ScanError(f"{path.name} is damaged: {error}: copy it again") from None
    return folder / stages[0]


def _extract(archive, entry, folder):
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, target.open("wb") as sink:
        while chunk := source.read(1 << 20):
            left -= len(chunk)
            if left < 0:  # the directory of the archive can lie about sizes
                raise zipfile.BadZipFile(f"{entry.filename!r} is larger than it says")
            sink.write(chunk)


def _read_stage(path, stage_path):
    from pxr import Sdf, Usd, UsdGeom, UsdShade

    try:
        layer = Sdf.Layer.FindOrOpen(str(stage_path))
        if layer and not all(safe_member(name) for name in layer.GetCompositionAssetDependencies()):
            raise ScanError(f"{path.name} refers to stages outside of itself: do not trust it")
        stage = Usd.Stage.Open(str(stage_path))
    except ScanError:
        raise
    except Exception as error:  # pxr raises errors of its own
        raise ScanError(f"{path.name}: its USD stage cannot be read: {error}: export it again") from None
    up = str(UsdGeom.GetStageUpAxis(stage)).lower()
    transforms = UsdGeom.XformCache()
    meshes, warnings = [], []
    for prim in stage.Traverse():
        if prim.IsA(UsdGeom.Mesh):
            mesh = _mesh(UsdGeom.Mesh(prim), np.array(transforms.GetLocalToWorldTransform(prim)), stage_path, path)
            if mesh is not None:
                meshes.append(mesh)
            if len(UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()) > 1:
                warnings.append(
                    f"mesh {prim.GetName()!r} has several materials, the first one's texture is used for all"
                )
    return ScanFile(meshes, up, float(UsdGeom.GetStageMetersPerUnit(stage)), warnings)


def _mesh(geometry, T_transposed, stage_path, path):
    points, counts = geometry.GetPointsAttr().Get(), geometry.GetFaceVertexCountsAttr().Get()
    if not points or not counts:
        return None
    points = np.array(points, dtype=np.float64) @ T_transposed[:3, :3] + T_transposed[3, :3]
    corners = np.array(geometry.GetFaceVertexIndicesAttr().Get())
    triangles = _triangles(np.array(counts))
    if geometry.GetOrientationAttr().Get() == "leftHanded":
        triangles = triangles[:, ::-1]
    faces = corners[triangles]
    colours = np.broadcast_to(np.array(GREY, np.uint8), points.shape).copy()
    shown = geometry.GetDisplayColorAttr().Get()
    if shown is not None and len(shown) in (1, len(points)):
        # USD's colours are linear, ours are sRGB
        colours[:] = (255.0 * np.clip(np.array(shown), 0, 1) ** (1 / 2.2)).round().astype(np.uint8)
    texture = _texture(geometry.GetPrim(), stage_path, path)
    uv = _texture_coordinates(geometry, len(points), len(corners))
    if texture is None or uv is None:
        return TexturedMesh(points.astype(np.float32), faces.astype(np.int32), colours)
    if len(uv) == len(corners):  # one per corner: corners become vertices
        points, faces = points[corners], triangles
    white = np.full(points.shape, 255, np.uint8)
    return TexturedMesh(points.astype(np.float32), faces.astype(np.int32), white, uv.astype(np.float32), texture)


def _triangles(counts):
    """Corners of polygons with that many corners each -> fans of triangles (M, 3), indices of corners."""
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    found = []
    for n in np.unique(counts[counts >= 3]):
        first = starts[counts == n]
        found += [np.stack([first, first + k, first + k + 1], axis=1) for k in range(1, n - 1)]
    return np.concatenate(found) if found else np.zeros((0, 3), dtype=np.int64)


def _texture_coordinates(geometry, points, corners):
    from pxr import UsdGeom

    for name in ("st", "UVMap", "st0", "st_0"):
        primvar = UsdGeom.PrimvarsAPI(geometry).GetPrimvar(name)
        if primvar and primvar.HasValue():
            uv = np.array(primvar.ComputeFlattened())
            if uv.shape in ((points, 2), (corners, 2)):
                return uv
    return None


def _texture(prim, stage_path, path):
    """The picture of the material's base colour, or None without one."""
    from pxr import UsdShade

    candidates = [prim, *(subset.GetPrim() for subset in UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets())]
    for candidate in candidates:
        material, _ = UsdShade.MaterialBindingAPI(candidate).ComputeBoundMaterial()
        surface = material.ComputeSurfaceSource()[0] if material else None
        colour = surface.GetInput("diffuseColor") if surface else None
        if not colour or not colour.HasConnectedSource():
            continue
        source = UsdShade.Shader(colour.GetConnectedSources()[0][0].source.GetPrim())
        asset = source.GetInput("file").Get() if source.GetInput("file") else None
        if asset is None:
            continue
        picture = stage_path.parent / asset.path.lstrip("./")
        if not safe_member(asset.path) or not picture.resolve().is_relative_to(stage_path.parent.resolve()):
            raise ScanError(f"{path.name} refers to a file outside of itself ({asset.path!r}): do not trust it")
        if not picture.is_file():
            raise ScanError(f"{path.name} lacks its texture {asset.path!r}: export it again")
        try:
            return np.asarray(Image.open(io.BytesIO(picture.read_bytes())).convert("RGB"))
        except (OSError, Image.DecompressionBombError) as error:
            raise ScanError(f"{path.name}: its texture {asset.path!r} cannot be read: {error}") from None
    return None
