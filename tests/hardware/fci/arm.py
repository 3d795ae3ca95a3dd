"""A Franka arm without dynamics: it is where it is told to be, within its limits. No sockets here."""

import struct
import time

from .model import JOINTS, POSE, Kinematics
from .protocol import (
    CARTESIAN_POSITION,
    CARTESIAN_VELOCITY,
    ERRORS,
    EXTERNAL_CONTROLLER,
    HELD,
    IDLE,
    JOINT_POSITION,
    JOINT_VELOCITY,
    MOVE,
    PREEMPTED,
    REFLEX,
    SUCCESS,
    USER_STOPPED,
)

STEP_S = 0.001
IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
_C = 0.5**0.5
HAND = (_C, -_C, 0.0, 0.0, _C, _C, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.1034, 1.0)
"""F_T_NE of the Franka hand, to its fingertips."""
START = (0.0, -0.4, 0.0, -2.2, 0.0, 1.9, 0.785)
MAX_FOLLOW_ERROR = 1e-3
"""[m] or [rad] by which the joints may miss a commanded pose; more means that no joints reach it."""
NO_FORCE = (0.0,) * 7


def product(a, b):
    """Of two poses, 16 numbers each, column-major."""
    return [sum(a[4 * k + row] * b[4 * column + k] for k in range(4)) for column in range(4) for row in range(4)]


class Arm:
    """The robot's side of an FCI connection. `on_end` is called with the status by which a motion ends."""

    def __init__(self, protocol, on_end, with_hand=True):
        self.protocol = protocol
        self.on_end = on_end
        self.kinematics = Kinematics()
        self.q, self.dq, self.torques = JOINTS(*START), JOINTS(), NO_FORCE
        self.F_T_NE = HAND if with_hand else IDENTITY
        self.settings = {"NE_T_EE": IDENTITY, "EE_T_K": IDENTITY}
        """Last payload of every command that sets something, as numbers."""
        self._tool()
        self.mode = IDLE
        self.errors, self.last_errors = set(), set()
        self.motion = None
        """(controller, motion generator) while a client moves the arm."""
        self.command = None
        self.moved_ns = time.time_ns()
        """When a joint last turned."""

    def _tool(self):
        self.F_T_EE = POSE(*product(self.F_T_NE, self.settings["NE_T_EE"]))

    def set(self, name, payload):
        """A command that sets something."""
        self.settings[name] = struct.unpack(f"<{len(payload) // 8}d", payload[: len(payload) // 8 * 8])
        if name == "NE_T_EE":
            self._tool()

    def begin(self, controller, generator):
        """Start a motion; False when the mode does not allow it."""
        if self.mode != IDLE or self.motion:
            return False
        self.motion, self.command, self.mode, self.last_errors = (controller, generator), None, MOVE, set()
        return True

    def end(self, status, mode=IDLE):
        """End a motion, if there is one; the arm stands still and is in `mode`."""
        was_moving, self.motion, self.command, self.mode = self.motion, None, None, mode
        self.dq[:] = self.torques = NO_FORCE
        if was_moving:
            self.on_end(status)

    def stop(self):
        """The client's StopMove."""
        self.end(PREEMPTED, self.mode if self.mode in (REFLEX, *HELD) else IDLE)

    def reflex(self, *names):
        """Stop because of the errors of these names."""
        unknown = [name for name in names if name not in ERRORS]
        if unknown:
            raise ValueError(f"unknown errors {unknown}: known are {', '.join(ERRORS)}")
        self.errors = self.last_errors = set(names)
        self.end(self.protocol.aborted[REFLEX], REFLEX)

    def user_stop(self):
        """Somebody presses the stop button."""
        self.end(self.protocol.aborted[USER_STOPPED], USER_STOPPED)

    def taken(self, mode):
        """Somebody guides it by hand, or locks its joints: GUIDING, OTHER."""
        self.end(self.protocol.aborted[USER_STOPPED], mode)

    def release(self):
        """Somebody gives it back to the programs."""
        self.mode = IDLE

    def recover(self):
        """AutomaticErrorRecovery; False while a person has the arm."""
        if self.mode in HELD:
            return False
        self.errors, self.mode = set(), IDLE
        return True

    def follow(self, command):
        """Take what the client asks for the next millisecond."""
        self.command = command
        if command.finished:
            self.end(SUCCESS)

    def step(self):
        """One millisecond passes."""
        if self.motion is None or self.command is None:
            return
        before = self.q[:]
        reached = self._move(self.motion, self.command)
        if self.motion[0] != EXTERNAL_CONTROLLER:
            self.dq[:] = [(after - q) / STEP_S for after, q in zip(self.q, before, strict=True)]
        if self.q[:] != before:
            self.moved_ns = time.time_ns()
        if error := self._violation(reached):
            self.q[:] = before
            self.reflex(error)

    def _move(self, motion, command):
        controller, generator = motion
        self.torques = command.torques if controller == EXTERNAL_CONTROLLER else NO_FORCE
        if controller == EXTERNAL_CONTROLLER:
            self.kinematics.follow_torque(self.q, self.dq, command.torques, STEP_S)
        elif generator == JOINT_POSITION:
            self.q[:] = command.q
        elif generator == JOINT_VELOCITY:
            self.q[:] = [q + STEP_S * dq for q, dq in zip(self.q, command.dq, strict=True)]
        elif generator == CARTESIAN_POSITION:
            return self.kinematics.follow_pose(self.q, self.F_T_EE, command.O_T_EE) < MAX_FOLLOW_ERROR
        elif generator == CARTESIAN_VELOCITY:
            self.kinematics.follow_twist(self.q, self.F_T_EE, [STEP_S * v for v in command.O_dP_EE])
        return True

    def _violation(self, reached):
        """Name of the error that the last step would be, or nothing."""
        cartesian = self.motion[0] != EXTERNAL_CONTROLLER and self.motion[1] >= CARTESIAN_POSITION
        limits = zip(self.q, self.dq, self.protocol.lower, self.protocol.upper, self.protocol.speed, strict=True)
        for q, dq, lower, upper, speed in limits:
            if not lower <= q <= upper:
                return (
                    "cartesian_motion_generator_joint_position_limits_violation"
                    if cartesian
                    else "joint_position_limits_violation"
                )
            if abs(dq) > speed:
                return (
                    "cartesian_motion_generator_joint_velocity_limits_violation"
                    if cartesian
                    else "joint_velocity_violation"
                )
        return "" if reached else "cartesian_position_limits_violation"
