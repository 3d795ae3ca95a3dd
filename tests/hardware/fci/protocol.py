"""The numbers and layouts of the Franka Control Interface, protocols 5 and 10, and of its gripper, protocol 3.

Source: the public headers of libfranka-common (protocol 5) and what libfranka 0.21 sends and reads (protocol 10).
"""

import struct
from dataclasses import dataclass

ARM_PORT, HAND_PORT = 1337, 1338
HAND_VERSION = 3

OTHER, IDLE, MOVE, GUIDING, REFLEX, USER_STOPPED = range(6)
"""Robot modes."""
HELD = (OTHER, GUIDING, USER_STOPPED)
"""Those in which no program moves the arm and no error recovery helps."""
JOINT_POSITION, JOINT_VELOCITY, CARTESIAN_POSITION, CARTESIAN_VELOCITY = 0, 1, 2, 3
"""Motion generators of a Move."""
EXTERNAL_CONTROLLER = 2
"""Controller of a Move that sends torques."""

SUCCESS, REJECTED = 0, 1
MOTION_STARTED, PREEMPTED = 1, 2

ERRORS = """
joint_position_limits_violation cartesian_position_limits_violation self_collision_avoidance_violation
joint_velocity_violation cartesian_velocity_violation force_control_safety_violation joint_reflex cartesian_reflex
max_goal_pose_deviation_violation max_path_pose_deviation_violation cartesian_velocity_profile_safety_violation
joint_position_motion_generator_start_pose_invalid joint_motion_generator_position_limits_violation
joint_motion_generator_velocity_limits_violation joint_motion_generator_velocity_discontinuity
joint_motion_generator_acceleration_discontinuity cartesian_position_motion_generator_start_pose_invalid
cartesian_motion_generator_elbow_limit_violation cartesian_motion_generator_velocity_limits_violation
cartesian_motion_generator_velocity_discontinuity cartesian_motion_generator_acceleration_discontinuity
cartesian_motion_generator_elbow_sign_inconsistent cartesian_motion_generator_start_elbow_invalid
force_controller_desired_force_tolerance_violation start_elbow_sign_inconsistent communication_constraints_violation
power_limit_violation cartesian_motion_generator_joint_position_limits_violation
cartesian_motion_generator_joint_velocity_limits_violation cartesian_motion_generator_joint_velocity_discontinuity
cartesian_motion_generator_joint_acceleration_discontinuity cartesian_position_motion_generator_invalid_frame
controller_torque_discontinuity joint_p2p_insufficient_torque_for_planning tau_j_range_violation instability_detected
joint_move_in_wrong_direction cartesian_spline_violation joint_via_plan_limit_violation
base_acceleration_initialization_timeout base_acceleration_invalid_reading
""".split()  # noqa: SIM905
"""Names of the 41 error flags, in the order of the state message."""


@dataclass(frozen=True)
class Protocol:
    """What differs between the two generations."""

    version: int
    commands: dict
    """Number of a command -> its name."""
    aborted: dict
    """Robot mode -> status by which a Move ends because of it."""
    not_possible: int
    """Status of a Move that is refused because of the robot's mode."""
    state_layout: struct.Struct
    command_layout: struct.Struct
    torque_finished: bool
    """Whether a command says separately that its torques are at an end."""
    lower: tuple
    """(7,) [rad]."""
    upper: tuple
    speed: tuple
    """(7,) [rad/s]."""


def _numbered(names):
    return dict(enumerate(names.split()))


_FLOATS = 284
"""Numbers between the message's id and its flags; protocol 10 appends 36 of accelerometers."""

PANDA = Protocol(
    version=5,
    commands=_numbered(
        "connect move stop cartesian_limit collision joint_impedance cartesian_impedance guiding_mode EE_T_K NE_T_EE "
        "load filters recover model"
    ),
    aborted={REFLEX: 6, USER_STOPPED: 7},
    not_possible=3,
    state_layout=struct.Struct(f"<Q{_FLOATS}d85Bd"),
    command_layout=struct.Struct("<Q36d2d2?7d"),
    torque_finished=False,
    lower=(-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973),
    upper=(2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973),
    speed=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
)
FR3 = Protocol(
    version=10,
    commands=_numbered(
        "connect move stop collision joint_impedance cartesian_impedance guiding_mode EE_T_K NE_T_EE load recover model"
    ),
    aborted={REFLEX: 8, USER_STOPPED: 9},
    not_possible=5,
    state_layout=struct.Struct(f"<Q{_FLOATS + 36}f85Bf"),
    command_layout=struct.Struct("<Q36d2d2?7d?"),
    torque_finished=True,
    lower=(-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508),
    upper=(2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508),
    speed=(2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
)
PROTOCOLS = {5: PANDA, 10: FR3}

HAND_COMMANDS = {0: "connect", 1: "homing", 2: "grasp", 3: "move", 4: "stop"}
HAND_DONE, HAND_FAILED, HAND_UNSUCCESSFUL, HAND_ABORTED = 0, 1, 2, 3
HAND_STATE = struct.Struct("<Idd?H")


@dataclass(frozen=True)
class Command:
    """What a client sends each millisecond of a motion."""

    answers: int
    """Id of the state it answers."""
    q: tuple
    dq: tuple
    O_T_EE: tuple
    O_dP_EE: tuple
    finished: bool
    torques: tuple


def read_command(data, protocol):
    """Bytes -> Command."""
    values = protocol.command_layout.unpack_from(data)
    finished = values[40] or (protocol.torque_finished and values[48])
    return Command(values[0], values[1:8], values[8:15], values[15:31], values[31:37], finished, values[41:48])
