"""What another engine is compared with: `python -m casher_sim.engine_reference OUT` writes a procedural kitchen, an
object and the arm as USD, and the expert's course through the task in MuJoCo."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from casher_policy.task import task_named
from casher_sim.engine_mujoco import MujocoEngine
from casher_sim.engine_reference_files import KITCHEN, OBJECT, ROBOT, ROLLOUT, START
from casher_sim.engine_rollout import roll_out, save_rollout
from casher_sim.engine_scene import twin_scene
from casher_sim.engine_task import EngineTask, Setup
from casher_sim.kinematics import Kinematics
from casher_sim.objects import object_named
from casher_sim.procedural import kitchen, save_kitchen
from casher_sim.twin import SITE_OF_TASK
from casher_sim.usd_export import export_twin
from casher_sim.usd_object import export_object
from casher_sim.usd_robot import export_robot

YAWS_RAD = (-0.2, 0.2)


@dataclass(frozen=True)
class ReferenceArgs:
    """Write the stages and MuJoCo's rollout that another engine is compared with."""

    out: tyro.conf.Positional[Path]
    """Folder."""
    seed: int = 0
    """Of the procedural kitchen."""
    object: str = "box"
    """What is put into the sink."""


def main(args):
    """Entry point; one scene for each side that the kitchen has."""
    twin_folder = args.out / "twin"
    twin_folder.mkdir(parents=True, exist_ok=True)
    twin, files = kitchen(args.seed)
    save_kitchen(twin_folder, twin, files)
    model, task = object_named(args.object), task_named("put_in_sink")
    export_twin(twin_folder, args.out / KITCHEN, collision="hulls")
    export_object(model, args.out / OBJECT, collision="parts")
    export_robot(args.out / ROBOT, visuals=False)

    positions = [spawn.center for spawn in twin.spawns.values()]
    yaws = np.linspace(*YAWS_RAD, len(positions)).tolist()
    scene = twin_scene(twin, twin_folder, model)
    setup = Setup(model, twin.sites[SITE_OF_TASK[task.name]])
    engine = MujocoEngine(scene, len(positions))
    rollout = roll_out(
        EngineTask(engine, Kinematics(scene.model), task, setup), np.array(positions), np.array(yaws), task.horizon
    )
    save_rollout(args.out / ROLLOUT, rollout)
    start = {"task": task.name, "object": model.name, "positions": positions, "yaws": yaws}
    (args.out / START).write_text(json.dumps(start))
    succeeded = int((rollout.reward.max(axis=0) > 0).sum())
    print(f"MuJoCo: {len(rollout.actions)} actions, {succeeded} of {len(positions)} scenes succeed")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(ReferenceArgs)))
