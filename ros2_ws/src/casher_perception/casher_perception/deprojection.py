"""From a depth and a colour image to coloured points, and from a depth image to the colour camera's pixels."""

from dataclasses import dataclass

import numpy as np

from casher_perception import kernels
from casher_perception.camera_model import DEPTH_UNIT_M, Intrinsics


@dataclass(frozen=True, eq=False)
class DepthLens:
    """The lens behind a depth image that is not aligned with its colour image."""

    intrinsics: Intrinsics
    T_colour_depth: np.ndarray
    """(4, 4) from the depth to the colour optical frame."""
    unit_m: float = DEPTH_UNIT_M
    """What one count of the depth image means [m]."""


class Deprojection:
    """Points inside a box from the images of one camera: made once, called for every frame.

    intrinsics: of the colour image; T_target_camera (4, 4): its optical frame in the frame of the box; crop_low,
    crop_high (3,) [m], inclusive; depth_lens: None for a depth image that is aligned with the colour image.
    """

    def __init__(self, intrinsics, T_target_camera, crop_low, crop_high, depth_lens=None, unit_m=DEPTH_UNIT_M):
        T = np.asarray(T_target_camera, dtype=np.float64)
        self._colour_intrinsics, self._depth_intrinsics = intrinsics, intrinsics
        self._box = box(crop_low, crop_high)
        self._to_colour = ()
        if depth_lens is not None:
            self._depth_intrinsics, unit_m = depth_lens.intrinsics, depth_lens.unit_m
            T = T @ depth_lens.T_colour_depth
            k = np.float32([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
            self._to_colour = *_lines(depth_lens.intrinsics, depth_lens.T_colour_depth, unit_m), k
        self._to_target = _lines(self._depth_intrinsics, T, unit_m)
        pixels = self._depth_intrinsics.width * self._depth_intrinsics.height
        self._points, self._colours = np.empty((pixels, 3), np.float32), np.empty((pixels, 3), np.uint8)

    def __call__(self, depth, colour):
        """depth (H, W) uint16, 0 where nothing was measured, and colour (H, W, 3) uint8 -> points [m], colours (N, 3).

        In the order of the depth's pixels, and valid until the next call. Without alignment each point takes the
        colour it projects to; what the colour image does not see is dropped. ValueError for images of another size.
        """
        _require_image("depth", depth, self._depth_intrinsics, np.uint16, ())
        _require_image("colour", colour, self._colour_intrinsics, np.uint8, (3,))
        kernel = kernels.deproject_unaligned if self._to_colour else kernels.deproject
        n = kernel(
            np.ascontiguousarray(depth), np.ascontiguousarray(colour), *self._to_target, *self._to_colour, *self._box,
            self._points, self._colours,
        )  # fmt: skip
        return self._points[:n], self._colours[:n]


class Registration:
    """A depth image as the colour camera would see it: made once, called for every frame."""

    def __init__(self, intrinsics, depth_lens):
        self._intrinsics, self._lens = intrinsics, depth_lens
        # A pixel is a square, not a point: from its edges it is known which pixels of the other image it covers.
        columns, rows, q = _lines(depth_lens.intrinsics, depth_lens.T_colour_depth, depth_lens.unit_m, edges=True)
        k = np.float32([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
        self._to_colour = columns, rows, q, k, np.float32(1.0 / DEPTH_UNIT_M)

    def __call__(self, depth):
        """depth (H, W) uint16 -> (H', W') uint16 in units of DEPTH_UNIT_M; where several fall, the nearest stays."""
        _require_image("depth", depth, self._lens.intrinsics, np.uint16, ())
        registered = np.zeros((self._intrinsics.height, self._intrinsics.width), np.uint16)
        kernels.register(np.ascontiguousarray(depth), *self._to_colour, registered)
        return registered


def box(low, high):
    """Corners (3,) [m] -> the same as float32; ValueError unless low is below high."""
    low, high = np.array(low, dtype=np.float32), np.array(high, dtype=np.float32)
    if low.shape != (3,) or high.shape != (3,) or not np.all(low < high) or not np.isfinite([low, high]).all():
        raise ValueError(f"a box is low (3,) < high (3,) [m], got {low.tolist()} .. {high.tolist()}")
    return low, high


def _require_image(name, image, intrinsics, dtype, channels):
    shape = (intrinsics.height, intrinsics.width, *channels)
    if image.shape != shape or image.dtype != dtype:
        raise ValueError(
            f"{name} must be {shape} {np.dtype(dtype)} as its intrinsics say, got {image.shape} {image.dtype}"
        )


def _lines(intrinsics, T_target_camera, unit_m, edges=False):
    """(3, W), (3, H) and (3,): the first two's sum times the raw depth, plus the third, is the point.

    In the target frame, in 3 products a pixel, not 11. edges: of the pixels' borders, (3, W + 1) and (3, H + 1).
    """
    T = np.asarray(T_target_camera, dtype=np.float64)
    R = T[:3, :3] * unit_m
    u, v = np.arange(intrinsics.width + edges) - 0.5 * edges, np.arange(intrinsics.height + edges) - 0.5 * edges
    columns = np.outer(R[:, 0], (u - intrinsics.cx) / intrinsics.fx)
    rows = np.outer(R[:, 1], (v - intrinsics.cy) / intrinsics.fy) + R[:, 2:3]
    return columns.astype(np.float32), rows.astype(np.float32), T[:3, 3].astype(np.float32)
