"""A new texture for reduced triangles, painted from the original scan, however many textures or colours that had.

Every two triangles share a square of the texture with a power of two as its edge, one in each half. Squares sorted by
size and laid out along the Z-order curve fill the texture without gaps.
"""

import numpy as np
import open3d as o3d

from casher_sim.mesh_file import TexturedMesh, surface_colours

SMALLEST, LARGEST = 8, 128
"""Texels along the edge of a square."""
PAD = 1.0
"""Texels between a triangle and its square's edge."""
GAP = 2.5
"""Texels from the square's edge to a triangle's far corners: keeps the two halves apart."""
BATCH = 1 << 18


def bake(source, vertices, faces, texel_m=0.003, largest_side=2048):
    """Paint `source` ([TexturedMesh]) onto the triangles (vertices (N, 3), faces (M, 3)), same frame -> TexturedMesh.

    texel_m: wanted size of a texel; they get larger when the texture would have more than largest_side texels a side.
    """
    corners = np.asarray(vertices, dtype=np.float32)[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    while True:
        order, sizes = _squares(longest / texel_m)
        side = 1 << int(np.ceil(np.log2(np.sqrt((sizes**2).sum()))))
        if side <= largest_side or sizes.max() == SMALLEST:
            break
        texel_m *= 1.4
    x, y = _along_z_curve(np.cumsum(sizes**2) - sizes**2)
    scene = o3d.t.geometry.RaycastingScene()
    for mesh in source:
        scene.add_triangles(o3d.core.Tensor(mesh.vertices), o3d.core.Tensor(mesh.faces.astype(np.uint32)))
    texture = np.full((side, side, 3), 128, dtype=np.uint8)
    uv = np.zeros((len(faces), 3, 2), dtype=np.float32)
    for size in np.unique(sizes):
        squares = np.flatnonzero(sizes == size)
        per_batch = max(1, BATCH // size**2)
        for start in range(0, len(squares), per_batch):
            chosen = squares[start : start + per_batch]
            pairs = np.stack([order[2 * chosen], order[np.minimum(2 * chosen + 1, len(order) - 1)]])
            _paint(texture, uv, scene, source, corners, pairs, size, np.stack([x[chosen], y[chosen]], axis=1))
    uv[..., 1] = side - uv[..., 1]  # rows of a picture count from the top
    white = np.full((3 * len(faces), 3), 255, dtype=np.uint8)
    new_faces = np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
    return TexturedMesh(corners.reshape(-1, 3), new_faces, white, uv.reshape(-1, 2) / side, texture)


def _squares(longest):
    """Longest edges [texels] -> order of the triangles by falling size, edge of the square of every two of them."""
    order = np.argsort(-longest, kind="stable")
    wanted = longest[order[::2]] + PAD + GAP
    return order, np.clip(2 ** np.ceil(np.log2(wanted)), SMALLEST, LARGEST).astype(np.int64)


def _along_z_curve(index):
    """Texels passed along the Z-order curve -> column, row."""
    x, y = np.zeros_like(index), np.zeros_like(index)
    for bit in range(20):
        x |= (index >> (2 * bit) & 1) << bit
        y |= (index >> (2 * bit + 1) & 1) << bit
    return x, y


def _paint(texture, uv, scene, source, corners, pairs, size, place):
    """Fill the squares (K,) at place (K, 2) with the triangles pairs (2, K), and note their texture coordinates."""
    far = size - GAP
    lower = np.array([[PAD, PAD], [far, PAD], [PAD, far]])
    layout = np.stack([lower, size - lower])
    for half in range(2):
        uv[pairs[half]] = place[:, None] + layout[half]
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    texel = np.stack([column, row], axis=-1).reshape(-1, 2) + 0.5
    half = (texel.sum(axis=1) > size).astype(int)
    away = np.where(half[:, None] == 1, size - texel, texel)
    b = (away - PAD) / (far - PAD)
    weights = np.c_[1.0 - b.sum(axis=1), b]
    points = np.einsum("tc,ktcx->ktx", weights, corners[pairs[half].T]).astype(np.float32)
    closest = scene.compute_closest_points(o3d.core.Tensor(points.reshape(-1, 3)))
    owner, faces = closest["geometry_ids"].numpy(), closest["primitive_ids"].numpy()
    at = closest["primitive_uvs"].numpy()
    colours = np.empty((len(owner), 3), dtype=np.uint8)
    for i, mesh in enumerate(source):
        here = owner == i
        colours[here] = surface_colours(mesh, faces[here], np.c_[1.0 - at[here].sum(axis=1), at[here]])
    rows = place[:, 1, None] + row.reshape(-1)
    columns = place[:, 0, None] + column.reshape(-1)
    texture[rows, columns] = colours.reshape(len(place), -1, 3)
