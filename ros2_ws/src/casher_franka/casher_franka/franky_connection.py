"""Connecting to an FR3 and its hand with `franky`, and what its exceptions mean.

The pose a Franka reports and follows, O_T_EE, is that of its end effector frame EE, wherever its settings put that. So
`connect` puts it at the fingertips of the Franka hand, so that O_T_EE is T_base_tcp.
"""

import franky
import numpy as np

from casher_franka.arm import ArmFault
from casher_franka.connecting import check_tcp, connect_within, near
from casher_franka.kinematics import T_FLANGE_TCP
from casher_perception.geometry import inverse

REALTIME = {"enforce": franky.RealtimeConfig.Enforce, "ignore": franky.RealtimeConfig.Ignore}
FOLLOWING = {"joint": franky.ControllerMode.JointImpedance, "cartesian": franky.ControllerMode.CartesianImpedance}

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


def connect(config):
    """FrankaConfig -> (franky.Robot, franky.Gripper) that behave so, with the EE frame at the tcp.

    ArmFault('connection_lost') says why not.
    """
    host = config.host

    def make():
        robot = franky.Robot(
            host,
            relative_dynamics_factor=config.dynamics_factor,
            controller_mode=FOLLOWING[config.following],
            realtime_config=REALTIME[config.realtime],
        )
        return robot, franky.Gripper(host)

    try:
        robot, gripper = connect_within(host, make)
        _put_tcp_at_fingertips(robot)
        robot.set_collision_behavior(list(config.collision_torque), list(config.collision_force))
        robot.set_joint_impedance(list(config.joint_stiffness))
        robot.set_cartesian_impedance(list(config.cartesian_stiffness))
        return robot, gripper
    except franky.IncompatibleVersionException as error:
        raise ArmFault(
            "connection_lost",
            f"{host}: {error}: this client speaks to an FR3 of system 5.9 or later; for a Panda say robot:=panda",
        ) from error
    except franky.RealtimeException as error:
        raise ArmFault(
            "connection_lost", f"{host}: {error}: boot a PREEMPT_RT kernel and give this user real-time priority"
        ) from error
    except FAILED as error:
        raise ArmFault("connection_lost", f"{host}: {error}") from error


def _put_tcp_at_fingertips(robot):
    """Make O_T_EE the pose of the tool: the robot's settings may name another hand, or none."""
    if near(np.array(robot.state.F_T_EE.matrix), T_FLANGE_TCP):
        return
    T_nominal_tcp = inverse(np.array(robot.state.F_T_NE.matrix)) @ T_FLANGE_TCP
    robot.set_ee(T_nominal_tcp.ravel(order="F").tolist())
    check_tcp(np.array(robot.state.F_T_EE.matrix))
