"""A kitchen, its object and the robot, drawn wherever a trajectory says they are: for pages, films and clouds."""

import numpy as np

from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, Intrinsics
from casher_perception.geometry import pose_matrix
from casher_sim.meshes import ROBOT_DETAIL_M
from casher_sim.part_renderer import PartRenderer
from casher_sim.robot_frames import robot_frames
from casher_sim.scene import KITCHEN
from casher_sim.visible_parts import BASE, object_parts, object_pose, robot_parts, twin_frame, twin_poses
from casher_sim.world_camera import kitchen_parts

_CAMERAS = {
    "left": ((-0.01, 0.5, 0.69), (-0.40895848, 0.83786616, -0.32916171, 0.14961896)),
    "right": ((-0.01, -0.5, 0.69), (-0.83786616, 0.40895848, -0.14961896, 0.32916171)),
}
"""Name -> position [m] and quat_xyzw of the paper's cameras (docs/decisions/0001-second-camera.md), optical frames."""


def paper_views(width, height):
    """{name: (Intrinsics, T_base_camera)} of the paper's two cameras, pictures of that size."""
    intrinsics = Intrinsics.from_fov(width, height, D435I_COLOUR_HFOV_RAD)
    return {name: (intrinsics, pose_matrix(p, quat_xyzw)) for name, (p, quat_xyzw) in _CAMERAS.items()}


class SceneDrawing:
    """Of one place with one object, or None; pictures are for one thread at a time."""

    def __init__(self, place, object_model, detail_m=ROBOT_DETAIL_M):
        """place: place.Place; object_model: objects.ObjectModel or None; detail_m: of the robot, see robot_parts.

        MeshError for a twin's bad files.
        """
        self._twin = getattr(place, "twin", None)
        of_kitchen = kitchen_parts(place)
        of_object = () if object_model is None else object_parts(object_model)
        self.parts = (*of_kitchen, *robot_parts(detail_m), *of_object)
        self.frames = tuple(dict.fromkeys(part.frame for part in self.parts))
        moving = {twin_frame(body.name) for body in self._twin.bodies if body.joint is not None} if self._twin else ()
        self.still = tuple(dict.fromkeys(part.frame for part in of_kitchen if part.frame not in moving))
        """Frames that stay where they are throughout an episode."""
        self._renderer = None

    def poses(self, state):
        """demos_session.SceneState -> {frame: T_base_frame (4, 4)} of all frames; what is unknown is out of sight."""
        found = {BASE: np.eye(4), **robot_frames().named(state.joints, state.fingers)}
        if self._twin is None:
            found[KITCHEN] = pose_matrix(np.asarray(state.shift), [0.0, 0.0, 0.0, 1.0])
        else:
            handle = self._twin.handle
            found |= twin_poses(self._twin, {handle.body: state.door_angle} if handle else {}, state.shift)
        known = np.isfinite(state.object_pose).all()
        pose = state.object_pose if known else np.array([0.0, 0.0, -10.0, 0.0, 0.0, 0.0, 1.0])
        return found | object_pose(pose_matrix(pose[:3], pose[3:]))

    def pictures(self, state, views):
        """[(colour (H, W, 3) uint8, depth (H, W) uint16)] of [(Intrinsics, T_base_camera)]."""
        if self._renderer is None:
            self._renderer = PartRenderer(self.parts, self.still)
        return self._renderer.render(self.poses(state), list(views))
