"""Every test's nodes live on a DDS domain and in a context of their own, spun by a background thread."""

import os
import socket
import time
from pathlib import Path

import pytest

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("ROS_LOG_DIR", "/tmp/casher-test-logs")
_PROFILE = Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/fastdds_shm.xml"
for _variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
    os.environ.setdefault(_variable, str(_PROFILE))


@pytest.fixture(scope="session", autouse=True)
def ros_domain():
    """A domain id nobody else on this machine uses; an abstract socket holds it until we die."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for domain in range(60, 101):
        try:
            lock.bind(f"\0casher-ros-domain-{domain}")
        except OSError:
            continue
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        yield domain
        lock.close()
        return
    pytest.fail("no free ROS domain between 60 and 100")


class Graph:
    """Nodes of one test on their own context."""

    THREADS = 4
    """Of the executor."""

    def __init__(self):
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import MultiThreadedExecutor

        from casher_perception.spinning import Spinning

        self.context = Context()
        rclpy.init(context=self.context)
        self.executor = MultiThreadedExecutor(num_threads=self.THREADS, context=self.context)
        self.nodes = []
        self.errors = []
        """What callbacks raised: reported by wait() and close(), in the test's own thread."""
        self.spinning = Spinning(self.executor, self.errors.append)

    def add(self, node_class, *args, **kwargs):
        """Construct a node on this graph's context and spin it; parameters={...} sets its ROS parameters."""
        from rclpy.parameter import Parameter

        parameters = kwargs.pop("parameters", {})
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = node_class(*args, context=self.context, parameter_overrides=overrides, **kwargs)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def wait(self, condition, timeout_s=60.0):
        """Until condition() holds; False when it did not in time. Raises what a callback raised."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.errors:
                raise self.errors[0]
            if condition():
                return True
            time.sleep(0.005)
        return bool(condition())

    def close(self):
        import rclpy

        self.spinning.stop(2.0)
        for node in self.nodes:
            node.destroy_node()
        rclpy.shutdown(context=self.context)
        assert not self.spinning.alive
        if self.errors:
            raise self.errors[0]


@pytest.fixture
def graph():
    graph = Graph()
    try:
        yield graph
    finally:
        graph.close()
