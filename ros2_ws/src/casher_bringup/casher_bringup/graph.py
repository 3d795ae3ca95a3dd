"""The node graph of an evaluation as plain data: `eval.launch.py` and `casher eval` start the same one from here."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from casher_bringup.rehearsal import recording
from casher_perception.rig import load_rig
from casher_policy.task import task_named

CAMERA_SOURCE = "realsense"
"""What the cameras of a real robot are read with."""


@dataclass(frozen=True)
class NodeSpec:
    """One process."""

    package: str
    executable: str
    name: str
    parameters: dict = field(default_factory=dict)
    main: bool = False
    """Its end is the run's end, and its exit code the run's. Every other node must outlive it."""


def environment():
    """Variables every process of the graph needs; what the user has set is kept."""
    profile = str(Path(get_package_share_directory("casher_bringup")) / "config" / "fastdds_shm.xml")
    wanted = {
        # Jazzy and Kilted read the shared-memory profile from different variables; without it clouds are dropped.
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        # One thread a process: the nodes share the machine, and BLAS threads that spin cost more than they bring.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "PYTHONUNBUFFERED": "1",
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def build_apparatus(plan):
    """EvalPlan -> list of NodeSpec: arm, cameras, fusion and recorder, and nobody who decides."""
    args = plan.args
    task = task_named(args.task)
    rig = {"rig": str(plan.rig_path)}
    # A cloud may be cropped only once it is in the base frame; the cameras are told the box and their own pose.
    crop = {"crop_low": list(task.crop[0]), "crop_high": list(task.crop[1])}
    simulated = {"task": args.task, "seed": args.seed, "speed": args.speed, "viewer": args.viewer}
    if plan.viewer_port:
        simulated["viewer_port"] = plan.viewer_port
    twin = {"twin": str(plan.twins[0])} if plan.twins else {}
    if args.robot == "sim":
        apparatus = [
            NodeSpec(
                "casher_sim",
                "sim_node",
                "sim",
                {**rig, **crop, **twin, **simulated},
            )
        ]
    else:
        known = load_rig(plan.rig_path)
        apparatus = [
            NodeSpec("casher_franka", "arm_node", "arm", {**rig, **_arm(args)}),
            *(
                NodeSpec(
                    "casher_perception",
                    "camera_node",
                    name,
                    {**rig, **crop, "camera": name, "source": CAMERA_SOURCE, **_playback(args, name)},
                )
                for name in known.cameras
            ),
        ]
    return [
        *apparatus,
        NodeSpec("casher_perception", "fusion_node", "fusion", dict(rig)),
        NodeSpec("casher_bringup", "recorder_node", "recorder"),
    ]


def build(plan):
    """EvalPlan -> list of NodeSpec."""
    args = plan.args
    folders = [str(folder) for folder in plan.twins]
    kitchen = {"kitchen": plan.twins[0].name} if folders else {}
    if args.cameras:  # never counted together with what was seen
        kitchen = {"kitchen": f"{load_rig(plan.rig_path).kitchen} (recorded cameras)"}
    return [
        *build_apparatus(plan),
        NodeSpec(
            "casher_policy", "policy_node", "policy", {"policy": args.policy, "task": args.task, "robot": args.robot}
        ),
        NodeSpec(
            "casher_bringup",
            "session_node",
            "session",
            {
                "rig": str(plan.rig_path),
                "robot": args.robot,
                "task": args.task,
                "policy": args.policy,
                "judge": plan.judge,
                "out": str(plan.out),
                **kitchen,
            },
        ),
        NodeSpec(
            "casher_bringup",
            "evaluate_node",
            "evaluate",
            {
                "episodes": args.episodes,
                "objects": list(plan.objects),
                "sides": list(plan.sides),
                "seed": args.seed,
                **({"twins": folders} if len(folders) > 1 else {}),
            },
            main=True,
        ),
    ]


def _playback(args, camera):
    return {"playback": str(recording(args.cameras, camera))} if args.cameras else {}


def _arm(args):
    """A rehearsal's arm server is a process of this machine, which needs no real-time kernel and may be busy."""
    rehearsal = {"realtime": "ignore", "lease_s": 10.0} if args.cameras else {}
    return {"robot": args.robot, "host": args.host, "dynamics_factor": args.dynamics_factor, **rehearsal}
