"""Procedural kitchens, whole: a seed gives a twin and its meshes; always the same ones."""

from datetime import date as Date
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from casher_sim.mesh_file import write_glb, write_hulls
from casher_sim.procedural_clutter import build_clutter
from casher_sim.procedural_furniture import build_base, build_wall_unit
from casher_sim.procedural_pieces import KITCHEN, Pieces
from casher_sim.procedural_room import build_room
from casher_sim.procedural_sampling import sample_layout
from casher_sim.procedural_tap import build_tap
from casher_sim.procedural_unit import DOOR, build_unit
from casher_sim.procedural_worktop import build_worktop
from casher_sim.twin import Y_UP_TO_BASE, Body, Provenance, Site, TaskSupport, Twin, to_scan
from casher_sim.twin_file import save_twin

OBJECTS = ("bowl", "mug", "box")
FIRST_UNSEEN_SEED = 1_000_000
"""Kitchens from this seed on are for evaluating only: nothing is ever trained in one."""


def layout_of(seed):
    """The Layout of the kitchen with that seed."""
    return sample_layout(np.random.default_rng(seed))


def kitchen(seed, day=None):
    """-> (Twin, {file: meshes}): [TexturedMesh] or, of collision, [(vertices, faces)], in the twin's scan frame.

    day: datetime.date of the provenance; None: today. Everything else follows from the seed alone.
    """
    layout = layout_of(seed)
    pieces = Pieces(layout.palette)
    build_room(pieces, layout)
    build_worktop(pieces, layout)
    build_tap(pieces, layout)
    build_base(pieces, layout)
    for unit in layout.wall_units:
        build_wall_unit(pieces, layout, unit)
    site, joint, handle = build_unit(pieces, layout) if layout.unit else (None, None, None)
    build_clutter(pieces, layout)
    joints = {KITCHEN: None} | ({DOOR: joint} if joint else {})
    bodies = tuple(_body(pieces, name, joint) for name, joint in joints.items())
    twin = Twin(
        name=f"kitchen_{seed:05d}",
        scan_up="y",
        scale=1.0,
        T_base_scan=Y_UP_TO_BASE,
        bodies=bodies,
        sites={"sink": sink_site(layout)} | ({"shelf": site} if site else {}),
        handle=handle,
        spawns=dict(layout.spawns),
        tasks=_tasks(site, handle),
        provenance=Provenance("procedural", (day or Date.today()).isoformat(), _software(), seed=seed),
        consent=None,
    )
    return twin, _files(twin, pieces)


def sink_site(layout):
    """The first bowl's floor; of a round one the square that fits into it."""
    basin = layout.basin
    cut = basin.corner * (1 - np.sqrt(0.5)) if basin.kind == "round" else 0.0
    half = tuple(float(h - cut) for h in basin.half)
    return Site((*map(float, basin.center), layout.counter_z - basin.depth), half, layout.counter_z)


def save_kitchen(folder, twin, files):
    """Write a twin and its meshes into an existing folder; twin.yaml comes last, so a folder that has it is whole."""
    hulls = {body.collision for body in twin.bodies}
    for name, meshes in files.items():
        (write_hulls if name in hulls else write_glb)(folder / name, meshes)
    save_twin(twin, folder)


def _body(pieces, name, joint):
    hulls = f"{name}_hulls.glb" if pieces.hulls[name] else None
    return Body(name, f"{name}.glb", hulls, tuple(pieces.boxes[name]), joint)


def _files(twin, pieces):
    files = {}
    for body in twin.bodies:
        meshes = pieces.meshes(body.name)
        files[body.visual] = [_replaced(mesh, to_scan(twin, mesh.vertices).astype(np.float32)) for mesh in meshes]
        if body.collision:
            files[body.collision] = [(to_scan(twin, v).astype(np.float32), f) for v, f in pieces.hulls[body.name]]
    return files


def _replaced(mesh, vertices):
    return type(mesh)(vertices, mesh.faces, mesh.colours, mesh.uv, mesh.texture)


def _tasks(site, handle):
    tasks = {"put_in_sink": TaskSupport(OBJECTS)}
    if site:
        tasks["put_in_cabinet"] = TaskSupport(OBJECTS)
    if handle:
        tasks["open_cabinet"] = TaskSupport(())
    return tasks


def _software():
    for name in ("casher", "casher_sim"):
        try:
            return f"casher {version(name)}"
        except PackageNotFoundError:
            continue
    raise RuntimeError("casher is not installed: run 'bash scripts/setup.sh'")
