"""Coloured point clouds on the CPU: deprojection, crop, voxels, sampling.

A cloud is a pair: points [m] (N, 3) float32 and colours (N, 3) uint8.
"""

import fpsample
import numpy as np

from casher_perception import kernels
from casher_perception.camera_model import DEPTH_UNIT_M, Intrinsics
from casher_perception.deprojection import Deprojection, DepthLens, Registration, box
from casher_perception.geometry import inverse, transform


def deproject(depth, colour, intrinsics, T_target_camera, crop_low, crop_high, depth_scale=DEPTH_UNIT_M):
    """Points of a depth image inside a box, in the frame of that box -> points [m] (N, 3) and colours (N, 3).

    depth (H, W) uint16, in units of depth_scale [m], 0 where nothing was measured, aligned with colour (H, W, 3) uint8;
    crop_low, crop_high (3,) [m] in the target frame, inclusive. In the order of the pixels. ValueError for images
    of another size than the intrinsics say.
    """
    return Deprojection(intrinsics, T_target_camera, crop_low, crop_high, unit_m=depth_scale)(depth, colour)


def deproject_unaligned(depth, colour, intrinsics, depth_lens, T_target_camera, crop_low, crop_high):
    """As `deproject`, for a depth image from a DepthLens of its own: each point takes the colour it projects to.

    intrinsics and T_target_camera are the colour camera's. Points the colour image does not see are dropped.
    """
    return Deprojection(intrinsics, T_target_camera, crop_low, crop_high, depth_lens)(depth, colour)


class CameraCloud:
    """One camera's cloud as it is published: made once, called for every frame.

    intrinsics, T_base_camera (4, 4): of the colour camera; depth_lens: None for a depth image aligned with its colour.
    Box [m] and voxels lie in the base frame, so that the voxels of all cameras coincide.
    """

    def __init__(self, intrinsics, T_base_camera, crop_low, crop_high, voxel_m, depth_lens=None):
        self._deproject = Deprojection(intrinsics, T_base_camera, crop_low, crop_high, depth_lens)
        self._grid = VoxelGrid(crop_low, crop_high, voxel_m)
        self._T_camera_base = inverse(T_base_camera)

    def __call__(self, depth, colour):
        """Images as for `deproject` -> points [m] (N, 3) float32 in the OPTICAL frame and colours (N, 3)."""
        self._grid.add(*self._deproject(depth, colour))
        points, colours = self._grid.take()
        return transform(self._T_camera_base, points), colours


def merge(clouds, transforms):
    """Clouds (points in own frame, colours) and T_base_frame (4, 4) of each -> one cloud in base, in that order."""
    points = [transform(T, points) for (points, _), T in zip(clouds, transforms, strict=True)]
    return np.concatenate(points), np.concatenate([colours for _, colours in clouds])


def crop(points, colours, low, high):
    """The points inside the box low .. high (3,) [m], inclusive, and their colours; non-finite points are dropped."""
    points, colours = _cloud(points, colours)
    low, high = box(low, high)
    inside = np.logical_and(points >= low, points <= high).all(axis=1)  # false for NaN
    return points[inside], colours[inside]


def voxel_downsample(points, colours, voxel_m, low, high):
    """Mean point and mean colour of every occupied voxel of the box -> points (M, 3), colours (M, 3).

    Points outside low .. high (3,) [m] and non-finite ones are dropped. Ordered by the first point of each voxel.
    """
    grid = VoxelGrid(low, high, voxel_m)
    grid.add(points, colours)
    return grid.take()


class VoxelGrid:
    """Voxels of edge voxel_m [m] in the box low .. high (3,) [m], anchored at low: add clouds, `take` their means.

    Two levels, blocks of 8 x 8 x 8 voxels: a flat 5 mm grid over a sink's crop takes 107 MB, its occupied blocks 2 MB.
    """

    def __init__(self, low, high, voxel_m):
        if not voxel_m > 0:
            raise ValueError(f"a voxel has a positive edge, got {voxel_m} m")
        self._low, self._high = box(low, high)
        self._inverse = np.float32(1.0 / voxel_m)
        # One voxel to spare: the upper face belongs to the box, and the products are rounded.
        voxels = np.ceil((self._high - self._low).astype(np.float64) / voxel_m) + 1
        blocks = np.ceil(voxels / kernels.BLOCK)
        if blocks.prod() > 2**28:
            raise ValueError(f"voxels of {voxel_m} m are too small for a box of {(self._high - self._low).tolist()} m")
        self._blocks = blocks.astype(np.int64)
        self._room = np.zeros(self._blocks.prod(), np.int32)
        self._used = np.empty(1 << 9, np.int64)
        self._cells = np.empty((len(self._used), kernels.BLOCK**3), np.int32)
        self._sums = np.empty((1 << 15, 8), np.float64)
        self._n_blocks = self._n_voxels = 0

    def add(self, points, colours):
        """Add a cloud: points [m] (N, 3) float32, colours (N, 3) uint8. Drops what is outside or not finite."""
        points, colours = _cloud(points, colours)
        done = 0
        while True:
            done, self._n_blocks, self._n_voxels = kernels.voxel_add(
                points, colours, done, self._low, self._high, self._inverse, self._blocks, self._room, self._used,
                self._cells, self._n_blocks, self._sums, self._n_voxels,
            )  # fmt: skip
            if done == len(points):
                return
            if self._n_blocks == len(self._cells):
                self._used, self._cells = _doubled(self._used), _doubled(self._cells)
            if self._n_voxels == len(self._sums):
                self._sums = _doubled(self._sums)

    def take(self):
        """The means -> points (M, 3) float32, colours (M, 3) uint8 (rounded); the grid is empty afterwards."""
        points, colours = np.empty((self._n_voxels, 3), np.float32), np.empty((self._n_voxels, 3), np.uint8)
        kernels.voxel_means(self._sums, points, colours)
        self._room[self._used[: self._n_blocks]] = 0
        self._n_blocks = self._n_voxels = 0
        return points, colours


def sample_farthest(points, n, seed):
    """Indices (n,) of n <= len(points) points far from one another (farthest point sampling), the same for a seed.

    Points that coincide may be drawn more than once; those of a voxel grid do not.
    """
    _require_sample(points, n)
    start = int(np.random.default_rng(seed).integers(len(points)))
    if len(points) == 1:
        return np.zeros(1, np.int64)  # the tree wants two
    depth = int(
        np.clip(np.rint(0.6 * np.log2(len(points)) - 2.7), 1, 8)
    )  # the fastest tree, measured for 300 .. 80 000 points
    chosen = fpsample.bucket_fps_kdline_sampling(np.ascontiguousarray(points, np.float32), n, depth, start_idx=start)
    return chosen.astype(np.int64)


def sample_random(points, n, generator):
    """Indices (n,) of n <= len(points) different points drawn by the np.random.Generator."""
    _require_sample(points, n)
    return generator.choice(len(points), size=n, replace=False)


def warm_up():
    """Run every kernel once on next to nothing, so that the first camera frame does not wait for libraries to load."""
    camera, T, corners = Intrinsics(8, 8, 8.0, 8.0, 3.5, 3.5), np.eye(4), ((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0))
    depth, colour = np.full((8, 8), 1000, np.uint16), np.zeros((8, 8, 3), np.uint8)
    lens = DepthLens(camera, T)
    deproject_unaligned(depth, colour, camera, lens, T, *corners)
    Registration(camera, lens)(depth)
    points, _ = voxel_downsample(*deproject(depth, colour, camera, T, *corners), 0.005, *corners)
    sample_farthest(points, 8, 0)


def _doubled(array):
    larger = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def _cloud(points, colours):
    points, colours = np.ascontiguousarray(points), np.ascontiguousarray(colours)
    for name, given, dtype in (("points", points, np.float32), ("colours", colours, np.uint8)):
        if given.shape != (len(points), 3) or given.dtype != dtype:
            raise ValueError(f"{name} must be ({len(points)}, 3) {np.dtype(dtype)}, got {given.shape} {given.dtype}")
    return points, colours


def _require_sample(points, n):
    if not 1 <= n <= len(points):
        raise ValueError(f"can draw 1 .. {len(points)} of {len(points)} points, got n = {n}")
