"""What the surfaces of a procedural kitchen look like: small textures that repeat without a seam."""

from dataclasses import dataclass

import numpy as np

SIZE = 128
"""Pixels of a texture's edge."""


@dataclass(frozen=True)
class Material:
    """One look. Two materials that are equal have the same texture."""

    pattern: str
    """Key of PATTERNS."""
    colour: tuple
    """(red, green, blue) 0..1 sRGB, what the texture's mean is near."""
    second: tuple = (0.0, 0.0, 0.0)
    """The other colour: grout, veins, grain."""
    size_m: float = 1.0
    """Edge of the square that the texture covers."""
    variant: int = 0
    """Seed of the texture's noise."""


def texture(material):
    """Material -> (SIZE, SIZE, 3) uint8 sRGB; columns run along u."""
    if material.pattern not in PATTERNS:
        raise ValueError(f"unknown pattern {material.pattern!r}: known are {', '.join(PATTERNS)}")
    share, shade = PATTERNS[material.pattern](np.random.default_rng(material.variant))
    first, second = np.asarray(material.colour), np.asarray(material.second)
    image = (first + share[..., None] * (second - first)) * (1.0 + shade[..., None])
    return np.clip(255 * image, 0, 255).round().astype(np.uint8)


def _noise(rng, u_cycles, v_cycles):
    """(SIZE, SIZE) periodic noise of unit deviation with about that many cycles along u and v."""
    v, u = np.meshgrid(np.fft.fftfreq(SIZE) * SIZE, np.fft.fftfreq(SIZE) * SIZE, indexing="ij")
    spectrum = np.fft.fft2(rng.normal(size=(SIZE, SIZE))) * np.exp(-((u / u_cycles) ** 2 + (v / v_cycles) ** 2) / 2)
    spectrum[0, 0] = 0.0
    noise = np.fft.ifft2(spectrum).real
    return noise / noise.std()


def _plain(rng):
    return np.zeros((SIZE, SIZE)), 0.006 * _noise(rng, 12, 12)


def _wood(rng):
    rows = np.arange(SIZE)[:, None] / SIZE
    rings = np.sin(2 * np.pi * 7 * rows + 1.6 * _noise(rng, 1.2, 3))
    fine = _noise(rng, 3, 40)
    return np.clip(0.40 + 0.22 * rings + 0.16 * fine, 0, 1), 0.02 * _noise(rng, 2, 2)


def _planks(rng):
    share, shade = _wood(rng)
    boards = np.arange(SIZE) * 4 // SIZE
    shade = shade + rng.uniform(-0.09, 0.09, 4)[boards][:, None]
    joints = (np.arange(SIZE) % (SIZE // 4) == 0)[:, None] * 0.35
    return share, shade - joints


def _block(rng):
    """Butcher's block: staves of different shade glued side by side, short ends meeting here and there."""
    share, shade = _wood(rng)
    staves, columns = np.arange(SIZE) * 8 // SIZE, np.arange(SIZE)
    starts = rng.integers(0, SIZE, 8)[staves][:, None]
    pieces = (columns[None] + starts) % SIZE * 2 // SIZE
    return share, shade + rng.uniform(-0.12, 0.12, (8, 2))[staves[:, None], pieces]


def _tiles(rng, across, down, offset=0.0, grout_px=1.6):
    v, u = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5, indexing="ij")
    height, width = SIZE / down, SIZE / across
    row = (v // height).astype(int)
    u = (u + offset * width * (row % 2)) % SIZE
    column = (u // width).astype(int)
    edge = np.minimum.reduce([u % width, width - u % width, v % height, height - v % height])
    return (edge < grout_px / 2 + 0.3).astype(float), rng.uniform(-0.035, 0.035, (down, across))[row, column]


def _stone(rng):
    return np.clip(0.28 + 0.20 * _noise(rng, 40, 40) + 0.12 * _noise(rng, 8, 8), 0, 1), 0.01 * _noise(rng, 3, 3)


def _terrazzo(rng):
    chips = _noise(rng, 14, 14)
    return (chips > 1.25).astype(float), np.where(chips < -1.4, -0.22, 0.0) + 0.01 * _noise(rng, 5, 5)


def _marble(rng):
    veins = np.abs(_noise(rng, 2.5, 2.5) + 0.35 * _noise(rng, 9, 9))
    return 0.75 * np.exp(-veins / 0.09) + np.clip(0.10 * _noise(rng, 4, 4), 0, 0.3), 0.01 * _noise(rng, 3, 3)


def _clouds(rng):
    return np.clip(0.3 + 0.35 * _noise(rng, 3, 3), 0, 1), np.zeros((SIZE, SIZE))


def _brushed(rng):
    return np.zeros((SIZE, SIZE)), 0.035 * _noise(rng, 1.5, 60)


PATTERNS = {
    "plain": _plain,
    "wood": _wood,
    "planks": _planks,
    "block": _block,
    "square tiles": lambda rng: _tiles(rng, 4, 4),
    "subway tiles": lambda rng: _tiles(rng, 3, 6, 0.5),
    "stacked tiles": lambda rng: _tiles(rng, 8, 2),
    "mosaic": lambda rng: _tiles(rng, 10, 10, grout_px=1.2),
    "stone": _stone,
    "terrazzo": _terrazzo,
    "marble": _marble,
    "brushed": _brushed,
    "clouds": _clouds,
}
"""Name -> generator -> (share of the second colour, relative brightness), (SIZE, SIZE) each."""
