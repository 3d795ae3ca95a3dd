"""Open surfaces made solid, and solids cut into convex pieces."""

import numpy as np
import pytest
import trimesh

from casher_sim.boxes import cover
from casher_sim.decompose import HullParameters, hulls
from casher_sim.solidify import solidify, surface

CELL_M = 0.02
LOW, HIGH = (-0.5, -0.5, -0.4), (0.5, 0.5, 0.6)


def worktop(hole=False, bottom=False):
    """A block of 0.8 x 0.8 m whose top is at z = 0, without sides below -0.3 -> vertices, faces."""
    block = trimesh.creation.box((0.8, 0.8, 0.6)).subdivide().subdivide().subdivide().subdivide()
    block.apply_translation((0.0, 0.0, -0.3))
    centres = block.triangles_center
    keep = np.ones(len(centres), dtype=bool) if bottom else centres[:, 2] > -0.55
    if hole:
        keep &= np.linalg.norm(centres - (0.1, 0.1, 0.0), axis=1) > 0.035
    return np.asarray(block.vertices), np.asarray(block.faces)[keep]


def solid_of(vertices, faces, trust=True):
    return solidify(vertices, faces, LOW, HIGH, CELL_M, 0.2, trust)


def at(solid, point):
    """Signed distance of the cell that holds the point."""
    return solid.distance[tuple(((np.array(point) - solid.low) / solid.cell_m).astype(int))]


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("hole", [True, False])
def test_an_open_worktop_with_a_hole_is_solid_inside_and_air_above(hole, trust):
    solid = solid_of(*worktop(hole), trust=trust)
    assert at(solid, (0.1, 0.1, -0.1)) < 0 and at(solid, (-0.2, 0.2, -0.3)) < 0
    assert at(solid, (0.1, 0.1, 0.1)) > 0 and at(solid, (0.45, 0.45, -0.2)) > 0


def test_where_air_leaks_in_the_skin_is_still_backed():
    vertices, faces = worktop()
    lid = faces[vertices[faces][..., 2].min(axis=1) > -0.01]
    solid = solid_of(vertices, lid)
    assert at(solid, (0.0, 0.0, -0.011)) < 0
    assert at(solid, (0.0, 0.0, -0.2)) > 0, "nothing encloses the space below a lid"


def test_the_surface_stays_where_the_scan_has_it():
    vertices, _ = surface(solid_of(*worktop()), (-0.3, -0.3, -0.2), (0.3, 0.3, 0.2), smooth_cells=0.0)
    middle = vertices[(np.abs(vertices[:, :2]) < 0.2).all(axis=1) & (vertices[:, 2] > -0.1)]
    assert np.abs(middle[:, 2]).max() < 0.002


def test_the_surface_is_closed_and_erosion_moves_it_inwards():
    solid = solid_of(*worktop())
    box = (-0.3, -0.3, -0.2), (0.3, 0.3, 0.2)
    whole, eroded = (trimesh.Trimesh(*surface(solid, *box, erode)) for erode in (0.001, 0.008))
    assert whole.is_watertight and eroded.is_watertight
    top = [mesh.vertices[(np.abs(mesh.vertices[:, :2]) < 0.1).all(axis=1)][:, 2].max() for mesh in (whole, eroded)]
    assert top[0] - top[1] == pytest.approx(0.007, abs=0.001)


def test_a_box_with_nothing_in_it_is_refused():
    solid = solid_of(*worktop())
    with pytest.raises(ValueError, match="nothing is solid"):
        surface(solid, (-0.2, -0.2, 0.2), (0.2, 0.2, 0.4))
    with pytest.raises(ValueError, match="outside"):
        surface(solid, (5.0, 5.0, 5.0), (6.0, 6.0, 6.0))


def test_no_air_at_all_is_refused():
    vertices, faces = worktop()
    with pytest.raises(ValueError, match="no air"):
        solidify(vertices, faces, (-0.02, -0.02, -0.02), (0.02, 0.02, 0.0), CELL_M, 0.0, True)


def inside_boxes(boxes, points):
    return np.any([(np.abs(points - b.center) <= np.array(b.half_size) + 1e-9).all(axis=1) for b in boxes], axis=0)


def test_boxes_cover_the_skin_and_nothing_of_the_air():
    solid = solid_of(*worktop())
    boxes = cover(solid, 0.04)
    cells = np.argwhere(solid.distance > 0.045)
    assert not inside_boxes(boxes, solid.low + (cells + 0.5) * CELL_M).any()
    skin = np.argwhere((solid.distance < -0.02) & (solid.distance > -0.04))
    assert inside_boxes(boxes, solid.low + (skin + 0.5) * CELL_M).mean() > 0.97
    assert len(boxes) < 100


def test_boxes_meet_the_aligned_height_exactly():
    boxes = cover(solid_of(*worktop()), 0.03, align_z=0.0)
    tops = [box.center[2] + box.half_size[2] for box in boxes]
    assert max(tops) == pytest.approx(0.0, abs=1e-9)


def test_boxes_leave_out_what_something_else_covers():
    low, high = np.array([-0.1, -0.1, -0.3]), np.array([0.2, 0.2, 0.1])
    boxes = cover(solid_of(*worktop()), 0.04, without=[(low, high)])
    points = np.random.default_rng(0).uniform(low + 0.041, high - 0.041, (500, 3))
    assert not inside_boxes(boxes, points).any()


def test_the_same_solid_gives_the_same_boxes():
    solid = solid_of(*worktop())
    assert cover(solid, 0.04, seed=3) == cover(solid, 0.04, seed=3)


def test_hulls_fill_the_region_up_to_its_surface():
    pieces = hulls(solid_of(*worktop()), (-0.1, -0.1, -0.1), (0.1, 0.1, 0.1), HullParameters(hulls=2, erode_m=0.0))
    assert 1 <= len(pieces) <= 2
    vertices = np.concatenate([v for v, _ in pieces])
    assert vertices[:, 2].max() == pytest.approx(0.0, abs=0.003)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), (0.2, 0.2, 0.1), atol=0.025)
