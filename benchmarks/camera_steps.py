"""CPU time from two RealSense frame sets to one fused cloud: our kernels against rs.align + Open3D, step for step.

The arithmetic of `cameras_live` without playback, processes and transport, on recorded 640 x 480 frames: deproject,
colour, to base, crop, voxels of 5 mm, merge. CPU time, not wall time: a busy machine changes it little.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import cameras_live
from benchmarks.harness import finish

REPEATS = {"ours": 60, "open3d": 20}
TARGET = 4.0


def main():
    """Record half a second of two cameras, take one frame set of each, and count."""
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="casher-steps-") as scratch:
        folder = Path(scratch)
        cameras_live.write_cameras(folder, seconds=0.5)
        cameras = cameras_live.open_cameras(folder)
        frames = [camera.played.frames()[0] for camera in cameras]
        chains = {
            "ours": lambda: cameras_live.our_cloud(cameras, frames)[0],
            "open3d": lambda: np.asarray(cameras_live.open3d_cloud(cameras, frames).points),
        }
        results = {name: cpu_ms(chain, REPEATS[name]) for name, chain in chains.items()}
    ratio = results["open3d"]["median_ms"] / results["ours"]["median_ms"]
    detail = {**results, "load_average": [*loads, os.getloadavg()[0]]}
    sys.stdout.write(json.dumps(detail, indent=1) + "\n")
    unit = "times less CPU than rs.align + Open3D"
    code = finish("camera_steps", ratio, unit, f">= {TARGET:g}", ratio >= TARGET, detail)
    os._exit(code)  # librealsense's threads would be waited for


def cpu_ms(chain, repeats):
    """CPU time [ms] of this process for each call of chain() -> points."""
    points, times = chain(), []
    for _ in range(repeats):
        start = time.process_time()
        chain()
        times.append(1e3 * (time.process_time() - start))
    figures = {f"{name}_ms": round(float(np.percentile(times, q)), 2) for name, q in (("median", 50), ("p90", 90))}
    return {"n": repeats, **figures, "points": len(points)}


if __name__ == "__main__":
    sys.exit(main())
