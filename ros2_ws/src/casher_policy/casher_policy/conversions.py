"""Between the contract and its messages."""

import numpy as np

from casher_msgs.msg import EpisodeResult, PolicyStep
from casher_perception.conversions import stamp_message, transform_from_pose
from casher_policy.action import ACTION_NAMES
from casher_policy.episode import SAME_FIELDS, episode_from_fields
from casher_policy.expert import DoorView, Privileged
from casher_policy.observation import robot_state
from casher_policy.policies import ExpertView


def state_vector(message):
    """RobotState -> the 9-d state of the observation, (9,) float32."""
    return robot_state(message.finger_positions, transform_from_pose(message.tcp_pose), message.finger_max)


def episode_message(episode, now_ns):
    """Episode -> EpisodeResult, stamped `now_ns` [ns since the epoch]."""
    message = EpisodeResult(**{name: getattr(episode, name) for name in SAME_FIELDS})
    message.header.stamp = stamp_message(now_ns)
    message.start = stamp_message(episode.start_ns)
    message.end = stamp_message(episode.end_ns)
    message.outcome = str(episode.outcome)
    return message


def episode_from_message(message):
    """EpisodeResult (or an object with its fields, as bag readers return) -> Episode."""
    return episode_from_fields(message)


def privileged_from_message(message):
    """SimulationState -> expert.Privileged."""
    return Privileged(
        T_base_object=transform_from_pose(message.object_pose),
        object_height=message.object_height,
        grasp_width=message.object_grasp_width,
        p_object_grasp=_xyz(message.grasp_point),
        grasp_yaw=message.grasp_yaw,
        grasp_yaw_freedom=message.grasp_yaw_freedom,
        p_base_site=_xyz(message.site),
        clearance_z=message.clearance_z,
        task=message.task,
        object_radius=message.object_radius,
        site_half_size=np.array(message.site_half_size),
        lean_rad=message.lean,
        door=_door(message) if message.has_door else None,
    )


def _door(message):
    return DoorView(
        angle=message.door_angle,
        p_base_handle=_xyz(message.handle),
        handle_axis=_xyz(message.handle_axis),
        outward=_xyz(message.handle_outward),
        length=message.handle_length,
        thickness=message.handle_thickness,
        p_base_hinge=_xyz(message.hinge),
        hinge_axis=_xyz(message.hinge_axis),
    )


def _xyz(message):
    return np.array([message.x, message.y, message.z])


def expert_view(simulation_state, robot_state):
    """SimulationState and RobotState -> policies.ExpertView."""
    return ExpertView(
        scene=privileged_from_message(simulation_state),
        T_base_tcp=transform_from_pose(robot_state.tcp_pose),
        fingers=np.array(robot_state.finger_positions),
        grasped=robot_state.object_grasped,
    )


def policy_step_message(step, episode_id, now_ns):
    """episode_loop.Step -> PolicyStep, stamped `now_ns` [ns since the epoch]."""
    message = PolicyStep(
        episode_id=episode_id,
        step=step.index,
        action=int(step.decision.action),
        action_name=ACTION_NAMES[step.decision.action],
        probabilities=step.decision.probabilities,
        observation_state=step.robot_state,
        cloud_stamp=stamp_message(step.cloud_stamp_ns),
        cloud_points=step.cloud_points,
        cloud_age_s=step.cloud_age_s,
        cloud_wait_s=step.cloud_wait_s,
        inference_s=step.inference_s,
        action_s=step.action_s,
        settled=stamp_message(step.executed.settled_ns),
        tcp_pose=step.executed.tcp_pose,
        refused=step.executed.refused,
    )
    message.header.stamp = stamp_message(now_ns)
    return message
