"""Every test's nodes live on a DDS domain and in a context of their own, spun by a background thread."""

import os
import socket
from pathlib import Path

import pytest
from graph import Graph

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


@pytest.fixture
def graph():
    graph = Graph()
    try:
        yield graph
    finally:
        graph.close()
