"""The recorder keeps up with 2 x 20 000 points at 30 Hz for a minute: no message lost, and the CPU it takes.

Cameras and recorder are processes of their own, as in an evaluation; the clouds travel best effort over shared memory.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.harness import finish

POINTS, RATE_HZ, SECONDS = 20_000, 30.0, 60.0
TOPICS = ("/camera_left/points", "/camera_right/points")


def main():
    """Run it and report."""
    with tempfile.TemporaryDirectory(prefix="casher-load-") as scratch, recorder() as (process, session):
        bag = Path(scratch) / "bag"
        with cameras(SECONDS) as publisher:
            session.start(bag)
            cpu_start, start = _cpu_s(process), time.monotonic()
            out, _ = publisher.communicate(timeout=SECONDS + 60)
            cpu, wall = _cpu_s(process) - cpu_start, time.monotonic() - start
        sent = int(out)
        answer = session.stop()
        size = sum(path.stat().st_size for path in bag.iterdir())
    recorded = answer.episode.messages_recorded
    detail = {
        "clouds_published": sent,
        "clouds_recorded": recorded,
        "lost_by_sequence_numbers": answer.episode.messages_dropped,
        "recorder_cpu_percent_of_one_core": round(100 * cpu / wall, 1),
        "megabytes_per_second": round(size / wall / 1e6, 1),
        "seconds": round(wall, 1),
        "load_average": os.getloadavg()[0],
    }
    for name, value in detail.items():
        sys.stdout.write(f"{name}: {value}\n")
    lost = max(sent - recorded, answer.episode.messages_dropped)
    holds = answer.success and sent == 2 * RATE_HZ * SECONDS and lost == 0
    return finish("recorder_load", lost, "messages", "== 0", holds, detail)


@contextlib.contextmanager
def recorder():
    """A recorder process on a domain of its own, and a session for it -> (psutil.Process, Session)."""
    from casher_bringup.graph import environment
    from casher_bringup.runner import claim_domain

    domain, lock = claim_domain()
    os.environ.update(environment(), ROS_DOMAIN_ID=str(domain))
    process = subprocess.Popen([sys.executable, "-m", "casher_bringup.recorder_node"], stderr=subprocess.DEVNULL)
    session = Session()
    try:
        yield psutil.Process(process.pid), session
    finally:
        session.close()
        if process.poll() is None:
            process.terminate()
        process.wait(15)
        lock.close()


@contextlib.contextmanager
def cameras(seconds, points=POINTS):
    """A process that publishes clouds of so many points for so long, once somebody listens, and prints how many."""
    command = [sys.executable, "-m", "benchmarks.recorder_load", "publish", str(seconds), str(points)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(15)


class Session:
    """Starts and stops recordings."""

    def __init__(self):
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor

        from casher_msgs.srv import StartRecording, StopRecording

        self.context = Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("session", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.clients = {
            "start": self.node.create_client(StartRecording, "/casher/record/start"),
            "stop": self.node.create_client(StopRecording, "/casher/record/stop"),
        }

    def start(self, folder):
        """Record the cameras into `folder`; RuntimeError when the recorder refuses."""
        answer = self._call("start", {"uri": str(folder), "topics": list(TOPICS), "episode": self._episode("running")})
        if not answer.success:
            raise RuntimeError(f"the recorder refused: {answer.message}")

    def stop(self):
        """Close the bag -> StopRecording.Response."""
        return self._call("stop", {"episode": self._episode("success")})

    def close(self):
        """Leave the graph."""
        import rclpy

        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _episode(self, outcome):
        from casher_msgs.msg import EpisodeResult

        return EpisodeResult(episode_id="benchmark", outcome=outcome)

    def _call(self, name, fields):
        client = self.clients[name]
        if not client.wait_for_service(15.0):
            raise RuntimeError("the recorder offers no services after 15 s")
        future = client.call_async(client.srv_type.Request(**fields))
        self.executor.spin_until_future_complete(future, 15.0)
        if not future.done():
            raise RuntimeError(f"the recorder did not answer '{name}' within 15 s")
        return future.result()


def publish(seconds, size):
    """Be the two cameras -> number of clouds published."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import PointCloud2

    from casher_perception.conversions import cloud_message, stamp_message

    rclpy.init()
    node = rclpy.create_node("cameras")
    publishers = [node.create_publisher(PointCloud2, topic, qos_profile_sensor_data) for topic in TOPICS]
    rng = np.random.default_rng(0)
    points, colours = rng.normal(size=(size, 3)).astype(np.float32), rng.integers(0, 256, (size, 3), np.uint8)
    cloud = cloud_message(points, colours, "0", 0)
    while not all(publisher.get_subscription_count() for publisher in publishers):
        time.sleep(0.01)
    time.sleep(0.5)  # the recorder's StartRecording returns a moment after it has subscribed
    start, count = time.monotonic(), round(seconds * RATE_HZ)
    for tick in range(count):
        time.sleep(max(0.0, start + tick / RATE_HZ - time.monotonic()))
        cloud.header.stamp = stamp_message(time.time_ns())
        cloud.header.frame_id = str(tick)  # lets a reader see that none is missing
        for publisher in publishers:
            publisher.publish(cloud)
    time.sleep(0.5)  # what is in shared memory goes with us
    node.destroy_node()
    rclpy.try_shutdown()
    return count * len(publishers)


def _cpu_s(process):
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    if sys.argv[1:2] == ["publish"]:
        sys.stdout.write(f"{publish(float(sys.argv[2]), int(sys.argv[3]))}\n")
    else:
        sys.exit(main())
