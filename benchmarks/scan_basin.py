"""Height error of a sink's floor and walls in the contacts of an imported noisy scan, against the scan's known truth.

A synthetic scan is imported as a user would (`casher scan import`), and both the truth and the twin's collision pieces
are looked down upon over the basin. value is the median over kitchens of each one's median absolute error [mm]; the
target also wants the worst kitchen's 95th percentile <= 10 mm.
"""

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import open3d as o3d

from benchmarks.harness import finish
from benchmarks.noisy_scan import BASIN, BASIN_HALF, COUNTER_Z, make_scan
from casher_sim.mesh_file import write_glb
from casher_sim.scan_import import ImportArgs, import_scan
from casher_sim.twin import to_base
from casher_sim.twin_file import load_twin
from casher_sim.twin_geometry import collision_pieces

SEEDS = (0, 1, 2)
WALL_M = 0.03
"""Looked at is the basin without this margin, where its walls are steep and a height says little."""
STEP_M = 0.01
MEDIAN_MM, P95_MM = 4.0, 10.0


def main():
    """Measure -> exit code."""
    kitchens = [measure(seed) for seed in SEEDS]
    medians = [k["vs_truth"]["median_mm"] for k in kitchens]
    p95 = max(k["vs_truth"]["p95_mm"] for k in kitchens)
    value = float(np.median(medians))
    detail = {"kitchens": kitchens, "worst_p95_mm": p95}
    return finish("scan_basin", value, "mm", "<= 4, and p95 <= 10", value <= MEDIAN_MM and p95 <= P95_MM, detail)


def measure(seed):
    """Import one scan -> dict of errors [mm] and times [s]."""
    scan = make_scan(seed)
    steps = {}
    with tempfile.TemporaryDirectory() as folder:
        write_glb(Path(folder) / "scan.glb", [scan.mesh])
        out = Path(folder) / "twin"
        start = time.perf_counter()

        def progress(step, fraction):
            steps.setdefault(step, time.perf_counter() - start)

        import_scan(ImportArgs(Path(folder) / "scan.glb", out, up="z", synthetic=True), progress)
        steps["end"] = time.perf_counter() - start
        twin = load_twin(out)
        pieces = [piece for body in twin.bodies for piece in collision_pieces(twin, out, body)]
        seen = to_base(twin, scan.mesh.vertices)
        truth = to_base(twin, scan.truth.vertices)
        rays = rays_over_basin(twin)
    heights = [look_down(rays, [(v, f)]) for v, f in ((truth, scan.truth.faces), (seen, scan.mesh.faces))] + [
        look_down(rays, pieces)
    ]
    names = list(steps)
    return {
        "seed": seed,
        "triangles": len(scan.mesh.faces),
        "vs_truth": errors(heights[2], heights[0]),
        "scan_vs_truth": errors(heights[1], heights[0]),
        "vs_scan": errors(heights[2], heights[1]),
        "hulls_and_boxes": len(pieces),
        "steps_s": {a: round(steps[b] - steps[a], 2) for a, b in pairwise(names)},
        "without_coacd_s": round(steps["end"] - (steps["boxes"] - steps["hulls"]), 1),
    }


def rays_over_basin(twin):
    """(N, 6) rays down onto the basin of the synthetic kitchen, base frame, from 25 cm above the worktop."""
    x = np.arange(BASIN[0] - BASIN_HALF[0] + WALL_M, BASIN[0] + BASIN_HALF[0] - WALL_M, STEP_M)
    y = np.arange(BASIN[1] - BASIN_HALF[1] + WALL_M, BASIN[1] + BASIN_HALF[1] - WALL_M, STEP_M)
    grid = np.stack(np.meshgrid(x, y, [COUNTER_Z + 0.20], indexing="ij"), axis=-1).reshape(-1, 3)
    start = to_base(twin, grid)
    return np.c_[start, np.tile((0.0, 0.0, -1.0), (len(start), 1))].astype(np.float32)


def look_down(rays, pieces):
    """Height [m] (N,) of what each ray hits first of [(vertices, faces)]; -inf: nothing."""
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    for vertices, faces in pieces:
        scene.add_triangles(
            o3d.core.Tensor(np.ascontiguousarray(vertices, np.float32)), o3d.core.Tensor(faces.astype(np.uint32))
        )
    return rays[:, 2] - scene.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy()


def errors(found, wanted):
    """Heights [m] -> dict [mm]: median and 95th percentile of the absolute error, median error, misses."""
    both = np.isfinite(found) & np.isfinite(wanted)
    error = 1e3 * (found[both] - wanted[both])
    return {
        "median_mm": round(float(np.median(np.abs(error))), 2),
        "p95_mm": round(float(np.percentile(np.abs(error), 95)), 2),
        "bias_mm": round(float(np.median(error)), 2),
        "rays": len(found),
        "missed": int((~both).sum()),
    }


if __name__ == "__main__":
    sys.exit(main())
