"""Connecting to a Panda (FER) and its hand with `panda_py`, whose protocol 5 `franky` does not speak.

As with an FR3, `connect` puts the end effector's frame at the fingertips, so that O_T_EE is T_base_tcp.
"""

import ctypes
import os
import socket
import stat

import numpy as np
import panda_py
from panda_py import libfranka

from casher_franka.arm import ArmFault
from casher_franka.connecting import check_tcp, connect_within, near
from casher_franka.kinematics import T_FLANGE_TCP
from casher_perception.geometry import inverse

REALTIME = {"enforce": libfranka.RealtimeConfig.kEnforce, "ignore": libfranka.RealtimeConfig.kIgnore}
FCI_PORT = 1337
LOGGER = "casher.panda"
"""Name of the Python logger that panda_py tells what it does."""


def connect(config):
    """FrankaConfig -> (panda_py.Panda, libfranka.Gripper) that behave so, with the EE frame at the tcp.

    ArmFault('connection_lost') says why not.
    """
    host = config.host
    try:
        # The arm first: waiting for it lets other threads run, waiting for a hand that is not there would not.
        panda = connect_within(host, lambda: panda_py.Panda(host, LOGGER, REALTIME[config.realtime]))
        gripper = libfranka.Gripper(host)
        robot = panda.get_robot()
        _put_tcp_at_fingertips(panda, robot)
        torque, force = list(config.collision_torque), list(config.collision_force)
        robot.set_collision_behavior(torque, torque, torque, torque, force, force, force, force)
        robot.set_joint_impedance(list(config.joint_stiffness))
        robot.set_cartesian_impedance(list(config.cartesian_stiffness))
        return panda, gripper
    except panda_py.IncompatibleVersionError as error:
        raise ArmFault(
            "connection_lost",
            f"{host}: {error} This one speaks to a Panda (FER); for an FR3 say robot:=fr3",
        ) from error
    except RuntimeError as error:  # all that libfranka raises comes through as such
        raise ArmFault("connection_lost", f"{host}: {error}") from error


def let_go(panda, host):
    """Disconnect. panda_py ends the whole process when a Panda whose robot has gone is destroyed: so it never is."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(panda))
    for entry in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(entry)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry))) as copy:
                if copy.getpeername()[:2] == (socket.gethostbyname(host), FCI_PORT):
                    copy.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # closed meanwhile, or not connected


def _put_tcp_at_fingertips(panda, robot):
    """Make O_T_EE the pose of the tool: the robot's settings may name another hand, or none."""
    if near(_F_T_EE(panda), T_FLANGE_TCP):
        return
    robot.set_ee(np.eye(4).ravel().tolist())  # after this F_T_EE is F_T_NE, which a Panda does not report itself
    robot.set_ee((inverse(_F_T_EE(panda)) @ T_FLANGE_TCP).ravel(order="F").tolist())
    check_tcp(_F_T_EE(panda))


def _F_T_EE(panda):
    return np.reshape(panda.get_state().F_T_EE, (4, 4), order="F")
