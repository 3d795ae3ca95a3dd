"""The 14 actions and `decode`, as properties over any pose of the tool."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from casher_perception.geometry import pose_matrix, require_rigid, rotation_angle
from casher_policy.action import ACTION_NAMES, OPEN_WIDTH_M, PAPER, RELEASED, Action, ActionSteps, decode

MOVES = range(Action.PLUS_X, Action.PLUS_RX)
TURNS = range(Action.PLUS_RX, Action.OPEN)
AXES = {"x": 0, "y": 1, "z": 2}

coordinates = st.floats(-2.0, 2.0)
positions = st.tuples(coordinates, coordinates, coordinates)
rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
poses = st.builds(lambda p, R: pose_matrix(p, R.as_quat()), positions, rotations)
widths = st.floats(0.0, OPEN_WIDTH_M)
actions = st.integers(0, 13)


def signed_axis(action):
    """What the action's name says: (3,) unit vector."""
    name = ACTION_NAMES[action]
    return (1.0 if name[0] == "+" else -1.0) * np.eye(3)[AXES[name[-1]]]


@given(st.sampled_from(MOVES), poses, widths)
def test_a_translation_moves_along_a_base_axis_whatever_the_tools_orientation(action, T, width):
    target = decode(action, T, width)
    np.testing.assert_allclose(target.T_base_tcp[:3, 3] - T[:3, 3], 0.03 * signed_axis(action), atol=1e-12)
    assert np.array_equal(target.T_base_tcp[:3, :3], T[:3, :3])
    assert target.width == width


@given(st.sampled_from(TURNS), poses, widths)
def test_a_rotation_turns_about_a_tool_axis_and_leaves_the_position_untouched(action, T, width):
    target = decode(action, T, width)
    R_tcp_target = T[:3, :3].T @ target.T_base_tcp[:3, :3]
    np.testing.assert_allclose(Rotation.from_matrix(R_tcp_target).as_rotvec(), 0.2 * signed_axis(action), atol=1e-9)
    assert np.array_equal(target.T_base_tcp[:3, 3], T[:3, 3])
    assert target.width == width


@given(st.sampled_from([*MOVES, *TURNS]), poses)
def test_an_action_and_its_opposite_return_to_the_pose(action, T):
    there = decode(action, T, 0.08).T_base_tcp
    np.testing.assert_allclose(decode(action ^ 1, there, 0.08).T_base_tcp, T, atol=1e-12)


@given(st.sampled_from([Action.OPEN, Action.CLOSE]), poses, widths)
def test_open_and_close_keep_the_pose_and_once_is_as_good_as_twice(action, T, width):
    once = decode(action, T, width)
    twice = decode(action, once.T_base_tcp, once.width)
    assert np.array_equal(once.T_base_tcp, T) and np.array_equal(twice.T_base_tcp, T)
    assert once.width == twice.width == (OPEN_WIDTH_M if action == Action.OPEN else 0.0)


@given(actions, poses, widths)
def test_the_target_is_a_rigid_pose_and_the_measured_one_is_not_touched(action, T, width):
    before = T.copy()
    require_rigid(decode(action, T, width).T_base_tcp, "target")
    assert np.array_equal(T, before)


@given(st.lists(st.tuples(actions, poses, widths), min_size=1, max_size=20))
def test_a_batch_gives_bit_for_bit_what_its_elements_give_alone(elements):
    batch = decode(*(np.array(column) for column in zip(*elements, strict=True)))
    assert batch.T_base_tcp.shape == (len(elements), 4, 4) and batch.width.shape == (len(elements),)
    for i, element in enumerate(elements):
        alone = decode(*element)
        assert alone.T_base_tcp.tobytes() == batch.T_base_tcp[i].tobytes()
        assert alone.width.tobytes() == batch.width[i].tobytes()


@given(st.integers(-300, 300).filter(lambda i: not 0 <= i <= 13))
def test_an_index_out_of_range_is_refused_with_what_was_got(index):
    with pytest.raises(ValueError, match=rf"0\.\.13 .*got {index}$"):
        decode(index, np.eye(4), 0.08)


@pytest.mark.parametrize("action", [1.0, np.float32(3), "close", True])
def test_what_is_not_an_integer_is_refused(action):
    with pytest.raises(ValueError, match="an action is an integer"):
        decode(action, np.eye(4), 0.08)


def test_one_bad_index_spoils_its_batch():
    with pytest.raises(ValueError, match="got"):
        decode(np.array([0, 14]), np.tile(np.eye(4), (2, 1, 1)), np.zeros(2))


def test_the_presets_are_those_of_the_released_data_and_of_the_print():
    assert ActionSteps(translation_m=0.03, rotation_rad=0.2) == RELEASED
    assert ActionSteps(translation_m=0.03, rotation_rad=0.02) == PAPER
    turned = decode(Action.PLUS_RZ, np.eye(4), 0.08, PAPER).T_base_tcp
    assert rotation_angle(turned[:3, :3]) == pytest.approx(0.02)


def test_names_and_indices_are_in_the_order_of_the_logits():
    order = ["+x", "-x", "+y", "-y", "+z", "-z", "+rx", "-rx", "+ry", "-ry", "+rz", "-rz", "open", "close"]
    assert list(ACTION_NAMES) == order
    assert [action.name.lower().replace("plus_", "+").replace("minus_", "-") for action in Action] == order
    assert [int(action) for action in Action] == list(range(14))
