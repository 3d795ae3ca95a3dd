"""`casher estop`, the user's own command on a terminal of its own, and the arm it stops."""

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from test_arm_server import Bench

from casher_bringup.estop_command import CONFIRM_S, HEARD_S, Panel
from casher_msgs.msg import RobotState

pytestmark = pytest.mark.ros
CASHER = Path(sys.executable).with_name("casher")


class Terminal:
    """`casher estop` behind a pseudo terminal."""

    def __init__(self):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([CASHER, "estop"], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.shown = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        try:
            while data := os.read(self.master, 4096):
                self.shown += data.decode(errors="replace")
        except OSError:  # its other end is gone
            pass

    def press(self, key):
        os.write(self.master, key.encode())

    def end(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def bench(graph):
    bench = Bench(graph, state_rate_hz=20.0)
    yield bench
    graph.spinning.stop()
    bench.server.close()


@pytest.fixture
def terminal(bench):
    bench.server._leases.watcher_s = 60.0
    terminal = Terminal()
    yield terminal
    terminal.end()


def test_a_key_stops_the_arm_r_recovers_it_and_the_death_of_the_terminal_stops_it(bench, terminal):
    def until(condition):
        assert bench.graph.wait(condition, 60.0), terminal.shown

    until(lambda: "the arm is ready" in terminal.shown and bench.server._leases.watchers)
    terminal.press(" ")
    until(lambda: bench.arm.fault == "stopped")
    until(lambda: "the arm stands still: stopped" in terminal.shown)
    assert bench.server._why_stopped == "an emergency stop was pressed"
    terminal.press("r")
    until(lambda: bench.arm.fault == "")
    bench.server._leases.watcher_s = 0.5
    os.kill(terminal.process.pid, signal.SIGKILL)
    until(lambda: bench.arm.fault == "stopped")
    assert bench.server._why_stopped.endswith("has gone silent")


@pytest.mark.parametrize(("leave", "code"), [("q", 0), ("close", 1)])
def test_leaving_frees_the_arm_and_closing_the_window_stops_it(bench, terminal, leave, code):
    assert bench.graph.wait(lambda: "the arm is ready" in terminal.shown and bench.server._leases.watchers, 60.0)
    if leave == "q":
        terminal.press("q")
    else:
        terminal.process.send_signal(signal.SIGHUP)
    assert terminal.process.wait(30) == code
    assert bench.graph.wait(lambda: not bench.server._leases.watchers)
    assert bench.graph.wait(lambda: bench.arm.fault == ("" if leave == "q" else "stopped"))


def test_a_stop_is_repeated_until_the_arm_says_that_it_stands():
    panel = Panel()
    assert "no arm is heard" in panel.line(0.0)
    panel.hear(RobotState(), 10.0)
    assert panel.line(10.0) == "the arm is ready" and not panel.pressing(10.0)
    panel.press(11.0)
    panel.hear(RobotState(moving=True), 11.1)
    assert panel.pressing(11.1) and panel.line(11.1) == "stopping ..."
    assert "red button" in panel.line(11.1 + CONFIRM_S)
    panel.hear(RobotState(fault="stopped"), 12.0)
    assert not panel.pressing(12.0) and panel.line(12.0) == "the arm stands still: stopped"
    assert "no arm is heard" in panel.line(12.1 + HEARD_S)
