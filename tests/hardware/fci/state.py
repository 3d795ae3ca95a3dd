"""The state message an arm sends every millisecond."""

from .protocol import CARTESIAN_POSITION, CARTESIAN_VELOCITY, ERRORS, EXTERNAL_CONTROLLER

OTHER_CONTROLLER = 3
HAND_MASS = 0.73
HAND_INERTIA = (0.001, 0.0, 0.0, 0.0, 0.0025, 0.0, 0.0, 0.0, 0.0017)
HAND_CENTRE = (-0.01, 0.0, 0.03)
GRAVITY = (0.0, 0.0, -9.81)


def pack(arm, message_id):
    """State of `arm` (arm.Arm) -> bytes."""
    protocol = arm.protocol
    pose = arm.kinematics.pose(arm.q, arm.F_T_EE)
    generator, controller = _modes(arm)
    target, twist = pose, (0.0,) * 6
    if arm.command is not None and controller != EXTERNAL_CONTROLLER:
        if arm.motion[1] == CARTESIAN_POSITION:
            target = arm.command.O_T_EE
        elif arm.motion[1] == CARTESIAN_VELOCITY:
            twist = arm.command.O_dP_EE
    elbow = (arm.q[2], -1.0)
    flags = [name in arm.errors for name in ERRORS] if arm.errors else _NO_ERRORS
    last = [name in arm.last_errors for name in ERRORS] if arm.last_errors else _NO_ERRORS
    values = (
        *pose, *target, *arm.F_T_EE, *arm.settings["EE_T_K"], *arm.F_T_NE, *arm.settings["NE_T_EE"],
        HAND_MASS, *HAND_INERTIA, *HAND_CENTRE, *_LOAD,
        *elbow, *elbow, *arm.torques, *arm.torques, *_ZERO[:7], *arm.q, *arm.q, *arm.dq, *arm.dq, *_ZERO[:7],
        *_ZERO[:45], *twist, *GRAVITY, *elbow, *_ZERO[:4], *target, *twist, *_ZERO[:6], *arm.q, *arm.dq,
    )  # fmt: skip
    if protocol.version == 10:
        values += _ZERO[:36]
    return protocol.state_layout.pack(
        message_id, *values, generator, controller, *flags, *last, int(arm.mode), 1.0 if arm.motion else 0.0
    )


def _modes(arm):
    """(motion generator, controller) as the state names them."""
    if arm.motion is None:
        return 0, OTHER_CONTROLLER
    controller, generator = arm.motion
    if controller == EXTERNAL_CONTROLLER and arm.protocol.version == 10:
        return 5, controller
    return generator + 1, controller


_ZERO = (0.0,) * 64
_LOAD = (0.0,) * 13
_NO_ERRORS = (False,) * len(ERRORS)
