"""Ray-cast colour and depth images of a world, by Open3D's RaycastingScene.

`look` copies the poses out of the world, quickly, while nobody steps it; `render` casts the rays into that copy, in any
thread. Lambert shading from one lamp and procedural patterns make the pictures readable.
"""

from dataclasses import dataclass

import numpy as np
import open3d as o3d

from casher_perception.camera_model import DEPTH_UNIT_M
from casher_sim.kitchen import SURFACES
from casher_sim.light import Light
from casher_sim.meshes import visible_meshes

DEPTH_RANGE_M = (0.2, 3.0)
"""What the depth camera measures."""
_BACKGROUND = (0.80, 0.84, 0.88)
_TILE_M, _GROUT_M = 0.10, 0.006


@dataclass(frozen=True)
class Look:
    """Where everything was at one moment, and what it looks like."""

    geometry: "Geometry"
    positions: np.ndarray
    """(M, 3) [m] of the moving meshes."""
    rotations: np.ndarray
    """(M, 3, 3)"""


class Renderer:
    """Draws one world."""

    def __init__(self, world):
        self._world = world
        self._resets = None

    def look(self):
        """The Look of now; call it while the world stands still between two physics steps."""
        world = self._world
        if world.resets != self._resets:
            meshes = visible_meshes(world.kitchen, world.object_model)
            poses = world.data.geom_xpos, world.data.geom_xmat.reshape(-1, 3, 3)
            self._geometry, self._resets = Geometry(meshes, *poses, world.shift), world.resets
        geoms = self._geometry.geoms
        return Look(
            self._geometry,
            world.data.geom_xpos[geoms].copy(),
            world.data.geom_xmat[geoms].reshape(-1, 3, 3).copy(),
        )


def render(look, views, light=None):
    """Look, list of (Intrinsics, T_base_camera (4, 4)) -> list of (colour (H, W, 3) uint8, depth (H, W) uint16).

    light: light.Light, None for the usual one. Depth is along the optical axis in units of DEPTH_UNIT_M, 0 where
    nothing lies within DEPTH_RANGE_M.
    """
    moving = look.geometry.moving_scene(look)
    return [_view(look.geometry, moving, intrinsics, T, light or Light()) for intrinsics, T in views]


class Geometry:
    """The meshes of one reset: what stands still is ready to be hit, what moves waits for its poses."""

    def __init__(self, meshes, positions, rotations, shift):
        """meshes: of `visible_meshes`; positions (G, 3), rotations (G, 3, 3): all geoms; shift (3,): of the kitchen."""
        still, moving = [m for m in meshes if not m.moves], [m for m in meshes if m.moves]
        self.geoms = np.array([m.geom for m in moving])
        placed = [m.vertices @ rotations[m.geom].T + positions[m.geom] for m in still]
        self.still = _raycasting_scene(np.concatenate(placed), _triangles(still))
        self._colours = np.concatenate([_per_triangle(still, "colour"), _per_triangle(moving, "colour")])
        self._n_still = sum(len(m.triangles) for m in still)
        patterns = [SURFACES[m.surface].pattern if m.surface else "plain" for m in still]
        self._pattern = np.repeat(patterns, [len(m.triangles) for m in still])
        self._shift = shift
        self._vertices = np.concatenate([m.vertices for m in moving])
        self._mesh_of_vertex = np.repeat(np.arange(len(moving)), [len(m.vertices) for m in moving])
        self._moving_triangles = _triangles(moving)

    def moving_scene(self, look):
        """What moves, where `look` saw it."""
        R, p = look.rotations[self._mesh_of_vertex], look.positions[self._mesh_of_vertex]
        return _raycasting_scene(np.einsum("nij,nj->ni", R, self._vertices) + p, self._moving_triangles)

    def colour_still(self, triangles, points):
        """Colours (N, 3) 0..1 of hits on what stands still: triangles (N,), points (N, 3) [m]."""
        colour, pattern, p = self._colours[triangles].copy(), self._pattern[triangles], points - self._shift
        for name, draw in (("tiles", _tiles), ("stone", _stone), ("wood", _wood)):
            chosen = pattern == name
            if chosen.any():
                colour[chosen] *= draw(p[chosen])[:, None]
        return colour

    def colour_moving(self, triangles):
        """Colours (N, 3) 0..1 of hits on what moves."""
        return self._colours[self._n_still + triangles]


def _view(geometry, moving, intrinsics, T_base_camera, light):
    directions = intrinsics.rays() @ T_base_camera[:3, :3].T
    rays = np.empty((*directions.shape[:2], 6), dtype=np.float32)
    rays[..., :3], rays[..., 3:] = T_base_camera[:3, 3], directions
    rays = o3d.core.Tensor(rays)
    still_hits, moving_hits = geometry.still.cast_rays(rays, nthreads=1), moving.cast_rays(rays, nthreads=1)
    # The directions have z = 1 in the camera: the ray's parameter is the depth along the optical axis.
    depth_still, depth_moving = still_hits["t_hit"].numpy(), moving_hits["t_hit"].numpy()
    front = depth_moving < depth_still
    back = ~front & np.isfinite(depth_still)
    depth = np.where(front, depth_moving, depth_still)

    colour = np.empty((*depth.shape, 3), dtype=np.float32)
    colour[:] = _BACKGROUND
    colour[front] = geometry.colour_moving(moving_hits["primitive_ids"].numpy()[front])
    points = T_base_camera[:3, 3] + directions[back] * depth[back, None]
    colour[back] = geometry.colour_still(still_hits["primitive_ids"].numpy()[back], points)
    for hit, hits in ((front, moving_hits), (back, still_hits)):
        cosine = np.abs(hits["primitive_normals"].numpy()[hit] @ np.float32(light.direction))
        colour[hit] *= (light.ambient + (1 - light.ambient) * cosine)[:, None]
    colour *= light.gains

    within = (depth >= DEPTH_RANGE_M[0]) & (depth <= DEPTH_RANGE_M[1])
    counts = np.rint(np.where(within, depth, 0.0) / DEPTH_UNIT_M).astype(np.uint16)
    return (np.clip(colour, 0.0, 1.0) * 255.0).astype(np.uint8), counts


def _tiles(p):
    joint = ((p[:, 1] % _TILE_M) < _GROUT_M) | ((p[:, 2] % _TILE_M) < _GROUT_M)
    return np.where(joint, 0.72, 1.0)


def _stone(p):
    # A hash of 8 mm cells: the fractional part of a large sine looks random.
    noise = np.sin(np.floor(p / 0.008) @ np.array([12.9898, 78.233, 37.719])) * 43758.5453
    return 0.85 + 0.3 * (noise % 1.0)


def _wood(p):
    # Grain along y on what lies, along z on what stands: a phase that winds slowly across both.
    return 0.90 + 0.10 * np.sin(90.0 * p[:, 0] + 60.0 * p[:, 1] + 3.0 * np.sin(7.0 * p[:, 2]))


def _triangles(meshes):
    offsets = np.cumsum([0, *(len(m.vertices) for m in meshes[:-1])])
    return np.concatenate([m.triangles + offset for m, offset in zip(meshes, offsets, strict=True)])


def _per_triangle(meshes, name):
    values = [np.tile(getattr(m, name), (len(m.triangles), 1)) for m in meshes]
    return np.concatenate(values).astype(np.float32)


def _raycasting_scene(vertices, triangles):
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    as_tensor = o3d.core.Tensor
    scene.add_triangles(
        as_tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
        as_tensor(np.ascontiguousarray(triangles, dtype=np.uint32)),
    )
    return scene
