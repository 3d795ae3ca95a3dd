"""What a twin looks like and what it is for contacts, in the base frame with every joint at 0."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from casher_sim.mesh_file import read_glb, read_hulls
from casher_sim.twin import to_base
from casher_sim.twin_file import file_inside

BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
BOX_FACES = np.array(
    [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
     (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)],
    dtype=np.int32,
)  # fmt: skip
"""Front sides outwards."""


def visual_meshes(twin, folder, body):
    """What is drawn of a body -> [TexturedMesh] with vertices [m], base frame. MeshError, TwinError for a bad file."""
    if body.visual is None:
        return []
    return [
        replace(mesh, vertices=to_base(twin, mesh.vertices).astype(np.float32))
        for mesh in read_glb(file_inside(folder, body.visual))
    ]


def collision_hulls(twin, folder, body):
    """Convex hulls of a body, without its boxes -> [(vertices (N, 3) float32 [m], base frame, faces (M, 3) int32)]."""
    if body.collision is None:
        return []
    hulls = read_hulls(file_inside(folder, body.collision))
    return [(to_base(twin, vertices).astype(np.float32), faces) for vertices, faces in hulls]


def box_mesh(box):
    """Box -> (vertices (8, 3) float32, faces (12, 3) int32)."""
    R_body_box = Rotation.from_quat(box.quat_xyzw).as_matrix()
    vertices = (BOX_CORNERS * box.half_size) @ R_body_box.T + box.center
    return vertices.astype(np.float32), BOX_FACES


def collision_pieces(twin, folder, body):
    """Hulls and boxes of a body alike -> [(vertices, faces)] [m], base frame."""
    return collision_hulls(twin, folder, body) + [box_mesh(box) for box in body.boxes]
