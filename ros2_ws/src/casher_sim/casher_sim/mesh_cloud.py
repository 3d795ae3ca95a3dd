"""Fully observed clouds: points of a scene's meshes, also where no camera looks, at next to no cost per state.

Points are drawn once, in the frames that they move with; a cloud is a stretch of that pool, posed, lit and cropped.
"""

import numpy as np

from casher_perception.compiled import compiled
from casher_sim.light import Light
from casher_sim.surface_points import sample_surface
from casher_sim.visible_parts import stacked_colours, stacked_poses

_ROUNDS = 50


class CloudPool:
    """The points of one scene: kitchen, object and robot."""

    def __init__(self, parts, poses, crop, size, generator, still=(), slack_m=0.15):
        """parts: [VisiblePart]; crop: ((3,) low, (3,) high) [m], base frame; size: points in the pool.

        still: frames that move by at most slack_m [m] from `poses` ({frame: T_base_frame}): what of them lies further
        out of the crop is not drawn. A pool should have many times the points of a cloud. ValueError if nothing of the
        parts lies near the crop.
        """
        self.frames = tuple(dict.fromkeys(part.frame for part in parts))
        self._low, self._high = (np.array(corner, dtype=np.float32) for corner in crop)
        frame_of_part = np.array([self.frames.index(part.frame) for part in parts])
        T_base_frame = stacked_poses(poses, self.frames)
        is_still = np.isin(self.frames, list(still))
        drawn, found = [], 0
        for _ in range(_ROUNDS):
            points, normals, colours, owner = sample_surface([part.mesh for part in parts], size, generator)
            frame = frame_of_part[owner]
            T = T_base_frame[frame]
            placed = np.einsum("nij,nj->ni", T[:, :3, :3], points) + T[:, :3, 3]
            near = ((placed >= self._low - slack_m) & (placed <= self._high + slack_m)).all(axis=1)
            keep = near | ~is_still[frame]
            drawn.append([array[keep] for array in (points, normals, colours, frame)])
            found += int(keep.sum())
            if found >= size:
                break
        else:
            raise ValueError(f"only {found} of {_ROUNDS * size} points lie near the crop {crop}: is it the right one?")
        self._points, self._normals, self._colours, self._frame = (
            np.ascontiguousarray(np.concatenate(arrays)[:size]) for arrays in zip(*drawn, strict=True)
        )

    def cloud(self, poses, n, generator, light=None, recolour=None):
        """n different points of the pool inside the crop -> points [m] (n, 3) float32 in base, colours (n, 3) uint8.

        poses: {frame: T_base_frame (4, 4)}, all of `frames`; light, recolour: as for PartRenderer.render. Even over the
        area of all surfaces. ValueError when fewer than n points of the pool lie inside the crop.
        """
        light = light or Light()
        points, colours = np.empty((n, 3), np.float32), np.empty((n, 3), np.uint8)
        found = _take(
            self._points, self._normals, self._colours, self._frame, generator.integers(len(self._points)),
            stacked_poses(poses, self.frames).astype(np.float32), stacked_colours(recolour, self.frames),
            self._low, self._high, np.array(light.direction), light.ambient, light.gains, points, colours,
        )  # fmt: skip
        if found < n:
            raise ValueError(
                f"only {found} of the pool's {len(self._points)} points lie inside the crop, asked for {n}: "
                "make a larger pool"
            )
        return points, colours


@compiled()
def _take(
    pool, normals, pool_colours, frame, start, T_base_frame, recolour, low, high, lamp, ambient, gains, points, colours
):
    """Fill points and colours from the pool's points from `start` on, round and round once -> how many were found."""
    n, found = len(pool), 0
    for k in range(n):
        if found == len(points):
            break
        i = (start + k) % n
        f = frame[i]
        T = T_base_frame[f]
        x, y, z = pool[i, 0], pool[i, 1], pool[i, 2]
        X = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
        Y = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
        Z = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
        if not (low[0] <= X <= high[0] and low[1] <= Y <= high[1] and low[2] <= Z <= high[2]):
            continue
        points[found, 0], points[found, 1], points[found, 2] = X, Y, Z
        a, b, c = normals[i, 0], normals[i, 1], normals[i, 2]
        cosine = 0.0
        for r in range(3):
            cosine += lamp[r] * (T[r, 0] * a + T[r, 1] * b + T[r, 2] * c)
        brightness = ambient + (1.0 - ambient) * abs(cosine)
        M = recolour[f]
        red, green, blue = float(pool_colours[i, 0]), float(pool_colours[i, 1]), float(pool_colours[i, 2])
        for r in range(3):
            value = (M[r, 0] * red + M[r, 1] * green + M[r, 2] * blue) * brightness * gains[r]
            colours[found, r] = np.uint8(min(255.0, max(0.0, value)) + 0.5)
        found += 1
    return found
