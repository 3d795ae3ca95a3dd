"""A picture of a coloured point cloud, with nothing but numpy: splats in a depth buffer, edges darkened so that
shapes stand out."""

import io

import numpy as np
from PIL import Image

EYE = (-0.75, -0.95, 1.05)
"""p_base_eye [m]: behind the robot, to its right and above; the same for every picture, so that pictures compare."""
TARGET = (0.5, 0.0, 0.0)
"""p_base_target [m]: the middle of the work surface."""
FIELD_OF_VIEW_RAD = 0.72
SPLAT_RADIUS_M = 0.006
BACKGROUND = (24, 28, 34)
_FLOAT32 = 7


def points_of(message):
    """PointCloud2, or what a bag reader makes of one -> points [m] (N, 3) float32 and colours (N, 3) uint8, finite
    ones only.

    Raises ValueError for a cloud without float32 x, y, z and rgb.
    """
    offsets = {item.name: item.offset for item in message.fields if item.datatype == _FLOAT32}
    missing = [name for name in ("x", "y", "z", "rgb") if name not in offsets]
    if missing or message.is_bigendian:
        raise ValueError(
            f"a cloud needs little endian float32 x, y, z and rgb, {', '.join(missing) or 'the order'} differs"
        )
    rows = np.frombuffer(bytes(message.data), np.uint8).reshape(message.width * message.height, message.point_step)

    def column(name):
        return np.ascontiguousarray(rows[:, offsets[name] : offsets[name] + 4])

    points = np.concatenate([column(name).view("<f4") for name in "xyz"], axis=1)
    finite = np.isfinite(points).all(axis=1)
    return points[finite], column("rgb")[finite, 2::-1]


def render(points, colours, width=480, height=360):
    """Points [m] (N, 3) in base and colours (N, 3) uint8 -> image (height, width, 3) uint8."""
    # Twice as large and averaged: splats get smooth edges.
    w, h = 2 * width, 2 * height
    focal = 0.5 * h / np.tan(0.5 * FIELD_OF_VIEW_RAD)
    p = (np.asarray(points, np.float64) - EYE) @ _R_base_eye()
    ahead = p[:, 2] > 0.05
    p, colours = p[ahead], np.asarray(colours)[ahead]
    u, v = w / 2 + focal * p[:, 0] / p[:, 2], h / 2 + focal * p[:, 1] / p[:, 2]
    radius = np.clip(focal * SPLAT_RADIUS_M / p[:, 2], 1.0, 24.0)
    far_first = np.argsort(-p[:, 2])
    u, v, radius = u[far_first], v[far_first], radius[far_first]
    nearest = np.full(h * w, -1)  # of each pixel: place in far_first of the nearest point that covers it
    reach = int(np.ceil(radius.max(initial=0.0)))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            covers = np.flatnonzero(dx * dx + dy * dy <= radius**2)
            x, y = np.rint(u[covers] + dx).astype(int), np.rint(v[covers] + dy).astype(int)
            inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
            np.maximum.at(nearest, (y * w + x)[inside], covers[inside])
    seen = nearest >= 0
    image, depth = np.full((h * w, 3), BACKGROUND, np.uint8), np.full(h * w, np.inf)
    image[seen], depth[seen] = colours[far_first[nearest[seen]]], p[far_first[nearest[seen]], 2]
    shade = _edges(depth.reshape(h, w))
    lit = np.where(np.isinf(depth).reshape(h, w, 1), 1.0, shade[..., None]) * image.reshape(h, w, 3)
    return np.rint(lit.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))).astype(np.uint8)


def png(image):
    """Image (H, W, 3) uint8 -> the bytes of a PNG."""
    buffer = io.BytesIO()
    # 128 colours look the same and are a third of the bytes: a report holds two pictures an episode.
    Image.fromarray(image).quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _R_base_eye():
    forward = np.subtract(TARGET, EYE)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def _edges(depth, strength=6.0):
    """Eye-dome lighting: (H, W) -> factor (H, W), darker where neighbours are nearer (Boucheny 2009)."""
    log_depth = np.log(np.where(np.isinf(depth), 1e3, depth))
    total = np.zeros_like(depth)
    for distance in (2, 5):
        for dy, dx in ((0, distance), (0, -distance), (distance, 0), (-distance, 0)):
            neighbour = np.roll(log_depth, (dy, dx), (0, 1))
            total += np.clip(log_depth - neighbour, 0.0, 0.08)
    return np.exp(-strength * total / 2)
