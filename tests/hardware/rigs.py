"""Every arm there is: real clients against the FCI test server, and franky against franky-sim as a second opinion."""

import contextlib
import threading
import time

from fci.process import fci_server

from casher_franka import franky_arm, panda_arm
from casher_franka.arm import ArmFault
from casher_franka.franka_config import FrankaConfig
from casher_policy.action import Target

OPEN = {"fr3": franky_arm.open_arm, "panda": panda_arm.open_arm}
"""Robot -> FrankaConfig -> Arm."""
VERSION = {"fr3": 10, "panda": 5}
SPEED = 3.0
"""The test server's time passes so much faster than a robot's, where the machine can."""


class Rig:
    """An arm of a kind, and the robot it drives, None when nothing can be done to that."""

    def __init__(self, kind, arm, robot=None):
        self.kind, self.arm, self.robot = kind, arm, robot

    def shifted(self, dx=0.0, dz=0.0, turn=None):
        """Target beside the present pose."""
        state = self.arm.state()
        T = state.T_base_tcp
        T[:3, 3] += (dx, 0.0, dz)
        if turn is not None:
            T[:3, :3] = T[:3, :3] @ turn
        return Target(T, state.width_command)

    def begin(self, target):
        """Run move_to in a thread; (thread, list that receives its ArmFault)."""
        faults = []

        def run():
            try:
                self.arm.move_to(target)
            except ArmFault as fault:
                faults.append(fault)

        thread = threading.Thread(target=run)
        thread.start()
        return thread, faults

    def begin_and_see_it_move(self, dx):
        """As `begin`, for a way along x; returns once the arm has gone some of it."""
        start = self.arm.state().T_base_tcp[0, 3]
        begun = self.begin(self.shifted(dx))
        wait(lambda: abs(self.arm.state().T_base_tcp[0, 3] - start) > 0.005)
        return begun


def wait(condition, timeout_s=60.0):
    """Until condition() holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def config(host, **changes):
    """Without a real-time kernel; slow enough for 0.15 m along x from home, where the elbow turns fast."""
    return FrankaConfig(host, **{"dynamics_factor": 0.25, "realtime": "ignore", **changes})


@contextlib.contextmanager
def opened(kind, host, robot=None, **changes):
    """A Rig at `host`, at home."""
    arm = OPEN[kind](config(host, **changes))
    try:
        arm.home()
        yield Rig(kind, arm, robot)
    finally:
        arm.close()


@contextlib.contextmanager
def served(kind, changes=None, **options):
    """A Rig with a test server of its own; `changes` of its configuration, `options` of the server."""
    with (
        fci_server(version=VERSION[kind], speed=SPEED, **options) as robot,
        opened(kind, robot.host, robot, **(changes or {})) as rig,
    ):
        yield rig
