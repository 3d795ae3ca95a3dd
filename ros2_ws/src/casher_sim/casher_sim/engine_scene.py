"""Robot, twin and one object as a MuJoCo model: what the engines are compared on."""

from casher_sim import robot
from casher_sim.scene import KITCHEN, add_object, index
from casher_sim.twin_scene import add_twin


def twin_scene(twin, folder, object_model):
    """Twin, its folder and an ObjectModel -> scene.Scene; MeshError or TwinError for a bad twin."""
    spec = robot.robot_spec()
    add_twin(spec, twin, folder, name=KITCHEN)
    add_object(spec, object_model)
    return index(spec.compile())
