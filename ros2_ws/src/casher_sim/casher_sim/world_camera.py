"""What cameras and the browser see of a World, whether its kitchen is of primitives or a textured twin."""

from casher_sim.kitchen import Kitchen, stand
from casher_sim.kitchen_look import kitchen_meshes, meshes_of
from casher_sim.part_renderer import PartRenderer
from casher_sim.scene import KITCHEN
from casher_sim.visible_parts import BASE, VisiblePart, model_poses, object_parts, robot_parts, twin_frame, twin_parts


class WorldCamera:
    """Draws one World. `look` is called while nobody steps it, `render` from any one thread."""

    def __init__(self, world):
        self._world = world
        self._drawn, self._kitchen, self._renderer = (None, None), (), None

    def look(self):
        """What was there and where it was: (kitchen, object) and {frame: T_base_frame}."""
        world = self._world
        return (world.kitchen, world.object_model), model_poses(world.model, world.data)

    def render(self, look, views):
        """views: [(Intrinsics, T_base_camera (4, 4))] -> [(colour (H, W, 3) uint8, depth (H, W) uint16)]."""
        (kitchen, object_model), poses = look
        if self._renderer is None or any(a is not b for a, b in zip(look[0], self._drawn, strict=True)):
            if kitchen is not self._drawn[0]:
                self._kitchen = kitchen_parts(kitchen)
            still = sorted({part.frame for part in self._kitchen} - _moving_frames(kitchen))
            parts = [*self._kitchen, *robot_parts(), *_of_object(object_model)]
            self._drawn, self._renderer = look[0], PartRenderer(parts, still=still)
        return self._renderer.render(poses, views)


def world_parts(world):
    """Everything that can be seen of a world after its last reset -> [visible_parts.VisiblePart]."""
    return [*kitchen_parts(world.kitchen), *robot_parts(), *_of_object(world.object_model)]


def kitchen_parts(kitchen):
    """place.Place -> tuple of VisiblePart."""
    if isinstance(kitchen, Kitchen):
        below_arm = (VisiblePart(BASE, mesh) for mesh in meshes_of([stand(kitchen)]))
        return (*below_arm, *(VisiblePart(KITCHEN, mesh) for mesh in kitchen_meshes(kitchen)))
    return twin_parts(kitchen.twin, kitchen.folder)


def _moving_frames(kitchen):
    if isinstance(kitchen, Kitchen):
        return set()
    return {twin_frame(body.name) for body in kitchen.twin.bodies if body.joint is not None}


def _of_object(object_model):
    return () if object_model is None else object_parts(object_model)
