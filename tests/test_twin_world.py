"""A World in a digital twin: what it offers, what it draws, and the expert's three tasks."""

import mujoco
import numpy as np
import pytest

from casher_franka.arm import ArmFault
from casher_perception.camera_model import DEPTH_UNIT_M, Intrinsics
from casher_policy.action import decode
from casher_policy.expert import Expert
from casher_policy.task import TASKS, task_named
from casher_sim.kitchen import kitchen_named
from casher_sim.objects import KINDS, NO_OBJECT, OBJECTS, kind_of
from casher_sim.place import PlaceError
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin_kitchen import TwinKitchen
from casher_sim.world import World
from casher_sim.world_camera import WorldCamera

SEEDS = {"put_in_sink": 0, "put_in_cabinet": 2, "open_cabinet": 1}
"""A procedural kitchen for each task."""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    made = {}
    for task, seed in SEEDS.items():
        folder = tmp_path_factory.mktemp(task)
        save_kitchen(folder, *kitchen(seed))
        made[task] = TwinKitchen(folder)
    return made


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_does_every_task_in_a_twin_within_the_horizon(task, places):
    world, expert = World(places[task], task_named(task)), Expert()
    world.reset(world.objects[0], "", 0)
    assert not world.success()
    for _ in range(world.task.horizon):
        action = expert.act(world.privileged(), world.T_base_tcp, world.fingers, world.grasped)
        try:
            world.move_to(decode(int(action), world.T_base_tcp, world.width_command))
        except ArmFault as fault:
            pytest.fail(f"the expert asked for {action.name}: {fault}")
        if world.success():
            break
    assert world.success(), world.task.unfulfilled(world.task_state())


def test_a_task_without_a_place_is_refused_with_what_there_is():
    with pytest.raises(PlaceError, match="no place for the task 'open_cabinet': it offers put_in_sink"):
        World(kitchen_named("demo"), task_named("open_cabinet"))


def test_a_door_needs_no_object_and_starts_closed(places):
    world = World(places["open_cabinet"], task_named("open_cabinet"))
    assert world.objects == (NO_OBJECT,)
    with pytest.raises(ValueError, match="unknown object 'mug'"):
        world.reset("mug", "", 0)
    world.reset(NO_OBJECT, "", 0)
    assert abs(world.door_angle) < 0.01
    assert np.isnan(world.T_base_object).all()


def test_the_handle_moves_with_its_door(places):
    world = World(places["open_cabinet"], task_named("open_cabinet"))
    world.reset(NO_OBJECT, "", 0)
    closed = world.door()
    world.data.qpos[world.scene.door_qpos] = 0.5
    mujoco.mj_forward(world.model, world.data)
    opened = world.door()
    assert opened.p_base_handle[0] < closed.p_base_handle[0] - 0.1
    arms = [np.linalg.norm((d.p_base_handle - d.p_base_hinge)[:2]) for d in (closed, opened)]
    assert arms[0] == pytest.approx(arms[1], abs=1e-6)
    assert np.dot(closed.outward, opened.outward) == pytest.approx(np.cos(0.5), abs=1e-6)


def test_every_kind_of_object_comes_in_four_that_differ():
    for kind, models in KINDS.items():
        assert len(models) >= 4 and models[0].name == kind and models[0].mass == 0.41
        assert len({(m.height, m.mass, m.colour) for m in models}) == len(models)
        assert all(kind_of(m.name) == kind and m.friction == 0.5 for m in models)
    assert len(OBJECTS) >= 12


def test_a_twin_is_drawn_with_its_shelf_where_the_task_has_it(places):
    world = World(places["put_in_cabinet"], task_named("put_in_cabinet"))
    world.reset("box", "", 0)
    camera = Intrinsics.from_fov(80, 60, np.deg2rad(69.0))
    T = np.array([[0.0, 0.0, 1.0, -0.35], [-1.0, 0.0, 0.0, -0.2], [0.0, -1.0, 0.0, 0.6], [0.0, 0.0, 0.0, 1.0]])
    view = WorldCamera(world)
    ((colour, depth),) = view.render(view.look(), [(camera, T)])
    p = camera.rays() * (depth * DEPTH_UNIT_M)[..., None] @ T[:3, :3].T + T[:3, 3]
    near = (np.abs(p[..., :2] - world.p_base_site[:2]) < [0.1, 0.1]).all(axis=-1) & (depth > 0)
    assert colour.std() > 10
    assert np.abs(p[near][:, 2] - world.p_base_site[2]).min() < 0.01
