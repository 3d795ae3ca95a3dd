"""One cloud on a CPU: `PolicyNetwork`'s answer, to the rounding of sums, with a third of its operations.

The plain forward is for training and for batches. What is done differently here and in fast_unet, none of it an
approximation: what its cell adds to a point in the local PointNet is multiplied once for each cell, and the U-Net makes
use of how few cells are occupied.
"""

import torch
from torch.nn import functional

from casher_policy.fast_unet import SMALL_GRID, FastUNet, grid_of, rows_of
from casher_policy.network import EMBEDDING, UNet3D, in_cells


class FastNetwork:
    """Called as the PolicyNetwork it is made of, with the same answer; whatever is no single cloud on a CPU goes there.

    The network's weights may change later: what is derived from them follows.
    """

    def __init__(self, network):
        self.network = network
        self._encoders = [_Encoder(encoder) for encoder in network.encoders()]

    def __call__(self, points, colours, robot_state):
        alone = len(points) == 1 and points.device.type == "cpu" and points.dtype == torch.float32
        if not alone or torch.is_grad_enabled() or not torch.backends.mkldnn.is_available():
            return self.network(points, colours, robot_state)
        boxes = self.network.boxes(points, colours, robot_state)
        seen = [encoder(*box) for encoder, box in zip(self._encoders, boxes, strict=True)]
        return self.network.head(torch.cat([*seen, robot_state], dim=1))


class _Encoder:
    """Called as the GridEncoder it is made of, with one cloud."""

    def __init__(self, encoder):
        self._encoder = encoder
        wide = encoder.grid > SMALL_GRID
        self._unet = FastUNet(encoder.unet) if wide and isinstance(encoder.unet, UNet3D) else None

    def __call__(self, in_box, more, inside=None):
        g = self._encoder.grid
        inputs, flat = in_cells(in_box, more, g)
        if inside is not None:
            inside = inside.flatten()
            flat, inputs = flat[inside], inputs[inside]
        if len(flat) == 0:
            return inputs.new_zeros(1, EMBEDDING)
        mask = torch.zeros(g**3, dtype=torch.bool)
        mask[flat] = True
        occupied, cell = mask.nonzero()[:, 0], (mask.cumsum(0) - 1)[flat]
        mean = _mean_features(self._encoder.points, inputs, cell, len(occupied))
        if self._unet is not None:
            mixed = self._unet(mean, mask)
        else:
            cells = mean.new_zeros(g**3, mean.shape[1]).index_copy_(0, occupied, mean)
            mixed = rows_of(self._encoder.unet(grid_of(cells)))[occupied]
        features = self._encoder.leave(mixed)
        return torch.cat([features.amax(0), features.mean(0)])[None]


def _mean_features(points, x, cell, cells):
    """The mean of a LocalPointNet's features in each cell: x (P, inputs), cell (P,) -> (cells, outputs)."""
    first, *others = points.blocks
    x = first(points.enter(x))
    for block in others:
        top = x.new_full((cells, x.shape[1]), -torch.inf)
        top.scatter_reduce_(0, cell[:, None].expand_as(x), x, "amax")
        inner = _of_stacked(block.first.weight, block.first.bias, x.relu(), top.relu(), cell)
        x = _of_stacked(block.shortcut.weight, block.second.bias, x, top, cell)
        x.addmm_(inner.relu_(), block.second.weight.t())
    count = torch.bincount(cell, minlength=cells)[:, None]
    return points.leave(x.new_zeros(cells, x.shape[1]).index_add_(0, cell, x) / count)


def _of_stacked(weight, bias, of_point, of_cell, cell):
    """The linear map of [of_point, of_cell[cell]]: of_point (P, C), of_cell (cells, C), cell (P,) -> (P, outputs)."""
    left, right = weight.split(of_point.shape[1], 1)
    return functional.linear(of_cell, right, bias).index_select(0, cell).addmm_(of_point, left.t())
