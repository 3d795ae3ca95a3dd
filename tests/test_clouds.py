"""The cloud kernels against plain numpy, and the properties they promise."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from casher_perception import clouds
from casher_perception.camera_model import Intrinsics
from casher_perception.deprojection import DepthLens
from casher_perception.geometry import inverse, pose_matrix, transform

CAMERA = Intrinsics(40, 30, 32.0, 33.0, 19.2, 14.7)
T_BASE_CAMERA = pose_matrix([0.1, -0.4, 0.6], [-0.83786616, 0.40895848, -0.14961896, 0.32916171])
LOW, HIGH = (-0.8, -0.8, -0.3), (0.8, 0.8, 1.0)


def images(seed, camera=CAMERA):
    rng = np.random.default_rng(seed)
    depth = rng.integers(0, 2500, (camera.height, camera.width)).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.2] = 0
    return depth, rng.integers(0, 256, (camera.height, camera.width, 3)).astype(np.uint8)


def cloud(seed, n=500):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, 3)).astype(np.float32), rng.integers(0, 256, (n, 3)).astype(np.uint8)


def inside(points, low, high):
    return np.all((points >= np.float32(low)) & (points <= np.float32(high)), axis=1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_deprojection_is_rays_times_depth_moved_and_cropped(seed):
    depth, colour = images(seed)
    points, colours = clouds.deproject(depth, colour, CAMERA, T_BASE_CAMERA, LOW, HIGH)
    all_points = transform(T_BASE_CAMERA, (CAMERA.rays() * (depth * 0.001)[..., None]).reshape(-1, 3))
    # Points on the very face of the box may fall either way with the rounding.
    margin = np.abs(all_points[:, None] - np.array([LOW, HIGH])).min(axis=(1, 2))
    assume(margin[depth.ravel() > 0].min() > 1e-6)
    expected = (depth.ravel() > 0) & np.all((all_points > LOW) & (all_points < HIGH), axis=1)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_allclose(points, all_points[expected], atol=1e-6)
    np.testing.assert_array_equal(colours, colour.reshape(-1, 3)[expected])


def test_a_depth_scale_is_the_length_of_one_count():
    depth, colour = images(0)
    wide = (-99,) * 3, (99,) * 3
    metres, _ = clouds.deproject(depth, colour, CAMERA, np.eye(4), *wide, depth_scale=0.001)
    tenths, _ = clouds.deproject(depth, colour, CAMERA, np.eye(4), *wide, depth_scale=0.0001)
    np.testing.assert_allclose(metres, 10 * tenths, rtol=1e-6)


def test_two_lenses_in_one_place_see_what_one_lens_sees():
    depth, colour = images(1)
    one = clouds.deproject(depth, colour, CAMERA, T_BASE_CAMERA, LOW, HIGH)
    two = clouds.deproject_unaligned(depth, colour, CAMERA, DepthLens(CAMERA, np.eye(4)), T_BASE_CAMERA, LOW, HIGH)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_point_takes_the_colour_of_the_pixel_it_projects_to_in_the_other_lens():
    depth, _ = images(2)
    lens = Intrinsics(64, 48, 50.0, 51.0, 30.0, 24.0)
    T_colour_depth = pose_matrix([0.015, 0.001, -0.002], [0.01, -0.02, 0.0, np.sqrt(1 - 0.0005)])
    rows, columns = np.mgrid[:48, :64]
    colour = np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)  # each pixel says where it is
    wide = (-99,) * 3, (99,) * 3
    depth_lens = DepthLens(CAMERA, T_colour_depth)
    points, colours = clouds.deproject_unaligned(depth, colour, lens, depth_lens, inverse(T_colour_depth), *wide)
    pixels = lens.project(transform(T_colour_depth, points.astype(np.float64)))
    assert 100 < len(points) <= np.count_nonzero(depth)
    assert np.abs(pixels - colours[:, :2]).max() <= 0.5 + 1e-3
    everything = CAMERA.rays()[depth > 0] * (depth[depth > 0] * 0.001)[:, None]
    seen = lens.project(transform(T_colour_depth, everything))
    assert len(points) == np.all((seen >= -0.5) & (seen < [63.5, 47.5]), axis=1).sum()


def test_read_only_images_as_messages_hold_them_are_taken():
    depth, colour = images(3)
    depth.setflags(write=False)
    colour.setflags(write=False)
    assert len(clouds.deproject(depth, colour, CAMERA, T_BASE_CAMERA, LOW, HIGH)[0]) > 0


@pytest.mark.parametrize("change", [lambda d, c: (d.T, c), lambda d, c: (d, c[:-1]), lambda d, c: (d.astype(float), c)])
def test_images_of_another_size_than_the_intrinsics_are_refused(change):
    with pytest.raises(ValueError, match="as its intrinsics say"):
        clouds.deproject(*change(*images(0)), CAMERA, T_BASE_CAMERA, LOW, HIGH)


def test_a_frame_without_depth_gives_an_empty_cloud_all_the_way():
    depth, colour = np.zeros((30, 40), np.uint16), np.zeros((30, 40, 3), np.uint8)
    points, colours = clouds.CameraCloud(CAMERA, T_BASE_CAMERA, LOW, HIGH, 0.01)(depth, colour)
    assert points.shape == colours.shape == (0, 3)
    assert clouds.merge([(points, colours)] * 2, [T_BASE_CAMERA] * 2)[0].shape == (0, 3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.1, 0.7]))
@settings(max_examples=30)
def test_voxels_are_the_means_of_their_points_in_the_order_they_first_occur(seed, voxel_m):
    points, colours = cloud(seed)
    low, high = (-0.6, -0.7, -0.8), (0.7, 0.6, 0.9)
    means, mean_colours = clouds.voxel_downsample(points, colours, voxel_m, low, high)
    kept = inside(points, low, high)
    index = ((points[kept] - np.float32(low)) * np.float32(1 / voxel_m)).astype(int)
    groups = {}
    for i, key in enumerate(map(tuple, index)):
        groups.setdefault(key, []).append(i)
    assert len(means) == len(groups)
    for mean, mean_colour, members in zip(means, mean_colours, groups.values(), strict=True):
        np.testing.assert_allclose(mean, points[kept][members].mean(axis=0, dtype=np.float64), atol=1e-6)
        exact = colours[kept][members].mean(axis=0)
        assert np.abs(mean_colour - exact).max() <= 0.5
    assert inside(means, low, high).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_a_grid_does_not_remember_what_was_taken_from_it(seed):
    grid = clouds.VoxelGrid(LOW, HIGH, 0.05)
    grid.add(*cloud(seed + 1))
    grid.take()
    grid.add(*cloud(seed))
    again = grid.take()
    fresh = clouds.voxel_downsample(*cloud(seed), 0.05, LOW, HIGH)
    for a, b in zip(again, fresh, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(grid.take()[0]) == 0


def test_a_grid_grows_with_what_is_added_and_adding_in_parts_is_adding_the_whole():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (200_000, 3)).astype(
        np.float32
    )  # far more voxels and blocks than a new grid has room for
    colours = rng.integers(0, 256, points.shape).astype(np.uint8)
    whole = clouds.voxel_downsample(points, colours, 0.005, (0, 0, 0), (1, 1, 1))
    grid = clouds.VoxelGrid((0, 0, 0), (1, 1, 1), 0.005)
    for part in np.array_split(np.arange(len(points)), 7):
        grid.add(points[part], colours[part])
    parts = grid.take()
    assert len(whole[0]) > 190_000
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_points_on_the_faces_of_the_box_belong_to_it():
    corners = np.float32([LOW, HIGH])
    points, _ = clouds.voxel_downsample(corners, np.zeros((2, 3), np.uint8), 0.005, LOW, HIGH)
    np.testing.assert_array_equal(points, corners)


def test_points_that_are_not_finite_or_absurdly_far_are_dropped():
    points, colours = cloud(0, 6)
    points[:5] = [[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf], [3e38, 0, 0], [np.nan] * 3]
    points[5] = 0.0
    for result, _ in (
        clouds.voxel_downsample(points, colours, 0.01, LOW, HIGH),
        clouds.crop(points, colours, LOW, HIGH),
    ):
        np.testing.assert_array_equal(result, [[0, 0, 0]])


def test_a_crop_keeps_exactly_the_points_inside():
    points, colours = cloud(0)
    kept, kept_colours = clouds.crop(points, colours, (-0.5,) * 3, (0.5,) * 3)
    expected = inside(points, (-0.5,) * 3, (0.5,) * 3)
    np.testing.assert_array_equal(kept, points[expected])
    np.testing.assert_array_equal(kept_colours, colours[expected])


@pytest.mark.parametrize(
    ("voxel_m", "low", "high", "says"),
    [
        (0.0, LOW, HIGH, "positive"),
        (float("nan"), LOW, HIGH, "positive"),
        (0.01, HIGH, LOW, "low .* < high"),
        (0.01, (0, 0, 0), (np.inf, 1, 1), "low .* < high"),
        (1e-6, LOW, HIGH, "too small"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(voxel_m, low, high, says):
    with pytest.raises(ValueError, match=says):
        clouds.VoxelGrid(low, high, voxel_m)


def test_points_of_another_type_are_refused_not_converted():
    points, colours = cloud(0)
    with pytest.raises(ValueError, match="float64"):
        clouds.voxel_downsample(points.astype(np.float64), colours, 0.01, LOW, HIGH)
    with pytest.raises(ValueError, match=r"\(500, 3\)"):
        clouds.voxel_downsample(points, colours[:-1], 0.01, LOW, HIGH)


def test_a_published_cloud_is_in_the_optical_frame_and_its_points_were_inside_the_box_in_base():
    depth, colour = images(5)
    points, colours = clouds.CameraCloud(CAMERA, T_BASE_CAMERA, LOW, HIGH, 0.05)(depth, colour)
    assert len(points) == len(colours) > 10
    assert points[:, 2].min() > 0  # in front of the camera
    merged, _ = clouds.merge([(points, colours)], [T_BASE_CAMERA])
    assert inside(merged, np.array(LOW) - 1e-5, np.array(HIGH) + 1e-5).all()
    in_base, _ = clouds.deproject(depth, colour, CAMERA, T_BASE_CAMERA, LOW, HIGH)
    np.testing.assert_allclose(merged.mean(axis=0), in_base.mean(axis=0), atol=0.1)


def test_merging_moves_each_cloud_by_its_own_transform():
    a, b = cloud(0, 5), cloud(1, 7)
    points, colours = clouds.merge([a, b], [T_BASE_CAMERA, inverse(T_BASE_CAMERA)])
    np.testing.assert_allclose(points[:5], transform(T_BASE_CAMERA, a[0]))
    np.testing.assert_allclose(points[5:], transform(inverse(T_BASE_CAMERA), b[0]))
    np.testing.assert_array_equal(colours, np.concatenate([a[1], b[1]]))
    with pytest.raises(ValueError):
        clouds.merge([a, b], [T_BASE_CAMERA])


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2), (9, 9), (300, 40), (3000, 1024)])
def test_farthest_points_are_different_points_and_the_same_for_the_same_seed(size):
    n_points, n = size
    points, _ = cloud(n_points, n_points)
    chosen = clouds.sample_farthest(points, n, 5)
    assert len(set(chosen.tolist())) == n and chosen.min() >= 0 and chosen.max() < n_points
    np.testing.assert_array_equal(chosen, clouds.sample_farthest(points.copy(), n, 5))


def test_farthest_points_leave_smaller_gaps_than_random_ones():
    points, _ = cloud(0, 4000)

    def gap(chosen):
        return np.linalg.norm(points[:, None] - points[chosen][None], axis=-1).min(axis=1).max()

    farthest = gap(clouds.sample_farthest(points, 100, 0))
    assert farthest < 0.8 * gap(clouds.sample_random(points, 100, np.random.default_rng(0)))


@pytest.mark.parametrize("n", [0, 11])
def test_more_points_than_there_are_cannot_be_drawn(n):
    points, _ = cloud(0, 10)
    for draw in (lambda: clouds.sample_farthest(points, n, 0), lambda: clouds.sample_random(points, n, None)):
        with pytest.raises(ValueError, match=r"1 \.\. 10"):
            draw()


def test_nothing_is_compiled_after_the_import():
    from casher_perception import kernels

    compiled = [
        kernels.deproject,
        kernels.deproject_unaligned,
        kernels.register,
        kernels.voxel_add,
        kernels.voxel_means,
    ]
    clouds.warm_up()
    assert [len(kernel.signatures) for kernel in compiled] == [1] * len(compiled)
