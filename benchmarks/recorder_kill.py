"""kill -9 to the recorder in mid-episode: after `casher bag recover` all but the last second is there.

Several kills at different phases of the recorder's writing, under heavy load, where the file grows by full chunks, and
under light load, where the clock decides; the worst counts.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import finish
from benchmarks.recorder_load import TOPICS, cameras, recorder

KILLS = 8


def main():
    """Run it and report."""
    rng = np.random.default_rng(0)
    trials = []
    for number in range(KILLS):
        trials.append(kill_and_recover((20_000, 200)[number % 2], 2.0 + rng.uniform(0.0, 1.0)))
        sys.stdout.write(f"kill {number}: {trials[-1]}\n")
    worst = max(trial["seconds_lost"] for trial in trials)
    holds = worst <= 1.0 and all(trial["prefix_is_whole"] and trial["aborted"] for trial in trials)
    return finish("recorder_kill", worst, "s", "<= 1", holds, {"kills": trials})


def kill_and_recover(points, after_s):
    """One recorder killed `after_s` [s] into clouds of so many points -> what was lost."""
    from casher_bringup.recover import recover
    from casher_perception.bag_reader import read_bag

    with tempfile.TemporaryDirectory(prefix="casher-kill-") as scratch, recorder() as (process, session):
        bag = Path(scratch) / "bag"
        with cameras(60.0, points):
            session.start(bag)
            wait_for_clouds(bag)
            time.sleep(after_s)
            process.kill()
            killed_ns = time.time_ns()
            process.wait(15)
        recovered = recover(bag)
        stamps, numbers = {topic: [] for topic in TOPICS}, {topic: [] for topic in TOPICS}
        for record in read_bag(bag, list(TOPICS)):
            stamp = record.message.header.stamp
            stamps[record.topic].append(stamp.sec + 1e-9 * stamp.nanosec)
            numbers[record.topic].append(int(record.message.header.frame_id))
    return {
        "points": points,
        # Up to the latest cloud that is there of the camera that fares worse.
        "seconds_lost": round(killed_ns * 1e-9 - min(times[-1] for times in stamps.values()), 3),
        "clouds": {topic: len(times) for topic, times in stamps.items()},
        "prefix_is_whole": all(found == list(range(len(found))) for found in numbers.values()),
        "aborted": recovered.aborted,
    }


def wait_for_clouds(bag, timeout_s=30.0):
    """Until the bag grows."""
    path, end = bag / f"{bag.name}_0.mcap", time.monotonic() + timeout_s
    while path.stat().st_size < 20_000:
        if time.monotonic() > end:
            raise RuntimeError(f"no clouds in {path} after {timeout_s} s")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
