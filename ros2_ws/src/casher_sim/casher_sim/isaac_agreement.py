"""`python -m casher_sim.isaac_agreement FOLDER`, in Isaac Lab's environment: the expert, the actions, the task and its
reward run on the exported stages, and the course is held against MuJoCo's of the same folder (engine_reference)."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from isaaclab.app import launch_simulation
from pxr import Usd

from casher_policy.task import task_named
from casher_sim import robot
from casher_sim.engine_isaac import IsaacEngine, physics
from casher_sim.engine_reference_files import KITCHEN, OBJECT, ROBOT, ROLLOUT, START
from casher_sim.engine_rollout import difference, load_rollout, roll_out, save_rollout
from casher_sim.engine_task import EngineTask, Setup
from casher_sim.kinematics import Kinematics
from casher_sim.objects import object_named
from casher_sim.twin import SITE_OF_TASK
from casher_sim.usd_places import read_sites

ACTIONS = 20
TCP_M, OBJECT_M, FINGER_M = 0.001, 0.003, 0.001
"""How far tool, object and fingers may be from MuJoCo's after each of the first ACTIONS actions, which are the same."""


def main():
    """Exit code 0 when the engines agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--actions", type=int, default=ACTIONS, help="that are compared; 135 is a whole episode")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    folder = args.folder.resolve()
    start = json.loads((folder / START).read_text())
    stage = Usd.Stage.Open(str(folder / KITCHEN))
    task = task_named(start["task"])
    setup = Setup(object_named(start["object"]), read_sites(stage.GetDefaultPrim())[SITE_OF_TASK[task.name]])
    positions, yaws = np.array(start["positions"]), np.array(start["yaws"])
    kinematics = Kinematics(robot.robot_spec().compile())
    with launch_simulation(physics(), {"device": args.device}) as physics_cfg:
        engine = IsaacEngine(
            folder / KITCHEN, folder / OBJECT, folder / ROBOT, len(positions), physics_cfg, args.device
        )
        began = time.process_time()
        rollout = roll_out(EngineTask(engine, kinematics, task, setup), positions, yaws, args.actions)
        seconds = time.process_time() - began
    save_rollout(folder / "isaac.npz", rollout)
    reference = load_rollout(folder / ROLLOUT)
    found = difference(reference.first(len(rollout.actions)), rollout)
    agrees = (
        found.first_other_action is None
        and found.rewards
        and found.tcp_m < TCP_M
        and found.object_m < OBJECT_M
        and found.finger_m < FINGER_M
    )
    result = asdict(found) | {"reward": rollout.reward[-1].tolist(), "cpu_s": round(seconds, 1), "agrees": agrees}
    print(json.dumps(result))
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
