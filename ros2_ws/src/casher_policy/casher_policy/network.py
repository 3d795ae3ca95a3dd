"""The student's network (paper, section VIII): cloud and robot state -> a logit for each of the 14 actions.

A local PointNet gives every point features from its place in its cell of a grid over a box, its place in the box and
its colour; a 3-D U-Net mixes the cells; maximum and mean over them are the cloud's embedding. The place in the cell
alone is not enough: without the place in the box success on unseen scenes fell from 0.88 to 0.71.

The box is the crop. Beyond the paper a second, smaller one may move along with the tool: a grasp is a matter of
millimetres, and a cell of the first is more than ten centimetres wide.
"""

import itertools

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


class Convolution(nn.Conv3d):
    """The same sums; for one cloud on a CPU oneDNN's kernel, which torch chooses for a batch only: 0.5 ms, not 4."""

    def forward(self, x):
        alone = x.device.type == "cpu" and x.dtype == torch.float32 and len(x) == 1 and not torch.is_grad_enabled()
        if not alone or not torch.backends.mkldnn.is_available():
            return super().forward(x)
        sizes = self.padding, self.stride, self.dilation, self.groups
        return torch.ops.aten.mkldnn_convolution(x, self.weight, self.bias, *sizes)


def _convolution(inputs, outputs):
    return nn.Sequential(
        nn.GroupNorm(8 if inputs % 8 == 0 else 1, inputs),
        Convolution(inputs, outputs, 3, padding=1, bias=False),
        nn.ReLU(),
    )


class UNet3D(nn.Module):
    """(B, inputs, G, G, G) -> (B, channels, G, G, G)."""

    def __init__(self, inputs, channels):
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

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, functional.interpolate(x, size=skip.shape[2:], mode="nearest")], dim=1))
        return x


class LightUNet3D(nn.Module):
    """The same with one convolution for each level and way, and skips that are added instead of stacked.

    At 16 channels a training step takes a CPU 0.6 of UNet3D's at 8, whose stacked channels do not fill its vectors.
    """

    def __init__(self, inputs, channels):
        super().__init__()
        widths = [channels * 2**level for level in range(LEVELS)]
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(_convolution(a, b) for a, b in [(inputs, widths[0]), *pairs])
        self.narrow = nn.ModuleList(nn.Conv3d(coarse, fine, 1, bias=False) for fine, coarse in pairs[::-1])
        self.up = nn.ModuleList(_convolution(fine, fine) for fine, _ in pairs[::-1])

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        for narrow, block, skip in zip(self.narrow, self.up, skips[-2::-1], strict=True):
            x = block(skip + functional.interpolate(narrow(x), size=skip.shape[2:], mode="nearest"))
        return x


class GridEncoder(nn.Module):
    """Points in a box -> embedding (B, 128).

    Whatever the order of the points, and the same for a cloud alone and in a batch, up to the rounding of sums.
    """

    def __init__(self, config, grid, more):
        """grid: cells along each edge of the box; more: numbers that describe a point besides its place."""
        super().__init__()
        self.grid = grid
        self.points = LocalPointNet(6 + more, config.hidden, config.blocks, config.point_features)
        self.unet = (LightUNet3D if config.light else UNet3D)(config.point_features, config.channels)
        self.leave = nn.Linear(config.channels, EMBEDDING // 2)

    def forward(self, in_box, more, inside=None):
        """in_box (B, N, 3): 0 .. 1 along each edge; more (B, N, M); inside (B, N) bool: those that count, None: all."""
        batch, g = len(in_box), self.grid
        inputs, flat = in_cells(in_box, more, g)
        if inside is not None:
            inside = inside.flatten()
            flat, inputs = flat[inside], inputs[inside]
        # Besides the U-Net only occupied cells are worked on: a few hundred of 4096, or a thousand of 32768.
        occupied, cell = torch.unique(flat, return_inverse=True)
        features = self.points(inputs, cell, len(occupied))
        count = torch.bincount(cell, minlength=len(occupied))[:, None]
        mean = features.new_zeros(len(occupied), features.shape[1]).index_add(0, cell, features) / count
        cells = features.new_zeros(batch * g**3, features.shape[1]).index_copy(0, occupied, mean)
        cells = cells.view(batch, g, g, g, -1).permute(0, 4, 1, 2, 3).contiguous()
        mixed = self.unet(cells).permute(0, 2, 3, 4, 1).reshape(batch * g**3, -1)
        return pooled(self.leave(mixed[occupied]), occupied // g**3, batch)


def in_cells(in_box, more, g):
    """in_box (B, N, 3): 0 .. 1 along each edge; more (B, N, M) -> what a LocalPointNet sees (B N, 6 + M), cell (B N,).

    The cells of all clouds are numbered through, those of one, g^3, with x the fastest.
    """
    # A point on the upper face, or pushed over one by augmentation, belongs to the last cell.
    in_grid = (in_box * g).clamp(0, g - 1e-3)
    corner = in_grid.floor()
    inputs = torch.cat([in_grid - corner - 0.5, in_box * 2 - 1, more], dim=-1).flatten(0, 1)
    x, y, z = corner.long().unbind(-1)
    cloud = torch.arange(len(in_box), device=in_box.device)[:, None]
    return inputs, (((cloud * g + z) * g + y) * g + x).flatten()


def pooled(features, cloud, clouds):
    """Features (P, C) of cells, cloud (P,) that each belongs to -> maximum and mean of each cloud (clouds, 2 C).

    0 for a cloud without cells.
    """
    nothing = features.new_zeros(clouds, features.shape[1])
    maximum = nothing.scatter_reduce(0, cloud[:, None].expand_as(features), features, "amax", include_self=False)
    count = torch.bincount(cloud, minlength=clouds)[:, None].clamp(min=1)
    return torch.cat([maximum, nothing.index_add(0, cloud, features) / count], dim=1)


class PolicyNetwork(nn.Module):
    """Points [m] (B, total, 3), colours (B, total, 3) uint8, robot state (B, 9) -> logits (B, 14), ordered as `Action`.

    `total` points as `preprocess` orders them: those of the crop, then those about the tool.
    """

    def __init__(self, config, preprocessing):
        """config: NetworkConfig; preprocessing: of the clouds. ValueError when only one of them has a near part."""
        super().__init__()
        if bool(config.near_grid) != bool(preprocessing.near_points):
            raise ValueError(
                f"a network with near_grid {config.near_grid} does not fit clouds with near_points "
                f"{preprocessing.near_points}: both or none are 0"
            )
        self.config, self.preprocessing = config, preprocessing
        # The box comes from the checkpoint's preprocessing: it is no weight, so it is not saved a second time.
        low, high = (torch.tensor(corner) for corner in (preprocessing.crop_low, preprocessing.crop_high))
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("size", high - low, persistent=False)
        colour = 3 if config.use_colour else 0
        self.scene = GridEncoder(config, config.grid, colour)
        self.near = GridEncoder(config, config.near_grid, colour + 3) if config.near_grid else None
        embeddings = 2 if config.near_grid else 1
        self.head = nn.Sequential(
            nn.Linear(embeddings * EMBEDDING + STATE, HEAD),
            nn.ReLU(),
            nn.Linear(HEAD, HEAD),
            nn.ReLU(),
            nn.Linear(HEAD, len(ACTION_NAMES)),
        )

    def forward(self, points, colours, robot_state):
        return self.head(torch.cat([self.embed(points, colours, robot_state), robot_state], dim=1))

    def embed(self, points, colours, robot_state):
        """-> (B, 128), or (B, 256) with a near part: what the head sees besides the state."""
        boxes = self.boxes(points, colours, robot_state)
        return torch.cat([encoder(*box) for encoder, box in zip(self.encoders(), boxes, strict=True)], dim=1)

    def encoders(self):
        """[scene], or [scene, near]."""
        return [self.scene] if self.near is None else [self.scene, self.near]

    def boxes(self, points, colours, robot_state):
        """What each of the encoders is called with."""
        if colours.dtype != torch.uint8:
            raise ValueError(f"colours must be uint8 0 .. 255, got {colours.dtype}")
        colours = colours.to(points.dtype) / 255 if self.config.use_colour else points[..., :0]
        n = self.preprocessing.points
        scene = (points[:, :n] - self.low) / self.size, colours[:, :n]
        if self.near is None:
            return [scene]
        reach = self.preprocessing.near_m
        from_tool = (points[:, n:] - robot_state[:, None, 2:5]) / reach
        inside = (from_tool.abs() <= 1).all(dim=-1)
        in_tool = from_tool @ rotation(robot_state[:, 5:9])
        return [scene, ((from_tool + 1) / 2, torch.cat([in_tool, colours[:, n:]], dim=-1), inside)]


def rotation(quat_xyzw):
    """(B, 4) -> R (B, 3, 3) from the turned frame to the base: row vectors times R come into the turned frame."""
    x, y, z, w = functional.normalize(quat_xyzw, dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def use_one_thread():
    """For a node on a busy machine: two threads that wait for one another took 951 ms where one took 39."""
    torch.set_num_threads(1)


def probabilities(network, points, colours, robot_state):
    """One observation as arrays, (N, 3) float32 [m], (N, 3) uint8, (9,) float32 -> (14,) float32 that sum to 1."""
    with torch.inference_mode():
        batch = [torch.from_numpy(array)[None] for array in (points, colours, robot_state)]
        return torch.softmax(network(*batch)[0], dim=0).numpy()
