"""Surfaces with texture coordinates in metres: boxes, prisms, surfaces of revolution, tubes.

Each returns (vertices (N, 3), faces (M, 3), uv (N, 2)): metres, base frame, faces
counter-clockwise as seen from outside.
"""

import numpy as np

FACES = ("-x", "+x", "-y", "+y", "-z", "+z")
_OTHER = ((1, 2), (0, 2), (1, 0))
"""Axes along u and v of a box's faces, by the axis that the face is across: the grain of wood runs along u."""


def box(low, high, faces=FACES, upright=False):
    """An axis-aligned box from corner to corner; only the named faces. upright: u runs along z on the vertical ones."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    vertices, triangles, uv = [], [], []
    for name in faces:
        axis, end = "xyz".index(name[1]), name[0] == "+"
        a, b = _OTHER[axis]
        corners = np.empty((4, 3))
        corners[:, axis] = (high if end else low)[axis]
        corners[:, a] = [low[a], high[a], high[a], low[a]]
        corners[:, b] = [low[b], low[b], high[b], high[b]]
        right_handed = (b - a) % 3 == 1
        order = [0, 1, 2, 0, 2, 3] if right_handed == end else [0, 2, 1, 0, 3, 2]
        triangles.append(np.reshape(order, (2, 3)) + 4 * len(vertices))
        vertices.append(corners)
        uv.append(corners[:, [b, a]] if upright and axis != 2 else corners[:, [a, b]])
    return np.concatenate(vertices), np.concatenate(triangles), np.concatenate(uv)


def polygon(points, z, up=True):
    """A flat convex polygon (N, 2), counter-clockwise seen from above, at height z."""
    points = np.asarray(points, float)
    fan = np.array([[0, i, i + 1] for i in range(1, len(points) - 1)])
    return np.c_[points, np.full(len(points), z)], fan if up else fan[:, ::-1], points[:, ::-1]


def wall(points, low, high, inward=False, closed=True):
    """The upright surface over an outline (N, 2), counter-clockwise seen from above, between two heights."""
    points = np.asarray(points, float)
    ring = np.r_[points, points[:1]] if closed else points
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))]
    # every edge has vertices of its own, so that it stays an edge when shaded
    a, b = ring[:-1], ring[1:]
    n = len(a)
    vertices = np.stack([np.c_[a, np.full(n, low)], np.c_[b, np.full(n, low)], np.c_[b, np.full(n, high)]], axis=1)
    vertices = np.concatenate([vertices, np.c_[a, np.full(n, high)][:, None]], axis=1).reshape(-1, 3)
    uv = np.stack([along[:-1], along[1:], along[1:], along[:-1]], axis=1).reshape(-1, 1)
    uv = np.c_[uv, np.tile([low, low, high, high], n)]
    quads = np.array([[0, 1, 2], [0, 2, 3]])
    quads = quads[:, ::-1] if inward else quads
    return vertices, (quads[None] + 4 * np.arange(n)[:, None, None]).reshape(-1, 3), uv


def prism(points, low, high):
    """A convex outline (N, 2), counter-clockwise seen from above, between two heights."""
    return join(wall(points, low, high), polygon(points, low, up=False), polygon(points, high))


def lathe(profile, center, sections=20):
    """Turn a profile (N, 2) of (radius, height), outside from bottom to top, about the upright axis through center."""
    profile = np.asarray(profile, float)
    angles = 2 * np.pi * np.arange(sections + 1) / sections
    r, z = profile[:, :1], np.broadcast_to(profile[:, 1:], (len(profile), sections + 1))
    vertices = np.stack([r * np.cos(angles), r * np.sin(angles), z], axis=-1).reshape(-1, 3) + np.asarray(center)
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))]
    uv = np.stack(np.broadcast_arrays(angles * profile[:, 0].max(), along[:, None]), axis=-1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(len(profile) - 1), np.arange(sections), indexing="ij")
    a = (i * (sections + 1) + j).ravel()
    c = a + sections + 1
    return vertices, np.concatenate([np.c_[a, a + 1, c + 1], np.c_[a, c + 1, c]]), uv


def tube(path, radius, sections=10):
    """A round rod along a path (N, 3), its ends closed. radius: one, or one per point."""
    path = np.asarray(path, float)
    radius = np.broadcast_to(radius, len(path))
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], np.eye(3)[np.argmin(np.abs(tangents[0]))])
    angles = 2 * np.pi * np.arange(sections) / sections
    rings = []
    for p, t, r in zip(path, tangents, radius, strict=True):
        side = side - t * (side @ t)  # carried along the path: the rod does not twist
        side /= np.linalg.norm(side)
        rings.append(p + r * (np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * np.cross(t, side)))
    vertices = np.concatenate([*rings, path[[0, -1]]])
    i, j = np.meshgrid(np.arange(len(path) - 1), np.arange(sections), indexing="ij")
    a, b = (i * sections + j).ravel(), (i * sections + (j + 1) % sections).ravel()
    j, first, last = np.arange(sections), len(vertices) - 2, len(path) * sections - sections
    start = np.c_[np.full(sections, first), (j + 1) % sections, j]
    end = np.c_[np.full(sections, first + 1), last + j, last + (j + 1) % sections]
    faces = np.concatenate([np.c_[a, b, b + sections], np.c_[a, b + sections, a + sections], start, end])
    return vertices, faces, vertices[:, [1, 2]]


def rounded_rectangle(center, half, radius, steps):
    """Outline (N, 2), counter-clockwise from above; with radius = both halves a circle. `steps` edges a corner."""
    center, half = np.asarray(center, float), np.asarray(half, float)
    points = []
    for i, sign in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angles = np.pi / 2 * (i + np.arange(steps + 1) / steps)
        points.append(center + np.array(sign) * (half - radius) + radius * np.c_[np.cos(angles), np.sin(angles)])
    points = np.concatenate(points)
    return points[np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1) > 1e-9]


def join(*shapes):
    """Several shapes as one."""
    offsets = np.cumsum([0, *(len(v) for v, _, _ in shapes)])
    faces = [f + k for (_, f, _), k in zip(shapes, offsets, strict=False)]
    return np.concatenate([v for v, _, _ in shapes]), np.concatenate(faces), np.concatenate([t for _, _, t in shapes])


def turned(shape, yaw, pivot=(0.0, 0.0, 0.0), tilt=0.0):
    """A shape tilted about y and then turned about z [rad], both through the pivot."""
    c, s, ct, st = np.cos(yaw), np.sin(yaw), np.cos(tilt), np.sin(tilt)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[ct, 0, st], [0, 1, 0], [-st, 0, ct]])
    vertices, faces, uv = shape
    return (vertices - pivot) @ R.T + pivot, faces, uv
