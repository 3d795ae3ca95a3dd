"""UNet3D of one grid on a CPU, for fast_inference: the same sums with a third of the operations.

* A kitchen's surfaces fill a thirtieth of the scene's cells. On the finest grid all others hold one vector, the
  background, and convolutions only bring in the faces of the box. So the background is convolved on a grid of 7^3 that
  has all its cases, and of the scene only what departs from it is multiplied and added to its neighbours.
* A stacked input's two parts are convolved apart and added, since one of them is a coarse grid, each cell repeated: its
  3^3 taps are 4^3 with stride 2 of a transposed convolution, 8 products instead of 27.
* Only occupied cells are pooled: the last convolution is done for them.

A grid is kept as rows (G^3, C), z slowest, which is torch's channels_last_3d.
"""

import torch
from torch.nn import functional

from casher_perception.compiled import compiled

_DEPTH = 3
"""Convolutions of the finest grid's background, one after the other."""
SMALL_GRID = 2 * _DEPTH
"""Cells along an edge up to which there are not all cases of the background."""
_SPARSE = 0.45
"""Part of a grid's cells up to which it is quicker to convolve each for itself than all together."""
_AT_ONCE = 128
"""Cells at a time: what goes to their neighbours stays in the cache until it is added there."""


class FastUNet:
    """UNet3D for one grid of more than SMALL_GRID cells along each edge, of which a part is occupied."""

    def __init__(self, unet):
        self._unet, self._derived_from = unet, None

    def __call__(self, mean, occupied):
        """mean (occupied cells, inputs), occupied (G^3,) bool -> (occupied cells, channels)."""
        self._derive()
        finest = _Finest(mean, occupied)
        for (norm, convolution, _), taps in zip(self._unet.down[0], self._down_taps, strict=True):
            finest.convolve(*_affine(norm, *finest.moments()), convolution.weight, taps)
            finest.relu()
        skips = [grid_of(finest.cells())]
        for first, second in list(self._unet.down)[1:]:
            skips.append(_block(second, _block(first, functional.max_pool3d(skips[-1], 2))))
        *inner, last = self._unet.up
        x = skips.pop()
        del skips[0]
        for (first, second), kernels in zip(inner, self._kernels, strict=False):
            skip = skips.pop()
            x, scale, shift = _from_coarse(x, _moments(rows_of(skip)), first[0], kernels[1])
            x += _convolved(_scaled(skip, scale, shift), kernels[0])
            x = _block(second, x.relu_())
        fine, coarse = self._kernels[-1]
        x, scale, shift = _from_coarse(x, finest.moments(), last[0][0], coarse)
        finest.convolve(scale, shift, fine, self._up_taps)
        x = rows_of(x).add_(finest.cells()).relu_()
        return _gathered(x, *_affine(last[1][0], *_moments(x)), occupied, self._last_taps).relu_()

    def _derive(self):
        """The kernels in the form in which they are used, anew when a weight has changed."""
        weights = list(self._unet.parameters())
        # A weight made in inference mode does not count its changes.
        now = [(weight.data_ptr(), object() if weight.is_inference() else weight._version) for weight in weights]
        if now == self._derived_from:
            return
        kernels = []
        for (_, first, _), (_, second, _) in self._unet.up:
            fine, coarse = first.weight.tensor_split([second.in_channels], 1)
            kernels.append((fine.contiguous(), upsampling_kernel(coarse)))
        self._kernels = kernels
        self._down_taps = [_taps(convolution.weight) for _, convolution, _ in self._unet.down[0]]
        self._up_taps = _taps(kernels[-1][0])
        self._last_taps = self._unet.up[-1][1][1].weight.permute(2, 3, 4, 1, 0).flatten(0, 3).contiguous()
        self._derived_from = now


class _Finest:
    """The finest grid: the background but for some cells, and both alike go through what is done to it."""

    def __init__(self, seen, differs):
        """differs (G^3,) bool: the other cells are 0; seen (differing cells, C)."""
        cases, cells = 2 * _DEPTH + 1, torch.arange(_edge(differs))
        end = cells.clamp(max=_DEPTH)
        self._case = _numbers(end + _DEPTH - end.flip(0), cases)
        self._corner = _numbers(cells, len(cells) + 2)
        self._background = seen.new_zeros(cases**3, seen.shape[1])
        self._put(seen, differs)

    def _put(self, seen, differs):
        self._seen, self._differs, self._where = seen, differs, differs.nonzero()[:, 0]
        self._case_seen = self._case[self._where]

    def convolve(self, scale, shift, weight, taps):
        """All times scale (C,) plus shift (C,), then with weight (outputs, C, 3, 3, 3); taps: _taps(weight)."""
        before = self._background
        self._background = rows_of(_convolved(_scaled(grid_of(before), scale, shift), weight))
        if len(self._seen) > _SPARSE * len(self._differs):
            cells = _convolved(_scaled(grid_of(self.cells(before)), scale, shift), weight)
            self._put(rows_of(cells), torch.ones_like(self._differs))
            return
        n = _edge(self._differs) + 2
        departures = (self._seen - before.index_select(0, self._case_seen)) * scale
        total = departures.new_zeros(n**3, len(weight))
        corners = self._corner[self._where].numpy()
        for start in range(0, len(departures), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            _add_to_neighbours((departures[some] @ taps).numpy(), corners[some], n, total.numpy())
        differs = _dilated(self._differs)
        total = total.index_select(0, self._corner[differs] + (n + 1) * n + 1)
        self._put(total, differs)
        self._seen += self._background.index_select(0, self._case_seen)

    def moments(self):
        """Mean and variance of each channel."""
        cells, seen = len(self._differs), self._seen
        times = torch.bincount(self._case[~self._differs], minlength=len(self._background)).to(seen.dtype)
        mean = (times @ self._background + seen.sum(0)) / cells
        square = times @ (self._background - mean).square() + (seen - mean).square_().sum(0)
        return mean, square / cells

    def cells(self, background=None):
        """All of them, (G^3, C)."""
        background = self._background if background is None else background
        return background.index_select(0, self._case).index_copy_(0, self._where, self._seen)

    def relu(self):
        self._seen.relu_()
        self._background.relu_()


def _numbers(along, edge):
    """Places along each axis (G,) -> the numbers of the cells (G^3,) of a grid of `edge` cells."""
    return ((along[:, None, None] * edge + along[:, None]) * edge + along).flatten()


@compiled("void(float32[:, ::1], int64[::1], int64, float32[:, ::1])")
def _add_to_neighbours(products, corners, edge, total):
    """Add products (cells, 27 C) to total (edge^3, C); corners (cells,): where the first of the 27 goes."""
    rows = total.reshape(-1)
    three = 3 * total.shape[1]
    for i in range(len(corners)):
        of_cell = products[i]
        for k in range(9):
            first = (corners[i] + (k // 3 * edge + k % 3) * edge) * total.shape[1]
            # Slices, since a sum of signed indices is tested for counting from the end and then not vectorised.
            to, added = rows[first : first + three], of_cell[k * three : (k + 1) * three]
            for j in range(three):
                to[j] += added[j]


def _dilated(where):
    """Cells (G^3,) bool -> they and their 26 neighbours."""
    g = _edge(where)
    where = functional.pad(where.view(g, g, g), (1, 1, 1, 1, 1, 1))
    for axis in range(3):
        where = where.narrow(axis, 0, g) | where.narrow(axis, 1, g) | where.narrow(axis, 2, g)
    return where.flatten()


def _edge(rows):
    """G^3 rows -> G."""
    return round(len(rows) ** (1 / 3))


def rows_of(grid):
    """(1, C, G, G, G) -> (G^3, C)."""
    return grid.permute(0, 2, 3, 4, 1).flatten(0, 3)


def grid_of(rows):
    """(G^3, C) -> (1, C, G, G, G), no copy."""
    g = _edge(rows)
    return rows.view(1, g, g, g, -1).permute(0, 4, 1, 2, 3)


def _convolved(grid, weight):
    return torch.ops.aten.mkldnn_convolution(grid, weight, None, (1, 1, 1), (1, 1, 1), (1, 1, 1), 1)


def _moments(rows):
    """(cells, C) -> mean and variance of each channel."""
    mean = rows.mean(0)
    return mean, (rows - mean).square_().mean(0)


def _affine(norm, mean, variance):
    """GroupNorm as a factor and a term for each channel, from the channels' moments."""
    of_channel = mean.view(norm.num_groups, -1)
    of_group = of_channel.mean(1, keepdim=True)
    spread = variance.view_as(of_channel) + (of_channel - of_group).square()
    inverse = (spread.mean(1, keepdim=True) + norm.eps).rsqrt()
    scale = inverse.expand_as(of_channel).flatten() * norm.weight
    return scale, norm.bias - of_group.expand_as(of_channel).flatten() * scale


def _scaled(grid, scale, shift):
    return grid_of(torch.addcmul(shift, rows_of(grid), scale))


def _block(block, grid):
    """GroupNorm, convolution, ReLU."""
    norm, convolution, _ = block
    return _convolved(_scaled(grid, *_affine(norm, *_moments(rows_of(grid)))), convolution.weight).relu_()


def _from_coarse(x, of_skip, norm, kernel):
    """What the coarser grid x adds to the convolution of [skip, x] stacked; the skip's own factor and term."""
    # Each cell of x is repeated 8 times, which changes no mean and no variance.
    mean, variance = (torch.cat(both) for both in zip(of_skip, _moments(rows_of(x)), strict=True))
    widths = [len(of_skip[0]), x.shape[1]]
    (scale, scale_x), (shift, shift_x) = (both.split(widths) for both in _affine(norm, mean, variance))
    return functional.conv_transpose3d(_scaled(x, scale_x, shift_x), kernel, stride=2, padding=1), scale, shift


def upsampling_kernel(weight):
    """Taps (outputs, inputs, 3, 3, 3) after the nearest of two -> (inputs, outputs, 4, 4, 4) of conv_transpose3d.

    With stride 2 and padding 1: the 4 fine cells that see a coarse one do so with 1, 2, 2 and 1 of the taps.
    """
    see = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    return torch.einsum("oizyx,az,by,cx->ioabc", weight, see, see, see).contiguous()


def _taps(weight):
    """(outputs, inputs, 3, 3, 3) -> (inputs, 27 outputs): what a cell adds to its neighbours, which see it mirrored."""
    return weight.flip(2, 3, 4).permute(1, 2, 3, 4, 0).flatten(1).contiguous()


def _gathered(rows, scale, shift, where, taps):
    """Rows (G^3, C) times scale (C,) plus shift (C,), convolved where (G^3,) bool is true -> (cells, outputs)."""
    g, channels = _edge(rows), rows.shape[1]
    n = g + 2
    padded = rows.new_zeros(n, n, n, channels)
    torch.addcmul(shift, rows.view(g, g, g, channels), scale, out=padded[1:-1, 1:-1, 1:-1])
    # Three neighbours along x are one piece of memory.
    threes = padded.as_strided((n**3 - 2, 3 * channels), (channels, 1))
    steps = torch.arange(3)
    first = _numbers(torch.arange(g), n)[where][:, None] + ((steps[:, None] * n + steps) * n).flatten()
    return threes.index_select(0, first.flatten()).view(len(first), -1) @ taps
