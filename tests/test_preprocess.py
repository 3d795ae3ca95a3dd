"""What a network sees is the same for the loader and the node, bit for bit."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casher_perception.clouds import voxel_downsample
from casher_perception.conversions import cloud_arrays, cloud_message
from casher_policy.preprocess import EmptyCloudError, Preprocessing, preprocess

CROP = ((-0.5, -0.6, -0.3), (0.5, 0.4, 0.7))


def cloud(seed, n):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, 3)).astype(np.float32), rng.integers(0, 256, (n, 3)).astype(np.uint8)


def same(a, b):
    return all(x.tobytes() == y.tobytes() and x.shape == y.shape for x, y in zip(a, b, strict=True))


samplings = st.sampled_from(["farthest", "random"])
clouds = st.builds(cloud, st.integers(0, 2**32 - 1), st.integers(200, 3000))


@given(clouds, samplings, st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_preprocessing_a_message_is_preprocessing_its_arrays_bit_for_bit(cloud, sampling, seed):
    how = Preprocessing(*CROP, voxel_m=0.05, points=100, sampling=sampling)
    received = cloud_arrays(cloud_message(*cloud, "base", 1))
    assert same(preprocess(*received, how, seed), preprocess(*cloud, how, seed))


@given(clouds, samplings, st.integers(0, 2**32 - 1), st.sampled_from([16, 200, 5000]))
@settings(max_examples=30, deadline=None)
def test_exactly_the_asked_number_of_points_comes_out_each_of_them_a_voxel_of_the_crop(cloud, sampling, seed, n):
    how = Preprocessing(*CROP, voxel_m=0.04, points=n, sampling=sampling)
    points, colours = preprocess(*cloud, how, seed)
    assert points.shape == colours.shape == (n, 3)
    assert points.dtype == np.float32 and colours.dtype == np.uint8
    assert np.all((points >= np.float32(CROP[0])) & (points <= np.float32(CROP[1])))
    voxels = {p.tobytes() + c.tobytes() for p, c in zip(*voxel_downsample(*cloud, 0.04, *CROP), strict=True)}
    chosen = [p.tobytes() + c.tobytes() for p, c in zip(points, colours, strict=True)]
    assert set(chosen) <= voxels
    assert len(set(chosen)) == min(
        n, len(voxels)
    )  # nothing twice while there are others, nothing left out when there are few


@given(clouds, samplings, st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_seed_alone_decides(cloud, sampling, seed):
    how = Preprocessing(*CROP, voxel_m=0.05, points=50, sampling=sampling)
    first = preprocess(*cloud, how, seed)
    np.random.seed(0)  # noqa: NPY002 - whatever the global state is
    assert same(first, preprocess(cloud[0].copy(), cloud[1].copy(), how, seed))


def test_voxels_that_are_kept_change_nothing():
    how = Preprocessing(*CROP, voxel_m=0.05, points=50)
    voxels = how.voxels()
    for seed in range(3):
        assert same(preprocess(*cloud(seed, 3000), how, seed, voxels=voxels), preprocess(*cloud(seed, 3000), how, seed))
        with pytest.raises(EmptyCloudError):
            preprocess(np.full((1, 3), 9, np.float32), np.zeros((1, 3), np.uint8), how, 0, voxels=voxels)


@pytest.mark.parametrize(("sampling", "points"), [("random", 50), ("farthest", 50), ("farthest", 5000)])
def test_other_seeds_draw_other_points(sampling, points):
    how = Preprocessing(*CROP, voxel_m=0.05, points=points, sampling=sampling)
    drawn = {preprocess(*cloud(0, 3000), how, seed)[0].tobytes() for seed in range(5)}
    assert len(drawn) > 1


@given(clouds, samplings, st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_last_points_are_voxels_about_the_tool_and_the_first_ones_as_without(cloud, sampling, seed):
    plain = Preprocessing(*CROP, voxel_m=0.05, points=50, sampling=sampling)
    how, tool = dataclasses.replace(plain, near_points=40, near_m=0.3), (0.1, -0.1, 0.2)
    points, colours = preprocess(*cloud, how, seed, tool)
    assert points.shape == colours.shape == (how.total, 3) == (90, 3)
    assert same((points[:50], colours[:50]), preprocess(*cloud, plain, seed))
    voxels, _ = voxel_downsample(*cloud, 0.05, *CROP)
    near = {p.tobytes() for p in voxels if np.abs(p - np.float32(tool)).max() <= np.float32(0.3)}
    got = {p.tobytes() for p in points[50:]}
    assert len(got) == min(40, len(near)) and got <= near


def test_with_nothing_about_the_tool_any_points_of_the_crop_are_taken():
    how = Preprocessing(*CROP, points=20, near_points=10, near_m=0.01)
    points, _ = preprocess(*cloud(0, 100), how, 0, (0.4, 0.3, 0.69))
    assert points.shape == (30, 3) and np.isfinite(points).all()


def test_farthest_points_leave_smaller_gaps_than_random_ones_where_voxels_are_not_even():
    rng = np.random.default_rng(0)
    sparse, dense = rng.uniform(-0.5, 0.4, (3000, 3)), rng.uniform(-0.1, 0.1, (6000, 3))
    points = np.concatenate([sparse, dense]).astype(np.float32)
    points[:, 2] *= 0.05
    gaps = {}
    for sampling in ("farthest", "random"):
        how = Preprocessing(*CROP, voxel_m=0.005, points=300, sampling=sampling)
        chosen, _ = preprocess(points, np.zeros(points.shape, np.uint8), how, 0)
        gaps[sampling] = np.concatenate(
            [np.linalg.norm(part[:, None] - chosen, axis=2).min(axis=1) for part in np.array_split(points, 9)]
        )
    assert len(voxel_downsample(points, np.zeros(points.shape, np.uint8), 0.005, *CROP)[0]) > 4 * 300
    for worst in (99, 100):
        assert np.percentile(gaps["farthest"], worst) < 0.8 * np.percentile(gaps["random"], worst)


def test_points_about_the_tool_need_to_know_where_it_is():
    with pytest.raises(ValueError, match="give p_base_tcp"):
        preprocess(*cloud(0, 100), Preprocessing(*CROP, points=20, near_points=10), 0)


def test_the_input_is_left_as_it_was():
    points, colours = cloud(0, 1000)
    before = points.copy(), colours.copy()
    preprocess(points, colours, Preprocessing(*CROP), 0)
    assert same(before, (points, colours))


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.zeros((0, 3), np.float32), "cloud is empty"),
        (np.full((5, 3), 9.0, np.float32), r"5 points span \[9.0, 9.0, 9.0\]"),
        (np.full((5, 3), np.nan, np.float32), "none of the 5 points is finite"),
    ],
)
def test_a_cloud_without_a_point_in_the_crop_is_an_error_that_says_where_its_points_are(points, says):
    with pytest.raises(EmptyCloudError, match=says) as error:
        preprocess(points, np.zeros(points.shape, np.uint8), Preprocessing(*CROP), 0)
    assert "(-0.5, -0.6, -0.3)" in str(error.value)


def test_a_checkpoint_gives_the_preprocessing_back():
    how = Preprocessing(CROP[0], np.array(CROP[1]), voxel_m=0.01, points=1024, sampling="random")
    assert Preprocessing.from_dict(json.loads(json.dumps(how.to_dict()))) == how


def test_a_checkpoint_that_lacks_an_entry_or_has_another_is_refused():
    values = Preprocessing(*CROP).to_dict()
    with pytest.raises(ValueError, match="exactly"):
        Preprocessing.from_dict({**values, "normals": True})
    del values["voxel_m"]
    with pytest.raises(ValueError, match="exactly"):
        Preprocessing.from_dict(values)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"crop_low": (0, 0)}, "crop_low"),
        ({"crop_low": (1, 1, 1)}, "below"),
        ({"crop_high": (0.5, float("nan"), 1)}, "crop_high"),
        ({"voxel_m": 0.0}, "positive"),
        ({"points": 0}, "positive"),
        ({"points": 1024.0}, "points must be a whole number"),
        ({"near_points": 10**12}, "near_points must be a whole number up to"),
        ({"near_points": -1}, "near_points must not"),
        ({"near_m": 0.0}, "near_m positive"),
        ({"sampling": "grid"}, "known are farthest, random"),
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Preprocessing(**{"crop_low": CROP[0], "crop_high": CROP[1], **change})
