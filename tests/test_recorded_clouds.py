"""What a student learns of a demonstration on a real arm is what the arm did."""

import numpy as np
import pytest
from bags import episode, kitchen_cloud, open_bag, policy_step, write

from casher_perception.conversions import cloud_message, stamp_message
from casher_policy.action import ACTION_NAMES
from casher_policy.action import Action as A
from casher_policy.conversions import episode_message
from casher_policy.episode_topics import CLOUD_TOPIC, EPISODE_TOPIC, STEP_TOPIC
from casher_policy.preprocess import Preprocessing
from casher_training.recorded_clouds import with_recorded_clouds
from casher_training.trajectory import Trajectory, TrajectoryError

ACTIONS = [A.PLUS_Y, A.PLUS_X, A.MINUS_Z, A.PLUS_X]
PREPROCESSING = Preprocessing((-1.0, -1.0, -0.5), (1.5, 1.0, 1.0), 0.02, 64)


def demonstration(folder, refused):
    """A Trajectory of ACTIONS with its bag; refused: numbers of the steps that the arm refused."""
    record, rng = episode(policy="human", robot="fr3", steps=len(ACTIONS)), np.random.default_rng(0)
    bag = open_bag(folder, record)
    for k, action in enumerate(ACTIONS):
        now = record.start_ns + (k + 1) * 10**9
        write(bag, CLOUD_TOPIC, cloud_message(*kitchen_cloud((0.5, 0.0, 0.01 * k), rng), "base", now), now)
        step = policy_step(record, k, rng)
        step.action, step.action_name = int(action), ACTION_NAMES[action]
        step.refused = "outside_workspace: the target lies outside" if k in refused else ""
        step.cloud_stamp, step.settled = stamp_message(now), stamp_message(now + 1)
        step.observation_state = np.full(9, k, dtype=np.float32)
        write(bag, STEP_TOPIC, step, now + 2)
    write(bag, EPISODE_TOPIC, episode_message(record, record.end_ns), record.end_ns)
    bag.close()
    states = np.arange(len(ACTIONS) + 1.0)
    return Trajectory(
        task="put_in_sink",
        twin="demo",
        twin_hash="0",
        object="mug",
        seed=3,
        preset="released",
        action_set="",
        horizon=100,
        source="human",
        robot="fr3",
        observations=states[:, None],
        actions=np.array(ACTIONS),
        rewards=np.array([0, 0, 0, 1]),
        success=True,
        robot_joints=np.tile(states[:, None], 7),
        fingers=np.zeros((len(states), 2)),
        object_poses=np.full((len(states), 7), np.nan),
        door_angles=np.zeros(len(states)),
        shift=np.zeros(3),
        software="a test",
        bag=str(folder),
    )


def test_a_student_does_not_learn_the_actions_that_the_arm_refused(tmp_path):
    whole = with_recorded_clouds(demonstration(tmp_path / "whole", ()), PREPROCESSING)
    made = with_recorded_clouds(demonstration(tmp_path / "refused", (1, 3)), PREPROCESSING)
    assert whole.clouds.labels.tolist() == ACTIONS
    assert made.clouds.labels.tolist() == made.actions.tolist() == [A.PLUS_Y, A.MINUS_Z]
    assert made.clouds.robot_states[:, 0].tolist() == [0, 2]
    assert np.array_equal(made.clouds.points, whole.clouds.points[[0, 2]])
    assert made.robot_joints[:, 0].tolist() == [0, 2, 4]
    assert made.success and made.rewards.tolist() == [0, 1]


def test_a_demonstration_of_refused_actions_alone_is_none(tmp_path):
    with pytest.raises(TrajectoryError, match="refused each of its 4 actions: outside_workspace"):
        with_recorded_clouds(demonstration(tmp_path / "bag", range(4)), PREPROCESSING)
