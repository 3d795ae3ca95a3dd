"""Between the arm's state and its messages."""

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from casher_msgs.msg import RobotState
from casher_perception.conversions import pose_message, stamp_message
from casher_policy.observation import FINGER_MAX_M


def robot_state_message(state, moving):
    """ArmState and whether an action is being executed -> casher_msgs/RobotState."""
    return RobotState(
        header=_header(state),
        tcp_pose=pose_message(state.T_base_tcp),
        joint_positions=[float(v) for v in state.joint_positions],
        joint_velocities=[float(v) for v in state.joint_velocities],
        finger_positions=[float(v) for v in state.fingers],
        finger_max=FINGER_MAX_M,
        gripper_closed=bool(state.width_command <= 0.0),
        object_grasped=bool(state.grasped),
        moving=bool(moving or state.moving),
        fault=state.fault,
    )


def joint_state_message(state, robot):
    """ArmState -> sensor_msgs/JointState, named as in franka_description; robot: 'fr3', 'panda' or 'sim' (an FR3)."""
    prefix = "panda" if robot == "panda" else "fr3"
    names = [f"{prefix}_joint{i}" for i in range(1, 8)] + [f"{prefix}_finger_joint{i}" for i in (1, 2)]
    return JointState(
        header=_header(state),
        name=names,
        position=[float(v) for v in (*state.joint_positions, *state.fingers)],
        velocity=[float(v) for v in (*state.joint_velocities, 0.0, 0.0)],
    )


def tcp_pose_message(state):
    """ArmState -> geometry_msgs/PoseStamped."""
    return PoseStamped(header=_header(state), pose=pose_message(state.T_base_tcp))


def _header(state):
    return Header(stamp=stamp_message(state.stamp_ns), frame_id="base")
