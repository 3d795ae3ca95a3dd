"""A small, randomly initialised checkpoint, for tests that need a policy that runs but knows nothing."""

import torch

from casher_policy.checkpoint import save_checkpoint
from casher_policy.network import PolicyNetwork
from casher_policy.network_config import NetworkConfig
from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named

TINY = NetworkConfig(grid=8, channels=8, point_features=8, hidden=8, blocks=2, near_grid=8)


def preprocessing(task="put_in_sink", points=64, near_points=32):
    """Of the task's own crop."""
    return Preprocessing(*task_named(task).crop, points=points, near_points=near_points)


def random_network(seed=0, config=TINY, task="put_in_sink", points=64):
    """A PolicyNetwork with weights drawn by the seed, in evaluation mode; half as many points about the tool."""
    torch.manual_seed(seed)
    return PolicyNetwork(config, preprocessing(task, points, points // 2 if config.near_grid else 0)).eval()


def random_checkpoint(path, task="put_in_sink", seed=0, **trained_on):
    """Write one -> its id; trained_on: objects and kitchens it is to name."""
    network = random_network(seed, task=task)
    told = {"data_hash": "0" * 64, "commit": "a test", **trained_on}
    return save_checkpoint(path, network, task=task, preprocessing=preprocessing(task), **told)
