"""What is kept of a demonstration, simulated or on an arm."""

import numpy as np

from casher_policy.software import software_id
from casher_sim.environment import PRESETS
from casher_training.scenes import place
from casher_training.trajectory import Trajectory, action_set
from casher_training.twin_version import place_hash


def demo_trajectory(demo, observations, actions, rewards, states, **about):
    """T actions of a SimulatedDemo or ArmDemo, T rewards, T + 1 observations (D,) and SceneStates -> Trajectory.

    about: fields that the demo does not know, such as its source.
    """
    kitchen = place(demo.scene.twin)
    return Trajectory(
        task=demo.task.name,
        twin=kitchen.name,
        twin_hash=place_hash(kitchen),
        object=demo.scene.object,
        seed=demo.seed,
        preset=demo.preset,
        action_set=action_set(PRESETS[demo.preset].steps),
        horizon=demo.task.horizon,
        robot=demo.robot,
        observations=np.array(observations),
        actions=np.array(actions),
        rewards=np.array(rewards),
        success=demo.success,
        robot_joints=np.array([s.joints for s in states]),
        fingers=np.array([s.fingers for s in states]),
        object_poses=np.array([s.object_pose for s in states]),
        door_angles=np.array([s.door_angle for s in states]),
        shift=states[0].shift,
        software=software_id(),
        **about,
    )
