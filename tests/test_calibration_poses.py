"""Poses are chosen for what they tell, and no pose is gone to that is out of bounds."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from casher_calibration.board import Board
from casher_calibration.information import Measure
from casher_calibration.kitchen_rig import rig_of
from casher_calibration.poses import candidates, choose, first_poses, tour
from casher_calibration.reach import TABLE_M, Reach, board_outline
from casher_calibration.rehearsal import rehearsal
from casher_franka.kinematics import JOINT_RANGES, tcp_pose
from casher_perception.geometry import rotation_angle, transform

DEMO = Path(__file__).parents[1] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"
BOARD = Board()


class Setup:
    """The demo kitchen's rehearsal, its cameras at 1280 x 720."""

    def __init__(self):
        rig = rig_of(str(DEMO))
        cameras = {name: dataclasses.replace(m, width=1280, height=720) for name, m in rig.cameras.items()}
        self.rig = dataclasses.replace(rig, cameras=cameras)
        self.arm, opened = rehearsal(self.rig, BOARD)
        self.state = self.arm.state()
        self.Z = next(iter(opened.values())).T_gripper_board
        self.workspace = (self.rig.workspace_low, self.rig.workspace_high)
        self.measure = Measure(
            BOARD,
            {name: camera.intrinsics for name, camera in opened.items()},
            {name: np.asarray(mount.T_base_camera) for name, mount in self.rig.cameras.items()},
            self.Z,
            self.workspace,
        )
        self.reach = Reach(*self.workspace, self.rig.workspace_low[2], "fr3", board_outline(BOARD, self.Z))
        self.q, self.T = candidates(
            self.measure, self.reach, self.state.joint_positions, self.state.T_base_tcp, np.random.default_rng(0), 150
        )
        self.information = self.measure.of(self.T, self.q)


@pytest.fixture(scope="module")
def setup():
    return Setup()


def test_candidates_are_seen_by_both_cameras_and_within_every_bound(setup):
    assert len(setup.q) == 150
    assert setup.measure.visible(setup.T).all()
    np.testing.assert_allclose(tcp_pose(setup.q), setup.T, atol=2e-3)
    low, high = JOINT_RANGES["fr3"]
    assert (setup.q > low).all() and (setup.q < high).all()
    p = setup.T[:, :3, 3]
    assert (p >= setup.workspace[0]).all() and (p <= setup.workspace[1]).all()
    board = np.concatenate([transform(T @ setup.Z, BOARD.corners()) for T in setup.T])
    assert board[:, 2].min() > setup.reach.table_m + TABLE_M
    assert not [words for words in setup.reach.wrong(setup.q, setup.T) if words]


def test_chosen_poses_tell_more_than_random_ones_even_than_more_of_them(setup):
    rng, measure = np.random.default_rng(1), setup.measure
    _, errors = choose(measure, setup.information, 15)

    def random_error(n):
        rows = [rng.choice(len(setup.q), n, replace=False) for _ in range(15)]
        return np.median([measure.error_m(measure.prior() + setup.information[r].sum(axis=0)) for r in rows])

    assert errors[7] < 0.8 * random_error(8)
    assert errors[14] < 0.8 * random_error(15)
    assert errors[14] < random_error(25)


def test_every_pose_more_makes_the_expected_error_smaller_and_what_was_taken_counts(setup):
    chosen, errors = choose(setup.measure, setup.information, 8)
    assert len(set(chosen)) == 8 and np.all(np.diff(errors) < 0)
    taken = setup.information[chosen].sum(axis=0)
    _, later = choose(setup.measure, setup.information, 2, taken)
    assert later[0] < errors[-1]


def test_poses_that_do_not_turn_tell_next_to_nothing(setup):
    chosen, _ = choose(setup.measure, setup.information, 10)
    total = setup.measure.prior() + setup.information[chosen].sum(axis=0)
    np.testing.assert_allclose(total, total.T, rtol=1e-6, atol=1e-6 * np.abs(total).max())
    assert np.linalg.eigvalsh(total).min() > 0
    unturned = setup.measure.of(np.tile(setup.T[:1], (10, 1, 1)), np.tile(setup.q[:1], (10, 1))).sum(axis=0)
    assert setup.measure.error_m(setup.measure.prior() + unturned) > 20 * setup.measure.error_m(total)


def test_the_first_turns_are_small_and_about_more_than_one_axis():
    T = first_poses(tcp_pose(np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.9, 0.785])))
    turns = Rotation.from_matrix(T[0, :3, :3].T @ T[:, :3, :3]).as_rotvec()
    assert rotation_angle(T[0, :3, :3].T @ T[:, :3, :3]).max() < np.deg2rad(25)
    assert np.linalg.svd(turns)[1][1] > np.deg2rad(15)
    np.testing.assert_allclose(T[:, :3, 3], np.tile(T[0, :3, 3], (len(T), 1)))


@pytest.mark.parametrize(
    ("bounds", "shift", "says"),
    [
        ({"table_m": 0.05}, (0.0, 0.0, -0.05), "worktop"),
        ({"high": (0.85, 0.10, 0.85)}, (0.0, 0.13, 0.0), "the tool would leave the kitchen's workspace box"),
    ],
)
def test_a_way_out_of_bounds_is_refused_in_words(setup, bounds, shift, says):
    T = setup.state.T_base_tcp.copy()
    T[:3, 3] += shift
    reach = dataclasses.replace(setup.reach, **bounds)
    assert says in reach.way(setup.state.joint_positions, setup.state.T_base_tcp, T)[1]


def test_a_short_free_way_is_allowed_and_ends_where_it_should(setup):
    T = setup.state.T_base_tcp.copy()
    T[:3, 3] += [0.03, 0.02, 0.04]
    joints, words = setup.reach.way(setup.state.joint_positions, setup.state.T_base_tcp, T)
    assert words == ""
    np.testing.assert_allclose(tcp_pose(joints), T, atol=2e-3)


def test_a_board_that_would_meet_the_arm_is_seen(setup):
    T = setup.Z.copy()
    T[:3, 3] += [0.0, 0.0, -0.45]  # a board held behind the hand, along the forearm
    reach = Reach(*setup.workspace, setup.reach.table_m, "fr3", board_outline(BOARD, T))
    words = reach.wrong(setup.state.joint_positions[None], setup.state.T_base_tcp[None])[0]
    assert words == "the board would touch the arm"


def test_a_tour_visits_every_pose_once_and_the_nearest_first(setup):
    order = tour(setup.q[:12], setup.state.joint_positions)
    assert sorted(order) == list(range(12))
    nearest = np.abs(setup.q[:12] - setup.state.joint_positions).max(axis=1).argmin()
    assert order[0] == nearest
