"""Procedural kitchens: the same from the same seed, different as layouts, and such that the arm can do its tasks."""

from collections import Counter
from datetime import date
from itertools import combinations

import numpy as np
import open3d as o3d
import pytest

from casher_sim.kitchens_make import MakeArgs, folder_of, main
from casher_sim.procedural import kitchen, layout_of, save_kitchen, sink_site
from casher_sim.procedural_layout import BASINS, SHAPES, TAPS, UNITS, descriptor
from casher_sim.procedural_sampling import OBJECT_RADIUS_M
from casher_sim.twin_check import check_twin
from casher_sim.twin_geometry import collision_pieces, visual_meshes
from casher_sim.twin_reach import TwinReach

FEW = range(8)
MANY = range(64)
DAY = date(2026, 1, 31)


@pytest.fixture(scope="module")
def layouts():
    return [layout_of(seed) for seed in MANY]


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """[(twin, folder)] of FEW."""
    found = []
    for seed in FEW:
        folder = tmp_path_factory.mktemp(f"kitchen_{seed}")
        twin, files = kitchen(seed, DAY)
        save_kitchen(folder, twin, files)
        found.append((twin, folder))
    return found


def surface(pieces):
    """[(vertices, faces)] -> function of rays (N, 6) -> (N,) distance."""
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for vertices, faces in pieces:
        scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(faces.astype(np.uint32)))
    return lambda rays: scene.cast_rays(o3d.core.Tensor(rays.astype(np.float32)), nthreads=1)["t_hit"].numpy()


def colliding(twin, folder):
    return surface([piece for body in twin.bodies for piece in collision_pieces(twin, folder, body)])


def looking(twin, folder):
    return surface([(m.vertices, m.faces) for body in twin.bodies for m in visual_meshes(twin, folder, body)])


def rays(points, z, direction):
    """(N, 2) points -> rays that start at height z and go up (+1) or down (-1)."""
    n = len(points)
    return np.c_[points, np.full(n, z), np.zeros((n, 2)), np.full(n, direction)]


def grid(center, half, n=7):
    x, y = np.meshgrid(*(c + h * np.linspace(-1, 1, n) for c, h in zip(center, half, strict=True)))
    return np.c_[x.ravel(), y.ravel()]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_bytes(seed, twins, tmp_path):
    save_kitchen(tmp_path, *kitchen(seed, DAY))
    _, folder = twins[seed]
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(path.name for path in tmp_path.iterdir())
    assert all((folder / name).read_bytes() == (tmp_path / name).read_bytes() for name in files)


def test_any_two_of_64_kitchens_differ_in_their_layout(layouts):
    described = [descriptor(layout) for layout in layouts]
    assert min(sum(x != y for x, y in zip(a, b, strict=True)) for a, b in combinations(described, 2)) >= 2


def test_every_kind_of_everything_is_among_64_kitchens(layouts):
    for kinds, least, of in (
        (SHAPES, 5, lambda x: x.shape),
        (BASINS, 6, lambda x: x.basin.kind),
        (TAPS, 5, lambda x: x.tap.kind),
        (UNITS, 4, lambda x: x.unit.kind if x.unit else "none"),
        (("left", "right"), 4, lambda x: x.unit.hinge if x.unit and x.unit.door else ""),
        ((True, False), 5, lambda x: bool(x.window)),
        (("doors", "glass", "open", "boards", "hood"), 3, lambda x: next((w.style for w in x.wall_units[::-1]), "")),
    ):
        counts = Counter(map(of, layouts))
        assert all(counts[kind] >= least for kind in kinds), (kinds, counts)


def test_heights_and_positions_spread_over_their_ranges(layouts):
    assert len({round(x.counter_height / 0.02) for x in layouts}) >= 7
    assert len({round(x.counter_z / 0.02) for x in layouts}) >= 8
    cells = {(round(x.basin.center[0] / 0.03), round(x.basin.center[1] / 0.05)) for x in layouts}
    assert len(cells) >= 20
    left = [x.basin.center[1] > 0 for x in layouts]
    assert 16 <= sum(left) <= 48 and np.ptp([x.basin.center[1] for x in layouts]) > 0.4
    assert len({item.kind for x in layouts for item in x.clutter}) >= 15


def test_things_stand_where_they_stand_in_the_released_trajectories(layouts):
    for layout in layouts:
        x, y, z = sink_site(layout).position
        assert 0.45 <= x <= 0.77 and -0.31 <= y <= 0.19 and -0.29 <= z <= 0.19
        assert 0.15 <= layout.counter_z - z <= 0.30
        spawns = dict(layout.spawns)
        for side, sign in (("left", 1), ("right", -1)):
            p = np.array(spawns[side].center)
            assert 0.23 <= p[0] <= 0.69 and -0.56 <= p[1] <= 0.59 and 0.0 <= p[2] <= 0.35
            assert 0.25 <= sign * (p[1] - y) <= 0.55
        if layout.unit:
            x, y, z = spawns["front"].center
            assert 0.27 <= x <= 0.68 and -0.17 <= y <= 0.01 and 0.01 <= z <= 0.12
            assert 0.44 <= layout.unit.shelf_z <= 0.63


@pytest.mark.parametrize("seed", FEW)
def test_a_kitchen_passes_the_check_and_offers_what_its_furniture_allows(seed, twins):
    twin, folder = twins[seed]
    assert check_twin(folder) == []
    unit = layout_of(seed).unit
    wanted = {"put_in_sink"}
    if unit and unit.opening:
        wanted.add("put_in_cabinet")
        x, y, _ = twin.sites["shelf"].position
        assert 0.5 <= x <= 0.7 and -0.28 <= y <= 0.03
    if unit and unit.door:
        wanted.add("open_cabinet")
    assert set(twin.tasks) == wanted


@pytest.mark.parametrize("seed", FEW)
def test_objects_have_room_where_they_start(seed, twins):
    twin, folder = twins[seed]
    for cast in (colliding(twin, folder), looking(twin, folder)):
        for spawn in twin.spawns.values():
            z = spawn.center[2]
            points = grid(spawn.center[:2], np.array(spawn.half_size) + OBJECT_RADIUS_M - 0.005)
            down = 0.2 - cast(rays(points, z + 0.2, -1))
            assert np.abs(down).max() < 0.002  # the grooves of a drainboard are 1.2 mm high
            assert cast(rays(points, z + 0.01, 1)).min() > 0.3


@pytest.mark.parametrize("seed", FEW)
def test_what_is_seen_of_worktop_and_bowls_is_what_collides(seed, twins):
    twin, folder = twins[seed]
    layout = layout_of(seed)
    points = grid(layout.basin.center, np.array(layout.basin.half) + 0.04, n=41)
    start = layout.counter_z + 0.05
    seen, felt = (cast(rays(points, start, -1)) for cast in (looking(twin, folder), colliding(twin, folder)))
    assert np.isfinite(felt).all()
    # all but single rays that pass exactly between two triangles
    assert np.mean(np.abs(seen - felt) < 0.002) > 0.99
    inside = grid(twin.sites["sink"].position[:2], np.array(twin.sites["sink"].half_size) - 0.002)
    floor = start - colliding(twin, folder)(rays(inside, start, -1))
    assert np.mean(np.abs(floor - twin.sites["sink"].position[2]) < 1e-4) > 0.9  # the corners are round


def test_the_handle_is_a_bar_of_the_door_with_room_for_fingers_behind_it(twins):
    doors = [(twin, folder) for twin, folder in twins if twin.handle]
    assert doors
    for twin, folder in doors:
        handle = twin.handle
        cast = colliding(twin, folder)
        from_front = np.r_[np.array(handle.position) + 0.2 * np.array(handle.outward), -np.array(handle.outward)]
        behind = np.r_[np.add(handle.position, (0.01, 0, 0)), 1, 0, 0]
        to_bar, to_door = cast(np.stack([from_front, behind]))
        assert to_bar == pytest.approx(0.2 - handle.thickness / 2, abs=1e-4)
        assert 0.02 < to_door < 0.05


def free_shares(twin, folder, seed, draws):
    """[(task, side, share of draws that can be done)], with the kitchen where it was built."""
    reach, generator = TwinReach(twin, folder), np.random.default_rng(seed)
    for task in twin.tasks:
        for side in ("left", "right") if task == "put_in_sink" else ("front",):
            yield task, side, reach.share(task, side, draws, generator, scale=0.0).free


def test_the_gripper_gets_from_home_to_object_and_goal_and_touches_nothing(twins):
    for seed in FEW[:3]:
        assert [found for found in free_shares(*twins[seed], seed, 1) if found[2] < 1.0] == []


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_gripper_gets_there_in_64_kitchens(tmp_path):
    found = {"put_in_sink": [], "open_cabinet": [], "put_in_cabinet": []}
    for seed in MANY:
        folder = tmp_path / str(seed)
        folder.mkdir()
        twin, files = kitchen(seed, DAY)
        save_kitchen(folder, twin, files)
        for task, _, share in free_shares(twin, folder, seed, 4):
            found[task].append(share)
    assert min(found["put_in_sink"]) == min(found["open_cabinet"]) == 1.0
    # A lower bound: the test knows only a few ways to put something on a shelf.
    assert min(found["put_in_cabinet"]) > 0.0 and np.mean(found["put_in_cabinet"]) > 0.9


@pytest.mark.nightly
def test_a_thousand_kitchens_can_be_laid_out():
    assert len({descriptor(layout_of(seed)) for seed in range(1000)}) == 1000


def test_making_again_makes_only_what_is_missing_or_broken(tmp_path):
    out = tmp_path / "kitchens"
    assert main(MakeArgs(out, n=3, overview=0)) == 0
    stamps = [(folder_of(out, seed) / "twin.yaml").stat().st_mtime_ns for seed in range(3)]
    (folder_of(out, 1) / "kitchen.glb").write_bytes(b"cut sh")
    (folder_of(out, 2) / "twin.yaml").unlink()
    assert main(MakeArgs(out, n=3, overview=1)) == 0
    again = [(folder_of(out, seed) / "twin.yaml").stat().st_mtime_ns for seed in range(3)]
    assert [a == b for a, b in zip(stamps, again, strict=True)] == [True, False, False]
    assert all(check_twin(folder_of(out, seed)) == [] for seed in range(3))
    assert (out / "overview.png").stat().st_size > 10_000
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_kitchen_that_was_made_otherwise_is_neither_kept_as_if_it_were_the_one_nor_replaced(tmp_path, capsys):
    assert main(MakeArgs(tmp_path, n=1, overview=0)) == 0
    clean = (folder_of(tmp_path, 0) / "kitchen.glb").read_bytes()
    assert main(MakeArgs(tmp_path, n=2, overview=0, defects=0.5)) == 2
    said = capsys.readouterr().err
    assert str(folder_of(tmp_path, 0)) in said and "take another folder" in said
    assert (folder_of(tmp_path, 0) / "kitchen.glb").read_bytes() == clean and not folder_of(tmp_path, 1).exists()


@pytest.mark.parametrize("wrong", [{"n": 0}, {"seed": -1}, {"defects": 1.5}])
def test_wrong_numbers_are_refused_and_nothing_is_made(wrong, tmp_path, capsys):
    assert main(MakeArgs(tmp_path / "out", **wrong)) == 2
    assert f"--{next(iter(wrong))}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
