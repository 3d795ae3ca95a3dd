"""Rigid transforms obey the axioms of their group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from casher_perception.geometry import inverse, pose_matrix, position_quat, require_rigid, rotation_angle, transform


@st.composite
def poses(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return pose_matrix(rng.uniform(-2, 2, 3), Rotation.random(rng=rng).as_quat())


@given(poses())
def test_moving_to_base_and_back_changes_nothing(T):
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    np.testing.assert_allclose(transform(inverse(T), transform(T, points)), points, atol=1e-12)


@given(poses(), poses(), poses())
def test_composition_is_associative_and_inverts_in_reverse_order(A, B, C):
    np.testing.assert_allclose((A @ B) @ C, A @ (B @ C), atol=1e-12)
    np.testing.assert_allclose(inverse(A @ B), inverse(B) @ inverse(A), atol=1e-12)


@given(poses())
def test_position_and_quaternion_say_the_same_as_the_matrix(T):
    position, quat_xyzw = position_quat(T)
    assert quat_xyzw[3] >= 0
    np.testing.assert_allclose(pose_matrix(position, quat_xyzw), T, atol=1e-12)


def test_a_quaternion_is_read_as_x_y_z_w():
    T = pose_matrix([0, 0, 0], [0, 0, np.sin(np.pi / 4), np.cos(np.pi / 4)])
    np.testing.assert_allclose(transform(T, np.array([[1.0, 0, 0]])), [[0, 1, 0]], atol=1e-12)


def test_a_batch_gives_what_its_elements_give():
    batch = np.stack([pose_matrix([i, 0, 0], Rotation.from_rotvec([0, 0, i]).as_quat()) for i in range(3)])
    np.testing.assert_array_equal(inverse(batch)[2], inverse(batch[2]))
    np.testing.assert_array_equal(pose_matrix(*position_quat(batch))[1], pose_matrix(*position_quat(batch[1])))


@pytest.mark.parametrize("angle_rad", [0.0, 1e-9, 0.2, 3.0, np.pi])
def test_the_angle_of_a_rotation_is_exact_even_near_zero(angle_rad):
    R = Rotation.from_rotvec([0, angle_rad, 0]).as_matrix()
    assert rotation_angle(R) == pytest.approx(angle_rad, rel=1e-6, abs=1e-15)


def test_points_keep_their_dtype():
    assert transform(np.eye(4), np.zeros((2, 3), np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.eye(3), "shape"),
        (np.diag([1.0, 1, -1, 1]), "right-handed"),
        (np.diag([2.0, 1, 1, 1]), "orthonormal"),
        (np.full((4, 4), np.nan), "finite"),
        (np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 2, 3, 1]]), "transposed"),
    ],
)
def test_what_is_not_a_rigid_transform_is_refused_by_name(wrong, says):
    with pytest.raises(ValueError, match=f"(?s)T_x.*{says}|{says}.*T_x"):
        require_rigid(wrong, "T_x")


def test_a_quaternion_that_is_not_of_unit_length_is_refused():
    with pytest.raises(ValueError, match="norm 1"):
        pose_matrix([0, 0, 0], [0, 0, 0, 2.0])


def test_transposed_points_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"\(3, 7\)"):
        transform(np.eye(4), np.zeros((3, 7)))
