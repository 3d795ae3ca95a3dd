"""What a RealSense D435i gets wrong in a depth image that a renderer got right.

The camera matches its left imager against its right one and reports depth z = f B / d from the disparity d [px], so its
errors are errors of disparity: the standard deviation of z is z^2 / (f B) times that of d.

Sources. [1] Grunnet-Jepsen, Sweetser, Woodfill, "Tuning depth cameras for best performance", Intel: best resolution
848 x 480, RMS error = z^2 subpixel / (f B) with a subpixel error below 0.1 where the camera is well tuned. [2]
Grunnet-Jepsen et al., "Subpixel linearity improvement for Intel RealSense depth cameras D400", Intel: horizontal field
of view 90 degrees, disparities in steps of 1/32 px. [3] Intel RealSense D400 series datasheet: baseline 50 mm, the left
imager is the reference, invalid band at the left edge. [4] "Projection, texture mapping and occlusion with Intel
RealSense depth cameras", Intel: what the right imager does not see has no depth. [5] Keselman et al., "Intel RealSense
stereoscopic depth cameras", CVPR workshops 2017: windows of census bits, up to 128 disparities.

Not modelled: errors of neighbouring pixels are independent (the camera's are not, over a matching window), surfaces are
textured by the projector whatever their colour, nothing shines.
"""

from dataclasses import dataclass

import numpy as np

from casher_perception.camera_model import DEPTH_UNIT_M
from casher_perception.compiled import compiled


@dataclass(frozen=True)
class DepthNoise:
    """A D435i; pixels of disparity are those of its own imagers. `None` in its place means a perfect camera."""

    baseline_m: float = 0.050
    """Between the imagers [3]."""
    native_width: int = 848
    """Columns of the imagers in use [1]; an image of another size is taken for a resampled one of these."""
    native_hfov_rad: float = float(np.pi / 2)
    """Horizontal field of view of the imagers [2]."""
    subpixel_std_px: float = 0.08
    """Standard deviation of the disparity; below 0.1 in a well-tuned camera [1]. 0: none."""
    quantum_px: float = 1.0 / 32.0
    """Step of the disparity [2]. 0: none."""
    max_disparity_px: float = 126.0
    """Nearer things, 0.17 m here, have no depth [5]."""
    shadow: bool = True
    """No depth where the right imager is blocked, a band left of what stands in front, or sees nothing [3, 4]."""
    shadow_tolerance_px: float = 1.0
    """The right imager has to be blocked by more than this."""
    edge_jump: float = 0.05
    """A depth edge lies where depth changes by more than this share of itself from one pixel to another nearby."""
    edge_reach_px: float = 3.0
    """How far from an edge it disturbs the matching, half a window [5]; at least one pixel of the image."""
    edge_hole: float = 0.4
    """Share of the pixels near an edge that have no depth; our choice."""
    edge_flying: float = 0.15
    """Share of the pixels near an edge that lie between the two sides of it; our choice."""
    grazing_rad: float = float(np.deg2rad(80.0))
    """Surfaces seen at a larger angle from their normal have no depth; our choice. pi / 2: all have one."""

    def __post_init__(self):
        if not (self.baseline_m > 0 and self.native_width > 0 and 0 < self.native_hfov_rad < np.pi):
            raise ValueError(f"baseline, width and field of view must be positive (and below pi), got {self}")
        if not (self.edge_hole >= 0 and self.edge_flying >= 0 and self.edge_hole + self.edge_flying <= 1):
            raise ValueError(f"edge_hole and edge_flying are shares of one whole, got {self}")
        if not (self.subpixel_std_px >= 0 and self.quantum_px >= 0 and self.edge_jump > 0):
            raise ValueError(f"subpixel_std_px and quantum_px must not be negative, edge_jump positive, got {self}")

    @property
    def native_focal_px(self):
        """Focal length of the imagers [px]."""
        return self.native_width / 2.0 / np.tan(self.native_hfov_rad / 2.0)

    def depth_std_m(self, depth_m):
        """Standard deviation of depth [m] at a depth [m], quantisation apart: [1]'s formula."""
        return np.asarray(depth_m) ** 2 * self.subpixel_std_px / (self.native_focal_px * self.baseline_m)


def noisy_depth(depth, intrinsics, generator, config):
    """Depth (H, W) uint16 as rendered -> (H, W) uint16 as a D435i would have it, both in DEPTH_UNIT_M, 0: none.

    intrinsics: of the depth image, which stands for the left imager's; generator: np.random.Generator, from which the
    same amount is drawn whatever the image shows; config: DepthNoise, or None for the image itself. Where there was no
    depth there is none. ValueError for an image of another size than the intrinsics say.
    """
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size or depth.dtype != np.uint16:
        raise ValueError(f"depth must be {size} uint16 as its intrinsics say, got {depth.shape} {depth.dtype}")
    if config is None:
        return depth
    depth = np.ascontiguousarray(depth)
    error = generator.standard_normal(size, dtype=np.float32)
    chance = generator.random(size, dtype=np.float32)
    mix = generator.random(size, dtype=np.float32)
    focal_px = config.native_focal_px
    native_per_pixel = focal_px / intrinsics.fx
    focal_times_baseline = focal_px * config.baseline_m / DEPTH_UNIT_M
    seen = _seen(depth, intrinsics.cx, native_per_pixel, focal_times_baseline, config.native_width,
                 config.shadow_tolerance_px) if config.shadow else depth > 0  # fmt: skip
    reach = max(1, int(np.rint(config.edge_reach_px / native_per_pixel)))
    return _matched(
        depth, seen, error, chance, mix, focal_times_baseline, config.subpixel_std_px, config.quantum_px,
        config.max_disparity_px, reach, config.edge_jump, config.edge_hole, config.edge_flying,
        intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy, np.cos(config.grazing_rad),
    )  # fmt: skip


@compiled()
def _seen(depth, cx, native_per_pixel, focal_times_baseline, native_width, tolerance):
    """(H, W) bool: whether the right imager sees it too. There a pixel lies at its column less its disparity."""
    height, width = depth.shape
    seen = np.zeros((height, width), np.bool_)
    for v in range(height):
        blocked_from = np.inf
        for u in range(width - 1, -1, -1):
            if depth[v, u] == 0:
                continue
            column = (u - cx) * native_per_pixel - focal_times_baseline / depth[v, u]
            seen[v, u] = column <= blocked_from + tolerance and column >= -0.5 * native_width
            blocked_from = min(blocked_from, column)
    return seen


@compiled()
def _matched(
    depth, seen, error, chance, mix, focal_times_baseline, std, quantum, most, reach, jump, hole, flying,
    fx, fy, cx, cy, grazing_cosine,
):  # fmt: skip
    height, width = depth.shape
    out = np.zeros((height, width), np.uint16)
    for v in range(height):
        for u in range(width):
            z = float(depth[v, u])
            if not seen[v, u]:
                continue
            if chance[v, u] < hole + flying:
                other = _across_edge(depth, v, u, reach, jump)
                if other > 0:
                    if chance[v, u] < hole:
                        continue
                    z += (other - z) * mix[v, u]
            if grazing_cosine > 1e-9 and _cosine(depth, v, u, fx, fy, cx, cy) < grazing_cosine:
                continue
            d = focal_times_baseline / z
            if d > most:
                continue
            if std > 0 or quantum > 0 or z != depth[v, u]:
                d += std * error[v, u]
                if quantum > 0:
                    d = quantum * np.rint(d / quantum)
                if d <= 0 or focal_times_baseline / d > 65535:
                    continue
                z = focal_times_baseline / d
            out[v, u] = np.uint16(np.rint(z))
    return out


@compiled()
def _across_edge(depth, v, u, reach, jump):
    """Depth of the other side of an edge within reach, 0 where there is none."""
    height, width = depth.shape
    z = float(depth[v, u])
    for i in range(1, reach + 1):
        for dv, du in ((0, -i), (0, i), (-i, 0), (i, 0)):
            if 0 <= v + dv < height and 0 <= u + du < width:
                other = float(depth[v + dv, u + du])
                # A slope adds up over several pixels; an edge is steep within one.
                if other > 0 and abs(other - z) > jump * min(other, z) * i:
                    return other
    return 0.0


@compiled()
def _cosine(depth, v, u, fx, fy, cx, cy):
    """Of the angle between the surface's normal and the ray, from the flatter of both neighbours each way."""
    height, width = depth.shape
    z = float(depth[v, u])
    zu = _slope(z, float(depth[v, max(u - 1, 0)]), float(depth[v, min(u + 1, width - 1)]))
    zv = _slope(z, float(depth[max(v - 1, 0), u]), float(depth[min(v + 1, height - 1), u]))
    x, y = (u - cx) / fx, (v - cy) / fy
    # The normal of the surface z(u, v), scaled so that its product with the ray (x, y, 1) is z.
    nx, ny = -zu * fx, -zv * fy
    nz = z + x * zu * fx + y * zv * fy
    return z / np.sqrt((nx * nx + ny * ny + nz * nz) * (x * x + y * y + 1.0))


@compiled()
def _slope(z, before, after):
    a = z - before if before > 0 else np.inf
    b = after - z if after > 0 else np.inf
    slope = a if abs(a) < abs(b) else b
    return slope if np.isfinite(slope) else 0.0
