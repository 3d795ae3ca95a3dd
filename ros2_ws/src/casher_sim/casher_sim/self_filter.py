"""The robot's own points out of a cloud: by the distance to its links, looked up in a grid for each of them."""

import functools

import mujoco
import numpy as np
import open3d as o3d
from scipy.spatial import ConvexHull

from casher_perception.compiled import compiled
from casher_sim import robot
from casher_sim.robot_frames import robot_frames
from casher_sim.robot_points import POINT_DETAIL_M
from casher_sim.visible_parts import robot_parts

MARGIN_LIMIT_M = 0.05
"""The largest margin."""
_CELL_M = 0.008
_COLLISION_GROUP = 3


def self_filter(points, colours, q, fingers, margin_m):
    """The points [m] (N, 3) float32 in base that lie further than margin_m [m] from the robot, and their colours."""
    keep = off_robot(points[None], np.asarray(q)[None], np.asarray(fingers)[None], margin_m)[0]
    return points[keep], colours[keep]


def off_robot(points, q, fingers, margin_m):
    """points [m] (B, N, 3) in base, joints (B, 7), fingers (B, 2) -> (B, N) bool: further than margin_m from the robot.

    Right to within 2 mm of the margin. ValueError for a margin above MARGIN_LIMIT_M.
    """
    if not 0.0 <= margin_m <= MARGIN_LIMIT_M:
        raise ValueError(f"margin_m must lie in 0 .. {MARGIN_LIMIT_M}, got {margin_m}")
    points = np.ascontiguousarray(points, dtype=np.float32)
    if points.ndim != 3 or points.shape[2] != 3:
        raise ValueError(f"points must be (B, N, 3), got {points.shape}")
    T = robot_frames().poses(q, fingers)
    if len(T) != len(points):
        raise ValueError(f"{len(points)} clouds but the joints of {len(T)} robots")
    return _off(points, T.astype(np.float32), np.float32(margin_m), *_distances())


@functools.cache
def _distances():
    """Distance to each link [m] on a grid in its frame, 0 inside it -> grids end to end, first, shape, low of each.

    Two seconds, once in a process.
    """
    model, names = robot.robot_spec().compile(), robot_frames().names
    grids, first, shapes, lows = [], [0], [], []
    for name in names:
        meshes = [part.mesh for part in robot_parts(POINT_DETAIL_M) if part.frame == name]
        if not meshes:
            shapes.append((0, 0, 0))
            lows.append((0.0, 0.0, 0.0))
            first.append(first[-1])
            continue
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        pad = MARGIN_LIMIT_M + 2 * _CELL_M
        low, high = vertices.min(axis=0) - pad, vertices.max(axis=0) + pad
        shape = np.ceil((high - low) / _CELL_M).astype(int) + 1
        at = low + _CELL_M * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
        distance = _unsigned(meshes, at)
        distance[_inside_hulls(model, name, at)] = 0.0
        grids.append(distance)
        shapes.append(shape)
        lows.append(low)
        first.append(first[-1] + len(distance))
    return (
        np.concatenate(grids).astype(np.float32),
        np.array(first[:-1], dtype=np.int64),
        np.array(shapes, dtype=np.int64),
        np.array(lows, dtype=np.float32),
    )


def _unsigned(meshes, at):
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for mesh in meshes:
        scene.add_triangles(o3d.core.Tensor(mesh.vertices), o3d.core.Tensor(mesh.faces.astype(np.uint32)))
    return scene.compute_distance(o3d.core.Tensor(at.astype(np.float32)), nthreads=1).numpy()


def _inside_hulls(model, body, at):
    """(N,) bool: points inside one of the body's convex collision meshes; the visual ones are not closed."""
    inside = np.zeros(len(at), dtype=bool)
    for geom in range(model.ngeom):
        mesh, of_body = model.geom_dataid[geom], model.geom_bodyid[geom] == model.body(body).id
        if mesh < 0 or not of_body or model.geom_group[geom] != _COLLISION_GROUP:
            continue
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        hull = ConvexHull(model.mesh_vert[first : first + count])
        R = np.empty(9)
        mujoco.mju_quat2Mat(R, model.geom_quat[geom])
        local = (at - model.geom_pos[geom]) @ R.reshape(3, 3)
        inside |= (local @ hull.equations[:, :3].T + hull.equations[:, 3] <= 0.0).all(axis=1)
    return inside


@compiled()
def _off(points, T, margin, grid, first, shapes, lows):
    keep = np.ones(points.shape[:2], np.bool_)
    cells = np.float32(1.0 / _CELL_M)
    for b in range(len(points)):
        for link in range(len(first)):
            if shapes[link, 0] == 0:
                continue
            M = T[b, link]
            ny, nz = shapes[link, 1], shapes[link, 2]
            for i in range(points.shape[1]):
                if not keep[b, i]:
                    continue
                x, y, z = points[b, i, 0] - M[0, 3], points[b, i, 1] - M[1, 3], points[b, i, 2] - M[2, 3]
                fx = (M[0, 0] * x + M[1, 0] * y + M[2, 0] * z - lows[link, 0]) * cells
                fy = (M[0, 1] * x + M[1, 1] * y + M[2, 1] * z - lows[link, 1]) * cells
                fz = (M[0, 2] * x + M[1, 2] * y + M[2, 2] * z - lows[link, 2]) * cells
                if not (0 <= fx < shapes[link, 0] - 1 and 0 <= fy < ny - 1 and 0 <= fz < nz - 1):
                    continue
                u, v, w = int(fx), int(fy), int(fz)
                a, c, d = fx - u, fy - v, fz - w
                at = first[link] + (u * ny + v) * nz + w
                near = _mix(_mix(grid[at], grid[at + 1], d), _mix(grid[at + nz], grid[at + nz + 1], d), c)
                at += ny * nz
                far = _mix(_mix(grid[at], grid[at + 1], d), _mix(grid[at + nz], grid[at + nz + 1], d), c)
                if _mix(near, far, a) <= margin:
                    keep[b, i] = False
    return keep


@compiled()
def _mix(p, q, share):
    return p + (q - p) * share
