"""Textured triangle meshes and convex hulls, and the GLB files that hold them; in the file's own frame and units."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

GREY = (180, 180, 180)
"""Of a mesh that brings no colour."""


class MeshError(ValueError):
    """A mesh file that cannot be used: says what is wrong with it."""


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """Triangles with a texture, or else with a colour per vertex."""

    vertices: np.ndarray
    """(N, 3) float32."""
    faces: np.ndarray
    """(M, 3) int32."""
    colours: np.ndarray
    """(N, 3) uint8 sRGB; what a texture is multiplied by (white: unchanged)."""
    uv: np.ndarray | None = None
    """(N, 2) float32, (0, 0) is the texture's lower left corner."""
    texture: np.ndarray | None = None
    """(H, W, 3) uint8 sRGB, first row on top."""


def plain_mesh(vertices, faces, colour=GREY):
    """Vertices (N, 3), faces (M, 3) and one colour (3,) or one per vertex (N, 3), uint8 -> TexturedMesh."""
    vertices = np.ascontiguousarray(vertices, dtype=np.float32)
    colours = np.broadcast_to(np.asarray(colour, dtype=np.uint8), vertices.shape).copy()
    return TexturedMesh(vertices, np.ascontiguousarray(faces, dtype=np.int32), colours)


def write_glb(path, meshes):
    """Write TexturedMesh, ... as the nodes part_0, part_1, ... of a GLB file."""
    scene = trimesh.Scene()
    for i, mesh in enumerate(meshes):
        scene.add_geometry(as_trimesh(mesh, two_sided=False), node_name=f"part_{i}", geom_name=f"part_{i}")
    _write(path, scene)


def read_glb(path):
    """GLB file -> [TexturedMesh], one per node, transforms applied. MeshError when there is nothing usable."""
    return [from_trimesh(mesh) for mesh in _nodes(path)]


def write_hulls(path, hulls):
    """Write convex hulls, (vertices (N, 3), faces (M, 3)) each, as the nodes hull_000, hull_001, ... of a GLB file."""
    scene = trimesh.Scene()
    for i, (vertices, faces) in enumerate(hulls):
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        scene.add_geometry(mesh, node_name=f"hull_{i:03d}", geom_name=f"hull_{i:03d}")
    _write(path, scene)


def read_hulls(path):
    """GLB file -> [(vertices (N, 3) float32, faces (M, 3) int32)], one per node. MeshError as in `read_glb`."""
    return [(np.asarray(m.vertices, np.float32), np.asarray(m.faces, np.int32)) for m in _nodes(path)]


def from_trimesh(mesh):
    """trimesh.Trimesh -> TexturedMesh; a texture or colours it has are kept."""
    vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float32)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int32)
    visual, texture, uv = mesh.visual, None, None
    if visual.kind == "texture":
        material = visual.material
        image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
        factor = getattr(material, "baseColorFactor", None)
        factor = getattr(material, "diffuse", None) if factor is None else factor
        plain = (255, 255, 255) if image is not None else GREY
        colours = np.broadcast_to(np.asarray(plain if factor is None else factor[:3], np.uint8), vertices.shape).copy()
        if image is not None and visual.uv is not None:
            texture, uv = np.asarray(image.convert("RGB")), np.ascontiguousarray(visual.uv[:, :2], dtype=np.float32)
    elif visual.kind in ("vertex", "face"):
        colours = np.ascontiguousarray(visual.vertex_colors[:, :3], dtype=np.uint8)
    else:
        colours = np.broadcast_to(np.asarray(GREY, np.uint8), vertices.shape).copy()
    return TexturedMesh(vertices, faces, colours, uv, texture)


def surface_colours(mesh, faces, barycentric):
    """Colour of points on the surface: face index (K,) and the weights of its corners (K, 3) -> (K, 3) uint8."""
    corners = mesh.faces[faces]
    colours = np.einsum("kij,ki->kj", mesh.colours[corners].astype(np.float32), barycentric)
    if mesh.texture is None:
        return colours.round().astype(np.uint8)
    uv = np.einsum("kij,ki->kj", mesh.uv[corners], barycentric)
    height, width = mesh.texture.shape[:2]
    # a texture repeats outside of 0..1
    column = np.floor(uv[:, 0] % 1.0 * width).astype(int) % width
    row = np.floor((1.0 - uv[:, 1]) % 1.0 * height).astype(int) % height
    return (mesh.texture[row, column] * (colours / 255.0)).round().astype(np.uint8)


def as_trimesh(mesh, two_sided=True):
    """TexturedMesh -> trimesh.Trimesh with the same texture or colours.

    two_sided: a browser shows textured triangles from behind, too, as our cameras do: which side is the front is not
    said by every mesh.
    """
    if mesh.texture is None:
        visual = trimesh.visual.ColorVisuals(
            vertex_colors=np.c_[mesh.colours, np.full(len(mesh.colours), 255, np.uint8)]
        )
    else:
        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=Image.fromarray(mesh.texture),
            baseColorFactor=[*(int(c) for c in mesh.colours[0]), 255],
            metallicFactor=0.0,
            roughnessFactor=1.0,
            doubleSided=two_sided,
        )
        visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=material)
    return trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False)


def _write(path, scene):
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(scene.export(file_type="glb"))
    partial.replace(path)


def _nodes(path):
    try:
        # from bytes, so that the file cannot make us open another one
        scene = trimesh.load_scene(io.BytesIO(Path(path).read_bytes()), file_type="glb", process=False)
    except Exception as error:  # a parser raises whatever it stumbled over
        raise MeshError(f"{path} is not a GLB file that can be read: {error or type(error).__name__}") from error
    meshes = []
    for node in sorted(scene.graph.nodes_geometry):
        T_file_node, geometry = scene.graph[node]
        mesh = scene.geometry[geometry]
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            meshes.append(mesh.copy().apply_transform(T_file_node))
    if not meshes:
        raise MeshError(f"{path} has no triangles: export it again")
    if not all(np.isfinite(mesh.vertices).all() for mesh in meshes):
        raise MeshError(f"{path} has vertices that are not finite: export it again")
    return meshes
