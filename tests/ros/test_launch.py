"""The launch file, where ROS is installed with `launch`; the registries carry no wheel of it."""

from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not among the ROS wheels")

LAUNCH = Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/launch/eval.launch.py"


def test_the_launch_file_starts_the_graph_of_casher_eval(tmp_path):
    from launch import LaunchContext
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    from casher_bringup.arguments import EvalArgs, plan
    from casher_bringup.graph import build

    description = get_launch_description_from_python_launch_file(str(LAUNCH))
    context = LaunchContext()
    context.launch_configurations["out"] = str(tmp_path / "launched")
    nodes = []
    for entity in description.entities:
        nodes += entity.visit(context) or []
    started = {(node.node_package, node.node_executable) for node in nodes}
    expected = {(spec.package, spec.executable) for spec in build(plan(EvalArgs(out=str(tmp_path / "direct"))))}
    assert started == expected
