"""What a teacher's network is given of the privileged state: where things are relative to each other.

The state is that of casher_sim.environment, in the base frame. A grasp is a matter of millimetres while a kitchen is a
matter of metres, so differences enter at three scales: in steps of the arm, in spans of the hand, and in metres. The
result is standardised with the mean and deviation of the demonstrations, which are saved with the weights.
"""

import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

SCALES_M = (0.03, 0.10, 0.40)
"""One step of the arm, the hand's width, the kitchen."""
_LEAST_DEVIATION = 0.05


def relative(state):
    """State (B, 16 or 21) of casher_sim.environment -> (B, F) features, without standardisation."""
    p_object, fingers, p_tcp = state[:, 0:3], state[:, 7:9], state[:, 13:16]
    R_object, R_tcp = rotation(state[:, 3:7]), rotation(state[:, 9:13])
    to_object = p_object - p_tcp
    in_tool = (R_tcp.transpose(1, 2) @ to_object[..., None])[..., 0]
    differences = [to_object, in_tool]
    parts = [fingers, p_tcp, p_object, R_tcp[:, :, 1:].flatten(1), R_object[:, :, ::2].flatten(1)]
    parts.append((R_tcp.transpose(1, 2) @ R_object)[:, :, ::2].flatten(1))
    if state.shape[1] > 16:
        goal, size = state[:, 16:19], state[:, 19:21]
        differences += [goal - p_object, goal - p_tcp]
        parts += [goal, size / SCALES_M[1]]
    for difference in differences:
        parts += [torch.tanh(difference / scale) for scale in SCALES_M]
    return torch.cat(parts, dim=1)


def rotation(quat_xyzw):
    """(B, 4) unit quaternions -> (B, 3, 3)."""
    x, y, z, w = quat_xyzw.unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], 1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], 1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], 1),
    ]
    return torch.stack(rows, 1)


class TeacherFeatures(BaseFeaturesExtractor):
    """`relative`, standardised."""

    def __init__(self, observation_space):
        size = relative(torch.zeros(1, *observation_space.shape)).shape[1]
        super().__init__(observation_space, size)
        self.mean = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.deviation = nn.Parameter(torch.ones(size), requires_grad=False)

    def fit(self, states):
        """Take mean and deviation from states (B, ...)."""
        features = relative(states)
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp(min=_LEAST_DEVIATION))

    def forward(self, state):
        """(B, ...) -> (B, F)."""
        return (relative(state) - self.mean) / self.deviation
