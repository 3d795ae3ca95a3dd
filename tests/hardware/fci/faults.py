"""What a test may do to the robot, as lines of JSON on standard input: {"do": name, ...} -> {"at_ns": ..., ...}."""

import json
import os
import sys
import time

from .protocol import GUIDING, OTHER


def _state(server):
    arm, hand = server.arm, server.hand
    return {
        "q": arm.q[:],
        "dq": arm.dq[:],
        "mode": int(arm.mode),
        "errors": sorted(arm.errors),
        "moving": arm.motion is not None,
        "moved_ns": arm.moved_ns,
        "clock_s": server.clock_s,
        "connected": server.arm_port.peer is not None,
        "settings": {name: list(values) for name, values in arm.settings.items()},
        "width": hand.width,
        "grasped": hand.grasped,
    }


def _reflex(server, errors=("cartesian_reflex",)):
    server.arm.reflex(*errors)


def _gap(server, seconds):
    server.silent_until = time.monotonic() + seconds


def _dead(server):
    server.refuse_clients = True
    for port in (server.arm_port, server.hand_port):
        server.disconnect(port)


def _revive(server):
    server.refuse_clients = False


def _not_homed(server):
    server.hand.homed = False


def _object(server, width):
    server.hand.object_width = width


def _patience(server, seconds):
    server.patience_s = seconds


def _joints(server, q):
    if server.arm.motion:
        raise ValueError("the arm is moving: joints can be placed only at rest")
    server.arm.q[:] = q


DO = {
    "state": lambda server: None,
    "reflex": _reflex,
    "user_stop": lambda server: server.arm.user_stop(),
    "guide": lambda server: server.arm.taken(GUIDING),
    "lock": lambda server: server.arm.taken(OTHER),
    "release": lambda server: server.arm.release(),
    "joint_limit": lambda server: server.arm.reflex("joint_position_limits_violation"),
    "gap": _gap,
    "dead": _dead,
    "revive": _revive,
    "not_homed": _not_homed,
    "object": _object,
    "slip": lambda server: server.hand.slip(),
    "joints": _joints,
    "patience": _patience,
}
"""Name -> function of the server and what else the line holds."""


class Control:
    """Reads the lines; the robot is switched off when nobody can write them any more."""

    def __init__(self):
        self.alive = True
        self._buffer = b""

    def fileno(self):
        """For select()."""
        return sys.stdin.fileno()

    def serve(self, server):
        """Carry out what has come."""
        data = os.read(self.fileno(), 65536)
        if not data:
            self.alive = False
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            try:
                at_ns = time.time_ns()
                DO[request.pop("do")](server, **request)
                answer = {"at_ns": at_ns, **_state(server)}
            except (KeyError, TypeError, ValueError) as error:
                answer = {"error": f"{error!r}: known are {', '.join(DO)}"}
            print(json.dumps(answer), flush=True)
