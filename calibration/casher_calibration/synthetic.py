"""Rendered truth: images of a ChArUco board as a pinhole camera with blur and noise would see it."""

from dataclasses import dataclass

import cv2
import numpy as np

_TEXTURE_PX = 64
"""Texture pixels a square."""
_MARGIN_PX = 16
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class ImageNoise:
    """What a colour camera does to an image."""

    sigma: float = 3.0
    """Standard deviation of each pixel's noise, of 255."""
    blur_px: float = 0.7
    """Standard deviation of the optics' blur."""
    motion_px: tuple = (0.0, 0.0)
    """How far the board moves in the image during the exposure (columns, rows)."""
    contrast: float = 0.75
    """Share of the range of grey values that black to white spans."""


def render(board, T_camera_board, intrinsics, noise=None, rng=None):
    """What a camera sees of a board it looks at -> image RGB (height, width, 3) uint8.

    A board that is behind the camera, turned away or out of the image leaves the grey background. `noise` is an
    ImageNoise (None: the default one); rng None gives no pixel noise.
    """
    noise = noise or ImageNoise()
    grey = np.full((intrinsics.height, intrinsics.width), 0.4, np.float32)
    margin_m = board.square_m * _MARGIN_PX / _TEXTURE_PX
    low, high = -margin_m, np.array(board.size_m) + margin_m
    outer = np.array([[low, low, 0], [high[0], low, 0], [*high, 0], [low, high[1], 0]], dtype=float)
    outer_camera = outer @ T_camera_board[:3, :3].T + T_camera_board[:3, 3]
    if (outer_camera[:, 2] > 0.05).all() and T_camera_board[:3, 2] @ outer_camera.mean(axis=0) > 0:
        _paint(grey, board, intrinsics.project(outer_camera))
    if noise.blur_px > 0:
        grey = cv2.GaussianBlur(grey, (0, 0), noise.blur_px)
    if (kernel := _motion_kernel(noise.motion_px)) is not None:
        grey = cv2.filter2D(grey, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    grey = 255 * (0.1 + noise.contrast * grey)
    if rng is not None:
        grey += rng.normal(0.0, noise.sigma, grey.shape).astype(np.float32)
    return cv2.cvtColor(np.clip(np.rint(grey), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def texture(board):
    """The sheet, (rows, columns) float32 0 .. 1: _TEXTURE_PX a square and _MARGIN_PX of white around them."""
    size = (board.squares_x * _TEXTURE_PX, board.squares_y * _TEXTURE_PX)
    squares = board.cv().generateImage(size, marginSize=0).astype(np.float32) / 255
    return np.pad(squares, _MARGIN_PX, constant_values=1.0)


def _paint(grey, board, pixels):
    """Draw the board whose outer corners lie at `pixels` (4, 2) into `grey`, in place."""
    height, width = grey.shape
    low = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 3, [width, height])
    if (low >= high).any():
        return
    sheet = texture(board)
    s, (h, w) = _SUPERSAMPLING, sheet.shape
    # pixel 0 is a centre: the edge of an image lies at -0.5, in the texture as in the finer and in the final image
    source = np.float32([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]])
    target = np.float32((pixels - low + 0.5) * s - 0.5)
    columns, rows = (high - low) * s
    fine = np.full((rows, columns), 0.4, np.float32)
    cv2.warpPerspective(
        sheet,
        cv2.getPerspectiveTransform(source, target),
        (columns, rows),
        dst=fine,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    grey[low[1] : high[1], low[0] : high[0]] = cv2.resize(fine, None, fx=1 / s, fy=1 / s, interpolation=cv2.INTER_AREA)


def _motion_kernel(motion_px):
    """Line of that length and direction as a kernel, or None when it is no longer than a pixel."""
    length = float(np.hypot(*motion_px))
    if length <= 1.0:
        return None
    n = int(np.ceil(length)) | 1
    kernel = np.zeros((n + 2, n + 2), np.float32)
    middle = (n + 1) / 2
    for step in np.linspace(-0.5, 0.5, 8 * n):
        x, y = middle + step * np.array(motion_px)
        kernel[round(y), round(x)] += 1
    return kernel / kernel.sum()
