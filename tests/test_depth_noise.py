"""The model of a D435i's depth: what it claims about range, edges and shadows, and that it can be switched off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from casher_perception.camera_model import Intrinsics
from casher_sim.depth_noise import DepthNoise, noisy_depth

CAMERA = Intrinsics.from_fov(160, 120, np.deg2rad(69.0))
FINE = Intrinsics.from_fov(640, 480, np.deg2rad(69.0))
PERFECT = DepthNoise(
    subpixel_std_px=0.0,
    quantum_px=0.0,
    max_disparity_px=np.inf,
    shadow=False,
    edge_hole=0.0,
    edge_flying=0.0,
    grazing_rad=np.pi / 2,
)
ONLY_NOISE = DepthNoise(quantum_px=0.0, shadow=False, edge_hole=0.0, edge_flying=0.0, grazing_rad=np.pi / 2)


def wall(depth_mm, camera=CAMERA):
    return np.full((camera.height, camera.width), depth_mm, np.uint16)


def board_before_a_wall(front_mm=600, back_mm=1200, camera=FINE):
    """-> depth, columns of the board [first, last)."""
    depth = wall(back_mm, camera)
    first, last = camera.width // 2, camera.width * 3 // 4
    depth[camera.height // 4 : camera.height * 3 // 4, first:last] = front_mm
    return depth, (first, last)


def rng(seed=0):
    return np.random.default_rng(seed)


images = arrays(np.uint16, (120, 160), elements=st.integers(0, 65535), fill=st.integers(0, 3000))


@given(images, st.integers(0, 2**32 - 1))
def test_without_a_config_and_with_every_error_at_zero_nothing_changes(depth, seed):
    assert np.array_equal(noisy_depth(depth, CAMERA, rng(seed), None), depth)
    assert np.array_equal(noisy_depth(depth, CAMERA, rng(seed), PERFECT), depth)


@given(images, st.integers(0, 2**32 - 1))
def test_no_depth_is_invented_where_there_was_none(depth, seed):
    assert not noisy_depth(depth, CAMERA, rng(seed), DepthNoise())[depth == 0].any()


@given(images, st.integers(0, 2**32 - 1))
def test_one_generator_gives_one_image_and_is_left_in_one_state(depth, seed):
    a, b, c = rng(seed), rng(seed), rng(seed)
    one, two = noisy_depth(depth, CAMERA, a, DepthNoise()), noisy_depth(depth, CAMERA, b, DepthNoise())
    noisy_depth(wall(1000), CAMERA, c, DepthNoise())
    assert np.array_equal(one, two)
    assert a.random() == c.random()


def test_the_image_that_is_given_is_left_as_it_is():
    depth, _ = board_before_a_wall()
    before = depth.copy()
    noisy_depth(depth, FINE, rng(), DepthNoise())
    assert np.array_equal(depth, before)


@pytest.mark.parametrize("depth_mm", [500, 1000, 2000])
def test_noise_grows_with_the_square_of_the_range_as_the_formula_says(depth_mm):
    seen = noisy_depth(wall(depth_mm), CAMERA, rng(), ONLY_NOISE).astype(float)
    stated = 1000 * ONLY_NOISE.depth_std_m(depth_mm / 1000)
    rounding = 1 / np.sqrt(12)
    assert seen.std() == pytest.approx(np.hypot(stated, rounding), rel=0.05)
    assert abs(seen.mean() - depth_mm) < 0.1 * stated + 0.1
    assert ONLY_NOISE.depth_std_m(2.0) == pytest.approx(4 * ONLY_NOISE.depth_std_m(1.0))


def test_the_focal_length_and_noise_are_those_of_a_d435_at_848_x_480():
    config = DepthNoise()
    assert config.native_focal_px == pytest.approx(424.0)
    assert config.depth_std_m(1.0) == pytest.approx(0.0038, abs=1e-4)


def test_depths_come_in_steps_of_a_thirty_second_of_a_pixel_of_disparity():
    seen = noisy_depth(wall(1500), CAMERA, rng(), DepthNoise(shadow=False))
    disparity = 424.0 * 50.0 / np.unique(seen).astype(float)
    off = disparity * 32 - np.rint(disparity * 32)
    half_a_millimetre = 0.5 * 424.0 * 50.0 / 1500.0**2 * 32
    assert len(np.unique(seen)) > 3
    assert np.abs(off).max() < 1.3 * half_a_millimetre


def test_the_noise_of_a_small_image_is_that_of_the_camera_it_was_made_smaller_from():
    small = noisy_depth(wall(1000), CAMERA, rng(), ONLY_NOISE).astype(float)
    large = noisy_depth(wall(1000, FINE), FINE, rng(), ONLY_NOISE).astype(float)
    assert small.std() == pytest.approx(large.std(), rel=0.05)


def test_the_shadow_lies_left_of_what_stands_in_front_and_is_as_wide_as_the_disparities_differ():
    depth, (first, last) = board_before_a_wall()
    config = DepthNoise(edge_hole=0.0, edge_flying=0.0, shadow_tolerance_px=0.0)
    row = noisy_depth(depth, FINE, rng(), config)[FINE.height // 2]
    holes = np.flatnonzero(row == 0)
    width = 424.0 * 0.05 * (1 / 0.6 - 1 / 1.2) * FINE.fx / 424.0
    assert holes.max() == first - 1 and len(holes) == pytest.approx(width, abs=1)
    assert np.all(np.diff(holes) == 1)
    assert (row[last:] > 0).all()


def test_a_wall_and_a_slope_have_no_shadow_and_no_edge():
    u = np.arange(FINE.width)
    slope = np.broadcast_to(1000.0 / (1 + 0.8 * (u - FINE.cx) / FINE.fx), (FINE.height, FINE.width)).astype(np.uint16)
    for depth in (wall(900, FINE), slope):
        assert (noisy_depth(depth, FINE, rng(), DepthNoise()) > 0).mean() > 0.995


def test_edges_have_holes_and_points_between_the_two_sides_and_the_rest_has_not():
    depth, (first, last) = board_before_a_wall()
    config = DepthNoise(shadow=False, subpixel_std_px=0.0, quantum_px=0.0)
    seen = noisy_depth(depth, FINE, rng(), config)
    middle = slice(FINE.height // 4 + 10, FINE.height * 3 // 4 - 10)
    at_edge, inside = seen[middle, last - 3 : last + 3], seen[middle, last + 20 :]
    assert (at_edge == 0).mean() == pytest.approx(config.edge_hole, abs=0.05)
    between = (at_edge > 620) & (at_edge < 1180)
    assert between.mean() == pytest.approx(config.edge_flying, abs=0.05)
    assert (inside == 1200).all()
    assert (seen[middle, first + 20 : last - 20] == 600).all()


def test_a_surface_seen_at_a_grazing_angle_has_no_depth_and_one_seen_from_above_has():
    height_m, rows = 0.3, np.arange(FINE.height)
    below = (rows - FINE.cy) / FINE.fy
    z = np.where(below > 0.05, height_m / np.maximum(below, 1e-6), 0.0)  # a horizontal plane below a level camera
    depth = np.broadcast_to((1000 * z)[:, None], (FINE.height, FINE.width)).astype(np.uint16)
    config = DepthNoise(subpixel_std_px=0.0, edge_hole=0.0, edge_flying=0.0)
    seen = noisy_depth(depth, FINE, rng(), config)[:, FINE.width // 2 :] > 0
    angle = np.pi / 2 - np.arctan(below)
    assert not seen[(angle > config.grazing_rad + 0.03) & (below > 0.05)].any()
    assert seen[(angle < config.grazing_rad - 0.03) & (z > 0.2)].all()


def test_the_angle_is_that_to_the_ray_and_not_to_the_optical_axis():
    config = DepthNoise(subpixel_std_px=0.0, quantum_px=0.0, edge_hole=0.0, edge_flying=0.0, grazing_rad=np.deg2rad(30))
    seen = noisy_depth(wall(1000), CAMERA, rng(), config) > 0
    x, y = CAMERA.rays()[..., 0], CAMERA.rays()[..., 1]
    angle = np.arctan(np.hypot(x, y))
    assert seen[angle < np.deg2rad(29.5)].all() and not seen[angle > np.deg2rad(30.5)].any()
    assert (angle > np.deg2rad(31)).any()


def test_what_is_nearer_than_the_largest_disparity_has_no_depth():
    assert not noisy_depth(wall(150), CAMERA, rng(), DepthNoise()).any()


def test_shares_of_more_than_all_edge_pixels_are_refused():
    with pytest.raises(ValueError, match="shares"):
        DepthNoise(edge_hole=0.8, edge_flying=0.3)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(120, 160\)"):
        noisy_depth(wall(1000, FINE), CAMERA, rng(), DepthNoise())
