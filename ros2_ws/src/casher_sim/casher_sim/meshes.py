"""The geoms of a MuJoCo model as triangle meshes."""

import mujoco
import numpy as np
import open3d as o3d

ROBOT_DETAIL_M = 0.006
"""Cells in which the vertices of the arm's meshes are merged: of 240 000 triangles 20 000 are left."""
_ROUND_SEGMENTS = 24
_BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_BOX_TRIANGLES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


def shape(model, geom, detail_m=ROBOT_DETAIL_M):
    """A geom of an MjModel -> vertices (V, 3) [m] in the geom's frame, triangles (F, 3); meshes of vertices merged.

    detail_m: cells in which a mesh's vertices are merged; 0: the mesh as it is.
    """
    kind, size = model.geom_type[geom], model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return _BOX_CORNERS * size, _BOX_TRIANGLES
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return cylinder(size[0], size[1])
    assert kind == mujoco.mjtGeom.mjGEOM_MESH, kind
    mesh = model.geom_dataid[geom]
    return _coarse(model, mesh, model.mesh(mesh).name, detail_m)


def cylinder(radius, half_height):
    """Upright around the origin -> vertices (V, 3) [m], triangles (F, 3)."""
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
