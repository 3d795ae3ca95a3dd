"""Arm and hand behind their ports: one loop, one millisecond of the robot's time at a time.

While a client moves the arm, the robot's time waits for the client's answer to each state, so that a slow machine
makes a slow robot and not a faulty one; a real robot gives a client 20 ms, this one `patience_s`.
"""

import select
import struct
import time

from . import state
from .arm import STEP_S, Arm
from .channel import Channel
from .hand import MAX_WIDTH, Hand
from .model import library_path
from .protocol import (
    ARM_PORT,
    HAND_COMMANDS,
    HAND_PORT,
    HAND_STATE,
    HAND_VERSION,
    MOTION_STARTED,
    REJECTED,
    SUCCESS,
    read_command,
)
from .urdf import urdf

IDLE_STEPS = 4
"""An arm at rest sends only every so many milliseconds: less work, and no client can tell."""
EAGER_STEPS, HESITANT_S = 3, 0.02
"""A motion's first states come at once; a client that has not answered those gets one now and then, lest it believe
that much time has passed and jump."""
HAND_PERIOD_S = 0.01
FIRST_ANSWER_S = 5.0
"""[s] a client may take from the start of a motion to its first command."""
HAND_TEMPERATURE = 25


class Server:
    """A robot at `host`."""

    def __init__(self, protocol, host, with_hand=True, patience_s=1.0, speed=1.0):
        """speed: how much faster than the real robot's the arm's time passes, machine permitting."""
        self.protocol, self.patience_s, self.speed = protocol, patience_s, speed
        self.arm_port = Channel(host, ARM_PORT, "<III", "<B")
        self.hand_port = Channel(host, HAND_PORT, "<HII", "<H")
        self.arm = Arm(protocol, self._motion_ended, with_hand)
        self.hand = Hand(lambda number, status: self._hand_reply(number, status))
        self.silent_until = 0.0
        """time.monotonic() until which no state is sent."""
        self.refuse_clients = False
        self._move_number = None
        self._hand_commands = {}
        self._message_id = self._hand_message_id = 0
        self._first_id = 0
        """Of the states of the present motion: a command that answers an older one belongs to the last motion."""
        self._asked_at = None
        """time.monotonic() of the state that the client has not answered yet."""
        self._unsent = False
        """Whether that state waits for the end of the silence."""

    @property
    def clock_s(self):
        """The robot's own time."""
        return self._message_id * STEP_S

    def run(self, control):
        """Serve until `control` (faults.Control) says so."""
        next_step = next_hand = time.monotonic()
        while control.alive:
            now = time.monotonic()
            waiting = self._waits_for_answer(now)
            timeout = max(0.0, (next_hand if waiting else min(next_step, next_hand)) - now)
            self._serve(select.select(self._readers(control), [], [], timeout)[0], control)
            now = time.monotonic()
            if now >= next_hand:
                self._step_hand()
                next_hand = max(next_hand + HAND_PERIOD_S, now)
            if now >= next_step and not self._waits_for_answer(now):
                steps = 1 if self.arm.motion else IDLE_STEPS
                self._step_arm(steps, now)
                hesitates = self.arm.motion and not self.arm.command and self._message_id > self._first_id + EAGER_STEPS
                pause_s = HESITANT_S if hesitates else steps * STEP_S / self.speed
                next_step = max(next_step + pause_s, now - 0.02)
        self.arm_port.close()
        self.hand_port.close()

    def _readers(self, control):
        ports = (self.arm_port, self.hand_port)
        found = [port.client for port in ports if port.client]
        if not self.refuse_clients:
            found += [port.listener for port in ports if not port.client]
        if self.arm.motion:
            found.append(self.arm_port.udp)
        return [*found, control]

    def _serve(self, ready, control):
        for port, handle in ((self.arm_port, self._arm_command), (self.hand_port, self._hand_command)):
            if port.listener in ready:
                port.accept()
            elif port.client in ready:
                messages = port.receive()
                if messages is None:
                    self.disconnect(port)
                for message in messages or []:
                    handle(*message)
        if self.arm_port.udp in ready:
            data = self.arm_port.latest_datagram()
            command = data and read_command(data, self.protocol)
            if command and command.answers >= self._first_id and self.arm.motion:
                self._asked_at = None
                self.arm.follow(command)
        if control in ready:
            control.serve(self)

    def disconnect(self, port):
        """Drop a port's client; an arm that it moved stands still."""
        port.disconnect()
        if port is self.arm_port:
            self._move_number = None
            self.arm.stop()

    # ---- the arm

    def _waits_for_answer(self, now):
        if self.arm.motion is None or self._asked_at is None:
            return False
        begun = self.arm.command is not None
        if now - self._asked_at > (self.patience_s if begun else FIRST_ANSWER_S):
            self.arm.reflex("communication_constraints_violation")
            return False
        # A client reads some states before it answers the first time, and cannot answer what was not sent.
        return begun and not self._unsent

    def _step_arm(self, steps, now):
        silent = now < self.silent_until
        self._unsent = silent and self.arm.motion is not None
        if self._unsent:
            self._asked_at = self._asked_at or now
            return
        self.arm.step()
        self._message_id += steps
        if not silent:
            self._send_state()
        if self.arm.motion:
            self._asked_at = now if self.arm.command else self._asked_at or now

    def _send_state(self):
        self.arm_port.send_state(state.pack(self.arm, self._message_id))

    def _motion_ended(self, status):
        if self._move_number is not None:
            self.arm_port.reply(1, self._move_number, status)
        self._move_number, self._asked_at = None, None
        self._message_id += 1
        if time.monotonic() >= self.silent_until:
            self._send_state()

    def _arm_command(self, command, number, payload):
        def reply(status, answer=b""):
            self.arm_port.reply(command, number, status, answer)

        match self.protocol.commands.get(command):
            case "connect":
                version, port = struct.unpack_from("<HH", payload)
                matches = version == self.protocol.version
                reply(SUCCESS if matches else REJECTED, struct.pack("<H", self.protocol.version))
                if matches:
                    self.arm_port.connect_states(port)
            case "move":
                controller, generator = struct.unpack_from("<II", payload)
                if not self.arm.begin(controller, generator):
                    return reply(self.protocol.not_possible)
                self._move_number, self._asked_at, self._first_id = number, None, self._message_id + 1
                reply(MOTION_STARTED)
            case "stop":
                reply(SUCCESS)
                self.arm.stop()
            case "recover":
                reply(SUCCESS if self.arm.recover() else REJECTED)
            case "model":
                v5 = self.protocol.version == 5
                reply(SUCCESS, library_path().read_bytes() if v5 else urdf(self.protocol).encode())
            case "cartesian_limit":
                reply(SUCCESS, bytes(19 * 8 + 1))
            case None:
                raise ValueError(f"unknown command {command}: known are {self.protocol.commands}")
            case name:
                self.arm.set(name, payload)
                reply(SUCCESS)

    # ---- the hand

    def _step_hand(self):
        self.hand.step(HAND_PERIOD_S * self.speed)
        self._hand_message_id += 1
        if time.monotonic() >= self.silent_until:
            self.hand_port.send_state(
                HAND_STATE.pack(self._hand_message_id, self.hand.width, MAX_WIDTH, self.hand.grasped, HAND_TEMPERATURE)
            )

    def _hand_reply(self, number, status):
        self.hand_port.reply(self._hand_commands.pop(number), number, status)

    def _hand_command(self, command, number, payload):
        numbers = struct.unpack(f"<{len(payload) // 8}d", payload[: len(payload) // 8 * 8])
        self._hand_commands[number] = command
        match HAND_COMMANDS.get(command):
            case "connect":
                _, port = struct.unpack_from("<HH", payload)
                self.hand_port.reply(self._hand_commands.pop(number), number, SUCCESS, struct.pack("<H", HAND_VERSION))
                self.hand_port.connect_states(port)
            case "homing":
                self.hand.homing(number)
            case "grasp":
                self.hand.grasp(number, *numbers)
            case "move":
                self.hand.move(number, *numbers)
            case "stop":
                self.hand.stop(number)
            case None:
                raise ValueError(f"unknown command {command} of the hand: known are {HAND_COMMANDS}")
