"""What connecting to any Franka has in common."""

import threading

import numpy as np

from casher_franka.arm import ArmFault
from casher_franka.kinematics import T_FLANGE_TCP
from casher_perception.geometry import rotation_angle

CONNECT_TIMEOUT_S = 3.0
NEAR_M, NEAR_RAD = 1e-4, 1e-3
"""Poses closer than this are the same: the measurement is no finer."""


def near(T_a, T_b, position_m=NEAR_M, angle_rad=NEAR_RAD):
    """Whether two poses (4, 4) are the same within these."""
    p_m = np.linalg.norm(T_a[:3, 3] - T_b[:3, 3])
    return p_m < position_m and rotation_angle(T_a[:3, :3].T @ T_b[:3, :3]) < angle_rad


def connect_within(host, make):
    """make() -> what it returns; raises what it raises, or ArmFault when it takes longer than CONNECT_TIMEOUT_S.

    libfranka waits for minutes for a host that is not there, so it waits in a thread that nobody joins.
    """
    made, failed = [], []

    def run():
        try:
            made.append(make())
        except Exception as error:  # raised again below, by the caller's thread
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    if failed:
        raise failed[0]
    if not made:
        raise ArmFault(
            "connection_lost", f"{host} does not answer within {CONNECT_TIMEOUT_S} s: check address and cable"
        )
    return made[0]


def check_tcp(F_T_EE):
    """ArmFault unless the end effector's frame (4, 4), in the flange's, is at the fingertips of the Franka hand."""
    if not near(F_T_EE, T_FLANGE_TCP):
        raise ArmFault(
            "connection_lost",
            f"the end effector frame stays {np.round(F_T_EE, 4).tolist()}: choose the Franka hand in Desk",
        )
