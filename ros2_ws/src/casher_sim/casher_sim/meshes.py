"""What can be seen of a scene, as triangle meshes: for the cameras and the viewer."""

import functools
from dataclasses import dataclass

import mujoco
import numpy as np
import open3d as o3d

from casher_sim.kitchen import solids
from casher_sim.scene import KITCHEN, scene_of

ROBOT_DETAIL_M = 0.012
"""Cells in which the vertices of the arm's meshes are merged: of 240 000 triangles 11 000 are left, for the cameras."""
_VISUAL_GROUP, _COLLISION_GROUP = 2, 3
_ROUND_SEGMENTS = 24
_BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_BOX_TRIANGLES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Mesh:
    """One geom as it looks."""

    geom: int
    """Index in the model; its pose places the mesh."""
    vertices: np.ndarray
    """(V, 3) [m], in the geom's frame."""
    triangles: np.ndarray
    """(F, 3)"""
    colour: tuple
    """(red, green, blue) 0..1."""
    surface: str
    """Key of kitchen.SURFACES, empty for what is not part of the kitchen."""
    moves: bool


@functools.lru_cache(maxsize=16)
def visible_meshes(kitchen, object_model):
    """Kitchen, ObjectModel -> tuple of Mesh for the geoms of `scene_of(kitchen, object_model)`."""
    model = scene_of(kitchen, object_model).model
    surfaces = {solid.name: solid.surface for solid in solids(kitchen)}
    meshes = []
    for geom in range(model.ngeom):
        if model.geom_group[geom] == _COLLISION_GROUP:
            continue
        body = model.body(model.geom_bodyid[geom]).name
        material = model.geom_matid[geom]
        rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
        if rgba[3] == 0.0:
            continue
        vertices, triangles = shape(model, geom)
        if len(triangles):
            surface = surfaces.get(model.geom(geom).name, "")
            moves = body not in (KITCHEN, "world")
            meshes.append(Mesh(geom, vertices, triangles, tuple(rgba[:3].tolist()), surface, moves))
    return tuple(meshes)


def shape(model, geom, detail_m=ROBOT_DETAIL_M):
    """A geom of an MjModel -> vertices (V, 3) [m] in the geom's frame, triangles (F, 3); meshes of vertices merged.

    detail_m: cells in which a mesh's vertices are merged; 0: the mesh as it is.
    """
    kind, size = model.geom_type[geom], model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return _BOX_CORNERS * size, _BOX_TRIANGLES
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return _cylinder(size[0], size[1])
    assert kind == mujoco.mjtGeom.mjGEOM_MESH, kind
    mesh = model.geom_dataid[geom]
    return _coarse(model, mesh, model.mesh(mesh).name, detail_m)


def _cylinder(radius, half_height):
    angles = 2 * np.pi * np.arange(_ROUND_SEGMENTS) / _ROUND_SEGMENTS
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(_ROUND_SEGMENTS, half_height)], axis=1)
    vertices = np.concatenate([ring * [1, 1, -1], ring, [[0, 0, -half_height], [0, 0, half_height]]])
    n = _ROUND_SEGMENTS
    i = np.arange(n)
    j = (i + 1) % n
    bottom, top = np.full(n, 2 * n), np.full(n, 2 * n + 1)
    faces = [(i, j, n + j), (i, n + j, n + i), (bottom, j, i), (top, n + i, n + j)]
    return vertices, np.concatenate([np.stack(face, axis=1) for face in faces])


_coarse_meshes = {}


def _coarse(model, mesh, name, detail_m):
    """The arm's meshes are the same in every scene: coarsened once in a process."""
    if (name, detail_m) not in _coarse_meshes:
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        first_face, faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        fine = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(model.mesh_vert[first : first + count].astype(np.float64)),
            o3d.utility.Vector3iVector(model.mesh_face[first_face : first_face + faces]),
        )
        coarse = fine.simplify_vertex_clustering(detail_m).remove_degenerate_triangles() if detail_m else fine
        _coarse_meshes[name, detail_m] = np.asarray(coarse.vertices).copy(), np.asarray(coarse.triangles).copy()
    return _coarse_meshes[name, detail_m]
