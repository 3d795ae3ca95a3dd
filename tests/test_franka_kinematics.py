"""Forward kinematics of the arm against MuJoCo's model of it, and its axes against its own derivative."""

import numpy as np
import pytest

from casher_franka.kinematics import flange_pose, joint_axes
from casher_sim.kinematics import Kinematics
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.scene import scene_of

JOINTS = np.random.default_rng(3).uniform(-1.5, 1.5, (20, 7)) + [0, 0, 0, -1.5, 0, 1.5, 0]


def test_the_flange_stays_where_it_is_relative_to_the_simulated_tcp():
    scene = scene_of(kitchen_named("demo"), object_named("box"))
    T_flange_tcp = np.linalg.inv(flange_pose(JOINTS)) @ Kinematics(scene.model).forward(JOINTS)
    assert np.allclose(T_flange_tcp, T_flange_tcp[0], atol=1e-6)


def test_turning_one_joint_moves_the_flange_about_its_axis():
    axes, points = joint_axes(JOINTS)
    for j in range(7):
        step = np.zeros(7)
        step[j] = 1e-6
        moved = (flange_pose(JOINTS + step) - flange_pose(JOINTS - step))[:, :3, 3] / 2e-6
        expected = np.cross(axes[:, j], flange_pose(JOINTS)[:, :3, 3] - points[:, j])
        assert np.allclose(moved, expected, atol=1e-8)


def test_six_joints_are_refused():
    with pytest.raises(ValueError, match="7"):
        flange_pose(np.zeros(6))
