"""What may differ from one rollout to the next without the task changing: camera poses, light, colours of things."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from casher_sim.light import DAYLIGHT_K, Light

_GREY = np.ones(3) / np.sqrt(3.0)
_LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709


@dataclass(frozen=True)
class ViewRandomisation:
    """Ranges; a pair is (low, high), drawn evenly. Every field at its `NO_RANDOMISATION` value changes nothing."""

    position_m: float = 0.01
    """Largest shift of a camera along each of its axes, either way: calibration error and knocks."""
    rotation_rad: float = 0.01
    """Largest turn of a camera about any axis."""
    gain: tuple = (0.7, 1.3)
    """Of the cameras' exposure."""
    temperature_k: tuple = (4000.0, 9000.0)
    """Colour temperature of the light."""
    lamp_cone_rad: float = 0.8
    """Largest angle between the lamp's direction and its usual one."""
    ambient: tuple = (0.35, 0.65)
    """Share of the light that comes from everywhere."""
    hue_rad: float = 0.35
    """Largest turn of the hue of what stands in one frame, either way."""
    saturation: tuple = (0.6, 1.3)
    """Factor on the distance of its colours from grey."""
    brightness: tuple = (0.75, 1.25)
    """Factor on its colours."""

    def __post_init__(self):
        for name in ("gain", "temperature_k", "ambient", "saturation", "brightness"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be (low, high) with 0 <= low <= high, got {(low, high)}")
        if min(self.position_m, self.rotation_rad, self.lamp_cone_rad, self.hue_rad) < 0:
            raise ValueError(f"position_m, rotation_rad, lamp_cone_rad and hue_rad must not be negative, got {self}")


_USUAL = Light()
NO_RANDOMISATION = ViewRandomisation(
    position_m=0.0,
    rotation_rad=0.0,
    gain=(1.0, 1.0),
    temperature_k=(DAYLIGHT_K, DAYLIGHT_K),
    lamp_cone_rad=0.0,
    ambient=(_USUAL.ambient, _USUAL.ambient),
    hue_rad=0.0,
    saturation=(1.0, 1.0),
    brightness=(1.0, 1.0),
)


@dataclass(frozen=True)
class ViewDraw:
    """One draw, for one rollout."""

    T_camera_moved: np.ndarray
    """(C, 4, 4): where each camera really is, in the frame of where the rig file says it is."""
    light: Light
    recolour: dict[str, np.ndarray]
    """Frame -> (3, 3) matrix on the RGB of what stands in it."""

    def moved(self, views):
        """[(Intrinsics, T_base_camera)] of the C cameras -> the same, moved: what to render, not what to believe.

        Points are still to be expressed with the rig's own T_base_camera: that difference is the calibration's error.
        """
        if len(views) != len(self.T_camera_moved):
            raise ValueError(f"drawn for {len(self.T_camera_moved)} cameras, got {len(views)} views")
        return [(camera, T @ moved) for (camera, T), moved in zip(views, self.T_camera_moved, strict=True)]


def sample(generator, config, cameras, frames):
    """np.random.Generator, ViewRandomisation, number of cameras, frames to recolour -> ViewDraw."""
    T = np.tile(np.eye(4), (cameras, 1, 1))
    T[:, :3, 3] = generator.uniform(-config.position_m, config.position_m, (cameras, 3))
    turns = _directions(generator, cameras) * generator.uniform(0.0, config.rotation_rad, (cameras, 1))
    T[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    usual = np.array(_USUAL.direction)
    across = np.cross(usual, _directions(generator, 1)[0])
    lean = generator.uniform(0.0, config.lamp_cone_rad)
    turn = Rotation.from_rotvec(lean * across / np.linalg.norm(across))
    light = Light(
        direction=tuple(turn.apply(usual).tolist()),
        ambient=float(generator.uniform(*config.ambient)),
        gain=float(generator.uniform(*config.gain)),
        # Even in mired, 1e6 / K: what an eye or a camera tells apart.
        temperature_k=float(1.0 / generator.uniform(1.0 / config.temperature_k[1], 1.0 / config.temperature_k[0])),
    )
    recolour = {
        frame: colour_matrix(
            generator.uniform(-config.hue_rad, config.hue_rad),
            generator.uniform(*config.saturation),
            generator.uniform(*config.brightness),
        )
        for frame in frames
    }
    return ViewDraw(T, light, recolour)


def colour_matrix(hue_rad, saturation, brightness):
    """(3, 3) on RGB: hue turned about the grey axis, distance from grey and brightness times the factors.

    Greys stay grey; luma (BT.709) is kept by the change of saturation.
    """
    turn = Rotation.from_rotvec(hue_rad * _GREY).as_matrix()
    return brightness * ((1.0 - saturation) * np.ones((3, 1)) * _LUMA + saturation * np.eye(3)) @ turn


def _directions(generator, n):
    """(n, 3) unit, evenly over the sphere."""
    v = generator.standard_normal((n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)
