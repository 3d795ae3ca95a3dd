"""Convex hulls for contacts where a task needs an accurate surface, by CoACD; elsewhere boxes.py will do."""

from dataclasses import dataclass

import numpy as np
import open3d as o3d

# after open3d: the other way round open3d fails with std::bad_cast
import coacd  # isort: skip

from casher_sim.solidify import surface


@dataclass(frozen=True)
class HullParameters:
    """How a task region is cut into convex hulls. Defaults as measured by benchmarks/scan_basin.py."""

    threshold: float = 0.02
    """Concavity, relative, up to which a piece is left whole."""
    hulls: int = 48
    """At most this many pieces."""
    erode_m: float = 0.003
    """The surface is moved inwards first by what convex pieces bulge out of it."""
    faces: int = 2000
    """Triangles given to CoACD, more where so few do not make a closed surface."""
    hull_vertices: int = 48
    """At most this many per piece."""


def hulls(solid, low, high, parameters=None, seed=0):
    """The solid within the box low..high as convex hulls -> [(vertices (N, 3), faces (M, 3))] [m]."""
    p = parameters or HullParameters()
    vertices, faces = surface(solid, low, high, p.erode_m)
    mesh = _reduced(vertices, faces, p.faces)
    coacd.set_log_level("error")
    pieces = coacd.run_coacd(
        coacd.Mesh(np.asarray(mesh.vertices), np.asarray(mesh.triangles)),
        threshold=p.threshold,
        max_convex_hull=p.hulls,
        # its own remeshing moves surfaces outwards by centimetres, and takes minutes
        preprocess_mode="off",
        mcts_nodes=15,
        mcts_iterations=20,
        decimate=True,
        max_ch_vertex=p.hull_vertices,
        seed=seed,
    )
    return [(np.asarray(v, np.float64), np.asarray(f, np.int32)) for v, f in pieces]


def _reduced(vertices, faces, target):
    """The closed mesh with about `target` triangles, or as many more as it takes to stay closed."""
    whole = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(vertices), o3d.utility.Vector3iVector(faces))
    while target < len(faces):
        mesh = whole.simplify_quadric_decimation(target)
        if mesh.is_edge_manifold(allow_boundary_edges=False) and mesh.is_vertex_manifold():
            return mesh
        target = int(1.5 * target)
    return whole
