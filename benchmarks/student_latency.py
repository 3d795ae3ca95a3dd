"""From a cloud message to an action on one core: the student's presets, and PointNets of as many parameters.

Deserialise the PointCloud2, prepare the points, ask the network, take the likeliest action: what the policy node does
between a cloud's arrival and its request to the arm. The clouds are those of the demo kitchen's two simulated cameras.
The weights are random: the time does not depend on them. `_plain`: the same network as it is trained, without
`fast_inference`. `paper_bfloat16`: that with convolutions in bfloat16; the node does not do so, because the answers
depend on the machine. `same_action`: how often these two take the preset's own.
"""

import copy
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import ROOT, finish, summary

RIG = ROOT / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml"
TASK = "put_in_sink"
SCENES = 8
REPEATS = {"cpu": 200, "paper": 100}
POINTS = {"cpu": (1024, 768), "paper": (6000, 0)}
"""Points of the crop and about the tool; the paper's network sees 6000."""
LIMIT_MS = {"cpu": 25.0, "paper": 100.0}


def messages():
    """[(serialised PointCloud2 as fusion sends it, robot state)] of SCENES scenes."""
    from rclpy.serialization import serialize_message

    from casher_perception.camera_model import D435I_COLOUR_HFOV_RAD, Intrinsics
    from casher_perception.clouds import CameraCloud, merge
    from casher_perception.conversions import cloud_message
    from casher_perception.rig import load_rig
    from casher_policy.observation import robot_state
    from casher_policy.task import task_named
    from casher_sim.kitchen import kitchen_named
    from casher_sim.world import World
    from casher_sim.world_camera import WorldCamera

    rig, task = load_rig(RIG), task_named(TASK)
    world = World(kitchen_named(rig.kitchen), task)
    camera = WorldCamera(world)
    mounts = list(rig.cameras.values())
    views = [
        (m.intrinsics or Intrinsics.from_fov(m.width, m.height, D435I_COLOUR_HFOV_RAD), m.T_base_camera) for m in mounts
    ]
    clouds = [CameraCloud(*view, *task.crop, 0.005) for view in views]
    made = []
    for seed in range(SCENES):
        world.reset("mug", "", seed)
        frames = camera.render(camera.look(), views)
        seen = [cloud(depth, colour) for cloud, (colour, depth) in zip(clouds, frames, strict=True)]
        fused = merge(seen, [m.T_base_camera for m in mounts])
        state = robot_state(world.fingers, world.T_base_tcp)
        made.append((serialize_message(cloud_message(*fused, "base", 0)), state))
    return made


def pointnet(parameters, preprocessing):
    """A PointNet with maximum and mean over all points and the student's own head, of about so many parameters."""
    network = made = None
    for width in itertools.count(16, 8):
        network, made = made, _pointnet((width, 2 * width, 4 * width), preprocessing)
        if size(made) > parameters:
            return network or made


def size(network):
    """How many parameters it has."""
    return sum(weight.numel() for weight in network.parameters())


def _pointnet(widths, preprocessing):
    import torch
    from torch import nn

    from casher_policy.action import ACTION_NAMES
    from casher_policy.network import HEAD, STATE

    class PointNet(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [nn.Linear(6, widths[0])]
            for inputs, outputs in itertools.pairwise(widths):
                layers += [nn.ReLU(), nn.Linear(inputs, outputs)]
            self.points = nn.Sequential(*layers)
            self.head = nn.Sequential(
                nn.Linear(2 * widths[-1] + STATE, HEAD), nn.ReLU(), nn.Linear(HEAD, HEAD), nn.ReLU(),
                nn.Linear(HEAD, len(ACTION_NAMES)),
            )  # fmt: skip
            self.preprocessing = preprocessing

        def forward(self, points, colours, robot_state):
            features = self.points(torch.cat([points, colours.to(points.dtype) / 255], dim=-1))
            pooled = [features.amax(dim=1), features.mean(dim=1)]
            return self.head(torch.cat([*pooled, robot_state], dim=1))

    return PointNet().eval()


def policies():
    """{name: (preset, CheckpointPolicy, parameters)}; what is no preset is its preset's policy with another network."""
    import torch

    from casher_policy.checkpoint import save_checkpoint
    from casher_policy.network import PolicyNetwork
    from casher_policy.network_config import PRESETS
    from casher_policy.policies import CheckpointPolicy
    from casher_policy.preprocess import Preprocessing
    from casher_policy.task import task_named

    torch.manual_seed(0)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for preset, (points, near) in POINTS.items():
            preprocessing = Preprocessing(*task_named(TASK).crop, points=points, near_points=near)
            network = PolicyNetwork(PRESETS[preset], preprocessing).eval()
            path = Path(folder) / f"{preset}.safetensors"
            save_checkpoint(path, network, task=TASK, preprocessing=preprocessing, data_hash="", commit="")
            networks = {
                preset: None,
                f"{preset}_plain": network,
                f"pointnet_{preset}": pointnet(size(network), preprocessing),
            }
            if preset == "paper":
                networks["paper_bfloat16"] = in_bfloat16(network)
            for name, exchanged in networks.items():
                policy = CheckpointPolicy(path, TASK)
                if exchanged is not None:
                    policy._network = exchanged
                policy.warm_up()
                found[name] = preset, policy, size(exchanged or network)
    return found


def in_bfloat16(network):
    """A copy whose 3-D convolutions calculate in bfloat16."""
    import torch

    network = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv3d):
            layer.to(torch.bfloat16)
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].bfloat16(),))
            layer.register_forward_hook(lambda _, inputs, output: output.float())
    return network


def measure(policy, made, repeats):
    """-> actions, dict: the whole step, its parts, and the processor's time, which other programs lengthen less."""
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import PointCloud2

    from casher_perception.conversions import cloud_arrays
    from casher_policy.network import probabilities
    from casher_policy.preprocess import preprocess

    policy.reset(0)
    whole, processor, actions = [], [], []
    for i in range(repeats + 5):
        data, state = made[i % len(made)]
        begin, used = time.perf_counter(), time.process_time()
        points, colours = cloud_arrays(deserialize_message(data, PointCloud2))
        actions.append(int(policy.act(points, colours, state, None).action))
        whole.append(1e3 * (time.perf_counter() - begin))
        processor.append(1e3 * (time.process_time() - used))
    parts = {"deserialise": [], "preprocess": [], "network": []}
    for data, state in made:
        times = [time.perf_counter()]
        cloud = cloud_arrays(deserialize_message(data, PointCloud2))
        times.append(time.perf_counter())
        prepared = preprocess(*cloud, policy._preprocessing, 0, state[2:5], policy._voxels)
        times.append(time.perf_counter())
        probabilities(policy._network, *prepared, state)
        times.append(time.perf_counter())
        for name, before, after in zip(parts, times[:-1], times[1:], strict=True):
            parts[name].append(1e3 * (after - before))
    return actions, {
        **summary(np.array(whole[5:])),
        "median_cpu_ms": round(statistics.median(processor[5:]), 3),
        "median_of_parts_ms": {name: round(statistics.median(values), 3) for name, values in parts.items()},
    }


def main():
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("run this as `python -m benchmarks student_latency`: it gives every library one thread")
    made = messages()
    results, taken = {}, {}
    for name, (preset, policy, parameters) in policies().items():
        taken[name], measured = measure(policy, made, REPEATS[preset])
        results[name] = {"parameters": parameters, "points": sum(POINTS[preset]), **measured}
        print(f"{name:15} {results[name]}", file=sys.stderr)
    for name in ("paper_plain", "paper_bfloat16"):
        results[name]["same_action"] = round(float(np.mean(np.equal(taken["paper"], taken[name]))), 4)
    holds = all(results[preset]["p99_ms"] <= limit for preset, limit in LIMIT_MS.items())
    target = "<= 25 (cpu preset), paper preset <= 100"
    detail = {"threads": 1, "bytes_of_a_cloud": len(made[0][0]), "scenes": SCENES, "results": results}
    return finish("student_latency", results["cpu"]["p99_ms"], "ms, 99th percentile, cpu preset", target, holds, detail)


if __name__ == "__main__":
    sys.exit(main())
