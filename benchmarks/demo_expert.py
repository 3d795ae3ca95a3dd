"""What a newcomer gets: `make demo` on a fresh clone, 10 episodes with the expert, from nothing to the report.

Holds when at least 9 of the 10 succeed, the recorder dropped nothing, and all of it, downloads included, took under
15 minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import ROOT, finish

EPISODES = 10
LIMIT_S = 15 * 60


def main():
    with tempfile.TemporaryDirectory(prefix="casher-demo-") as folder:
        clone = Path(folder) / "casher"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        # Nothing of this environment may help: the demo makes its own.
        env = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("ROS_", "CASHER_", "AMENT_", "_ROS", "LD_LIB", "VIRTUAL"))
        }
        env["PATH"] = os.pathsep.join(p for p in env["PATH"].split(os.pathsep) if p != str(Path(sys.prefix) / "bin"))
        begin = time.monotonic()
        subprocess.run(["make", "setup"], cwd=clone, env=env, check=True)
        set_up_s = time.monotonic() - begin
        out = clone / "runs" / "demo"
        demo = subprocess.run(
            ["make", "demo", f"ARGS=policy:=expert twin:= episodes:={EPISODES} out:={out}"], cwd=clone, env=env
        )
        whole_s = time.monotonic() - begin
        group = json.loads((out / "report.json").read_text())["groups"][0]
    successes = group["success"]["successes"]
    dropped = group["messages_dropped"]
    detail = {
        "exit_code": demo.returncode,
        "set_up_s": round(set_up_s, 1),
        "whole_s": round(whole_s, 1),
        "report": {name: value for name, value in group.items() if name != "episodes"},
    }
    holds = demo.returncode == 0 and successes >= 9 and dropped == 0 and whole_s < LIMIT_S
    target = f">= 9 of {EPISODES}, 0 drops, whole < {LIMIT_S} s"
    return finish("demo_expert", successes, "successes", target, holds, detail)


if __name__ == "__main__":
    sys.exit(main())
