"""ros2 launch casher_bringup eval.launch.py robot:=sim kitchen:=demo policy:=expert episodes:=10 out:=runs/today"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from casher_bringup.arguments import described, from_strings, plan
from casher_bringup.graph import build, environment


def nodes(context):
    args = from_strings({name: LaunchConfiguration(name).perform(context) for name, _, _ in described()})
    return [
        Node(
            package=spec.package,
            executable=spec.executable,
            name=spec.name,
            parameters=[spec.parameters] if spec.parameters else [],
            additional_env=environment(),
            output="screen",
            on_exit=[Shutdown(reason=f"{spec.name} exited")],
        )
        for spec in build(plan(args))
    ]


def generate_launch_description():
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, default, text in described()
            ),
            OpaqueFunction(function=nodes),
        ]
    )
