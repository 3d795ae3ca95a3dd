"""A small twin for tests: a worktop with a hole as its sink, a door with a handle."""

import numpy as np
import trimesh

from casher_sim.mesh_file import plain_mesh, write_glb, write_hulls
from casher_sim.twin import (
    Y_UP_TO_BASE,
    Body,
    Box,
    Handle,
    Joint,
    Provenance,
    Site,
    Spawn,
    TaskSupport,
    Twin,
    to_scan,
)
from casher_sim.twin_file import save_twin

WORKTOP_Z = 0.12
SINK_Z = -0.06


def small_twin(**changes):
    """A Twin that `check_twin` has nothing to say about, once `write_twin` wrote it; `changes` replace its fields."""
    fields = {
        "name": "test_kitchen",
        "scan_up": "y",
        "scale": 0.01,
        "T_base_scan": Y_UP_TO_BASE,
        "bodies": (
            Body(
                "kitchen", "kitchen.glb", "kitchen_collision.glb", (Box((0.55, 0.0, SINK_Z - 0.05), (0.3, 0.8, 0.05)),)
            ),
            Body(
                "door",
                None,
                boxes=(Box((0.8, -0.2, 0.6), (0.01, 0.2, 0.3)),),
                joint=Joint("hinge", (0.0, 0.0, 1.0), (0.8, -0.4, 0.6), (0.0, 1.6), 0.5, 0.1),
                friction=0.4,
            ),
        ),
        "sites": {"sink": Site((0.55, -0.1, SINK_Z), (0.2, 0.2), WORKTOP_Z)},
        "handle": Handle("door", (0.76, -0.05, 0.6), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), 0.1, 0.012),
        "spawns": {"left": Spawn((0.5, 0.35, WORKTOP_Z), (0.05, 0.05), 0.1)},
        "tasks": {"put_in_sink": TaskSupport(("bowl", "mug")), "open_cabinet": TaskSupport(())},
        "provenance": Provenance("procedural", "2026-01-31", "casher test", seed=3),
        "consent": None,
    }
    return Twin(**{**fields, **changes})


def write_twin(twin, folder):
    """The twin's folder with meshes -> the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    worktop = trimesh.creation.box((0.6, 0.8, 0.2))
    worktop.apply_translation((0.55, 0.5, WORKTOP_Z - 0.1))
    vertices = to_scan(twin, worktop.vertices)
    write_glb(folder / "kitchen.glb", [plain_mesh(vertices, worktop.faces)])
    write_hulls(folder / "kitchen_collision.glb", [(vertices, worktop.faces)])
    save_twin(twin, folder)
    return folder


def textured_square():
    """A mesh of 1 x 1 with a texture of four colours, one in each quarter -> TexturedMesh."""
    from casher_sim.mesh_file import TexturedMesh

    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float32)
    texture = np.zeros((64, 64, 3), dtype=np.uint8)
    texture[:32, :32], texture[:32, 32:] = (255, 0, 0), (0, 255, 0)
    texture[32:, :32], texture[32:, 32:] = (0, 0, 255), (255, 255, 0)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    white = np.full((4, 3), 255, dtype=np.uint8)
    return TexturedMesh(corners, faces, white, corners[:, :2].copy(), texture)
