"""Whether a twin can be used: its file, its meshes, and whether the robot can do there what the twin says it can."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro

from casher_policy.task import DOOR_OPEN_RAD, TASKS
from casher_sim.mesh_file import MeshError
from casher_sim.twin import SITE_OF_TASK, UP_AXES, TwinError
from casher_sim.twin_file import load_twin
from casher_sim.twin_geometry import collision_pieces, visual_meshes

REACH_M = (0.3, 0.8)
"""Horizontal distance from the base at which the arm picks things up from a surface."""
EXTENT_M = (0.5, 10.0)
"""A kitchen smaller or larger than this has the wrong unit."""
UP_TOLERANCE_DEG = 10.0
SURFACE_TOLERANCE_M = 0.02
"""How far a site or spawn may be from the collision geometry below it."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a twin."""

    level: str
    """'error': it cannot be used so; 'warning': look at it."""
    text: str


@dataclass(frozen=True)
class CheckArgs:
    """Check digital twins: file, meshes, sites, reach. Exit code 1 when one of them has an error."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of twins."""
    json: bool = False
    """Write the findings as JSON."""


def check_twin(folder):
    """Folder -> [Finding], empty when all is well; never raises for a bad twin."""
    try:
        twin = load_twin(folder)
    except TwinError as error:
        return [Finding("error", str(error))]
    findings = [*_frame(twin), *_tasks(twin), *_spawns(twin)]
    pieces, drawn = [], []
    for body in twin.bodies:
        try:
            drawn += [mesh.vertices for mesh in visual_meshes(twin, folder, body)]
            pieces += collision_pieces(twin, folder, body)
        except (MeshError, TwinError) as error:
            findings.append(Finding("error", f"body {body.name!r}: {error}"))
        if body.collision is None and not body.boxes:
            findings.append(Finding("warning", f"body {body.name!r} has no collision: the arm passes through it"))
    if not any(body.collision or body.boxes for body in twin.bodies):
        findings.append(Finding("error", "no body has a collision mesh or boxes: everything would fall through"))
    findings += _extent(drawn or [vertices for vertices, _ in pieces])
    findings += _hulls(pieces)
    findings += _surfaces(twin, pieces)
    return sorted(findings, key=lambda finding: finding.level)


def main(args):
    """Entry point of `casher twin check`."""
    found = {str(folder): check_twin(folder) for folder in args.folders}
    if args.json:
        print(json.dumps({folder: [asdict(f) for f in findings] for folder, findings in found.items()}, indent=1))
    else:
        for folder, findings in found.items():
            print(f"{folder}: {'ok' if not findings else f'{len(findings)} finding(s)'}")
            for finding in findings:
                print(f"  {finding.level}: {finding.text}")
    if not found:
        print("no twin given: casher twin check FOLDER ...", file=sys.stderr)
        return 2
    return int(any(f.level == "error" for findings in found.values() for f in findings))


def _frame(twin):
    up = twin.T_base_scan[:3, :3] @ np.array(UP_AXES[twin.scan_up])
    angle = np.degrees(np.arccos(np.clip(up[2], -1.0, 1.0)))
    if angle > UP_TOLERANCE_DEG:
        yield Finding(
            "error", f"T_base_scan tilts the scan's up axis {twin.scan_up} by {angle:.0f} deg: correct it or scan_up"
        )
    if twin.consent is None and twin.provenance.source == "scan":
        yield Finding("warning", "a scan without consent: enter who allowed its use, unless it is synthetic")


def _tasks(twin):
    if not twin.tasks:
        yield Finding("warning", "no task is supported: add one under tasks")
    for name, support in twin.tasks.items():
        low, high = TASKS[name].crop
        if name in SITE_OF_TASK:
            site = twin.sites.get(SITE_OF_TASK[name])
            if site is None:
                yield Finding("error", f"task {name} needs the site {SITE_OF_TASK[name]!r}: add it under sites")
                continue
            if not support.objects:
                yield Finding("error", f"task {name} has no objects: name at least one kind")
            if not twin.spawns:
                yield Finding("error", f"task {name} has nowhere for its object to start: add a side under spawns")
            if site.rim_z <= site.position[2]:
                rim = f"rim_z {site.rim_z:g} is not above its surface {site.position[2]:g}"
                yield Finding("error", f"site {SITE_OF_TASK[name]!r}: {rim}")
            p, what = site.position, f"site {SITE_OF_TASK[name]!r}"
        else:
            if twin.handle is None:
                yield Finding("error", f"task {name} needs a handle: add it, with the body that it opens")
                continue
            joint = next(body.joint for body in twin.bodies if body.name == twin.handle.body)
            if joint.type == "hinge" and joint.range[1] <= DOOR_OPEN_RAD:
                opens = f"opens to {joint.range[1]:g} rad, {DOOR_OPEN_RAD} are needed"
                yield Finding("error", f"task {name}: the joint of body {twin.handle.body!r} {opens}")
            p, what = twin.handle.position, "the handle"
        if not all(a <= x <= b for a, x, b in zip(low, p, high, strict=True)):
            yield Finding("error", f"{what} at {_text(p)} lies outside the crop of task {name}, {low} to {high}")


def _spawns(twin):
    for side, spawn in twin.spawns.items():
        distance = np.hypot(*spawn.center[:2])
        if not REACH_M[0] <= distance <= REACH_M[1]:
            reach = f"{REACH_M[0]} to {REACH_M[1]} m"
            yield Finding(
                "error",
                f"spawn {side!r} at {_text(spawn.center)} is {distance:.2f} m from the base, within reach is {reach}",
            )


def _extent(vertices):
    if not vertices:
        return
    stacked = np.concatenate(vertices)
    extent = np.ptp(stacked, axis=0)
    if not EXTENT_M[0] <= extent.max() <= EXTENT_M[1]:
        plausible = f"{EXTENT_M[0]} to {EXTENT_M[1]} m are plausible"
        yield Finding("warning", f"the kitchen is {_text(extent)} m large, {plausible}: check scale")


def _hulls(pieces):
    flat = sum(1 for vertices, _ in pieces if np.linalg.matrix_rank(vertices - vertices.mean(axis=0), tol=1e-5) < 3)
    if flat:
        yield Finding("error", f"{flat} collision hulls are flat: a hull needs a volume")


def _surfaces(twin, pieces):
    if not pieces:
        return
    import open3d as o3d  # late: it takes a second to load

    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for vertices, faces in pieces:
        scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(faces.astype(np.uint32)))
    places = {f"site {name!r}": site.position for name, site in twin.sites.items()}
    places |= {f"spawn {side!r}": spawn.center for side, spawn in twin.spawns.items()}
    for what, position in places.items():
        above = 0.05
        ray = np.array([[*position, 0.0, 0.0, -1.0]], dtype=np.float32)
        ray[0, 2] += above
        below = float(scene.cast_rays(o3d.core.Tensor(ray))["t_hit"][0].item()) - above
        if abs(below) > SURFACE_TOLERANCE_M:
            where = "no collision surface below it" if np.isinf(below) else f"its surface {1e3 * below:.0f} mm below it"
            yield Finding("warning", f"{what} at {_text(position)} has {where}: correct its height")


def _text(numbers):
    return "(" + ", ".join(f"{x:.2f}" for x in numbers) + ")"
