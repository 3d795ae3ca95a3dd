"""Where a scanned kitchen's basin is, where objects can stand and where the robot goes: proposed for people to correct.

The frame here has z up and z = 0 on the worktop, metres, and is otherwise as the scan is.
"""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from scipy import ndimage

from casher_perception.geometry import inverse, transform
from casher_sim.scan_frame import triangle_geometry
from casher_sim.twin import Site, Spawn
from casher_sim.twin_check import REACH_M

CELL_M = 0.015
EYE_M = 0.30
"""Height above the worktop from which it is looked down upon: below wall units, above what stands around."""
LEVEL_M = 0.015
"""A cell belongs to the worktop when it is no further from it."""
BASIN_DEPTH_M = (0.06, 0.35)
BASIN_AREA_M2 = (0.03, 0.60)
BASE_TO_GOAL_M = 0.55
"""Forward distance of the basin from the base; in the released trajectories 0.45 to 0.77."""
BASE_BELOW_WORKTOP_M = 0.12
"""In the released trajectories objects start 0.03 to 0.35 above the base."""
BASE_ASIDE_M = 0.12
"""The base stands this much nearer to the free worktop than the basin's middle, so that both are within reach."""
OBJECT_RADIUS_M = 0.06
SPAWN_HALF_M = 0.08
SPAWN_NEAR_M = 0.08
"""Between the basin's rim and a spawn patch."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The proposal."""

    T_base_upright: np.ndarray
    """(4, 4) pose of the upright frame in the base frame."""
    sink: Site | None
    """Base frame; None: no basin was found."""
    spawns: dict
    """Side -> Spawn, base frame."""
    warnings: list


@dataclass(frozen=True, eq=False)
class HeightMap:
    """What one sees from above."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    """(len(x), len(y)) [m]; -inf where nothing is."""


def propose(vertices, faces, T_upright_base=None):
    """Upright scan with the worktop at z = 0 -> Layout; for that pose of the base, or for one that is proposed, too."""
    warnings = []
    heights = look_down(vertices, faces)
    worktop = np.abs(heights.z) < LEVEL_M
    basin = find_basin(heights, worktop)
    if basin is None:
        warnings.append("no basin was found in the worktop: enter the sites of its tasks by hand")
    if T_upright_base is None:
        yaw = _towards_wall(vertices, faces, heights, worktop, warnings)
        T_upright_base = _base(heights, worktop, _mean(heights, worktop if basin is None else basin), yaw)
    T_base_upright = inverse(T_upright_base)
    sink = None if basin is None else _site(heights, basin, T_base_upright)
    spawns = _spawns(heights, worktop, T_base_upright, sink)
    if not spawns:
        warnings.append("no free patch of worktop is within reach: enter the spawns by hand")
    return Layout(T_base_upright, sink, spawns, warnings)


def look_down(vertices, faces):
    """Upright scan -> HeightMap, seen from EYE_M above the worktop."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    x, y = (np.arange(a, b, CELL_M) for a, b in zip(low[:2], high[:2], strict=True))
    rays = np.zeros((len(x), len(y), 6), dtype=np.float32)
    rays[..., 0], rays[..., 1] = x[:, None], y
    rays[..., 2], rays[..., 5] = EYE_M, -1.0
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
        o3d.core.Tensor(np.ascontiguousarray(faces, dtype=np.uint32)),
    )
    return HeightMap(x, y, EYE_M - scene.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy())


def find_basin(heights, worktop):
    """-> (bool like heights.z) cells of the largest depression that the worktop surrounds, or None."""
    deep = (heights.z < -BASIN_DEPTH_M[0]) & (heights.z > -BASIN_DEPTH_M[1])
    deep = ndimage.binary_opening(ndimage.binary_closing(deep, iterations=2), iterations=2)
    labels, count = ndimage.label(deep)
    found = []
    for i in range(1, count + 1):
        cells = labels == i
        ring = ndimage.binary_dilation(cells, iterations=5) & ~ndimage.binary_dilation(cells, iterations=1)
        surrounded = (heights.z[ring] > -BASIN_DEPTH_M[0]).mean()
        area = cells.sum() * CELL_M**2
        if BASIN_AREA_M2[0] <= area <= BASIN_AREA_M2[1] and surrounded > 0.7:
            found.append((area, cells))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _mean(heights, cells):
    i, j = np.nonzero(cells)
    return np.array([heights.x[i].mean(), heights.y[j].mean()])


def _base(heights, worktop, goal, yaw):
    """T_upright_base (4, 4) for a base that looks along yaw [rad] at the goal (x, y)."""
    T_upright_base = np.eye(4)
    T_upright_base[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    i, j = np.nonzero(worktop)
    away = (np.c_[heights.x[i], heights.y[j]] - goal) @ T_upright_base[:2, :2]
    near = (np.abs(away) < (0.35, 0.7)).all(axis=1)
    # to the side on which there is more free worktop
    aside = BASE_ASIDE_M if (away[near, 1] > 0).sum() >= (away[near, 1] < 0).sum() else -BASE_ASIDE_M
    T_upright_base[:2, 3] = goal + T_upright_base[:2, :2] @ (-BASE_TO_GOAL_M, aside)
    T_upright_base[2, 3] = -BASE_BELOW_WORKTOP_M
    return T_upright_base


def _towards_wall(vertices, faces, heights, worktop, warnings):
    """Yaw [rad] of the direction from the room to the wall behind the worktop, parallel to the furniture."""
    centres, normals, areas = triangle_geometry(vertices, faces)
    upright = np.abs(normals[:, 2]) < 0.3
    angle = np.arctan2(normals[upright, 1], normals[upright, 0])
    # furniture repeats every 90 degrees
    grid = np.angle((areas[upright] * np.exp(4j * angle)).sum()) / 4
    tall = (centres[:, 2] > EYE_M + 0.05) & upright
    if not tall.any():
        warnings.append("no wall above the worktop: the robot may have to be turned round")
        return grid
    behind = np.average(centres[tall, :2], axis=0, weights=areas[tall]) - _mean(heights, worktop)
    quarter = round((np.arctan2(behind[1], behind[0]) - grid) / (np.pi / 2))
    return grid + quarter * np.pi / 2


def _site(heights, basin, T_base_upright):
    i, j = np.nonzero(basin & np.isfinite(heights.z))  # scans have holes
    points = transform(T_base_upright, np.c_[heights.x[i], heights.y[j], heights.z[i, j]].astype(np.float64))
    low, high = np.percentile(points[:, :2], [1, 99], axis=0)
    # the floor is the basin's deepest large level; what hangs over it is above
    floor = np.median(points[points[:, 2] < np.percentile(points[:, 2], 60), 2])
    centre, half = (low + high) / 2, (high - low) / 2
    rim = float(transform(T_base_upright, np.zeros((1, 3)))[0, 2])
    return Site((float(centre[0]), float(centre[1]), float(floor)), tuple(map(float, half)), rim)


def _spawns(heights, worktop, T_base_upright, sink):
    """The free patch with most room around it, on each side of the basin."""
    room = ndimage.distance_transform_edt(np.pad(worktop, 1))[1:-1, 1:-1] * CELL_M - OBJECT_RADIUS_M
    i, j = np.nonzero(room > 0.02)
    if not len(i):
        return {}
    points = transform(T_base_upright, np.c_[heights.x[i], heights.y[j], heights.z[i, j]].astype(np.float64))
    clearance = np.minimum(room[i, j], SPAWN_HALF_M)
    distance = np.hypot(points[:, 0], points[:, 1])
    # the corners of the patch are in reach as well
    good = (distance > REACH_M[0] + 0.05) & (distance < REACH_M[1] - 0.05) & (points[:, 0] > 0.2)
    middle, half = (0.0, 0.0) if sink is None else (sink.position[1], sink.half_size[1])
    found = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        across = sign * (points[:, 1] - middle)
        here = good & (across > half + SPAWN_NEAR_M) & (across < half + 0.5)
        if here.any():
            # room first, then near to the arm's middle distance
            best = np.flatnonzero(here)[np.argmax((clearance - 0.1 * np.abs(distance - 0.6))[here])]
            size = float(clearance[best] / np.sqrt(2))
            found[side] = Spawn(tuple(map(float, points[best])), (size, size), 0.0)
    return found
