"""For every test: property tests are not timed, and an FR3 that is not there can be had.

The FR3 is `franky-sim` in a process of its own, on a loopback address nobody else uses.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

# The machine may be busy with other things.
settings.register_profile("casher", deadline=None)
settings.load_profile("casher")

_LIVE = ("ros", "hardware", "test_demos_page.py", "test_calibration_collect.py")


def pytest_collection_modifyitems(items):
    """A failure among live nodes, robots' servers and browsers is tried once more, and told in the summary as a rerun.

    As `colcon test --retest-until-pass` does for ROS: they have a machine's other work to share it with.
    """
    live = {Path(__file__).with_name(name) for name in _LIVE}
    for item in items:
        if live & {item.path, *item.path.parents}:
            item.add_marker(pytest.mark.flaky(reruns=1))


FCI_PORTS = (1337, 1338)


def _free_loopback():
    """A 127.0.0.x on which the fixed ports of an FCI are free."""
    for number in range(230):
        host = f"127.0.0.{20 + (os.getpid() + number) % 230}"  # another test run begins elsewhere
        try:
            for port in FCI_PORTS:
                with socket.socket() as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return host
    pytest.fail("no loopback address with the ports 1337 and 1338 free")


class RobotProcess:
    """franky-sim on one address, started and ended at will."""

    def __init__(self, log):
        self.host = _free_loopback()
        self.log = log
        self.process = None

    def start(self):
        """Start and wait until the FCI listens."""
        server = Path(sys.prefix) / "bin" / "franky-sim"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(server), "-s", "mujoco", "--hostname", self.host], stdout=log, stderr=log
            )
        end = time.monotonic() + 150
        while time.monotonic() < end and self.process.poll() is None:
            # A connection made to find out would count as the robot's one client.
            if "Connect to the server" in self.log.read_text():
                return
            time.sleep(0.05)
        pytest.fail(f"franky-sim did not come up at {self.host}:\n{self.log.read_text()}")

    def end(self):
        """Kill it, as a cut cable does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def fr3_process(tmp_path):
    """A simulated FR3 of the test's own, not started."""
    robot = RobotProcess(tmp_path / "franky_sim.log")
    yield robot
    robot.end()


@pytest.fixture(scope="module")
def fr3_host(tmp_path_factory):
    """Address of a simulated FR3 that serves a whole module; one client at a time."""
    robot = RobotProcess(tmp_path_factory.mktemp("franky_sim") / "log")
    robot.start()
    yield robot.host
    robot.end()
