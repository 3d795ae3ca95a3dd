"""A whole scan imported."""

from dataclasses import replace

import numpy as np
import pytest
from twins import textured_square

from benchmarks.noisy_scan import BASIN_DEPTH, make_scan
from casher_perception.geometry import inverse, transform
from casher_sim import scan_import
from casher_sim.mesh_file import read_glb, write_glb
from casher_sim.scan_import import STEPS, ImportArgs, import_scan, main
from casher_sim.scan_read import ScanError
from casher_sim.twin import Y_UP_TO_BASE, TwinError
from casher_sim.twin_check import check_twin
from casher_sim.twin_file import load_twin

WORKTOP_PATCH = (0.4, -0.62, 0.05, 0.5, -0.52, 0.2)
"""A small region: CoACD takes a second for it."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A coarse synthetic scan with y up, as GLB wants it."""
    mesh = make_scan(0, voxel_m=0.02, half_width=0.75).mesh
    path = tmp_path_factory.mktemp("scan") / "scan.glb"
    write_glb(path, [replace(mesh, vertices=transform(inverse(Y_UP_TO_BASE), mesh.vertices))])
    return path


@pytest.fixture(scope="module")
def arguments(file):
    return ImportArgs(
        file,
        file.parent / "My kitchen",
        region=(WORKTOP_PATCH,),
        triangles=6000,
        texel_m=0.02,
        cell_m=0.02,
        consent_by="the owner",
        consent_scope="research",
    )


@pytest.fixture(scope="module")
def imported(arguments):
    """What the import said, the steps it went through."""
    steps = []
    told = import_scan(arguments, lambda step, fraction: steps.append((step, fraction)))
    return told, steps


def test_an_imported_scan_is_a_twin_without_errors(arguments, imported):
    assert [finding for finding in check_twin(arguments.out) if finding.level == "error"] == []
    twin = load_twin(arguments.out)
    assert (twin.name, twin.scan_up, twin.scale) == ("my_kitchen", "y", 1.0)
    assert twin.provenance.source == "scan"
    assert set(twin.tasks) == {"put_in_sink"}


def test_the_sink_is_as_deep_as_it_is(arguments, imported):
    sink = load_twin(arguments.out).sites["sink"]
    assert sink.rim_z - sink.position[2] == pytest.approx(BASIN_DEPTH, abs=0.02)
    assert 0.45 <= sink.position[0] <= 0.77, "where the released trajectories have it"


def test_the_meshes_lie_in_the_scan_s_frame(file, arguments, imported):
    scan = np.concatenate([mesh.vertices for mesh in read_glb(file)])
    visual = np.concatenate([mesh.vertices for mesh in read_glb(arguments.out / "kitchen.glb")])
    assert (visual.min(axis=0) > scan.min(axis=0) - 0.02).all()
    assert (visual.max(axis=0) < scan.max(axis=0) + 0.02).all()


def test_the_steps_are_reported_in_order(imported):
    _, steps = imported
    order = [STEPS.index(step) for step, _ in steps]
    assert order == sorted(order)
    assert {step for step, _ in steps} == set(STEPS)
    assert all(0.0 <= fraction <= 1.0 for _, fraction in steps)


def test_what_was_found_is_told(imported):
    told, _ = imported
    text = " ".join(told.facts)
    for words in ("up axis: y", "above the floor", "floating pieces", "holes", "hulls in 1 regions", "base at"):
        assert words in text, words


def test_a_folder_that_exists_is_not_touched(arguments, imported):
    before = sorted(path.stat().st_mtime_ns for path in arguments.out.iterdir())
    with pytest.raises(TwinError, match="exists"):
        import_scan(arguments)
    assert sorted(path.stat().st_mtime_ns for path in arguments.out.iterdir()) == before


def test_a_refused_scan_leaves_nothing_behind(tmp_path):
    write_glb(tmp_path / "scan.glb", [textured_square()])
    with pytest.raises(ScanError, match="no worktop"):
        import_scan(ImportArgs(tmp_path / "scan.glb", tmp_path / "twins" / "a", up="y", synthetic=True))
    assert list((tmp_path / "twins").iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_interrupted_import_leaves_nothing_behind(arguments, tmp_path, monkeypatch, stop):
    def interrupted(*_):
        raise stop

    monkeypatch.setattr(scan_import, "bake", interrupted)
    with pytest.raises(stop):
        import_scan(replace(arguments, out=tmp_path / "twins" / "a"))
    assert list((tmp_path / "twins").iterdir()) == []


def test_a_region_off_the_kitchen_is_refused(arguments, tmp_path):
    with pytest.raises(ScanError, match="region 0"):
        import_scan(replace(arguments, out=tmp_path / "a", region=((0.3, 0.0, 0.6, 0.35, 0.05, 0.65),)))


def test_a_kitchen_of_somebody_needs_their_consent(arguments, tmp_path):
    for missing in ("consent_by", "consent_scope"):
        with pytest.raises(TwinError, match="consent"):
            import_scan(replace(arguments, out=tmp_path / "a", **{missing: None}))


def test_consent_is_written_down(arguments, imported):
    consent = load_twin(arguments.out).consent
    assert (consent.given_by, consent.scope) == ("the owner", "research")


def test_a_wrong_name_is_refused_before_anything_is_read(arguments, tmp_path):
    with pytest.raises(TwinError, match="--name"):
        import_scan(replace(arguments, name="My kitchen", file=tmp_path / "none.glb", out=tmp_path / "a"))


def test_the_command_says_why_it_refuses(tmp_path, capsys):
    (tmp_path / "scan.glb").write_bytes(b"")
    assert main(ImportArgs(tmp_path / "scan.glb", tmp_path / "a", synthetic=True)) == 2
    assert "refused: scan.glb is empty" in capsys.readouterr().err
