"""Connecting to an FR3 and its hand with `franky`, and what its exceptions mean.

The pose a Franka reports and follows, O_T_EE, is that of its end effector frame EE, wherever its settings put that. So
`connect` puts it at the fingertips of the Franka hand, so that O_T_EE is T_base_tcp.
"""

import threading

import franky
import numpy as np

from casher_franka.arm import ArmFault
from casher_franka.kinematics import T_FLANGE_TCP
from casher_perception.geometry import inverse, rotation_angle

CONNECT_TIMEOUT_S = 3.0
REALTIME = {"enforce": franky.RealtimeConfig.Enforce, "ignore": franky.RealtimeConfig.Ignore}
NEAR_M, NEAR_RAD = 1e-4, 1e-3
"""Poses closer than this are the same: the measurement is no finer."""

LOST = (franky.NetworkException, franky.ProtocolException)
"""Exceptions after which only a new connection works."""
FAILED = (
    *LOST,
    franky.ControlException,
    franky.CommandException,
    franky.InvalidOperationException,
    franky.InvalidMotionTypeException,
    franky.GripperException,
    franky.ModelException,
)
"""All exceptions by which a command tells that it was not carried out."""


def connect(host, dynamics_factor, realtime):
    """(franky.Robot, franky.Gripper) whose EE frame is the tcp; ArmFault('connection_lost') says why not.

    dynamics_factor: of the robot's highest speed, acceleration and jerk, 0..1; realtime: a key of REALTIME.
    """
    if realtime not in REALTIME:
        raise ValueError(f"unknown realtime {realtime!r}: known are {', '.join(REALTIME)}")
    if not 0.0 < dynamics_factor <= 1.0:
        raise ValueError(f"dynamics_factor must be above 0 and at most 1, got {dynamics_factor}")
    made, failed = [], []

    def make():
        try:
            robot = franky.Robot(host, relative_dynamics_factor=dynamics_factor, realtime_config=REALTIME[realtime])
            made.extend((robot, franky.Gripper(host)))
        except Exception as error:  # raised again below, by the caller's thread
            failed.append(error)

    # libfranka waits for minutes for a host that is not there, so it waits in a thread that nobody joins.
    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    if thread.is_alive():
        raise ArmFault(
            "connection_lost", f"{host} does not answer within {CONNECT_TIMEOUT_S} s: check address and cable"
        )
    try:
        if failed:
            raise failed[0]
        robot, gripper = made
        _put_tcp_at_fingertips(robot)
        return robot, gripper
    except franky.IncompatibleVersionException as error:
        raise ArmFault(
            "connection_lost", f"{host}: {error}: this client speaks to an FR3 of system 5.9 or later"
        ) from error
    except franky.RealtimeException as error:
        raise ArmFault(
            "connection_lost", f"{host}: {error}: boot a PREEMPT_RT kernel and give this user real-time priority"
        ) from error
    except FAILED as error:
        raise ArmFault("connection_lost", f"{host}: {error}") from error


def near(T_a, T_b):
    """Whether two poses (4, 4) are the same within NEAR_M and NEAR_RAD."""
    p_m = np.linalg.norm(T_a[:3, 3] - T_b[:3, 3])
    return p_m < NEAR_M and rotation_angle(T_a[:3, :3].T @ T_b[:3, :3]) < NEAR_RAD


def _put_tcp_at_fingertips(robot):
    """Make O_T_EE the pose of the tool: the robot's settings may name another hand, or none."""
    if near(np.array(robot.state.F_T_EE.matrix), T_FLANGE_TCP):
        return
    T_nominal_tcp = inverse(np.array(robot.state.F_T_NE.matrix)) @ T_FLANGE_TCP
    robot.set_ee(T_nominal_tcp.ravel(order="F").tolist())
    measured = np.array(robot.state.F_T_EE.matrix)
    if not near(measured, T_FLANGE_TCP):
        raise ArmFault(
            "connection_lost",
            f"the end effector frame stays {np.round(measured, 4).tolist()}: choose the Franka hand in Desk",
        )
