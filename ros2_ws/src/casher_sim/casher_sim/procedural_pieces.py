"""What a procedural kitchen is built into, per body: triangles by material to see, boxes and hulls to collide with."""

from collections import defaultdict

import numpy as np
from scipy.spatial import ConvexHull

from casher_sim import procedural_shapes as shapes
from casher_sim.mesh_file import TexturedMesh
from casher_sim.procedural_materials import texture
from casher_sim.twin import Box

KITCHEN = "kitchen"
"""The body that does not move."""


class Pieces:
    """Grows piece by piece; everything in the base frame."""

    def __init__(self, materials):
        """materials: name -> Material."""
        self.materials = materials
        self.shapes = defaultdict(lambda: defaultdict(list))
        """body -> material's name -> [shape]"""
        self.boxes = defaultdict(list)
        """body -> [twin.Box]"""
        self.hulls = defaultdict(list)
        """body -> [(vertices, faces)]"""

    def show(self, shape, material, body=KITCHEN):
        """A shape that is only seen."""
        if material not in self.materials:
            raise ValueError(f"unknown material {material!r}: known are {', '.join(self.materials)}")
        self.shapes[body][material].append(shape)

    def block(self, low, high, body=KITCHEN, yaw=0.0):
        """A box that only collides; `yaw` [rad] turns it about its own middle."""
        center, half = (np.add(low, high) / 2).tolist(), (np.subtract(high, low) / 2).tolist()
        turn = (0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))
        self.boxes[body].append(Box(tuple(center), tuple(half), turn))

    def box(self, low, high, material, body=KITCHEN, faces=shapes.FACES, upright=False):
        """A box that is seen and collides."""
        low, high = np.minimum(low, high), np.maximum(low, high)
        self.show(shapes.box(low, high, faces, upright), material, body)
        self.block(low, high, body)

    def panel(self, low, high, material, body=KITCHEN, upright=False):
        """A box that is only seen: something else collides there."""
        self.show(shapes.box(np.minimum(low, high), np.maximum(low, high), upright=upright), material, body)

    def hull(self, points, body=KITCHEN):
        """The convex hull of points (N, 3): only collides."""
        points = np.asarray(points, float)
        hull = ConvexHull(points)
        corners, triangles = points[hull.vertices], np.searchsorted(hull.vertices, hull.simplices)
        normals = np.cross(*(corners[triangles[:, i]] - corners[triangles[:, 0]] for i in (1, 2)))
        inwards = np.einsum("ij,ij->i", normals, hull.equations[:, :3]) < 0
        triangles[inwards] = triangles[inwards][:, ::-1]
        self.hulls[body].append((corners, triangles))

    def cylinder(self, center, radius, height, material, body=KITCHEN):
        """An upright cylinder on `center`: seen, and collides as the twelve-sided one around it."""
        profile = [(0, 0), (radius, 0), (radius, 0), (radius, height), (radius, height), (0, height)]
        self.show(shapes.lathe(profile, center), material, body)
        self.hull(twelve_sided(center, radius, height), body)

    def meshes(self, body):
        """[TexturedMesh] of a body, one per material."""
        found = []
        for name, parts in self.shapes[body].items():
            vertices, faces, uv = shapes.join(*parts)
            uv = uv / self.materials[name].size_m
            white = np.full(vertices.shape, 255, np.uint8)
            found.append(
                TexturedMesh(
                    vertices.astype(np.float32),
                    faces.astype(np.int32),
                    white,
                    uv.astype(np.float32),
                    texture(self.materials[name]),
                )
            )
        return found


def twelve_sided(center, radius, height):
    """Corners (24, 3) of the twelve-sided prism around an upright cylinder."""
    angles = 2 * np.pi * np.arange(12) / 12
    ring = np.c_[np.cos(angles), np.sin(angles)] * radius / np.cos(np.pi / 12) + np.asarray(center)[:2]
    low = np.full((12, 1), center[2])
    return np.r_[np.c_[ring, low], np.c_[ring, low + height]]
