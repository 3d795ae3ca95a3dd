"""The solver on sessions of known truth: what it finds, what it refuses, and what it says about either."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from casher_calibration.board import Board
from casher_calibration.joint_model import Arm, Corners, State, predict
from casher_calibration.outliers import difference
from casher_calibration.solution import Options, SolveError
from casher_calibration.solve import solve
from casher_calibration.synthetic_session import World, make_session
from casher_franka.kinematics import flange_pose, joint_axes
from casher_perception.geometry import rotation_angle

PERFECT = World(joint_offset_rad=0, repeat_m=0, repeat_rad=0, focal_relative=0, centre_px=0, corner_px=1e-6)
TYPICAL = World(corner_px=0.06)


def errors(solution, truth):
    """Largest position [m] and rotation [rad] error of a camera."""
    pairs = [(solution.T_base_camera[name], T) for name, T in truth.T_base_camera.items()]
    return max(np.linalg.norm(a[:3, 3] - b[:3, 3]) for a, b in pairs), max(
        float(rotation_angle(a[:3, :3].T @ b[:3, :3])) for a, b in pairs
    )


def session_of(seed, samples, world):
    return make_session(np.random.default_rng(seed), samples, world)


def changed(session, rows, change):
    return replace(session, samples=[change(s) if s.index in rows else s for s in session.samples])


@pytest.fixture(scope="module")
def typical():
    session, truth = session_of(0, 20, TYPICAL)
    return session, truth, solve(session)


@pytest.mark.parametrize("eye_in_hand", [False, True])
def test_perfect_data_give_the_truth(eye_in_hand):
    session, truth = session_of(1, 8, replace(PERFECT, eye_in_hand=eye_in_hand))
    solution = solve(session, Options(folds=0))
    position, rotation = errors(solution, truth)
    assert position < 1e-6
    assert rotation < 1e-6
    assert np.allclose(solution.T_gripper_board, truth.T_gripper_board, atol=1e-6)
    assert solution.outliers == []


@pytest.mark.parametrize("eye_in_hand", [False, True])
def test_the_jacobian_is_the_derivative(eye_in_hand):
    rng = np.random.default_rng(0)
    session, truth = session_of(2, 3, replace(TYPICAL, eye_in_hand=eye_in_hand))
    T = np.array([s.T_base_gripper for s in session.samples])
    arm = Arm(T, *joint_axes(np.array([s.joints for s in session.samples])), eye_in_hand)
    points = session.board.corners()[:5]
    cameras = np.array([[912.0, 911.0, 640.0, 358.0]] * len(truth.T_base_camera))
    corners = Corners(
        np.repeat(np.arange(3), 5), rng.integers(0, len(cameras), 15), np.tile(points, (3, 1)), np.zeros((15, 2))
    )
    X = np.array(list(truth.T_base_camera.values()))
    state = State(
        X,
        truth.T_gripper_board,
        rng.normal(0, 1e-3, (len(X), 4)),
        rng.normal(0, 1e-5, 7),
        0.0,
        rng.normal(0, 1e-5, (3, 6)),
    )
    slots = np.arange(len(X))

    def pixels(step, own):
        return predict(corners, arm, cameras, slots, state.moved(step, own))[0]

    _, J, J_pose = predict(corners, arm, cameras, slots, state)
    for column in range(J.shape[2] + 6):
        step = np.zeros(J.shape[2] + 6)
        step[column] = 1e-6
        own = np.tile(step[J.shape[2] :], (3, 1))
        ahead, behind = (
            predict(corners, arm, cameras, slots, state.moved(sign * step[: J.shape[2]], sign * own))[0]
            for sign in (1, -1)
        )
        analytic = J[:, :, column] if column < J.shape[2] else J_pose[:, :, column - J.shape[2]]
        # joint axes are those of the reported angles, so their columns are right to a part in a thousand
        assert np.allclose((ahead - behind) / 2e-6, analytic, rtol=3e-3, atol=0.3), column


def test_a_typical_session_is_calibrated_to_two_millimetres(typical):
    _, truth, solution = typical
    position, rotation = errors(solution, truth)
    assert position < 0.002
    assert rotation < np.deg2rad(0.1)
    assert solution.corner_sigma_px == pytest.approx(0.06, rel=0.15)
    assert solution.outliers == []
    assert {start.method for start in solution.starts} >= {"PARK", "DANIILIDIS", "SHAH"}
    best_start = min(np.linalg.norm(s.T[:3, 3] - truth.T_base_camera[s.camera][:3, 3]) for s in solution.starts)
    assert best_start > 0
    assert 0.99 < solution.scale < 1.01


def test_the_stated_covariance_is_one_the_truth_can_come_from(typical):
    _, truth, solution = typical
    for name, T in solution.T_base_camera.items():
        off = difference(truth.T_base_camera[name][None], T[None])[0]
        assert off @ np.linalg.solve(solution.covariance[name], off) < chi2.ppf(0.9999, 6)
        assert 1e-4 < solution.sigma_m(name) < 3e-3


def test_the_first_joints_offset_cannot_be_told_and_the_solution_says_so(typical):
    _, _, solution = typical
    prior = Options().joint_offset_rad
    assert solution.joint_offsets_sigma[0] > 0.95 * prior
    assert solution.joint_offsets_sigma[3] < 0.6 * prior
    assert any("no motion" in text for text in solution.advice)


def test_every_sample_is_held_out_once(typical):
    session, _, solution = typical
    assert sorted((r.sample, r.camera) for r in solution.held_out) == sorted(
        (s.index, name) for s in session.samples for name in session.cameras
    )
    assert len(solution.camera_to_camera) == len(session.samples)
    assert np.mean([r.board_centre_m for r in solution.held_out]) < 0.003


def test_more_samples_leave_less_uncertainty():
    session, _ = session_of(3, 16, replace(TYPICAL, spread=0.5))
    few, many = (solve(replace(session, samples=session.samples[:n]), Options(folds=0)) for n in (6, 16))
    for name in session.cameras:
        assert many.sigma_m(name) < few.sigma_m(name)


def test_without_joint_angles_the_uncertainty_is_larger_and_said_to_be():
    session, truth = session_of(0, 12, TYPICAL)
    blind = solve(changed(session, range(12), lambda s: replace(s, joints=None)), Options(folds=0))
    sighted = solve(session, Options(folds=0))
    assert blind.joint_offsets is None
    assert any("joint angles" in text for text in blind.warnings)
    assert blind.sigma_m("camera_left") > sighted.sigma_m("camera_left")
    assert errors(blind, truth)[0] < 0.004


def test_a_wrong_pose_and_a_turned_board_are_named_and_cost_nothing():
    session, truth = session_of(4, 20, TYPICAL)
    clean = errors(solve(session, Options(folds=0)), truth)[0]
    last = len(session.board.corners()) - 1

    def wrong(sample):
        q = sample.joints + np.array([0.01, 0.02, 0, 0, 0.03, 0, 0])
        return replace(sample, joints=q, T_base_gripper=flange_pose(q))

    def turned(sample):
        return replace(sample, detections={n: replace(d, ids=last - d.ids) for n, d in sample.detections.items()})

    solution = solve(changed(changed(session, {3}, wrong), {11}, turned), Options(folds=0))
    assert [(o.sample, o.camera) for o in solution.outliers] == [(3, None), (11, None)]
    assert "where the arm says" in solution.outliers[0].why
    assert "turned in the gripper" in solution.outliers[1].why
    assert errors(solution, truth)[0] < 2 * clean + 2e-4


def test_a_camera_that_was_knocked_is_found_and_calibrated_where_it_stands_now():
    bump = ("camera_left", 9, (0.004, -0.003, 0.002, 0.004, 0.006, 0.0))
    session, truth = session_of(5, 18, replace(TYPICAL, bump=bump))
    solution = solve(session, Options(folds=0))
    assert [(o.sample, o.camera) for o in solution.outliers] == [(i, "camera_left") for i in range(9)]
    assert "before sample 9" in solution.outliers[0].why
    assert errors(solution, truth)[0] < 0.003


def test_one_cameras_bad_view_does_not_cost_the_other_its_sample():
    session, _ = session_of(6, 12, TYPICAL)

    def shifted(sample):
        seen = sample.detections["camera_right"]
        return replace(
            sample, detections={**sample.detections, "camera_right": replace(seen, pixels=seen.pixels + 15.0)}
        )

    solution = solve(changed(session, {5}, shifted), Options(folds=0))
    assert [(o.sample, o.camera) for o in solution.outliers] == [(5, "camera_right")]
    assert any(r.sample == 5 and r.camera == "camera_left" for r in solution.residuals)


@pytest.mark.parametrize("square_m", [0.037, 0.030])
def test_a_board_printed_at_another_scale_is_refused_with_its_true_size(square_m):
    session, _ = session_of(7, 12, TYPICAL)
    stated = Board(square_m=square_m, marker_m=0.75 * square_m)
    with pytest.raises(SolveError, match=r"squares measure (35\.9|36\.0)"):
        solve(replace(session, board=stated), Options(folds=0))


def test_too_few_samples_are_refused():
    session, _ = session_of(8, 4, TYPICAL)
    with pytest.raises(SolveError, match="4 samples, at least 5"):
        solve(session)


def test_poses_that_turn_about_one_axis_are_refused():
    session, _ = session_of(9, 8, TYPICAL)
    first = session.samples[0]
    angles = np.linspace(-0.4, 0.4, 8)

    def about_z(sample):
        c, s = np.cos(angles[sample.index]), np.sin(angles[sample.index])
        T = first.T_base_gripper.copy()
        T[:3, :3] = T[:3, :3] @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        return replace(sample, T_base_gripper=T, joints=None)

    with pytest.raises(SolveError, match="one axis only"):
        solve(changed(session, range(8), about_z))


def test_joint_angles_that_belong_to_other_poses_are_refused():
    session, _ = session_of(10, 8, TYPICAL)
    with pytest.raises(SolveError, match="radians"):
        solve(changed(session, range(8), lambda s: replace(s, joints=np.rad2deg(s.joints))))
