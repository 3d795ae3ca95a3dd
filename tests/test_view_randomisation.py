"""Randomised views: within the ranges, the same for a seed, and nothing at all when the ranges are empty."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casher_perception.geometry import rotation_angle
from casher_sim.light import DAYLIGHT_K, Light, lit
from casher_sim.view_randomisation import NO_RANDOMISATION, ViewRandomisation, colour_matrix, sample

FRAMES = ("kitchen/kitchen", "object")
seeds = st.integers(0, 2**32 - 1)


def draw(seed, config=None):
    return sample(np.random.default_rng(seed), config or ViewRandomisation(), 2, FRAMES)


@given(seeds)
def test_every_draw_lies_within_its_ranges(seed):
    config = ViewRandomisation()
    d = draw(seed, config)
    assert (np.abs(d.T_camera_moved[:, :3, 3]) <= config.position_m).all()
    assert (rotation_angle(d.T_camera_moved[:, :3, :3]) <= config.rotation_rad + 1e-9).all()
    assert config.gain[0] <= d.light.gain <= config.gain[1]
    assert config.ambient[0] <= d.light.ambient <= config.ambient[1]
    assert config.temperature_k[0] - 1 <= d.light.temperature_k <= config.temperature_k[1] + 1
    lean = np.arccos(np.clip(np.dot(d.light.direction, Light().direction), -1, 1))
    assert lean <= config.lamp_cone_rad + 1e-3
    assert set(d.recolour) == set(FRAMES)


@given(seeds)
def test_one_seed_gives_one_draw_and_another_seed_another(seed):
    a, b, c = draw(seed), draw(seed), draw(seed + 1)
    assert np.array_equal(a.T_camera_moved, b.T_camera_moved) and a.light == b.light
    assert all(np.array_equal(a.recolour[f], b.recolour[f]) for f in FRAMES)
    assert not np.array_equal(a.T_camera_moved, c.T_camera_moved) and a.light != c.light


@given(seeds)
def test_no_randomisation_changes_nothing(seed):
    d = draw(seed, NO_RANDOMISATION)
    assert np.allclose(d.T_camera_moved, np.eye(4), atol=1e-12)
    assert np.allclose(d.light.direction, Light().direction, atol=1e-3)
    assert np.allclose(d.light.gains, 1.0, atol=1e-9) and d.light.ambient == Light().ambient
    assert all(np.allclose(matrix, np.eye(3), atol=1e-12) for matrix in d.recolour.values())


def test_the_whole_range_is_used():
    d = [draw(seed) for seed in range(300)]
    x = np.array([one.T_camera_moved[0, 0, 3] for one in d])
    gains = np.array([one.light.gain for one in d])
    assert x.min() < -0.009 and x.max() > 0.009 and abs(x.mean()) < 0.002
    assert gains.min() < 0.72 and gains.max() > 1.28


def test_a_camera_is_moved_in_its_own_frame():
    d = draw(3)
    T = np.eye(4)
    T[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    moved = d.moved([("camera", T), ("camera", T)])
    assert moved[0][0] == "camera"
    assert np.allclose(np.linalg.inv(T) @ moved[1][1], d.T_camera_moved[1])
    with pytest.raises(ValueError, match="2 cameras"):
        d.moved([("camera", T)])


@given(st.floats(-3, 3), st.floats(0, 2), st.floats(0.1, 2), st.floats(0, 255))
def test_grey_stays_grey_and_takes_the_brightness(hue, saturation, brightness, level):
    assert np.allclose(colour_matrix(hue, saturation, brightness) @ np.full(3, level), brightness * level, atol=1e-3)


def test_hue_turns_red_towards_green_and_no_saturation_makes_grey():
    red = np.array([200.0, 40.0, 40.0])
    turned = colour_matrix(np.deg2rad(120), 1.0, 1.0) @ red
    assert np.allclose(turned, [40.0, 200.0, 40.0])
    grey = colour_matrix(0.0, 0.0, 1.0) @ red
    assert np.ptp(grey) < 1e-9 and grey[0] == pytest.approx(0.2126 * 200 + 0.7874 * 40)


def test_warm_light_is_red_cold_light_is_blue_and_daylight_is_neither():
    warm, day, cold = (Light(temperature_k=k).gains for k in (3000.0, DAYLIGHT_K, 10000.0))
    assert np.allclose(day, 1.0)
    assert warm[0] > 1.1 and warm[2] < 0.8
    assert cold[0] < 1.0 < cold[2]


def test_an_image_of_a_real_camera_takes_gain_and_colour_of_light_too():
    image = np.full((4, 5, 3), 100, np.uint8)
    assert (lit(image, Light()) == image).all()
    assert (lit(image, Light(gain=1.2)) == 120).all()
    assert (lit(image, Light(gain=4.0)) == 255).all()


def test_impossible_ranges_and_lights_are_refused():
    with pytest.raises(ValueError, match="gain"):
        ViewRandomisation(gain=(1.2, 0.8))
    with pytest.raises(ValueError, match="position_m"):
        ViewRandomisation(position_m=-0.1)
    with pytest.raises(ValueError, match="direction"):
        Light(direction=(0.0, 0.0, 2.0))
    with pytest.raises(ValueError, match="1667"):
        _ = Light(temperature_k=500.0).gains
