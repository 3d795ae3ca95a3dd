"""Where frames come from."""

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, DEPTH_UNIT_M, Intrinsics
from casher_perception.deprojection import DepthLens


@dataclass(frozen=True)
class Frame:
    """One shot of a camera."""

    colour: np.ndarray
    """(H, W, 3) uint8, red green blue."""
    depth: np.ndarray
    """(H, W) uint16 along the optical axis, 0 where nothing was measured: as seen by the source's depth_lens."""
    stamp_ns: int
    """[ns] since the epoch, when the shot was taken."""


@dataclass(frozen=True)
class Health:
    """What a source says about itself in /diagnostics."""

    ok: bool = True
    message: str = ""
    """For people; empty when all is well."""
    values: dict = field(default_factory=dict)
    """Key -> anything that prints."""


class CameraSource(Protocol):
    """One camera."""

    serial: str
    intrinsics: Intrinsics
    """Of the colour image."""
    depth_lens: DepthLens | None
    """Of the depth image; None: aligned with the colour image pixel by pixel, in units of DEPTH_UNIT_M."""

    def read(self, timeout_s):
        """The next Frame, or None when none came in timeout_s [s]. What the source cannot recover from is raised."""

    def health(self):
        """Health; may be called from another thread than read()."""

    def close(self):
        """Let go of the camera; afterwards read() is not called any more."""


class SyntheticSource:
    """A table with a block and a ball that circles above it, seen by a camera of a rig; a frame number says all."""

    TABLE_Z_M = 0.0
    BLOCK_M = np.array([[0.45, -0.20, 0.0], [0.60, -0.05, 0.25]])
    """Low and high corner, base frame."""
    BALL_RADIUS_M = 0.06
    BALL_PERIOD_S = 4.0

    def __init__(self, mount, clock_ns=time.time_ns, sleep=time.sleep):
        self.serial, self.depth_lens = mount.serial, None
        self.intrinsics = mount.intrinsics or Intrinsics.from_fov(mount.width, mount.height, D435I_COLOUR_HFOV_RAD)
        self._period_ns = round(1e9 / mount.rate_hz)
        self._clock_ns, self._sleep = clock_ns, sleep
        self._index, self._next_ns = 0, clock_ns()
        T = np.asarray(mount.T_base_camera)
        self._p_base_camera = T[:3, 3]
        # The depth along the optical axis is the length along such a ray, because its z in the camera is 1.
        self._rays = self.intrinsics.rays() @ T[:3, :3].T
        self._depth_m, self._colour = self._render_table_and_block()

    def read(self, timeout_s):
        """The next frame, when it is due."""
        wait_ns = self._next_ns - self._clock_ns()
        if not -self._period_ns < wait_ns <= self._period_ns:
            # A late reader gets no burst of what it missed; a clock that was set back makes nobody wait for hours.
            wait_ns = 0
        self._sleep(min(max(wait_ns * 1e-9, 0.0), timeout_s))
        if wait_ns * 1e-9 > timeout_s:
            return None
        now_ns = self._clock_ns()
        self._next_ns = (self._next_ns if wait_ns else now_ns) + self._period_ns
        colour, depth = self.render(self._index)
        self._index += 1
        return Frame(colour, depth, now_ns)

    def health(self):
        """Nothing can go wrong."""
        return Health()

    def close(self):
        """Nothing is held."""

    def ball(self, index):
        """Centre of the ball in frame `index`, (3,) [m], base frame."""
        angle = 2.0 * np.pi * index * self._period_ns * 1e-9 / self.BALL_PERIOD_S
        return np.array([0.5 + 0.15 * np.cos(angle), 0.3 * np.sin(angle), 0.35])

    def render(self, index):
        """Frame number `index` -> colour (H, W, 3) uint8, depth (H, W) uint16."""
        depth_m, colour = self._depth_m.copy(), self._colour.copy()
        offset = self._p_base_camera - self.ball(index)
        a, b = (self._rays**2).sum(axis=-1), self._rays @ offset
        discriminant = b**2 - a * (offset @ offset - self.BALL_RADIUS_M**2)
        t = (-b - np.sqrt(np.maximum(discriminant, 0.0))) / a
        hit = (discriminant > 0) & (t > 0) & (t < depth_m)
        depth_m[hit] = t[hit]
        colour[hit] = (200, 40, 40)
        counts = np.rint(depth_m / DEPTH_UNIT_M)
        return colour, np.where(counts <= 65535, counts, 0).astype(np.uint16)

    def _render_table_and_block(self):
        rays, p = self._rays, self._p_base_camera
        with np.errstate(divide="ignore", invalid="ignore"):
            table = (self.TABLE_Z_M - p[2]) / rays[..., 2]
            near, far = ((corner - p) / rays for corner in self.BLOCK_M)
        table = np.where(table > 0, table, np.inf)
        enters, leaves = np.minimum(near, far).max(axis=-1), np.maximum(near, far).min(axis=-1)
        on_block = (enters < leaves) & (enters > 0) & (enters < table)
        hits = p + rays * np.where(np.isfinite(table), table, 0.0)[..., None]
        tiles = np.floor(hits[..., :2] / 0.1).astype(np.int64).sum(axis=-1) % 2
        colour = np.where(tiles[..., None] == 0, np.uint8([190, 190, 180]), np.uint8([90, 110, 120]))
        colour[on_block] = (60, 90, 200)
        return np.where(on_block, enters, table), colour


def _realsense(mount, **options):
    from casher_perception.realsense_source import RealSenseSource  # the SDK, only where there is a camera for it

    return RealSenseSource(mount, **options)


SOURCES = {"synthetic": SyntheticSource, "realsense": _realsense}
"""Name -> what makes the source from the CameraMount and the source's own options."""


def open_source(name, mount, **options):
    """The source of that name for a camera of the rig; ValueError lists the known ones."""
    if name not in SOURCES:
        raise ValueError(f"unknown camera source {name!r}: known are {', '.join(SOURCES)}")
    return SOURCES[name](mount, **options)
