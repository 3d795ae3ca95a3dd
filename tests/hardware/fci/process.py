"""Starting the robot from a test: `with fci_server(version=10) as robot: robot.inject("reflex")`."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from .protocol import ARM_PORT, HAND_PORT

ANSWER_S = 30.0


class Robot:
    """A robot in a process of its own. Faults are the keys of faults.DO."""

    def __init__(self, host, process):
        self.host = host
        self.process = process
        self._one_at_a_time = threading.Lock()

    def inject(self, name, **arguments):
        """Do `name` to the robot; its state after that: a dict with q, dq, mode, moving, moved_ns, at_ns and more."""
        with self._one_at_a_time:
            self.process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def state(self):
        """The truth about the robot, see `inject`."""
        return self.inject("state")


def free_host():
    """A 127.0.0.x on which the fixed ports of an FCI are free."""
    for number in range(230):
        host = f"127.0.0.{20 + (os.getpid() + number) % 230}"  # another test run begins elsewhere
        try:
            for port in (ARM_PORT, HAND_PORT):
                with socket.socket() as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return host
    raise OSError(f"no loopback address with the ports {ARM_PORT} and {HAND_PORT} free")


@contextlib.contextmanager
def fci_server(version=10, host=None, speed=1.0, patience_s=1.0, with_hand=True):
    """A Robot, listening, that ends with the block (or with this process).

    version: 10 for an FR3, 5 for a Panda; host: None for a free one; speed: how much faster than a real robot;
    patience_s: how long a client that moves the arm may take for an answer before the robot stops with a reflex.
    """
    host = host or free_host()
    options = ["--version", str(version), "--host", host, "--speed", str(speed), "--patience", str(patience_s)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fci", *options, *([] if with_hand else ["--no-hand"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        if process.stdout.readline() != "ready\n":
            raise OSError(f"no robot at {host}: its process ended with {process.wait(10)}, see standard error")
        yield Robot(host, process)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
