"""A scan cleaned: cropped, freed of floating bits, its holes counted, its triangles reduced."""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

WELD_M = 1e-5
"""Vertices closer than this are one: textures split them along their seams."""
ISLAND_M = 0.10
"""Pieces on their own are dropped when the diagonal of their box is less than this."""
BORDER_M = 2.0
"""A rim longer than this is where the scan ends, a shorter one surrounds a hole."""


@dataclass(frozen=True)
class CleanReport:
    """What was found and done."""

    triangles: int
    """Of the scan within the crop."""
    islands: int
    """Dropped pieces."""
    island_triangles: int
    holes: int
    largest_hole_m: float
    """Length of its rim."""


def weld(vertices, faces):
    """Vertices (N, 3) [m], faces (M, 3) -> the same surface with one vertex per place, degenerate triangles dropped."""
    keys = np.round(vertices / WELD_M).astype(np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1)[faces]
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return vertices[first], faces[whole].astype(np.int32)


def clean(vertices, faces, low, high):
    """Welded surface [m] and the box to keep -> vertices, faces, CleanReport."""
    centres = vertices[faces].mean(axis=1)
    faces = faces[((centres > low) & (centres < high)).all(axis=1)]
    cropped = len(faces)
    keep, islands = _large_pieces(vertices, faces)
    faces = faces[keep]
    holes = _holes(vertices, faces)
    used, inverse = np.unique(faces, return_inverse=True)
    report = CleanReport(cropped, islands, cropped - len(faces), len(holes), float(max(holes, default=0.0)))
    return vertices[used], inverse.reshape(-1, 3).astype(np.int32), report


def decimate(vertices, faces, target):
    """At most about `target` triangles, by quadric error -> vertices, faces; unchanged when there are fewer already."""
    if len(faces) <= target:
        return vertices, faces
    mesh = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(vertices.astype(np.float64)), o3d.utility.Vector3iVector(faces)
    )
    mesh = mesh.simplify_quadric_decimation(target)
    return np.asarray(mesh.vertices), np.asarray(mesh.triangles).astype(np.int32)


def _large_pieces(vertices, faces):
    """-> which faces belong to a piece that is kept, how many pieces are not."""
    if not len(faces):
        return np.zeros(0, dtype=bool), 0
    n = len(vertices)
    edges = np.r_[faces[:, :2], faces[:, 1:]]
    graph = coo_matrix((np.ones(len(edges), dtype=np.int8), tuple(edges.T)), shape=(n, n))
    _, piece_of_vertex = connected_components(graph, directed=False)
    piece = piece_of_vertex[faces[:, 0]]
    names, piece = np.unique(piece, return_inverse=True)
    low, high = np.full((len(names), 3), np.inf), np.full((len(names), 3), -np.inf)
    for corner in range(3):
        np.minimum.at(low, piece, vertices[faces[:, corner]])
        np.maximum.at(high, piece, vertices[faces[:, corner]])
    large = np.linalg.norm(high - low, axis=1) >= ISLAND_M
    return large[piece], int((~large).sum())


def _holes(vertices, faces):
    """Lengths [m] of the rims that are not the scan's border."""
    edges = np.sort(np.r_[faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]], axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    rim = unique[counts == 1]
    if not len(rim):
        return []
    n = len(vertices)
    _, label = connected_components(coo_matrix((np.ones(len(rim)), tuple(rim.T)), shape=(n, n)), directed=False)
    _, index = np.unique(label[rim[:, 0]], return_inverse=True)
    lengths = np.bincount(index, np.linalg.norm(vertices[rim[:, 0]] - vertices[rim[:, 1]], axis=1))
    return lengths[lengths < BORDER_M].tolist()
