"""The hand's lean at shelves and doors: rehearsed, so that the arm gets there and does not turn its elbow round."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from casher_policy.action import Action
from casher_policy.expert import DoorView, Expert, Privileged
from casher_policy.expert_motion import leaned
from casher_sim.batch_kinematics import BatchKinematics
from casher_sim.expert_lean import LEANS_RAD, best_lean, rehearse
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import object_named
from casher_sim.scene import scene_of

HINGE, HANDLE = np.array([0.553, -0.466, 0.443]), np.array([0.490, 0.032, 0.553])


@pytest.fixture(scope="module")
def kinematics():
    return BatchKinematics(scene_of(kitchen_named("demo"), object_named("box")).model)


def door_at(angle):
    turn = Rotation.from_rotvec([0.0, 0.0, angle])
    return DoorView(
        angle=angle,
        p_base_handle=HINGE + turn.apply(HANDLE - HINGE),
        handle_axis=np.array([0.0, 0.0, 1.0]),
        outward=turn.apply([-1.0, 0.0, 0.0]),
        length=0.1,
        thickness=0.012,
        p_base_hinge=HINGE,
        hinge_axis=np.array([0.0, 0.0, 1.0]),
    )


def scene(task="put_in_cabinet", p_object=(0.485, -0.04, 0.077), door=None):
    T = np.eye(4)
    T[:3, 3] = p_object
    return Privileged(
        T_base_object=T,
        object_height=0.064,
        grasp_width=0.006,
        p_object_grasp=np.array([0.0, 0.075, 0.044]),
        grasp_yaw=np.pi / 2,
        grasp_yaw_freedom=0.0,
        p_base_site=np.array([0.657, -0.037, 0.477]),
        clearance_z=0.497,
        task=task,
        object_radius=0.078,
        site_half_size=np.array([0.1, 0.21]),
        door=door,
    )


def none(angle):
    return None


def test_a_lean_at_which_a_step_turns_the_elbow_round_is_passed_over(kinematics):
    first = rehearse(Expert(), replace(scene(), lean_rad=LEANS_RAD["put_in_cabinet"][0]), none, kinematics)
    assert not first.done or first.largest_rad > 0.4
    lean = best_lean(Expert(), scene(), none, kinematics)
    found = rehearse(Expert(), replace(scene(), lean_rad=lean), none, kinematics)
    assert lean in LEANS_RAD["put_in_cabinet"] and found.done and found.largest_rad < 0.35


def test_a_rehearsal_ends_where_the_arm_does(kinematics):
    near = replace(scene(p_object=(0.20, 0.0, 0.05)), lean_rad=0.585)
    found = rehearse(Expert(), near, none, kinematics)
    assert not found.done and found.steps < 30


def test_where_everything_is_counts_relative_to_the_arm(kinematics):
    by = np.array([0.02, 0.015, 0.025])
    T = scene().T_base_object.copy()
    T[:3, 3] += by
    moved = replace(scene(), T_base_object=T, p_base_site=scene().p_base_site + by, clearance_z=0.497 + by[2])
    runs = [
        rehearse(Expert(), replace(view, lean_rad=0.185), none, kinematics, shift)
        for view, shift in ((scene(), by), (moved, np.zeros(3)))
    ]
    assert (runs[0].done, runs[0].steps) == (runs[1].done, runs[1].steps)
    assert runs[0].largest_rad == pytest.approx(runs[1].largest_rad, abs=1e-6)


def test_a_door_is_rehearsed_until_it_is_open(kinematics):
    view = scene("open_cabinet", door=door_at(0.0))
    lean = best_lean(Expert(), view, door_at, kinematics)
    found = rehearse(Expert(), replace(view, lean_rad=lean), door_at, kinematics)
    assert found.done and found.largest_rad < 0.35


def test_a_task_without_a_lean_needs_no_rehearsal():
    assert best_lean(None, scene("put_in_sink"), none, None) == 0.0


@pytest.mark.parametrize("trailing_m", [0.0, 0.013])
def test_a_hand_beside_the_doors_circle_steps_back_onto_it_even_when_the_bar_trails(trailing_m):
    door = door_at(0.32)
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec([0.0, 0.0, 0.16]).as_matrix() @ leaned(0.985)
    radial = (door.p_base_handle - HINGE) * [1.0, 1.0, 0.0]
    T[:3, 3] = door.p_base_handle + 0.025 * radial / np.linalg.norm(radial) - trailing_m * door.outward
    view = replace(scene("open_cabinet", door=door), lean_rad=0.985)
    assert Expert().act(view, T, np.array([0.006, 0.006]), True) == Action.MINUS_Y
