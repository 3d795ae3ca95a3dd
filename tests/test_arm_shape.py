"""The capsules around the arm, against the maker's meshes in the MuJoCo model."""

import mujoco
import numpy as np
import pytest

from casher_franka.arm import HOME_JOINTS
from casher_franka.arm_shape import CABLES_M, CAPSULES, capsule_ends, self_clearance, table_clearance
from casher_franka.kinematics import JOINT_RANGES
from casher_sim import robot

RADIUS = np.array([radius for *_, radius in CAPSULES])


@pytest.fixture(scope="module")
def model():
    spec = robot.robot_spec()
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    return spec.compile()


def vertices(model, data):
    """Body name -> (N, 3) vertices of its meshes in base."""
    found = {}
    for geom in range(model.ngeom):
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            first = model.mesh_vertadr[mesh]
            v = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
            v = v @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
            found.setdefault(model.body(model.geom_bodyid[geom]).name, []).append(v)
    return {name: np.concatenate(v) for name, v in found.items()}


def pose(model, q, finger_m=0.0):
    data = mujoco.MjData(model)
    data.qpos[[model.jnt_qposadr[model.joint(name).id] for name in robot.ARM_JOINTS]] = q
    data.qpos[[model.jnt_qposadr[model.joint(name).id] for name in robot.FINGER_JOINTS]] = finger_m
    mujoco.mj_kinematics(model, data)
    return data


def depth(points, ends):
    """How far (N,) each point is inside the nearest of the capsules (C, 2, 3) [m]; negative outside."""
    a, b = ends[:, 0], ends[:, 1]
    along = np.clip(
        np.einsum("ncx,cx->nc", points[:, None] - a, b - a) / np.maximum(((b - a) ** 2).sum(1), 1e-12), 0, 1
    )
    nearest = a + along[..., None] * (b - a)
    return (RADIUS - np.linalg.norm(points[:, None] - nearest, axis=-1)).max(axis=1)


@pytest.mark.parametrize("finger_m", [0.0, 0.04])
def test_every_vertex_of_the_makers_meshes_is_inside_a_capsule(model, finger_m):
    q = np.random.default_rng(1).uniform(*JOINT_RANGES["fr3"])
    (ends,) = capsule_ends(q[None])
    for name, points in vertices(model, pose(model, q, finger_m)).items():
        assert depth(points, ends).min() > -1e-3, name


def test_parts_that_are_not_compared_never_meet(model):
    """By convex meshes of what is left out. Those of links 5 and 7 fill each other's hollows: not these two."""
    hulls = {
        model.body(model.geom_bodyid[g]).name: g
        for g in range(model.ngeom)
        if model.geom_group[g] == 3 and model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH
    }
    left_out = [("fr3_link3", "fr3_link6"), ("fr3_link3", "fr3_link7"), ("fr3_link3", "hand"), ("fr3_link4", "hand")]
    left_out += [("fr3_link5", "hand"), ("fr3_link4", "fr3_link7")]
    for q in np.random.default_rng(2).uniform(*JOINT_RANGES["fr3"], (150, 7)):
        data = pose(model, q)
        for a, b in left_out:
            assert mujoco.mj_geomDistance(model, data, hulls[a], hulls[b], 0.05, None) > 0.0, (a, b, q.tolist())


def test_the_self_clearance_is_never_more_than_that_of_the_meshes(model):
    hulls = {
        model.body(model.geom_bodyid[g]).name: g
        for g in range(model.ngeom)
        if model.geom_group[g] == 3 and model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH
    }
    base = ("fr3_link0", "fr3_link1", "fr3_link2")
    outer = ("fr3_link5", "fr3_link6", "fr3_link7", "hand", "left_finger", "right_finger")
    near = 0
    for q in np.random.default_rng(3).uniform(*JOINT_RANGES["fr3"], (150, 7)):
        data = pose(model, q)
        meshes = min(mujoco.mj_geomDistance(model, data, hulls[a], hulls[b], 0.3, None) for a in base for b in outer)
        ours = self_clearance(capsule_ends(q[None]))[0]
        assert ours <= meshes + 2e-3
        near += ours < 0.1
    assert near > 10


def test_the_clearance_above_a_plane_is_that_of_the_lowest_vertex_less_what_the_capsules_add(model):
    for q in np.random.default_rng(4).uniform(*JOINT_RANGES["fr3"], (30, 7)):
        points = vertices(model, pose(model, q, 0.04))
        arm = min(points[name][:, 2].min() for name in ("fr3_link3", "fr3_link4", "fr3_link5", "fr3_link6"))
        hand = min(points[name][:, 2].min() for name in ("fr3_link7", "hand", "left_finger", "right_finger"))
        ends = capsule_ends(q[None])
        for ours, meshes in (
            (table_clearance(ends, 0.0, -10.0)[0], arm),
            (table_clearance(ends, -10.0, 0.0)[0], hand),
        ):
            assert meshes - 0.06 - CABLES_M < ours < meshes + 1e-3


def test_at_the_start_pose_the_arm_is_clear_of_itself():
    assert self_clearance(capsule_ends(np.array([HOME_JOINTS])))[0] > 0.05
