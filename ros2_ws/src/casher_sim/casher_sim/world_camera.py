"""What cameras and the browser see of a World, whether its kitchen is of primitives or a textured twin."""

from casher_sim.camera import Renderer, render
from casher_sim.kitchen import Kitchen
from casher_sim.meshes import ROBOT_DETAIL_M
from casher_sim.part_renderer import PartRenderer
from casher_sim.visible_parts import model_parts, model_poses, object_parts, robot_parts, twin_frame, twin_parts


def camera_of(world):
    """-> something with `look()`, called while nobody steps the world, and `render(look, views)`, from any one thread.

    views: [(Intrinsics, T_base_camera (4, 4))] -> [(colour (H, W, 3) uint8, depth (H, W) uint16)], see camera.render.
    """
    return KitchenCamera(world) if isinstance(world.kitchen, Kitchen) else TwinCamera(world)


class KitchenCamera:
    """Draws a kitchen of primitives with their patterns."""

    def __init__(self, world):
        self._renderer = Renderer(world)

    def look(self):
        """Where everything is now."""
        return self._renderer.look()

    def render(self, look, views):
        """See camera_of."""
        return render(look, views)


class TwinCamera:
    """Draws a twin's textured meshes."""

    def __init__(self, world):
        self._world = world
        twin = world.kitchen.twin
        self._kitchen = twin_parts(twin, world.kitchen.folder)
        shown = {part.frame for part in self._kitchen}
        self._still = [twin_frame(body.name) for body in twin.bodies if body.joint is None]
        self._still = [frame for frame in self._still if frame in shown]
        self._object_model, self._renderer = None, None

    def look(self):
        """The object that is there and {frame: T_base_frame}."""
        return self._world.object_model, model_poses(self._world.model, self._world.data)

    def render(self, look, views):
        """See camera_of."""
        object_model, poses = look
        if self._renderer is None or object_model is not self._object_model:
            parts = [*self._kitchen, *robot_parts(ROBOT_DETAIL_M), *_of_object(object_model)]
            self._object_model, self._renderer = object_model, PartRenderer(parts, still=self._still)
        return self._renderer.render(poses, views)


def world_parts(world):
    """Everything that can be seen of a world after its last reset -> [visible_parts.VisiblePart]."""
    if isinstance(world.kitchen, Kitchen):
        return list(model_parts(world.model, ROBOT_DETAIL_M))
    kitchen = twin_parts(world.kitchen.twin, world.kitchen.folder)
    return [*kitchen, *robot_parts(ROBOT_DETAIL_M), *_of_object(world.object_model)]


def _of_object(object_model):
    return () if object_model is None else object_parts(object_model)
