"""`casher kitchens make`: a folder of procedural kitchens, each a twin, and a picture of them all."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from casher_sim.mesh_file import MeshError
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.procedural_pieces import KITCHEN
from casher_sim.scan_defects import as_scan
from casher_sim.twin import TwinError, to_base, to_scan
from casher_sim.twin_file import FILE, load_twin
from casher_sim.twin_geometry import collision_hulls, visual_meshes

OVERVIEW = "overview.png"
EYE, TARGET = (-1.05, 0.55, 1.05), (0.55, -0.02, 0.22)
"""[m], base frame: from where and at what the overview looks."""


@dataclass(frozen=True)
class MakeArgs:
    """Make procedural kitchens: one folder each, and a picture of them all. Run again it makes only what is missing."""

    out: tyro.conf.Positional[Path]
    """Folder to make them in."""
    n: int = 64
    """How many."""
    seed: int = 0
    """Of the first; the others follow by ones."""
    defects: float = 0.0
    """How much the meshes look like a phone's scan: 0 (clean) to 1. The collision stays exact."""
    overview: int = 25
    """How many of them the picture shows; 0 makes no picture."""


def main(args):
    """Entry point of `casher kitchens make`."""
    console = Console(stderr=True)
    if wrong := _wrong(args):
        console.print(f"[red]{wrong}")
        return 2
    seeds = range(args.seed, args.seed + args.n)
    if others := [folder for seed in seeds if _is_another(folder := folder_of(args.out, seed), seed, args.defects)]:
        console.print(
            f"[red]{escape(str(others[0]))} is there and was made otherwise, as the line 'provenance' of its {FILE} "
            "says: take another folder, or the same --defects",
            soft_wrap=True,
        )
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    made = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for seed in progress.track(seeds, description="kitchens"):
            made += make(args.out, seed, args.defects)
    if shown := seeds[: args.overview]:
        overview([folder_of(args.out, seed) for seed in shown], args.out / OVERVIEW)
        console.print(f"picture: {args.out / OVERVIEW}")
    console.print(f"{made} made, {args.n - made} kept, in {args.out}")
    return 0


def folder_of(out, seed):
    """Where the kitchen with that seed goes."""
    return Path(out) / f"kitchen_{seed:05d}"


def make(out, seed, defects=0.0):
    """Make one kitchen unless it is there and whole -> whether it was made. It appears at once or not at all."""
    folder = folder_of(out, seed)
    if _is_whole(folder, seed):
        return False
    partial = folder.with_name(f".{folder.name}.partial")
    for leftover in (partial, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    partial.mkdir()
    twin, files = kitchen(seed)
    if defects > 0.0:
        files = with_defects(twin, files, defects)
        twin = replace(twin, provenance=replace(twin.provenance, app=_app(defects)))
    save_kitchen(partial, twin, files)
    partial.rename(folder)
    return True


def with_defects(twin, files, amount):
    """The files of `kitchen` with the static body's visual mesh as a scan would show it."""
    visual = next(body.visual for body in twin.bodies if body.name == KITCHEN)
    in_base = [replace(mesh, vertices=to_base(twin, mesh.vertices).astype(np.float32)) for mesh in files[visual]]
    # a generator of its own, so that a scan of the same seed belongs to the same kitchen
    scan = as_scan(in_base, amount, np.random.default_rng((twin.provenance.seed, 1)))
    return files | {visual: [replace(scan, vertices=to_scan(twin, scan.vertices).astype(np.float32))]}


def overview(folders, path, width=320, height=240):
    """A sheet with one picture of each twin -> PNG at `path`."""
    from casher_sim.twin_show import picture

    columns = int(np.ceil(np.sqrt(len(folders))))
    sheet = Image.new("RGB", (columns * width, -(-len(folders) // columns) * height), "white")
    for i, folder in enumerate(folders):
        twin = load_twin(folder)
        meshes = [mesh for body in twin.bodies for mesh in visual_meshes(twin, folder, body)]
        tile = Image.fromarray(picture(meshes, EYE, TARGET, width, height))
        sheet.paste(tile, (i % columns * width, i // columns * height))
    partial = path.with_name(f".{path.name}.partial")
    sheet.save(partial, format="PNG")
    partial.replace(path)


def _app(defects):
    """What stands in the provenance of a kitchen for the program that scanned it."""
    return f"casher kitchens make --defects {defects:g}" if defects > 0.0 else None


def _is_another(folder, seed, defects):
    """Whether a readable twin lies there that is not the one to make."""
    try:
        about = load_twin(folder).provenance
    except TwinError:
        return False
    return (about.seed, about.app) != (seed, _app(defects))


def _is_whole(folder, seed):
    if not (folder / FILE).exists():
        return False
    try:
        twin = load_twin(folder)
        for body in twin.bodies:
            visual_meshes(twin, folder, body)
            collision_hulls(twin, folder, body)
    except (TwinError, MeshError):
        return False
    return twin.provenance.seed == seed


def _wrong(args):
    if args.n < 1:
        return f"--n must be at least 1, got {args.n}"
    if args.seed < 0:
        return f"--seed must be at least 0, got {args.seed}"
    if not 0.0 <= args.defects <= 1.0:
        return f"--defects must be within 0 and 1, got {args.defects}"
    if args.out.exists() and not args.out.is_dir():
        return f"{args.out} is a file: name a folder"
    return ""
