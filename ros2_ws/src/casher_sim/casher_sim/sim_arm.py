"""The simulated arm behind the protocol of every arm: a World, a lock around it, and the pace of time."""

import threading
import time

from casher_franka.arm import ArmFault, ArmState
from casher_sim.world import CHUNK_STEPS


class SimArm:
    """Implements casher_franka.arm.Arm.

    Whoever else looks at the world holds `lock`; between two chunks of physics it is free. The world's time passes only
    in motions.
    """

    def __init__(self, world, speed=0.0, clock_ns=time.time_ns):
        """speed: of the simulated time, 1 is real time, 0 as fast as it goes."""
        if speed < 0.0:
            raise ValueError(f"speed must be 0 (as fast as it goes) or positive, got {speed}")
        self.world, self.lock = world, threading.Lock()
        self._chunk_s = CHUNK_STEPS * world.timestep_s / speed if speed > 0.0 else 0.0
        self._clock_ns = clock_ns
        self._one_motion = threading.Lock()
        self._moving = False
        self._fault = ""

    def reset(self, object_name, side, seed, kitchen=None):
        """World.reset, once a running motion has ended; clears a fault. Raises ValueError, then nothing has changed."""
        with self._one_motion, self.lock:
            self.world.reset(object_name, side, seed, kitchen)
            self._fault = ""

    def state(self):
        """The measurement of now."""
        with self.lock:
            return self._state()

    def move_to(self, target):
        """Go to the target, come to rest; raises ArmFault."""
        return self._run(lambda: self.world.motion(target))

    def stop(self):
        """Stand still now and until `recover`."""
        self._fault = "stopped"

    def home(self):
        """Open the hand and go to the start pose; raises ArmFault."""
        return self._run(self.world.home_motion)

    def recover(self):
        """Clear a fault."""
        self._fault = ""

    def close(self):
        """Stand still; there is no hardware to let go of."""
        self.stop()

    def _run(self, start):
        with self._one_motion:
            if self._fault:
                raise ArmFault(self._fault)
            self._moving = True
            try:
                return self._advance(start())
            finally:
                self._moving = False

    def _advance(self, motion):
        due = time.monotonic()
        while True:
            with self.lock:
                if self._fault:
                    self.world.hold()
                    raise ArmFault(self._fault)
                try:
                    next(motion)
                except StopIteration:
                    self._moving = False
                    return self._state()
            due += self._chunk_s
            # Even without a pace: it gives a camera that waits for the lock its turn.
            time.sleep(max(0.0, due - time.monotonic()))

    def _state(self):
        world = self.world
        return ArmState(
            stamp_ns=self._clock_ns(),
            T_base_tcp=world.T_base_tcp,
            joint_positions=world.joints,
            joint_velocities=world.joint_velocities,
            fingers=world.fingers,
            width_command=world.width_command,
            grasped=world.grasped,
            moving=self._moving,
            fault=self._fault,
        )
