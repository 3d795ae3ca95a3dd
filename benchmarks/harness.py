"""What every benchmark shares: timing, and the one line of JSON it ends with.

A benchmark is benchmarks/NAME.py: a docstring whose first line says what it shows, and a main() that returns
finish(...).
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


def finish(name, value, unit, target, holds, detail):
    """Save benchmarks/results/NAME.json, print where it is and one line of JSON -> exit code, 0 if the target holds.

    value: a number; target: a string like ">= 4"; holds: whether value meets it; detail: dict, in the file only.
    """
    line = {"name": name, "value": round(float(value), 4), "unit": unit, "target": target, "holds": bool(holds)}
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    record = {
        **line,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"make bench NAME={name}",
        "machine": machine(),
        "detail": detail,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"detail: {path.relative_to(ROOT)}")
    print(json.dumps(line))
    sys.stdout.flush()
    return 0 if holds else 1


def times_ms(function, repeats, warm_ups=2):
    """Wall time of each of `repeats` calls, (repeats,) [ms], after `warm_ups` calls that do not count."""
    for _ in range(warm_ups):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return np.array(times)


def summary(times):
    """Times [ms] -> dict of their number, median, 99th percentile, least and greatest."""
    values = {"median": np.median(times), "p99": np.percentile(times, 99), "min": times.min(), "max": times.max()}
    return {"n": len(times), **{f"{key}_ms": round(float(value), 3) for key, value in values.items()}}


def commit():
    """The checkout's commit, with "-dirty" when tracked files (but results) differ from it; "unknown" outside git."""

    def git(*arguments):
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results").strip()
        return git("rev-parse", "HEAD").strip() + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine():
    """What the numbers depend on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
