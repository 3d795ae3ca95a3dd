"""The robot as points, and a cloud without the robot."""

import mujoco
import numpy as np
import open3d as o3d
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from casher_franka.arm import HOME_JOINTS
from casher_perception.geometry import inverse, pose_matrix
from casher_sim import robot
from casher_sim.robot_frames import robot_frames
from casher_sim.robot_points import POINT_DETAIL_M, ArmPoints
from casher_sim.self_filter import off_robot, self_filter
from casher_sim.visible_parts import model_parts, model_poses, robot_parts

HOME, OPEN = np.array(HOME_JOINTS), np.array([0.04, 0.04])
MODEL = robot.robot_spec().compile()
seeds = st.integers(0, 2**32 - 1)


def anywhere(seed):
    """-> joints and fingers within their ranges."""
    rng = np.random.default_rng(seed)
    ranges = [MODEL.joint(name).range for name in (*robot.ARM_JOINTS, *robot.FINGER_JOINTS)]
    values = rng.uniform(*np.array(ranges).T)
    return values[:7], values[7:]


def distance(points, q, fingers, parts=None):
    """To the robot's visual surface [m]."""
    poses = robot_frames().named(q, fingers)
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for part in parts or robot_parts(POINT_DETAIL_M):
        T = poses[part.frame]
        vertices = part.mesh.vertices @ T[:3, :3].T + T[:3, 3]
        triangles = o3d.core.Tensor(part.mesh.faces.astype(np.uint32))
        scene.add_triangles(o3d.core.Tensor(np.float32(vertices)), triangles)
    return scene.compute_distance(o3d.core.Tensor(np.float32(points)), nthreads=1).numpy()


def within_a_hull(points, q, fingers, margin_m):
    """(N,) bool: in or near the convex collision mesh of a link."""
    poses, near = robot_frames().named(q, fingers), np.zeros(len(points), bool)
    for geom in range(MODEL.ngeom):
        mesh = MODEL.geom_dataid[geom]
        if mesh < 0 or MODEL.geom_group[geom] != 3:
            continue
        hull = ConvexHull(MODEL.mesh_vert[MODEL.mesh_vertadr[mesh] :][: MODEL.mesh_vertnum[mesh]])
        T_link_geom = pose_matrix(MODEL.geom_pos[geom], np.roll(MODEL.geom_quat[geom], -1))
        T = inverse(poses[MODEL.body(MODEL.geom_bodyid[geom]).name] @ T_link_geom)
        local = points @ T[:3, :3].T + T[:3, 3]
        near |= (local @ hull.equations[:, :3].T + hull.equations[:, 3]).max(axis=1) < margin_m + 0.002
    return near


@given(seeds)
@settings(max_examples=30)
def test_frames_are_where_the_physics_has_them(seed):
    q, fingers = anywhere(seed)
    data = mujoco.MjData(MODEL)
    for name, value in zip((*robot.ARM_JOINTS, *robot.FINGER_JOINTS), (*q, *fingers), strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_kinematics(MODEL, data)
    physics = model_poses(MODEL, data)
    for name, T in robot_frames().named(q, fingers).items():
        np.testing.assert_allclose(T, physics[name], atol=1e-12)


def test_a_batch_is_each_of_its_states():
    states = [anywhere(seed) for seed in range(6)]
    q, fingers = np.array([s[0] for s in states]).reshape(2, 3, 7), np.array([s[1] for s in states]).reshape(2, 3, 2)
    arm = ArmPoints(50, 0)
    T, points = robot_frames().poses(q, fingers), arm.points(q, fingers)
    assert points.shape == (2, 3, 50, 3) and points.dtype == np.float32
    for i, (one_q, one_fingers) in enumerate(states):
        assert np.array_equal(T.reshape(6, *T.shape[2:])[i], robot_frames().poses(one_q, one_fingers))
        assert np.array_equal(points.reshape(6, 50, 3)[i], arm.points(one_q, one_fingers))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_arm_points_lie_on_the_robots_own_meshes_in_every_pose(seed):
    q, fingers = anywhere(seed)
    points = ArmPoints(2000, 0).points(q, fingers)
    true = model_parts(MODEL, 0.0)
    assert distance(points, q, fingers, true).max() < POINT_DETAIL_M
    assert np.median(distance(points, q, fingers, true)) < 0.001


def test_arm_points_show_every_link_and_are_the_same_for_a_seed():
    one, two, other = ArmPoints(3000, 1), ArmPoints(3000, 1), ArmPoints(3000, 2)
    points = one.points(HOME, OPEN)
    assert np.array_equal(points, two.points(HOME, OPEN)) and np.array_equal(one.colours, two.colours)
    assert not np.array_equal(points, other.points(HOME, OPEN))
    for name, T in robot_frames().named(HOME, OPEN).items():
        if any(part.frame == name for part in robot_parts(POINT_DETAIL_M)):
            assert np.linalg.norm(points - T[:3, 3], axis=1).min() < 0.12, name
    assert points[:, 2].min() > -0.01 and points[:, 2].max() < 1.2


def test_fingers_that_close_take_their_points_along():
    arm = ArmPoints(6000, 0)
    moved = np.linalg.norm(arm.points(HOME, OPEN) - arm.points(HOME, np.zeros(2)), axis=1)
    assert np.allclose(np.unique(moved.round(4)), [0.0, 0.04])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("margin_m", [0.01, 0.03])
def test_the_self_filter_drops_what_is_within_the_margin_and_keeps_what_is_not(seed, margin_m):
    q, fingers = anywhere(seed)
    rng = np.random.default_rng(seed)
    near = ArmPoints(6000, 3).points(q, fingers) + rng.normal(0, 0.04, (6000, 3)).astype(np.float32)
    kept = off_robot(near[None], q[None], fingers[None], margin_m)[0]
    away = distance(near, q, fingers)
    assert not kept[away < margin_m - 0.002].any()
    # What is inside of a link is far from its shell and goes all the same.
    outside = ~within_a_hull(near, q, fingers, margin_m)
    assert kept[(away > margin_m + 0.002) & outside].all() and kept.mean() > 0.1


def test_all_of_the_robot_goes_and_what_stands_aside_stays():
    arm = ArmPoints(5000, 7)
    aside = np.random.default_rng(0).uniform([0.3, -0.8, -0.3], [0.8, -0.4, 0.0], (3000, 3)).astype(np.float32)
    points = np.concatenate([arm.points(HOME, OPEN), aside])
    colours = np.concatenate([arm.colours, np.full((3000, 3), 9, np.uint8)])
    left, left_colours = self_filter(points, colours, HOME, OPEN, 0.01)
    assert np.array_equal(left, aside) and (left_colours == 9).all()


def test_an_object_between_the_open_fingers_stays():
    T = robot_frames().named(HOME, OPEN)["hand"]
    between = T[:3, :3] @ [0.0, 0.0, robot.TCP_IN_HAND_M] + T[:3, 3]
    points = (between + np.random.default_rng(0).uniform(-0.01, 0.01, (200, 3))).astype(np.float32)
    assert off_robot(points[None], HOME[None], OPEN[None], 0.01).all()
    assert not off_robot(points[None], HOME[None], np.zeros((1, 2)), 0.01).all()


def test_a_batch_is_filtered_as_each_cloud_by_itself():
    q, fingers = zip(*(anywhere(seed) for seed in range(3)), strict=True)
    points = np.random.default_rng(0).uniform(-0.5, 0.8, (3, 4000, 3)).astype(np.float32)
    together = off_robot(points, np.array(q), np.array(fingers), 0.02)
    for i in range(3):
        assert np.array_equal(together[i], off_robot(points[i : i + 1], q[i][None], fingers[i][None], 0.02)[0])
    assert 0 < (~together).sum() < together.size / 2


def test_shapes_and_margins_that_cannot_be_meant_are_refused():
    points = np.zeros((1, 5, 3), np.float32)
    with pytest.raises(ValueError, match="margin_m"):
        off_robot(points, HOME[None], OPEN[None], 0.2)
    with pytest.raises(ValueError, match=r"\(B, N, 3\)"):
        off_robot(points[0], HOME[None], OPEN[None], 0.01)
    with pytest.raises(ValueError, match="1 clouds"):
        off_robot(points, np.tile(HOME, (2, 1)), np.tile(OPEN, (2, 1)), 0.01)
    with pytest.raises(ValueError, match=r"\(\.\.\., 7\)"):
        robot_frames().poses(HOME[:6], OPEN)
