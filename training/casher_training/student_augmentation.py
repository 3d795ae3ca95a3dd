"""Clouds as they might have been: noise, missing points, other light, cameras that are not where they are said to be.

Works on a batch at once, on the device where it is. The robot's state stays: its joints are known well.
"""

import torch

_GREY = (0.299, 0.587, 0.114)


def augment(points, colours, settings, sections, generator):
    """Points [m] (B, N, 3) float32, base frame, and colours (B, N, 3) uint8 -> the same, changed.

    settings: student_config.Augmentation; sections: numbers of points that sum to N, such as those of the crop and
    those about the tool: a lost point is replaced by a copy out of its own; generator: torch.Generator on the device.
    """
    draw = _Draw(points, generator)
    source = _replacements(points, settings, sections, draw)
    if source is not None:
        points = torch.gather(points, 1, source[..., None].expand_as(points))
        colours = torch.gather(colours, 1, source[..., None].expand_as(colours))
    return _moved(points, settings, draw), _lit(colours, settings, draw)


class _Draw:
    """Random tensors of a batch of clouds."""

    def __init__(self, points, generator):
        self.batch, self.count, _ = points.shape
        self._like = {"device": points.device, "dtype": points.dtype, "generator": generator}

    def uniform(self, *shape, low=0.0, high=1.0):
        return torch.rand(self.batch, *shape, **self._like) * (high - low) + low

    def normal(self, *shape):
        return torch.randn(self.batch, *shape, **self._like)

    def vectors(self, longest):
        """(B, 3): any direction, lengths 0 .. longest."""
        direction = torch.nn.functional.normalize(self.normal(3), dim=1)
        return direction * self.uniform(1, high=longest)


def _replacements(points, settings, sections, draw):
    """For each point the index of the one that stands in its place (B, N), itself where it stays; None: all stay."""
    lost = None
    if settings.dropout:
        lost = draw.uniform(draw.count) < draw.uniform(1, high=settings.dropout)
    if settings.hole_share:
        about = (draw.uniform(1) * draw.count).long()
        centre = torch.gather(points, 1, about[..., None].expand(-1, 1, 3))
        edges = draw.uniform(1, 3, low=settings.hole_m / 2, high=settings.hole_m * 2)
        hole = ((points - centre).abs() < edges / 2).all(dim=2) & (draw.uniform(1) < settings.hole_share)
        lost = hole if lost is None else lost | hole
    if lost is None:
        return None
    # The nearest kept point before it in the list; the order of a cloud's points says nothing of their places.
    index = torch.arange(draw.count, device=points.device).expand(draw.batch, -1)
    kept = index.masked_fill(lost, -1)
    found, begin = [], 0
    for size in sections:
        own = kept[:, begin : begin + size]
        before = torch.cummax(own, dim=1).values
        # Those before the first kept one take the last; a section that would be lost altogether stays.
        before = torch.where(before < 0, before[:, -1:], before)
        found.append(torch.where(before < 0, index[:, begin : begin + size], before))
        begin += size
    return torch.cat(found, dim=1)


def _moved(points, settings, draw):
    if settings.turn_rad or settings.shift_m:
        # Small angles: the rotation is exact to a 20000th at 0.01 rad.
        x, y, z = draw.vectors(settings.turn_rad).unbind(1)
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], dim=1).view(-1, 3, 3)
        middle = points.mean(dim=1, keepdim=True)
        points = points + torch.baddbmm(draw.vectors(settings.shift_m)[:, None], points - middle, cross)
    if settings.jitter_m and settings.jitter_share:
        some = draw.uniform(draw.count, 1) < settings.jitter_share
        points = points + draw.normal(draw.count, 3) * (some * settings.jitter_m)
    return points


def _lit(colours, settings, draw):
    if not (settings.gain or settings.tint or settings.offset or settings.grey):
        return colours
    rgb = colours.to(torch.float32)
    factor = 1 + draw.uniform(1, 1, low=-settings.gain, high=settings.gain)
    factor = factor * (1 + draw.uniform(1, 3, low=-settings.tint, high=settings.tint))
    shift = 255 * draw.uniform(1, 3, low=-settings.offset, high=settings.offset)
    # Mixing with grey, then gain: one linear map of the three channels.
    share = draw.uniform(1, 1, high=settings.grey)
    grey = torch.tensor(_GREY, device=rgb.device)[None, :, None].expand(1, 3, 3)
    mix = (1 - share) * torch.eye(3, device=rgb.device) + share * grey
    return torch.baddbmm(shift, rgb, mix * factor).add_(0.5).clamp_(0, 255).to(torch.uint8)
