"""A twin shown: a web page with its meshes, contacts, sites and the robot's reach, or a picture of the same."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
import tyro
from PIL import Image

from casher_sim.mesh_file import MeshError, as_trimesh, plain_mesh
from casher_sim.twin import Box, TwinError
from casher_sim.twin_check import REACH_M
from casher_sim.twin_file import load_twin
from casher_sim.twin_geometry import box_mesh, collision_pieces, visual_meshes

SITE_COLOUR, SPAWN_COLOUR, HANDLE_COLOUR, REACH_COLOUR = (40, 110, 230), (40, 170, 70), (220, 60, 160), (240, 150, 30)
MARK_M = 0.004
"""Half the thickness of a mark."""


@dataclass(frozen=True)
class ShowArgs:
    """Show a digital twin: a web page, or with --png a picture."""

    folder: tyro.conf.Positional[Path]
    """Folder of the twin."""
    port: int = 8080
    """Of the web page."""
    host: str = "127.0.0.1"
    """Address it listens on; 0.0.0.0 lets other machines see it."""
    png: Path | None = None
    """Write a picture here instead of serving the page."""
    collision: bool = False
    """Draw the collision pieces instead of the visual meshes (in the page there is a switch)."""
    eye: tuple[float, float, float] = (-0.55, -0.75, 0.95)
    """[m], base frame: where the picture is taken from, and from where the page shows it at first."""
    target: tuple[float, float, float] = (0.55, 0.05, 0.0)
    """[m], base frame: what it looks at."""
    size: tuple[int, int] = (960, 720)
    """Pixels of the picture."""


def main(args):
    """Entry point of `casher twin show`; 2 when there is no such twin, or the picture cannot be written."""
    try:
        twin = load_twin(args.folder)
        drawn = {body.name: visual_meshes(twin, args.folder, body) for body in twin.bodies}
        pieces = {body.name: coloured_pieces(twin, args.folder, body) for body in twin.bodies}
    except (TwinError, MeshError) as error:
        print(error, file=sys.stderr)
        return 2
    if args.png is not None:
        shown = pieces if args.collision else drawn
        meshes = [mesh for of_body in shown.values() for mesh in of_body] + list(marks(twin).values())
        try:
            Image.fromarray(picture(meshes, args.eye, args.target, *args.size)).save(args.png)
        except (OSError, ValueError) as error:
            print(f"cannot write the picture: {error}", file=sys.stderr)
            return 2
        print(f"wrote {args.png}")
        return 0
    return _serve(twin, drawn, pieces, args)


def coloured_pieces(twin, folder, body):
    """The collision pieces of a body, each in a colour of its own -> [TexturedMesh], base frame."""
    rng = np.random.default_rng(0)
    return [plain_mesh(v, f, rng.integers(70, 235, 3)) for v, f in collision_pieces(twin, folder, body)]


def marks(twin):
    """Flat boxes at sites and spawns, a bar at the handle, a ring at the robot's reach -> {name: TexturedMesh}."""
    found = {f"site {n}": _patch(s.position, s.half_size, 0.0, SITE_COLOUR) for n, s in twin.sites.items()}
    found |= {f"spawn {n}": _patch(s.center, s.half_size, s.yaw, SPAWN_COLOUR) for n, s in twin.spawns.items()}
    if twin.handle is not None:
        half = twin.handle.length / 2 * np.array(twin.handle.axis)
        bar = trimesh.creation.cylinder(
            twin.handle.thickness / 2 + MARK_M, segment=[twin.handle.position - half, twin.handle.position + half]
        )
        found["handle"] = plain_mesh(bar.vertices, bar.faces, HANDLE_COLOUR)
    for radius in REACH_M:
        ring = trimesh.creation.annulus(radius - MARK_M, radius + MARK_M, 2 * MARK_M, sections=96)
        found[f"reach {radius} m"] = plain_mesh(ring.vertices, ring.faces, REACH_COLOUR)
    return found


def picture(meshes, eye, target, width, height):
    """[TexturedMesh] in the base frame -> (H, W, 3) uint8, four rays a pixel."""
    from casher_sim.mesh_render import MeshRenderer

    large, _ = MeshRenderer(meshes, threads=0).render(eye, target, 2 * width, 2 * height)
    return np.asarray(Image.fromarray(large).resize((width, height), Image.Resampling.BOX))


def _patch(centre, half_size, yaw, colour):
    quat_xyzw = (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
    return plain_mesh(*box_mesh(Box(tuple(centre), (*half_size, MARK_M), quat_xyzw)), colour)


def _serve(twin, drawn, pieces, args):
    import viser

    server = viser.ViserServer(host=args.host, port=args.port, label=f"casher twin {twin.name}", verbose=False)
    server.scene.set_up_direction("+z")
    server.initial_camera.position, server.initial_camera.look_at = args.eye, args.target
    handles = {"meshes": [], "collision": [], "marks": []}
    shown = {"meshes": drawn, "collision": pieces, "marks": {name: [mark] for name, mark in marks(twin).items()}}
    for group, by_name in shown.items():
        for name, meshes in by_name.items():
            for i, mesh in enumerate(meshes):
                handle = server.scene.add_mesh_trimesh(f"/{group}/{name.replace(' ', '_')}/{i}", as_trimesh(mesh))
                handle.visible = group != "collision"
                handles[group].append(handle)
    server.scene.add_frame("/base", axes_length=0.2, axes_radius=0.006)
    for group, of_group in handles.items():
        box = server.gui.add_checkbox(group, group != "collision")

        @box.on_update
        def _(event, of_group=of_group):
            for handle in of_group:
                handle.visible = event.target.value

    server.gui.add_markdown(
        f"**{twin.name}**: {', '.join(twin.tasks) or 'no task'}  \n{twin.provenance.source}, {twin.provenance.date}, "
        f"{twin.provenance.software}"
    )
    print(f"showing {args.folder} at http://localhost:{server.get_port()}; Ctrl-C ends it", flush=True)
    try:
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        return 0
    finally:
        server.stop()
