"""A phone's scan of a kitchen becomes a digital twin, in a folder that is there whole or not at all."""

import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from casher_sim.boxes import cover
from casher_sim.decompose import hulls
from casher_sim.mesh_file import write_glb, write_hulls
from casher_sim.scan_clean import clean, decimate, weld
from casher_sim.scan_place import place
from casher_sim.scan_read import ScanError, read_scan
from casher_sim.solidify import solidify
from casher_sim.texture_bake import bake
from casher_sim.twin import Body, Consent, Provenance, TaskSupport, Twin, TwinError, to_base, to_scan
from casher_sim.twin_check import check_twin
from casher_sim.twin_file import save_twin
from casher_sim.yaml_node import NAME

CROP = ((-1.0, -1.8, -1.3), (2.0, 1.8, 1.8))
"""What is kept of the scan [m], base frame."""
CONTACT = ((-0.6, -1.2, -0.5), (1.4, 1.2, 1.2))
"""Where the twin has contacts [m], base frame: wherever the arm gets, and some more."""
REGION_MARGIN = ((0.07, 0.07, 0.06), (0.07, 0.07, 0.04))
"""Around the basin, below and above (x, y, z) [m]: what is decomposed accurately."""
AIR_ABOVE_M = 0.25
"""Above the worktop there is mostly air from here on."""
TRUST_FACING = 0.8
"""Share of the worktop's triangles that must face up for front sides to be believed."""
STEPS = ("read", "frame", "clean", "texture", "solid", "hulls", "boxes", "save")
OBJECTS = ("bowl", "mug", "box")


@dataclass(frozen=True)
class ImportArgs:
    """Make a digital twin of a scan (GLB, glTF, OBJ, USDZ)."""

    file: tyro.conf.Positional[Path]
    """The scan."""
    out: tyro.conf.Positional[Path]
    """Folder of the twin; must not exist yet."""
    name: str | None = None
    """Of the kitchen; without it the folder's."""
    up: str | None = None
    """'y' or 'z', the scan's up axis; without it, guessed from the surfaces."""
    scale: float | None = None
    """Metres per unit of the scan; without it, the format's own word."""
    base: tuple[float, float, float, float] | None = None
    """x y z [m] and yaw [deg] of the robot's base in the upright scan (z up, its own origin); without it, proposed."""
    region: Annotated[tuple[tuple[float, float, float, float, float, float], ...], tyro.conf.UseAppendAction] = ()
    """x0 y0 z0 x1 y1 z1 [m], base frame, may be repeated: contacts are accurate in there; without it, in the basin."""
    triangles: int = 40_000
    """Of the visual mesh, at most about."""
    texel_m: float = 0.003
    """Of the visual mesh's texture, at least."""
    cell_m: float = 0.01
    """Cell of the solid."""
    box_m: float = 0.03
    """Edge of the smallest box, where no task needs an accurate surface."""
    app: str | None = None
    """That made the scan, for the record."""
    consent_by: str | None = None
    """Who allowed that this kitchen is used."""
    consent_scope: str | None = None
    """For what, in words."""
    synthetic: bool = False
    """The scan shows nobody's home: no consent is needed."""


@dataclass(frozen=True)
class Imported:
    """What an import has to tell."""

    facts: tuple
    """What was found, sentences."""
    warnings: tuple
    """What to look at, sentences."""


def import_scan(args, progress=lambda step, fraction: None):
    """Make the twin -> Imported. ScanError and TwinError for what is refused; then nothing is left behind.

    progress is called with one of STEPS and 0..1.
    """
    if args.out.exists():
        raise TwinError(f"{args.out} exists: choose another folder, or delete it first")
    consent, name = _consent(args), _name(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{args.out.name}.", suffix=".partial", dir=args.out.parent))
    try:
        imported = _fill(partial, replace(args, name=name), consent, progress)
        partial.chmod(0o755)
        partial.rename(args.out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return imported


def main(args):
    """Entry point of `casher scan import`; 2 when the scan or an argument is refused."""
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    try:
        with Progress(SpinnerColumn(), *Progress.get_default_columns()[:3], TimeElapsedColumn()) as bar:
            task = bar.add_task(STEPS[0], total=len(STEPS))

            def show(step, fraction):
                bar.update(task, description=step, completed=STEPS.index(step) + fraction)

            imported = import_scan(args, show)
            bar.update(task, description="done", completed=len(STEPS))
    except (ScanError, TwinError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    for text in imported.facts:
        print(text)
    for text in imported.warnings:
        print(f"warning: {text}", file=sys.stderr)
    print(f"wrote {args.out}: look at it with 'casher twin show {args.out}'")
    return 0


def _consent(args):
    if args.synthetic:
        return None
    if not args.consent_by or not args.consent_scope:
        raise TwinError(
            "a scan of somebody's kitchen needs their consent: give --consent-by and --consent-scope, or --synthetic"
        )
    return Consent(args.consent_by, args.consent_scope, datetime.now(UTC).date().isoformat())


def _name(args):
    if args.name is None:
        name = re.sub(r"[^a-z0-9_]+", "_", args.out.name.lower()).strip("_")
        return name if name[:1].isalpha() else f"kitchen_{name}"
    if not re.fullmatch(NAME, args.name):
        raise TwinError(f"--name must be lower-case letters, digits and _, got {args.name!r}")
    return args.name


def _fill(folder, args, consent, progress):
    facts, warnings = [], []
    progress("read", 0.0)
    scan = read_scan(args.file)
    warnings += scan.warnings
    raw, raw_faces = _joined(scan.meshes)
    facts.append(f"read {len(raw_faces)} triangles in {len(scan.meshes)} meshes")
    progress("frame", 0.0)
    placed = place(scan, raw, raw_faces, args.up, args.scale, args.base)
    facts += placed.facts
    warnings += placed.warnings
    twin = _described(args, placed, consent)
    progress("clean", 0.0)
    in_base = [replace(mesh, vertices=to_base(twin, mesh.vertices).astype(np.float32)) for mesh in scan.meshes]
    vertices, faces = weld(*_joined(in_base))
    vertices, faces, report = clean(vertices, faces, *map(np.array, CROP))
    if not len(faces):
        raise ScanError("nothing of the scan lies near the base: correct --base")
    holes = f"{report.holes} holes, the largest with a rim of {report.largest_hole_m:.2f} m"
    pieces = f"{report.islands} floating pieces ({report.island_triangles} triangles) dropped"
    facts.append(f"{report.triangles} triangles near the robot; {pieces}; {holes}")
    visual_vertices, visual_faces = decimate(vertices, faces, args.triangles)
    progress("texture", 0.0)
    visual = bake(in_base, visual_vertices, visual_faces, args.texel_m)
    side = visual.texture.shape[0]
    facts.append(f"visual mesh: {len(visual_faces)} triangles, a texture of {side} x {side}")
    write_glb(folder / "kitchen.glb", [replace(visual, vertices=to_scan(twin, visual.vertices))])
    progress("solid", 0.0)
    trusted = placed.planes.facing_up > TRUST_FACING
    if not trusted:
        warnings.append(
            f"{placed.planes.facing_up:.0%} of the worktop's triangles face up: front sides are not believed"
        )
    solid = _solid(args, vertices, faces, placed.worktop_z, trusted, lambda fraction: progress("solid", fraction))
    progress("hulls", 0.0)
    regions = [(np.array(r[:3]), np.array(r[3:])) for r in args.region] or _regions(placed.layout)
    found = []
    for i, (a, b) in enumerate(regions):
        try:
            found += hulls(solid, a, b)
        except ValueError as error:
            raise ScanError(f"region {i}: {error}") from None
        progress("hulls", (i + 1) / len(regions))
    if found:
        write_hulls(folder / "kitchen_collision.glb", [(to_scan(twin, v), f) for v, f in found])
    progress("boxes", 0.0)
    boxes = cover(solid, args.box_m, placed.worktop_z, regions)
    facts.append(f"contacts: {len(found)} hulls in {len(regions)} regions, {len(boxes)} boxes elsewhere")
    progress("save", 0.0)
    body = Body("kitchen", "kitchen.glb", "kitchen_collision.glb" if found else None, boxes)
    save_twin(replace(twin, bodies=(body,)), folder)
    warnings += [finding.text for finding in check_twin(folder)]
    return Imported(tuple(facts), tuple(warnings))


def _solid(args, vertices, faces, worktop_z, trusted, progress):
    """Signed distance over the part of the scan that the arm gets to -> Solid."""
    low, high = (np.array(corner) for corner in CONTACT)
    low, high = np.maximum(low, vertices.min(axis=0)), np.minimum(high, vertices.max(axis=0) + args.cell_m)
    air_z = worktop_z + AIR_ABOVE_M
    high[2] = max(high[2], air_z + 0.1)  # where a scan shows nothing but the worktop
    try:
        return solidify(vertices, faces, low, high, args.cell_m, air_z, trusted, progress)
    except ValueError as error:
        raise ScanError(str(error)) from None


def _described(args, placed, consent):
    """Everything but the bodies -> Twin."""
    layout, today = placed.layout, datetime.now(UTC).date().isoformat()
    return Twin(
        name=args.name,
        scan_up=placed.axis,
        scale=placed.scale,
        T_base_scan=placed.T_base_scan,
        bodies=(),
        sites={} if layout.sink is None else {"sink": layout.sink},
        handle=None,
        spawns=layout.spawns,
        tasks={"put_in_sink": TaskSupport(OBJECTS)} if layout.sink and layout.spawns else {},
        provenance=Provenance("scan", today, f"casher {version('casher')}", app=args.app),
        consent=consent,
    )


def _regions(layout):
    """The basin with a margin -> [(low, high)], base frame."""
    if layout.sink is None:
        return []
    s = layout.sink
    low = np.array([s.position[0] - s.half_size[0], s.position[1] - s.half_size[1], s.position[2]])
    high = np.array([s.position[0] + s.half_size[0], s.position[1] + s.half_size[1], s.rim_z])
    return [(low - REGION_MARGIN[0], high + REGION_MARGIN[1])]


def _joined(meshes):
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float64)
    return vertices, np.concatenate([mesh.faces + start for mesh, start in zip(meshes, offsets[:-1], strict=True)])
