"""Pinhole camera: intrinsics, rays, projection.

Optical frame: x right, y down, z forward, in metres. Pixel (0, 0) is the CENTRE of the first pixel.
"""

from dataclasses import dataclass

import numpy as np

D435I_COLOUR_HFOV_RAD = np.deg2rad(69.0)
"""Horizontal field of view of the colour camera of a RealSense D435i (datasheet)."""

DEPTH_UNIT_M = 0.001
"""What one count of a 16-bit depth image means."""

T_OPTICAL_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL camera frame (-z forward, y up) expressed in the optical frame (z forward, y down); its own inverse."""
T_OPTICAL_OPENGL.setflags(write=False)


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; all but the size in pixels as (possibly fractional) pixel units."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    """Column of the optical axis; (width - 1) / 2 is the middle."""
    cy: float
    """Row of the optical axis."""

    def __post_init__(self):
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an image is at least 1 x 1 pixels, got {self.width} x {self.height}")
        if not (np.all(np.isfinite([self.fx, self.fy, self.cx, self.cy])) and self.fx > 0 and self.fy > 0):
            raise ValueError(f"focal lengths must be positive and all entries finite, got {self}")

    @classmethod
    def from_fov(cls, width, height, horizontal_fov_rad):
        """Square pixels and a centred optical axis; the field of view [rad] spans the outer edges of the image."""
        if not 0.0 < horizontal_fov_rad < np.pi:
            raise ValueError(f"the field of view must lie in 0 .. pi rad, got {horizontal_fov_rad}")
        f = float(width / 2.0 / np.tan(horizontal_fov_rad / 2.0))
        return cls(width, height, f, f, (width - 1) / 2.0, (height - 1) / 2.0)

    def scaled(self, factor):
        """The same camera with `factor` times the pixels each way; ValueError unless that is a whole number."""
        size = np.array([self.width, self.height]) * factor
        whole = np.rint(size)
        if np.any(np.abs(size - whole) > 1e-6) or np.any(whole < 1):
            raise ValueError(f"{self.width} x {self.height} scaled by {factor} is not a whole number of pixels")
        cx, cy = ((c + 0.5) * factor - 0.5 for c in (self.cx, self.cy))  # half a pixel: 0 is a centre, not an edge
        return Intrinsics(int(whole[0]), int(whole[1]), self.fx * factor, self.fy * factor, cx, cy)

    def rays(self):
        """Direction of each pixel, (height, width, 3) float64 with z = 1: times the depth [m] it is the point."""
        x = (np.arange(self.width) - self.cx) / self.fx
        y = (np.arange(self.height) - self.cy) / self.fy
        rays = np.ones((self.height, self.width, 3))
        rays[..., 0] = x
        rays[..., 1] = y[:, None]
        return rays

    def project(self, points_camera):
        """Points [m] (..., 3) in front of the camera -> (column, row) (..., 2) in pixels; NaN for those behind it."""
        points = np.asarray(points_camera, dtype=np.float64)
        z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
        return np.stack([points[..., 0] / z * self.fx + self.cx, points[..., 1] / z * self.fy + self.cy], axis=-1)

    def deproject(self, pixels, depth_m):
        """(column, row) (..., 2) in pixels and depth along z [m] (...) -> points [m] (..., 3) in the optical frame."""
        pixels = np.asarray(pixels, dtype=np.float64)
        z = np.asarray(depth_m, dtype=np.float64)
        x = (pixels[..., 0] - self.cx) / self.fx * z
        y = (pixels[..., 1] - self.cy) / self.fy * z
        return np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1)
