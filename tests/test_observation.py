"""The observation's layout and the 9-d state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from casher_perception.geometry import pose_matrix
from casher_policy.observation import FINGER_MAX_M, Observation, robot_state

rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
fingers = st.tuples(st.floats(0.0, FINGER_MAX_M), st.floats(0.0, FINGER_MAX_M))


def observation(**changed):
    arrays = {
        "points": np.zeros((5, 3), np.float32),
        "colours": np.zeros((5, 3), np.uint8),
        "robot_state": np.zeros(9, np.float32),
    }
    return Observation(**{**arrays, **changed})


@given(fingers, st.tuples(*[st.floats(-2, 2)] * 3), rotations)
def test_the_state_is_fingers_then_position_then_quaternion(fingers_m, position, R):
    state = robot_state(fingers_m, pose_matrix(position, R.as_quat()))
    assert state.shape == (9,) and state.dtype == np.float32
    np.testing.assert_allclose(state[:2], np.array(fingers_m) / 0.04, atol=1e-6)
    np.testing.assert_allclose(state[2:5], position, atol=1e-6)
    np.testing.assert_allclose(Rotation.from_quat(state[5:]).as_matrix(), R.as_matrix(), atol=1e-6)


@given(rotations)
def test_a_rotation_has_one_quaternion_with_x_not_negative(R):
    T = pose_matrix(np.zeros(3), R.as_quat())
    T_same = pose_matrix(np.zeros(3), -R.as_quat())
    state = robot_state((0.0, 0.0), T)
    assert state[5] >= 0.0
    np.testing.assert_allclose(state, robot_state((0.0, 0.0), T_same), atol=1e-6)


@given(rotations)
def test_the_state_does_not_jump_where_the_tool_points_down(R):
    down = Rotation.from_quat([1.0, 0.0, 0.0, 0.0])
    tilted = Rotation.from_rotvec(0.1 * R.as_rotvec()) * down
    states = [robot_state((0.0, 0.0), pose_matrix(np.zeros(3), turn.as_quat())) for turn in (down, tilted)]
    assert np.linalg.norm(states[0] - states[1]) < 0.35


@given(st.floats(-1.0, 1.0))
def test_finger_dofs_stay_within_0_and_1(position):
    state = robot_state((position, position), np.eye(4))
    assert 0.0 <= state[0] == state[1] <= 1.0


def test_a_wider_hand_is_scaled_by_its_own_opening():
    assert robot_state((0.05, 0.025), np.eye(4), finger_max=0.1)[:2].tolist() == [0.5, 0.25]


def test_a_batch_of_states_equals_its_elements():
    rng = np.random.default_rng(0)
    fingers_m = rng.uniform(0.0, FINGER_MAX_M, (6, 2))
    T = pose_matrix(rng.normal(size=(6, 3)), Rotation.random(6, random_state=0).as_quat())
    batch = robot_state(fingers_m, T)
    assert batch.shape == (6, 9)
    assert all(np.array_equal(batch[i], robot_state(fingers_m[i], T[i])) for i in range(6))


@pytest.mark.parametrize(
    ("name", "array", "got"),
    [
        ("points", np.zeros((3, 5), np.float32), r"\(3, 5\)"),
        ("points", np.zeros((5, 3)), "float64"),
        ("colours", np.zeros((5, 3), np.float32), "float32"),
        ("colours", np.zeros((4, 3), np.uint8), r"\(4, 3\)"),
        ("robot_state", np.zeros(8, np.float32), r"\(8,\)"),
        ("robot_state", np.zeros((1, 9), np.float32), r"\(1, 9\)"),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused_with_what_was_got(name, array, got):
    with pytest.raises(ValueError, match=f"{name} must be .*got .*{got}"):
        observation(**{name: array})


def test_a_well_formed_observation_is_taken_as_it_is():
    assert observation().points.shape == (5, 3)
    assert observation(points=np.zeros((0, 3), np.float32), colours=np.zeros((0, 3), np.uint8)).points.shape == (0, 3)
