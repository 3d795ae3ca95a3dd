"""Between the simulated world and its messages."""

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header

from casher_msgs.msg import SimulationState
from casher_perception.conversions import pose_message, stamp_message
from casher_sim.objects import NO_OBJECT


def simulation_state_message(world, ns):
    """World and the time [ns] -> SimulationState."""
    privileged, state = world.privileged(), world.task_state()
    no_object = world.object_name == NO_OBJECT
    message = SimulationState(
        header=Header(frame_id="base", stamp=stamp_message(ns)),
        task=world.task.name,
        object=world.object_name,
        side=world.side,
        object_pose=pose_message(np.eye(4) if no_object else privileged.T_base_object),
        object_height=privileged.object_height,
        object_radius=privileged.object_radius,
        object_grasp_width=privileged.grasp_width,
        grasp_point=_point(privileged.p_object_grasp),
        grasp_yaw=privileged.grasp_yaw,
        grasp_yaw_freedom=privileged.grasp_yaw_freedom,
        site=_point(privileged.p_base_site),
        site_half_size=privileged.site_half_size,
        clearance_z=float(privileged.clearance_z),
        lean=privileged.lean_rad,
        door_angle=float(state.door_angle[0]),
        success=bool(world.task.success(state)[0]),
        unfulfilled=", ".join(world.task.unfulfilled(state)),
    )
    if privileged.door is not None:
        _fill_door(message, privileged.door)
    return message


def _fill_door(message, door):
    message.has_door = True
    message.hinge, message.hinge_axis = _point(door.p_base_hinge), _vector(door.hinge_axis)
    message.handle, message.handle_axis = _point(door.p_base_handle), _vector(door.handle_axis)
    message.handle_outward = _vector(door.outward)
    message.handle_length, message.handle_thickness = float(door.length), float(door.thickness)


def _point(p):
    return Point(x=float(p[0]), y=float(p[1]), z=float(p[2]))


def _vector(v):
    return Vector3(x=float(v[0]), y=float(v[1]), z=float(v[2]))
