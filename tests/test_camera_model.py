"""The pinhole camera: rays, projection and deprojection agree with one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casher_perception.camera_model import T_OPTICAL_OPENGL, Intrinsics

CAMERA = Intrinsics(640, 480, 460.0, 462.0, 321.5, 238.0)


@given(st.floats(0, 639), st.floats(0, 479), st.floats(0.1, 5))
def test_deprojecting_and_projecting_gives_the_pixel_back(column, row, depth):
    point = CAMERA.deproject([column, row], depth)
    assert point[2] == depth
    np.testing.assert_allclose(CAMERA.project(point), [column, row], atol=1e-9)


def test_a_ray_times_its_depth_is_the_point_of_that_pixel():
    rays = CAMERA.rays()
    assert rays.shape == (480, 640, 3) and np.all(rays[..., 2] == 1.0)
    np.testing.assert_allclose(rays[100, 200] * 1.7, CAMERA.deproject([200, 100], 1.7))


def test_the_field_of_view_spans_the_outer_edges_of_the_image():
    camera = Intrinsics.from_fov(160, 120, np.deg2rad(69))
    left_edge = camera.deproject([-0.5, camera.cy], 1.0)
    right_edge = camera.deproject([159.5, camera.cy], 1.0)
    angle = np.arctan(right_edge[0]) - np.arctan(left_edge[0])
    assert angle == pytest.approx(np.deg2rad(69))
    assert camera.fx == camera.fy


def test_a_scaled_camera_sees_the_same_rays_through_the_same_parts_of_its_image():
    double = CAMERA.scaled(2)
    assert (double.width, double.height) == (1280, 960)
    # The corner of the image stays the corner: pixel centres lie half a pixel inside.
    np.testing.assert_allclose(double.deproject([-0.5, -0.5], 1.0), CAMERA.deproject([-0.5, -0.5], 1.0))
    assert double.scaled(0.5) == CAMERA


def test_a_scale_that_leaves_no_whole_pixels_is_refused():
    with pytest.raises(ValueError, match="whole number"):
        CAMERA.scaled(0.3333)


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(CAMERA.project([[0.0, 0.0, -1.0]])).all()


def test_the_opengl_camera_looks_along_minus_z_with_y_up():
    forward, up = T_OPTICAL_OPENGL @ [0, 0, -1, 0], T_OPTICAL_OPENGL @ [0, 1, 0, 0]
    np.testing.assert_array_equal(forward[:3], [0, 0, 1])
    np.testing.assert_array_equal(up[:3], [0, -1, 0])
    assert np.linalg.det(T_OPTICAL_OPENGL[:3, :3]) == 1.0


@pytest.mark.parametrize("wrong", [(0, 480, 1, 1, 0, 0), (640, 480, 0, 1, 0, 0), (640, 480, 1, 1, float("nan"), 0)])
def test_impossible_intrinsics_are_refused(wrong):
    with pytest.raises(ValueError):
        Intrinsics(*wrong)
