"""Depth registered to the colour camera: what that camera itself would have measured, the nearest in front."""

import numpy as np
import pytest

from casher_perception.camera_model import Intrinsics
from casher_perception.deprojection import DepthLens, Registration
from casher_perception.geometry import pose_matrix
from casher_perception.rig import CameraMount
from casher_perception.sources import SyntheticSource

T_BASE_CAMERA = pose_matrix([-0.01, -0.5, 0.69], [-0.83786616, 0.40895848, -0.14961896, 0.32916171])
T_COLOUR_DEPTH = pose_matrix([0.0148, 0.0002, 0.0003], [0.001, -0.002, 0.0, np.sqrt(1 - 0.000005)])
LINE = Intrinsics(8, 1, 8.0, 8.0, 3.5, 0.0)


def view(T_base_camera, intrinsics):
    mount = CameraMount("s", T_base_camera, intrinsics.width, intrinsics.height, 30.0, intrinsics)
    return SyntheticSource(mount).render(7)[1]


def test_registered_depth_is_what_the_colour_camera_itself_would_measure():
    colour, lens = Intrinsics(160, 120, 151.0, 152.0, 79.0, 60.5), Intrinsics(160, 120, 97.0, 97.0, 80.0, 59.0)
    registered = Registration(colour, DepthLens(lens, T_COLOUR_DEPTH))(view(T_BASE_CAMERA @ T_COLOUR_DEPTH, lens))
    measured = view(T_BASE_CAMERA, colour)
    both = (registered > 0) & (measured > 0)
    error_mm = np.abs(registered.astype(float) - measured)[both]
    assert both.mean() > 0.95
    # One pixel of the depth lens sees about 10 mm of depth on the tilted table; the rest are edges.
    assert np.median(error_mm) < 4 and (error_mm < 12).mean() > 0.95


def test_where_two_surfaces_fall_on_one_pixel_the_nearer_is_registered():
    depth = np.uint16([[2000, 2000, 2000, 2000, 500, 500, 2000, 2000]])
    T_colour_depth = pose_matrix([-0.1, 0.0, 0.0], [0, 0, 0, 1])  # shifts the near by 1.6 pixels, the far by 0.4
    registered = Registration(LINE, DepthLens(LINE, T_colour_depth))(depth)
    assert registered[0, :2].tolist() == [2000, 2000] and registered[0, 2:5].tolist() == [500] * 3


def test_counts_of_another_unit_become_millimetres():
    depth = np.full((1, 8), 20000, np.uint16)
    assert set(Registration(LINE, DepthLens(LINE, np.eye(4), unit_m=0.0001))(depth)[0]) == {2000}


def test_nothing_measured_and_what_lies_behind_the_colour_camera_stay_empty():
    T_colour_depth = pose_matrix([0.0, 0.0, -1.0], [0, 0, 0, 1])
    assert not Registration(LINE, DepthLens(LINE, T_colour_depth))(np.uint16([[0, 900, 500, 0, 0, 0, 0, 0]])).any()


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="as its intrinsics say"):
        Registration(LINE, DepthLens(LINE, np.eye(4)))(np.zeros((2, 8), np.uint16))
