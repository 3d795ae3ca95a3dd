"""The student's network (paper, section VIII): cloud and robot state -> a logit for each of the 14 actions.

A local PointNet gives every point features from its place in its cell of a grid over the crop box, its place in the
box and its colour; a 3-D U-Net mixes the cells; maximum and mean over them are the cloud's embedding. The place in the
cell alone is not enough: without the place in the box success on unseen scenes fell from 0.88 to 0.71.
"""

import torch
from torch import nn
from torch.nn import functional

from casher_policy.action import ACTION_NAMES
from casher_policy.network_config import EMBEDDING, LEVELS

STATE = 9
HEAD = 256


class CellMax(torch.autograd.Function):
    """Each point's features replaced by the maximum over the points of its cell: (P, C), cell (P,), cells -> (P, C).

    Points that share the maximum share its gradient, as in `scatter_reduce`, whose own backward is slower.
    """

    @staticmethod
    def forward(ctx, features, cell, cells):
        top = features.new_full((cells, features.shape[1]), -torch.inf)
        top.scatter_reduce_(0, cell[:, None].expand_as(features), features, "amax")
        maximum = top[cell]
        ctx.save_for_backward(features == maximum, cell)
        ctx.cells = cells
        return maximum

    @staticmethod
    def backward(ctx, gradient):
        on_top, cell = ctx.saved_tensors
        shape = ctx.cells, gradient.shape[1]
        total = gradient.new_zeros(shape).index_add_(0, cell, gradient)
        sharers = gradient.new_zeros(shape).index_add_(0, cell, on_top.to(gradient.dtype))
        return (total / sharers)[cell] * on_top, None, None


class ResidualBlock(nn.Module):
    """(P, inputs) -> (P, outputs); starts as a linear map."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.first = nn.Linear(inputs, outputs)
        self.second = nn.Linear(outputs, outputs)
        self.shortcut = nn.Linear(inputs, outputs, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, x):
        return self.shortcut(x) + self.second(functional.relu(self.first(functional.relu(x))))


class LocalPointNet(nn.Module):
    """Points (P, inputs) in their cells (P,) -> features (P, outputs)."""

    def __init__(self, inputs, hidden, blocks, outputs):
        super().__init__()
        self.enter = nn.Linear(inputs, 2 * hidden)
        self.blocks = nn.ModuleList(ResidualBlock(2 * hidden, hidden) for _ in range(blocks))
        self.leave = nn.Linear(hidden, outputs)

    def forward(self, x, cell, cells):
        first, *others = self.blocks
        x = first(self.enter(x))
        for block in others:
            x = block(torch.cat([x, CellMax.apply(x, cell, cells)], dim=1))
        return self.leave(x)


def _convolution(inputs, outputs):
    return nn.Sequential(
        nn.GroupNorm(8 if inputs % 8 == 0 else 1, inputs),
        nn.Conv3d(inputs, outputs, 3, padding=1, bias=False),
        nn.ReLU(),
    )


class UNet3D(nn.Module):
    """(B, inputs, G, G, G) -> (B, outputs, G, G, G)."""

    def __init__(self, inputs, channels, outputs):
        super().__init__()
        widths = [channels * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList()
        for width in widths:
            middle = max(width // 2, inputs)
            self.down.append(nn.Sequential(_convolution(inputs, middle), _convolution(middle, width)))
            inputs = width
        self.up = nn.ModuleList(
            nn.Sequential(_convolution(coarse + fine, fine), _convolution(fine, fine))
            for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.leave = nn.Conv3d(channels, outputs, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, functional.interpolate(x, size=skip.shape[2:], mode="nearest")], dim=1))
        return self.leave(x)


class CloudEncoder(nn.Module):
    """Points [m] (B, N, 3) in the box and colours (B, N, 3) uint8 -> embedding (B, 128).

    Whatever the order of the points, and the same for a cloud alone and in a batch, up to the rounding of sums.
    """

    def __init__(self, config, crop_low, crop_high):
        super().__init__()
        self.config = config
        # The box comes from the checkpoint's preprocessing: it is no weight, so it is not saved a second time.
        self.register_buffer("low", torch.tensor(crop_low, dtype=torch.float32), persistent=False)
        self.register_buffer("size", torch.tensor(crop_high, dtype=torch.float32) - self.low, persistent=False)
        inputs = 9 if config.use_colour else 6
        self.points = LocalPointNet(inputs, config.hidden, config.blocks, config.point_features)
        self.unet = UNet3D(config.point_features, config.channels, EMBEDDING // 2)

    def forward(self, points, colours):
        batch, _, _ = points.shape
        g = self.config.grid
        in_box = (points - self.low) / self.size
        # A point on the upper face, or pushed over one by augmentation, belongs to the last cell.
        in_grid = (in_box * g).clamp(0, g - 1e-3)
        corner = in_grid.floor()
        inputs = [in_grid - corner - 0.5, in_box * 2 - 1]
        if self.config.use_colour:
            inputs.append(colours.to(points.dtype) / 255)
        x, y, z = corner.long().unbind(-1)
        cloud = torch.arange(batch, device=points.device)[:, None]
        flat = (((cloud * g + z) * g + y) * g + x).flatten()
        # Only occupied cells are worked on: a few hundred of 4096, or a thousand of 32768.
        occupied, cell = torch.unique(flat, return_inverse=True)
        features = self.points(torch.cat(inputs, dim=-1).flatten(0, 1), cell, len(occupied))
        count = torch.bincount(cell, minlength=len(occupied))[:, None]
        mean = features.new_zeros(len(occupied), features.shape[1]).index_add(0, cell, features) / count
        grid = features.new_zeros(batch * g**3, features.shape[1]).index_copy(0, occupied, mean)
        grid = grid.view(batch, g, g, g, -1).permute(0, 4, 1, 2, 3).contiguous()
        mixed = self.unet(grid).flatten(2)
        return torch.cat([mixed.amax(dim=2), mixed.mean(dim=2)], dim=1)


class PolicyNetwork(nn.Module):
    """Points [m] (B, N, 3), colours (B, N, 3) uint8, robot state (B, 9) -> logits (B, 14), in the order of `Action`."""

    def __init__(self, config, crop_low, crop_high):
        """config: NetworkConfig; crop_low, crop_high: (x, y, z) [m] of the box the grid spans, base frame."""
        super().__init__()
        self.config = config
        self.crop = tuple(crop_low), tuple(crop_high)
        self.encoder = CloudEncoder(config, crop_low, crop_high)
        self.head = nn.Sequential(
            nn.Linear(EMBEDDING + STATE, HEAD),
            nn.ReLU(),
            nn.Linear(HEAD, HEAD),
            nn.ReLU(),
            nn.Linear(HEAD, len(ACTION_NAMES)),
        )

    def forward(self, points, colours, robot_state):
        if colours.dtype != torch.uint8:
            raise ValueError(f"colours must be uint8 0 .. 255, got {colours.dtype}")
        return self.head(torch.cat([self.encoder(points, colours), robot_state], dim=1))


def use_one_thread():
    """For a node on a busy machine: two threads that wait for one another took 951 ms where one took 39."""
    torch.set_num_threads(1)


def probabilities(network, points, colours, robot_state):
    """One observation as arrays, (N, 3) float32 [m], (N, 3) uint8, (9,) float32 -> (14,) float32 that sum to 1."""
    with torch.inference_mode():
        batch = [torch.from_numpy(array)[None] for array in (points, colours, robot_state)]
        return torch.softmax(network(*batch)[0], dim=0).numpy()
