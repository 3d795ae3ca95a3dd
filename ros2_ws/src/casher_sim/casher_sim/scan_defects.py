"""Makes a clean mesh look like a phone's scan: wavy, holed, blobby, blurred, and blind to what the phone did not see.

Only what is drawn changes. The collision stays the truth, so that the error of whatever is computed from the scan can
be measured.
"""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from scipy.spatial import cKDTree

from casher_sim.mesh_file import TexturedMesh, surface_colours

TRIANGLE_M = 0.04
"""Longest edge of a scan's triangles."""
COVERED_M = 0.03
"""What has something else this near in front of it was not seen."""
_UP = 2
"""Index of the up axis: the meshes are given in the base frame."""


@dataclass(frozen=True)
class Defects:
    """How strong each defect is when `amount` is 1; all lengths in metres."""

    wave_m: float = 0.006
    """Deviation of the smooth part of the noise ..."""
    wave_length_m: float = 0.15
    """... and over what distance it changes."""
    jitter_m: float = 0.002
    """Deviation of each vertex by itself."""
    holes: float = 2.5
    """Per square metre of surface."""
    hole_radius_m: tuple = (0.01, 0.05)
    blobs: float = 1.2
    """Per square metre: places where a corner is filled or a part has swollen."""
    blob_radius_m: tuple = (0.03, 0.08)
    floaters: int = 12
    """Bits that hang in the air."""
    colour_blur: float = 0.7
    """Share by which a vertex takes its neighbours' colour."""


def as_scan(meshes, amount, generator, defects=None):
    """[TexturedMesh] in the base frame -> one TexturedMesh with a colour per vertex, as a phone would deliver it.

    amount: 0 (clean: only one mesh, in scan-sized triangles) to 1; generator: np.random.Generator, the same state
    gives the same scan. ValueError for an amount outside of that.
    """
    if not 0.0 <= amount <= 1.0:
        raise ValueError(f"amount of defects must be within 0 and 1, got {amount}")
    d = defects or Defects()
    vertices, faces, colours = _merged([_subdivided(mesh) for mesh in meshes])
    if amount > 0.0:
        keep = _seen(vertices, faces, amount, generator)
        keep &= ~_covered(vertices, faces)
        keep &= _without_holes(vertices, faces, d, amount, generator)
        vertices, faces, colours = _compact(vertices, faces[keep], colours)
        normals = _normals(vertices, faces)
        vertices = _with_blobs(vertices, normals, d, amount, generator)
        offset = amount * d.wave_m * _smooth_noise(vertices, d.wave_length_m, generator)
        offset += generator.normal(0.0, amount * d.jitter_m, len(vertices))
        vertices = vertices + offset[:, None] * normals
        colours = _blurred(colours, faces, amount * d.colour_blur)
        vertices, faces, colours = _with_floaters(vertices, faces, colours, d, amount, generator)
    return TexturedMesh(
        vertices.astype(np.float32), faces.astype(np.int32), colours.round().clip(0, 255).astype(np.uint8)
    )


def _subdivided(mesh):
    """Triangles split until no edge is long -> (vertices, faces, colours (N, 3) float)."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    weights = np.broadcast_to(np.eye(3), (len(corners), 3, 3)).copy()
    owner = np.arange(len(corners))
    done = []
    while len(corners):
        edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        longest = edges.argmax(axis=1)
        small = edges.max(axis=1) <= TRIANGLE_M
        done.append((corners[small], weights[small], owner[small]))
        corners, weights, owner, longest = corners[~small], weights[~small], owner[~small], longest[~small]
        # every triangle's longest edge is halved, so both neighbours of an edge split it alike
        order = (longest[:, None] + np.arange(3)) % 3
        corners, weights = (np.take_along_axis(a, order[..., None], axis=1) for a in (corners, weights))
        halves = []
        for a in (corners, weights):
            middle = (a[:, 0] + a[:, 1]) / 2
            first = np.stack([a[:, 0], middle, a[:, 2]], axis=1)
            halves.append(np.concatenate([first, np.stack([middle, a[:, 1], a[:, 2]], axis=1)]))
        (corners, weights), owner = halves, np.r_[owner, owner]
    corners, weights, owner = (np.concatenate(parts) for parts in zip(*done, strict=True))
    colours = surface_colours(mesh, np.repeat(owner, 3), weights.reshape(-1, 3))
    return corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), colours.astype(np.float64)


def _merged(parts):
    """One surface whose triangles share the vertices that are at the same place, their colours averaged."""
    vertices = np.concatenate([v for v, _, _ in parts])
    offsets = np.cumsum([0, *(len(v) for v, _, _ in parts)])
    faces = np.concatenate([f + k for (_, f, _), k in zip(parts, offsets, strict=False)])
    colours = np.concatenate([c for _, _, c in parts])
    # keyed by one integer: far faster than unique rows
    cell = np.round((vertices - vertices.min(axis=0)) / 1e-4).astype(np.int64)
    key = (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]
    _, first, same = np.unique(key, return_index=True, return_inverse=True)
    count = np.bincount(same)[:, None]
    colours = np.stack([np.bincount(same, colours[:, i]) for i in range(3)], axis=1) / count
    faces = same[faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return vertices[first], faces[whole], colours


def _compact(vertices, faces, colours):
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3), colours[used]


def _areas(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def _normals(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(normals, faces[:, i], np.cross(b - a, c - a))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _seen(vertices, faces, amount, g):
    """Most of what looks down was not filmed."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    down = cross[:, _UP] < -0.7 * np.linalg.norm(cross, axis=1)
    patch = _smooth_noise((a + b + c) / 3, 0.3, g)
    return ~(down & (patch > np.quantile(patch, 1.0 - 0.9 * amount)))


def _covered(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    rays = np.c_[(a + b + c) / 3 + 2e-4 * normals, normals].astype(np.float32)
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(o3d.core.Tensor(vertices.astype(np.float32)), o3d.core.Tensor(faces.astype(np.uint32)))
    return scene.cast_rays(o3d.core.Tensor(rays), nthreads=1)["t_hit"].numpy() < COVERED_M


def _centers(vertices, faces, density, g):
    """Random points on the surface, so many per square metre."""
    areas = _areas(vertices, faces)
    n = g.poisson(density * areas.sum())
    return vertices[faces[g.choice(len(faces), n, p=areas / areas.sum()), 0]]


def _without_holes(vertices, faces, d, amount, g):
    """bool per face: whether it is still there."""
    middle = vertices[faces].mean(axis=1)
    keep = np.ones(len(faces), bool)
    ragged = 1.0 + 0.4 * _smooth_noise(middle, 0.04, g)
    tree = cKDTree(middle)
    for center in _centers(vertices, faces, amount * d.holes, g):
        radius = g.uniform(*d.hole_radius_m)
        near = np.array(tree.query_ball_point(center, 2 * radius), dtype=int)
        keep[near[np.linalg.norm(middle[near] - center, axis=1) * ragged[near] < radius]] = False
    return keep


def _with_blobs(vertices, normals, d, amount, g):
    """Around random points the surface is drawn together: corners fill, thin things swell."""
    vertices = vertices.copy()
    count = g.poisson(amount * d.blobs * 8.0)
    for center in vertices[g.integers(len(vertices), size=count)]:
        radius = g.uniform(*d.blob_radius_m)
        away = np.linalg.norm(vertices - center, axis=1)
        near = away < radius
        share = (1.0 - (away[near] / radius) ** 2)[:, None]
        middle = vertices[near].mean(axis=0) + 0.25 * radius * normals[near].mean(axis=0)
        vertices[near] += amount * 0.7 * share * (middle - vertices[near])
    return vertices


def _smooth_noise(points, length_m, g, waves=24):
    """(N,) noise of unit deviation that changes over about length_m: a sum of waves in random directions."""
    k = g.normal(0.0, 1.0 / length_m, (waves, 3))
    phase = g.uniform(0.0, 2 * np.pi, waves)
    return np.sqrt(2.0 / waves) * np.cos(points @ k.T + phase).sum(axis=1)


def _blurred(colours, faces, share):
    for _ in range(3):
        total, count = np.zeros_like(colours), np.zeros((len(colours), 1))
        for i in range(3):
            for j in ((i + 1) % 3, (i + 2) % 3):
                np.add.at(total, faces[:, i], colours[faces[:, j]])
                np.add.at(count, faces[:, i], 1.0)
        colours = (1 - share) * colours + share * np.where(count > 0, total / np.maximum(count, 1), colours)
    return colours


def _with_floaters(vertices, faces, colours, d, amount, g):
    """Crumpled bits of surface a hand's width off it."""
    parts = [(vertices, faces, colours)]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    for _ in range(g.poisson(amount * d.floaters)):
        n = int(g.integers(6, 24))
        bit = g.uniform(low, high) + g.normal(0.0, g.uniform(0.006, 0.02), (n, 3))
        triangles = np.stack([g.permutation(n)[:3] for _ in range(2 * n)])
        parts.append((bit, triangles, np.clip(colours[g.integers(len(colours))] + g.normal(0, 12, (n, 3)), 0, 255)))
    offsets = np.cumsum([0, *(len(v) for v, _, _ in parts)])
    return (
        np.concatenate([v for v, _, _ in parts]),
        np.concatenate([f + k for (_, f, _), k in zip(parts, offsets, strict=False)]),
        np.concatenate([c for _, _, c in parts]),
    )
