"""Colour and depth images of visible parts that move, at any resolution, by ray casting on one core."""

import numpy as np

from casher_perception.camera_model import DEPTH_UNIT_M
from casher_perception.geometry import inverse
from casher_sim.light import Light
from casher_sim.pixel_rays import NOTHING, UNCHANGED, cast, place, shade
from casher_sim.visible_parts import stacked_colours, stacked_poses

DEPTH_RANGE_M = (0.2, 3.0)
"""What the depth camera measures."""
BACKGROUND = (204.0, 214.0, 224.0)
KEPT_VIEWS = 8


class PartRenderer:
    """Draws one set of parts. Not for two threads at once."""

    def __init__(self, parts, still=(), kept_views=KEPT_VIEWS):
        """parts: [VisiblePart]; still: frames that seldom move: what is hit of them is kept from image to image.

        kept_views: for how many pairs of a camera's pose and the still frames' (0.5 MB each at 160 x 120).
        """
        if not parts:
            raise ValueError("nothing to draw: give at least one VisiblePart")
        self.frames = tuple(dict.fromkeys(part.frame for part in parts))
        """Names of the frames whose poses `render` needs."""
        unknown = set(still) - set(self.frames)
        if unknown:
            raise ValueError(f"no part is in the still frames {sorted(unknown)}: known are {', '.join(self.frames)}")
        meshes = [part.mesh for part in parts]
        vertices = [len(mesh.vertices) for mesh in meshes]
        faces = [len(mesh.faces) for mesh in meshes]
        first = np.cumsum([0, *vertices[:-1]])
        frame_of_part = np.array([self.frames.index(part.frame) for part in parts])
        self._vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float64)
        self._frame_of_vertex = np.repeat(frame_of_part, vertices)
        self._triangles = np.concatenate([m.faces + o for m, o in zip(meshes, first, strict=True)]).astype(np.int64)
        self._part_of_triangle = np.repeat(np.arange(len(parts)), faces)
        self._frame_of_part = frame_of_part
        self._colours = np.concatenate([mesh.colours for mesh in meshes]).astype(np.float32)
        self._uv = np.concatenate([np.zeros((n, 2)) if m.texture is None else m.uv
                                   for m, n in zip(meshes, vertices, strict=True)]).astype(np.float32)  # fmt: skip
        self._texels, self._textures = _atlas(meshes)
        is_still = np.isin(frame_of_part, [self.frames.index(name) for name in still])
        of_triangle = is_still[self._part_of_triangle]
        self._still_triangles, self._moving_triangles = np.flatnonzero(of_triangle), np.flatnonzero(~of_triangle)
        self._still_frames = [self.frames.index(name) for name in still]
        self._kept, self._kept_images, self._kept_views = {}, {}, kept_views

    def render(self, poses, views, light=None, recolour=None):
        """-> [(colour (H, W, 3) uint8, depth (H, W) uint16)] for each view.

        poses: {frame: T_base_frame (4, 4)}, all of `frames`, more do not matter; views: [(Intrinsics, T_base_camera)];
        light: Light, None for the default one; recolour: {frame: (3, 3) matrix on RGB}. Depth is along the optical axis
        in units of DEPTH_UNIT_M, 0 where nothing lies within DEPTH_RANGE_M. ValueError names a frame without a pose.
        """
        light = light or Light()
        T_base_frame = stacked_poses(poses, self.frames)
        matrices = stacked_colours(recolour, self.frames)[self._frame_of_part]
        return [self._view(T_base_frame, *view, light, matrices) for view in views]

    def _view(self, T_base_frame, intrinsics, T_base_camera, light, recolour):
        T_camera_base = inverse(T_base_camera)
        placed = np.empty_like(self._vertices)
        place(self._vertices, self._frame_of_vertex, T_camera_base @ T_base_frame, placed)
        lamp = T_camera_base[:3, :3] @ np.asarray(light.direction)

        def shaded(hit, weights, image):
            shade(
                placed, self._triangles, self._part_of_triangle, self._colours, self._uv, self._texels, self._textures,
                recolour, lamp, light.ambient, light.gains, np.array(BACKGROUND), hit, weights, image,
            )  # fmt: skip
            return image

        key = intrinsics, T_camera_base.tobytes(), T_base_frame[self._still_frames].tobytes()
        still = self._remember(self._kept, key, lambda: self._still(placed, intrinsics))
        look = *key, light, recolour.tobytes()
        empty = np.empty((*still[0].shape, 3), np.uint8)
        image = self._remember(self._kept_images, look, lambda: shaded(*still[1:], empty)).copy()
        depth, hit, weights = (array.copy() for array in still)
        self._cast(placed, self._moving_triangles, intrinsics, depth, hit, weights)
        shaded(np.where(hit == still[1], UNCHANGED, hit), weights, image)
        within = (depth >= DEPTH_RANGE_M[0]) & (depth <= DEPTH_RANGE_M[1])
        return image, np.rint(np.where(within, depth, 0.0) / DEPTH_UNIT_M).astype(np.uint16)

    def _remember(self, kept, key, make):
        if key not in kept:
            if len(kept) == self._kept_views:
                del kept[next(iter(kept))]
            kept[key] = make()
        return kept[key]

    def _still(self, placed, intrinsics):
        """What the pixels see of the still parts alone."""
        size = intrinsics.height, intrinsics.width
        found = np.full(size, np.inf), np.full(size, NOTHING, np.int64), np.zeros((*size, 2), np.float32)
        self._cast(placed, self._still_triangles, intrinsics, *found)
        return found

    def _cast(self, placed, chosen, camera, depth, hit, weights):
        cast(placed, self._triangles, chosen, camera.fx, camera.fy, camera.cx, camera.cy, depth, hit, weights)


def _atlas(meshes):
    """All textures in one row -> texels (T, 3) uint8 and, for each mesh, first texel, height, width (0: no texture)."""
    places, rows, first, known = [], [np.zeros((1, 3), np.uint8)], 1, {}
    for mesh in meshes:
        if mesh.texture is None:
            places.append((0, 0, 0))
            continue
        key = mesh.texture.shape, mesh.texture.tobytes()
        if key not in known:
            known[key] = first, *mesh.texture.shape[:2]
            rows.append(mesh.texture.reshape(-1, 3))
            first += len(rows[-1])
        places.append(known[key])
    return np.ascontiguousarray(np.concatenate(rows)), np.array(places, dtype=np.int64)
