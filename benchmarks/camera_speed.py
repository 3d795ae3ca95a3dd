"""A step's two 160 x 120 views with textured colour and depth, arm, object and door moving: <= 20 ms on one core.

CPU time of one thread, so that a busy machine does not count; wall time, 640 x 480, the noise of the depth camera, the
first image of a kitchen and the same step with a ray caster that rebuilds what moves (Open3D) stand beside it.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import open3d as o3d

from benchmarks.harness import ROOT, finish, summary
from casher_franka.arm import HOME_JOINTS
from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, Intrinsics
from casher_perception.geometry import transform
from casher_perception.rig import load_rig
from casher_policy.task import task_named
from casher_sim.depth_noise import DepthNoise, noisy_depth
from casher_sim.mesh_cloud import CloudPool
from casher_sim.objects import OBJECTS
from casher_sim.part_renderer import PartRenderer
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.robot_frames import robot_frames
from casher_sim.robot_points import ArmPoints
from casher_sim.self_filter import off_robot
from casher_sim.visible_parts import object_parts, object_pose, robot_parts, twin_parts, twin_poses

KITCHEN_WITH_A_DOOR = 5
STEPS, TARGET_MS = 100, 20.0


def main():
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        twin, files = kitchen(KITCHEN_WITH_A_DOOR)
        save_kitchen(Path(folder), twin, files)
        parts = [*twin_parts(twin, folder), *robot_parts(), *object_parts(OBJECTS["mug"])]
    still = ["kitchen/kitchen"]
    renderer = PartRenderer(parts, still)
    states = [state(twin, i) for i in range(STEPS)]
    mounts = load_rig(ROOT / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml").cameras.values()
    views, large = (
        [(Intrinsics.from_fov(*size, D435I_COLOUR_HFOV_RAD), mount.T_base_camera) for mount in mounts]
        for size in ((160, 120), (640, 480))
    )
    images = renderer.render(states[0], views)
    pool = CloudPool(parts, states[0], task_named("put_in_sink").crop, 100_000, rng, still)
    arm = ArmPoints(3000, 0)
    q, fingers = np.array(HOME_JOINTS)[None], np.full((1, 2), 0.04)
    points = pool.cloud(states[0], 4096, rng)[0][None]
    detail = {
        "triangles": {"kitchen": sum(len(p.mesh.faces) for p in parts if p.frame.startswith("kitchen")),
                      "all": sum(len(p.mesh.faces) for p in parts)},
        "two_views_160x120": timed(lambda i: renderer.render(states[i], views), STEPS),
        "two_views_160x120_of_a_new_kitchen": timed(lambda i: first(parts, still, states[i], views), 10),
        "two_views_640x480": timed(lambda i: renderer.render(states[i], large), 10),
        "noise_of_both_160x120": timed(lambda _: noisy(views, images, rng), STEPS),
        "two_views_160x120_depth_only_open3d": timed(lambda i: rebuilt(parts, still, states[i], views), 20),
        "mesh_cloud_4096": timed(lambda i: pool.cloud(states[i], 4096, rng), STEPS),
        "arm_points_3000": timed(lambda i: arm.points(q[0], fingers[0]), STEPS),
        "self_filter_4096": timed(lambda i: off_robot(points, q, fingers, 0.01), STEPS),
    }  # fmt: skip
    for name, times in detail.items():
        print(f"{name:36} {times}")
    value = detail["two_views_160x120"]["cpu"]["median_ms"]
    return finish("camera_speed", value, "ms CPU a step", f"<= {TARGET_MS:g}", value <= TARGET_MS, detail)


def state(twin, i):
    """Poses at step i: everything that can move does."""
    T = np.eye(4)
    T[:3, 3] = next(iter(twin.spawns.values())).center + np.array([0.0, 0.0, 0.001 * i])
    q = np.array(HOME_JOINTS) + 0.3 * np.sin(0.1 * i + np.arange(7))
    return {**twin_poses(twin, {"door": 0.01 * i}), **robot_frames().named(q, [0.04, 0.02]), **object_pose(T)}


def timed(function, repeats):
    """function(i) -> its times, CPU and wall, without the first three calls."""
    cpu, wall = [], []
    for i in range(-3, repeats):
        begin, wall_begin = time.thread_time(), time.perf_counter()
        function(max(i, 0))
        if i >= 0:
            cpu.append(1e3 * (time.thread_time() - begin))
            wall.append(1e3 * (time.perf_counter() - wall_begin))
    return {"cpu": summary(np.array(cpu)), "wall": summary(np.array(wall))}


def noisy(views, images, rng):
    """Both depth images as a D435i has them."""
    return [noisy_depth(depth, k, rng, DepthNoise()) for (k, _), (_, depth) in zip(views, images, strict=True)]


def first(parts, still, poses, views):
    """A renderer of a kitchen that was not there before, and its first images."""
    return PartRenderer(parts, still).render(poses, views)


_kept = {}


def rebuilt(parts, still, poses, views):
    """Depth alone by Open3D: one hierarchy for what stands still, one built anew for what moves."""
    if "still" not in _kept:
        _kept["still"] = hierarchy([part for part in parts if part.frame in still], poses)
    moving = hierarchy([part for part in parts if part.frame not in still], poses)
    depths = []
    for camera, T in views:
        directions = camera.rays() @ T[:3, :3].T
        rays = np.concatenate([np.broadcast_to(T[:3, 3], directions.shape), directions], axis=-1).astype(np.float32)
        scenes = _kept["still"], moving
        hits = [scene.cast_rays(o3d.core.Tensor(rays), nthreads=1)["t_hit"].numpy() for scene in scenes]
        depths.append(np.minimum(*hits))
    return depths


def hierarchy(parts, poses):
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for part in parts:
        vertices = o3d.core.Tensor(transform(poses[part.frame], part.mesh.vertices))
        scene.add_triangles(vertices, o3d.core.Tensor(part.mesh.faces.astype(np.uint32)))
    return scene
