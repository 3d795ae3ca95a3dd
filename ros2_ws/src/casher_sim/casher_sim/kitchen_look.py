"""What a kitchen of primitives looks like: its pieces as textured meshes, a pattern for each kind of surface."""

import functools

import numpy as np

from casher_sim.kitchen import SURFACES, solids
from casher_sim.mesh_file import TexturedMesh, plain_mesh
from casher_sim.meshes import cylinder

_CELLS = 64
"""Edge of a pattern in texels."""
_FACES = (((1, 2), 0), ((0, 2), 1), ((0, 1), 2))
"""Axes that span a box's face, and the one it is perpendicular to."""
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)


@functools.lru_cache(maxsize=16)
def kitchen_meshes(kitchen):
    """kitchen.Kitchen -> tuple of TexturedMesh [m], in the kitchen's frame, one for each kind of surface."""
    return meshes_of(solids(kitchen))


def meshes_of(found):
    """kitchen.Solid, ... -> tuple of TexturedMesh [m], one for each kind of surface and shape."""
    pieces = {}
    for solid in found:
        pieces.setdefault((solid.surface, solid.shape), []).append(solid)
    return tuple(_MESH[shape](surface, group) for (surface, shape), group in pieces.items())


def _boxes(surface, found):
    look = SURFACES[surface]
    texture, period_m = _PATTERNS[look.pattern]
    vertices, uv = [], []
    for solid in found:
        size = np.array(solid.size)
        for (a, b), c in _FACES:
            for sign in (-1.0, 1.0):
                corners = np.zeros((4, 3))
                corners[:, [a, b]], corners[:, c] = _CORNERS * size[[a, b]], sign * size[c]
                corners += solid.position
                vertices.append(corners)
                # The second coordinate runs along y where there is one: that is how the grain of wood lies.
                uv.append(corners[:, [b, a] if a == 1 else [a, b]] / period_m)
    first = 4 * np.arange(len(vertices))[:, None]
    faces = np.concatenate([first + np.array(corners) for corners in ((0, 1, 2), (0, 2, 3))])
    plain = plain_mesh(np.concatenate(vertices), faces, np.rint(255 * _BRIGHTEST * np.array(look.colour)).clip(0, 255))
    return TexturedMesh(plain.vertices, plain.faces, plain.colours, np.concatenate(uv).astype(np.float32), texture)


def _cylinders(surface, found):
    parts = [cylinder(*solid.size) for solid in found]
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in parts[:-1])])
    vertices = np.concatenate([v + solid.position for (v, _), solid in zip(parts, found, strict=True)])
    faces = np.concatenate([f + offset for (_, f), offset in zip(parts, offsets, strict=True)])
    return plain_mesh(vertices, faces, np.rint(255 * np.array(SURFACES[surface].colour)))


_MESH = {"box": _boxes, "cylinder": _cylinders}
_BRIGHTEST = 1.15
"""Of a pattern: a texture's white."""


def _texture(brightness):
    """(H, W) -> (H, W, 3) uint8 to multiply a colour by that was made _BRIGHTEST times brighter."""
    grey = np.rint(255 * np.broadcast_to(brightness, (_CELLS, _CELLS)) / _BRIGHTEST).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _grid():
    return np.meshgrid(*2 * [(np.arange(_CELLS) + 0.5) / _CELLS])


def _tiles():
    u, v = _grid()
    return np.where((u < 0.06) | (v < 0.06), 0.72, 1.0)


def _stone():
    return 0.85 + 0.3 * np.random.default_rng(0).random((_CELLS, _CELLS))


def _wood():
    u, v = _grid()
    return 0.90 + 0.10 * np.sin(2 * np.pi * (9 * v + 0.4 * np.sin(2 * np.pi * u)))


_PATTERNS = {
    "plain": (_texture(1.0), 1.0),
    "tiles": (_texture(_tiles()), 0.10),
    "stone": (_texture(_stone()), 0.512),
    "wood": (_texture(_wood()), 0.60),
}
"""Name -> texture, and the edge of what it shows [m]; it repeats."""
