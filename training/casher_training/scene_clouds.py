"""What a student is shown of a scene: the two cameras' fused cloud, or one sampled from the meshes, preprocessed.

A camera cloud is made by the code that runs on the robot: an image of each camera, its noise, casher_perception's
crop, voxels and fusion, casher_policy's preprocess. A mesh cloud shows what no camera sees, too (paper, IX-A2).
"""

from dataclasses import dataclass

import numpy as np

from casher_perception.clouds import CameraCloud, merge
from casher_policy.preprocess import preprocess
from casher_policy.task import task_named
from casher_sim.depth_noise import DepthNoise, noisy_depth
from casher_sim.mesh_cloud import CloudPool
from casher_sim.part_renderer import PartRenderer
from casher_sim.robot import TCP_IN_HAND_M
from casher_sim.robot_frames import robot_frames
from casher_sim.scene import OBJECT
from casher_sim.view_randomisation import NO_RANDOMISATION, ViewDraw, ViewRandomisation, sample
from casher_training.clouds import VIEWS
from casher_training.scene_drawing import SceneDrawing, paper_views
from casher_training.scenes import setting_of

SIZE = (160, 120)
"""Pixels of a camera's image, as the simulator's."""
CAMERA_VOXEL_M = 0.005
"""Edge of the voxels in which a camera sends its points, as the simulator's and the camera node's."""
NOISY_SHARE = 0.75
"""Of the episodes that are seen with the depth camera's noise."""
POOL, TAKEN = 100_000, 24_000
"""Points of a scene's meshes that are kept, and how many of them one cloud is made of."""


@dataclass(frozen=True, eq=False)
class ViewChoice:
    """How one episode is seen."""

    view: str
    """Of clouds.VIEWS."""
    draw: ViewDraw
    """Poses of the cameras, light, colours."""
    noise: DepthNoise | None
    """None: cameras that measure what is there."""


class SceneClouds:
    """Clouds of one scene. Not for two threads at once."""

    def __init__(self, scene, task, preprocessing, randomisation=None, side_by_side=1):
        """scene: scenes.Scene; task: name; preprocessing: Preprocessing; randomisation: ViewRandomisation.

        side_by_side: episodes whose states are asked for in turn: what their cameras see of the kitchen is kept.
        """
        setting = setting_of(scene)
        self._drawing = SceneDrawing(setting.place, setting.object_model)
        self._views = list(paper_views(*SIZE).values())
        self._crop = task_named(task).crop
        self._clouds = [CameraCloud(*view, *self._crop, CAMERA_VOXEL_M) for view in self._views]
        self.preprocessing = preprocessing
        self._randomisation = randomisation or ViewRandomisation()
        # The robot looks alike everywhere.
        self._coloured = [f for f in self._drawing.frames if f in self._drawing.still or "/" in f or f == OBJECT]
        self._kept_views = len(self._views) * side_by_side
        self._renderer, self._pool = None, None

    def draw(self, seed, view) -> ViewChoice:
        """How an episode is seen, drawn by the seed; view: of clouds.VIEWS."""
        generator = np.random.default_rng(seed)
        noise = DepthNoise() if generator.random() < NOISY_SHARE else None
        return self._choice(view, sample(generator, self._randomisation, len(self._views), self._coloured), noise)

    def plain(self, view) -> ViewChoice:
        """As the simulator's cameras see it: without noise, exactly calibrated, in the usual light."""
        draw = sample(np.random.default_rng(0), NO_RANDOMISATION, len(self._views), ())
        return self._choice(view, draw, None)

    def cloud(self, choice, state, generator):
        """-> points [m] (N, 3) float32, base frame, colours (N, 3) uint8; N = preprocessing.total.

        choice: ViewChoice of the episode; state: demos_session.SceneState; generator: np.random.Generator or a seed.
        EmptyCloudError when nothing is seen in the crop.
        """
        generator = np.random.default_rng(generator)
        poses = self._drawing.poses(state)
        if choice.view == "cameras":
            points, colours = self._seen(choice, poses, generator)
        else:
            points, colours = self._sampled(choice, poses, generator)
        seed = int(generator.integers(2**31))
        return preprocess(points, colours, self.preprocessing, seed, tool_poses(state.joints, state.fingers)[:3, 3])

    def _choice(self, view, draw, noise):
        if view not in VIEWS:
            raise ValueError(f"unknown view {view!r}: known are {', '.join(VIEWS)}")
        return ViewChoice(view, draw, noise)

    def _seen(self, choice, poses, generator):
        if self._renderer is None:
            self._renderer = PartRenderer(self._drawing.parts, self._drawing.still, self._kept_views)
        images = self._renderer.render(poses, choice.draw.moved(self._views), choice.draw.light, choice.draw.recolour)
        clouds = [
            cloud(noisy_depth(depth, intrinsics, generator, choice.noise), colour)
            for cloud, (colour, depth), (intrinsics, _) in zip(self._clouds, images, self._views, strict=True)
        ]
        return merge(clouds, [T_base_camera for _, T_base_camera in self._views])

    def _sampled(self, choice, poses, generator):
        if self._pool is None:
            self._pool = CloudPool(
                self._drawing.parts, poses, self._crop, POOL, np.random.default_rng(0), self._drawing.still
            )
        return self._pool.cloud(poses, TAKEN, generator, choice.draw.light, choice.draw.recolour)


def tool_poses(joints, fingers):
    """Joints (..., 7) [rad] and fingers (..., 2) [m] -> T_base_tcp (..., 4, 4)."""
    frames = robot_frames()
    T = frames.poses(joints, fingers)[..., frames.names.index("hand"), :, :]
    T[..., :3, 3] += T[..., :3, 2] * TCP_IN_HAND_M
    return T
