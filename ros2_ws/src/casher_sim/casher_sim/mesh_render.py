"""Pictures of textured meshes by ray casting, without a graphics card or a screen."""

import numpy as np
import open3d as o3d

from casher_sim.mesh_file import surface_colours

BACKGROUND = (246, 246, 244)
AMBIENT = 0.45
"""Part of the light that does not depend on how a surface is turned towards the camera; the rest does."""


class MeshRenderer:
    """Renders one set of meshes from any number of cameras."""

    def __init__(self, meshes, threads=1):
        """meshes: [TexturedMesh] in one common frame; threads: of the ray caster, 0 for all cores."""
        self._meshes, self._threads = list(meshes), threads
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=threads)
        for mesh in self._meshes:
            self._scene.add_triangles(o3d.core.Tensor(mesh.vertices), o3d.core.Tensor(mesh.faces.astype(np.uint32)))

    def render(self, eye, target, width, height, fov_y_rad=np.pi / 3, shaded=True):
        """Look from `eye` at `target` (3,) [m], z up -> colour (H, W, 3) uint8 and distance (H, W) [m], inf: nothing.

        shaded: darken surfaces that are turned away, as a lamp at the camera would; without, the texture's own colours.
        """
        origins, directions = camera_rays(eye, target, width, height, fov_y_rad)
        rays = np.concatenate([origins, directions], axis=-1).astype(np.float32)
        hit = self._scene.cast_rays(o3d.core.Tensor(rays), nthreads=self._threads)
        distance, owner = hit["t_hit"].numpy(), hit["geometry_ids"].numpy()
        faces, uv = hit["primitive_ids"].numpy(), hit["primitive_uvs"].numpy()
        colour = np.empty((height, width, 3), dtype=np.float32)
        colour[:] = BACKGROUND
        for i, mesh in enumerate(self._meshes):
            here = owner == i
            weights = np.c_[1.0 - uv[here].sum(axis=1), uv[here]]
            colour[here] = surface_colours(mesh, faces[here], weights)
        if shaded:
            # scans have walls seen from behind: the side does not matter
            facing = np.abs(np.einsum("hwi,hwi->hw", hit["primitive_normals"].numpy(), directions))
            colour *= np.where(np.isfinite(distance), AMBIENT + (1.0 - AMBIENT) * facing, 1.0)[..., None]
        return colour.round().astype(np.uint8), distance


def camera_rays(eye, target, width, height, fov_y_rad):
    """Rays through the pixels' centres -> origins and unit directions, (H, W, 3) each."""
    eye = np.asarray(eye, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-6:
        right = np.array([0.0, -1.0, 0.0])  # straight down: x of the base frame is up in the picture
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    focal = 0.5 * height / np.tan(fov_y_rad / 2)
    u, v = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    directions = forward + (u[..., None] * right + v[..., None] * down) / focal
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.broadcast_to(eye, directions.shape), directions
