"""Points on triangle meshes: drawn evenly over the area, and which triangles can be seen from outside."""

import numpy as np
import open3d as o3d

from casher_sim.mesh_file import surface_colours

_OFF_SURFACE_M = 5e-4
"""Rays start this far off the triangle that they leave."""


def sample_surface(meshes, n, generator):
    """[TexturedMesh] -> n points drawn evenly over the area of all of them.

    points (n, 3) float32 in the meshes' frame, normals (n, 3) float32 unit, colours (n, 3) uint8 without any light, and
    the index of the mesh (n,) int64. ValueError for meshes without area.
    """
    corners = [np.asarray(m.vertices, np.float64)[m.faces] for m in meshes]
    crosses = [np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in corners]
    doubled = np.concatenate([np.linalg.norm(c, axis=1) for c in crosses]) if meshes else np.zeros(1)
    if not doubled.sum() > 0:
        raise ValueError(f"{len(meshes)} meshes have no area to draw points from")
    summed = np.cumsum(doubled)
    triangle = np.searchsorted(summed, generator.random(n) * summed[-1], side="right").clip(max=len(doubled) - 1)
    first = np.cumsum([0, *(len(m.faces) for m in meshes)])
    owner = np.searchsorted(first, triangle, side="right") - 1
    # The square root makes the density even over the triangle (Osada et al. 2002, section 4.1).
    root, b = np.sqrt(generator.random(n)), generator.random(n)
    weights = np.stack([1.0 - root, root * (1.0 - b), root * b], axis=1)
    points, normals = np.empty((n, 3), np.float32), np.empty((n, 3), np.float32)
    colours = np.empty((n, 3), np.uint8)
    for i, mesh in enumerate(meshes):
        here = owner == i
        own = triangle[here] - first[i]
        points[here] = np.einsum("ij,ijk->ik", weights[here], corners[i][own])
        normals[here] = crosses[i][own] / doubled[triangle[here], None]
        colours[here] = surface_colours(mesh, own, weights[here])
    return points, normals, colours, owner


def seen_from_outside(vertices, triangles, directions=64, least=1):
    """(F,) bool: whether straight lines lead from the middle of a triangle (F, 3) away from the whole mesh.

    In at least `least` of so many directions; half of them lie behind any flat surface. More than 1 leaves out what is
    only seen through a gap.
    """
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    corners = np.asarray(vertices, np.float32)
    scene.add_triangles(o3d.core.Tensor(corners), o3d.core.Tensor(np.ascontiguousarray(triangles, dtype=np.uint32)))
    middles = corners[triangles].mean(axis=1)
    lines = np.zeros(len(triangles), dtype=int)
    for direction in _on_sphere(directions).astype(np.float32):
        left = np.flatnonzero(lines < least)
        rays = np.concatenate([middles[left] + _OFF_SURFACE_M * direction, np.tile(direction, (len(left), 1))], axis=1)
        lines[left] += ~scene.test_occlusions(o3d.core.Tensor(rays), nthreads=1).numpy()
    return lines >= least


def _on_sphere(n):
    """Evenly spread unit vectors (n, 3): a Fibonacci lattice."""
    i = np.arange(n) + 0.5
    z, angle = 1.0 - 2.0 * i / n, np.pi * (1.0 + np.sqrt(5.0)) * i
    r = np.sqrt(1.0 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)
