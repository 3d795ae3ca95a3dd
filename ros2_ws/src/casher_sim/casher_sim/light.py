"""The light of a rendered image or cloud: one distant lamp and what comes from everywhere."""

from dataclasses import dataclass

import numpy as np

DAYLIGHT_K = 6500.0
_GAMMA = 2.2
_SRGB_FROM_XYZ = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)  # IEC 61966-2-1


@dataclass(frozen=True)
class Light:
    """A surface's colour is times (ambient + (1 - ambient) |cos|) and the gains, |cos| of its normal to the lamp."""

    direction: tuple = (-0.4528, 0.2516, 0.8554)
    """(3,) unit, base frame: towards the lamp. Scans have walls seen from behind, so the side does not matter."""
    ambient: float = 0.5
    """Share of the light that comes from everywhere."""
    gain: float = 1.0
    """Of the camera's exposure, in image values."""
    temperature_k: float = DAYLIGHT_K
    """Colour temperature of the lamp seen by a camera balanced for daylight; lower is redder."""

    def __post_init__(self):
        if not abs(np.linalg.norm(self.direction) - 1.0) < 1e-3:
            raise ValueError(f"the direction of the light must have length 1, got {self.direction}")
        if not (0.0 <= self.ambient <= 1.0 and self.gain > 0.0):
            raise ValueError(f"ambient must lie in 0 .. 1 and gain be positive, got {self.ambient}, {self.gain}")

    @property
    def gains(self):
        """(3,) factors on sRGB image values; green stays at `gain`."""
        linear = _white(self.temperature_k) / _white(DAYLIGHT_K)
        return self.gain * (linear / linear[1]) ** (1.0 / _GAMMA)


def lit(colour, light):
    """An image (H, W, 3) uint8 as a camera with this gain and colour of light would see it, whatever lit it before."""
    return np.clip(np.rint(colour * light.gains), 0, 255).astype(np.uint8)


def _white(temperature_k):
    """Linear sRGB (3,) of a black body, from its chromaticity after Kim et al. 2002 (US patent 7024034)."""
    if not 1667.0 <= temperature_k <= 25000.0:
        raise ValueError(f"colour temperatures are known for 1667 .. 25000 K, got {temperature_k}")
    t = 1000.0 / temperature_k
    if temperature_k < 4000.0:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if temperature_k < 2222.0:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif temperature_k < 4000.0:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    rgb = _SRGB_FROM_XYZ @ np.array([x / y, 1.0, (1.0 - x - y) / y])
    return np.maximum(rgb, 0.01)
