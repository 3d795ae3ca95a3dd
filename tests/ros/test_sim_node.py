"""The simulator offers the names of docs/interfaces.md that belong to cameras, arm and simulator, and they work."""

from pathlib import Path

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from casher_franka.arm import ArmFault
from casher_franka.safety import REFUSED
from casher_msgs.action import ExecuteAction
from casher_msgs.msg import RobotState, SimulationState
from casher_msgs.srv import ResetScene
from casher_perception.conversions import cloud_arrays, image_array, stamp_ns, transform_from_pose
from casher_perception.geometry import rotation_angle, transform
from casher_perception.rig import load_rig
from casher_policy.action import Action
from casher_policy.asking import Asker
from casher_policy.conversions import privileged_from_message
from casher_policy.task import task_named
from casher_sim.sim_node import SimNode

pytestmark = pytest.mark.ros

RIG = str(Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")
LOW, HIGH = (list(corner) for corner in task_named("put_in_sink").crop)
CAMERAS = ("camera_left", "camera_right")


class Client:
    """Everything a test needs of the simulator's graph."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.sim = graph.add(SimNode, parameters={"rig": RIG, "crop_low": LOW, "crop_high": HIGH, **parameters})
        self.node = graph.add(Node, "client")
        self.received = {}
        self.execute = ActionClient(self.node, ExecuteAction, "/casher/execute_action")
        self.asker = Asker(self.node, self.node.default_callback_group)
        assert self.execute.wait_for_server(10.0)

    def listen(self, message_type, topic, qos=10):
        """The list that fills with the topic's messages."""
        self.received[topic] = []
        self.node.create_subscription(message_type, topic, self.received[topic].append, qos)
        return self.received[topic]

    def wait(self, condition):
        assert self.graph.wait(condition)

    def result(self, future):
        self.wait(future.done)
        return future.result()

    def call(self, service_type, name, request):
        client = self.node.create_client(service_type, name)
        assert client.wait_for_service(10.0)
        return self.result(client.call_async(request))

    def start(self, action):
        return self.result(self.asker.ask(lambda: self.execute.send_goal_async(ExecuteAction.Goal(action=int(action)))))

    def act(self, action):
        return self.result(self.asker.ask(self.start(action).get_result_async)).result

    def mute(self, camera):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=camera)
        request = SetParameters.Request(parameters=[Parameter(name="mute_camera", value=value)])
        return self.call(SetParameters, "/sim/set_parameters", request).results[0]


@pytest.fixture
def client(graph):
    return Client(graph)


def test_every_name_of_the_interface_is_offered_with_its_type(client):
    topics = {
        "/casher/robot_state": "casher_msgs/msg/RobotState",
        "/joint_states": "sensor_msgs/msg/JointState",
        "/casher/tcp_pose": "geometry_msgs/msg/PoseStamped",
        "/sim/state": "casher_msgs/msg/SimulationState",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        "/casher/execute_action/_action/status": "action_msgs/msg/GoalStatusArray",
    }
    for camera in CAMERAS:
        topics[f"/{camera}/points"] = "sensor_msgs/msg/PointCloud2"
        topics[f"/{camera}/color/image_raw"] = "sensor_msgs/msg/Image"
        topics[f"/{camera}/color/camera_info"] = "sensor_msgs/msg/CameraInfo"
        topics[f"/{camera}/aligned_depth_to_color/image_raw"] = "sensor_msgs/msg/Image"
    services = {f"/casher/{name}": "std_srvs/srv/Trigger" for name in ("home", "recover")}
    services["/sim/reset"] = "casher_msgs/srv/ResetScene"

    def offered(listed, wanted):
        return dict(listed).items() >= {name: [kind] for name, kind in wanted.items()}.items()

    name = client.sim.get_name()
    client.wait(lambda: offered(client.node.get_publisher_names_and_types_by_node(name, "/"), topics))
    client.wait(lambda: offered(client.node.get_service_names_and_types_by_node(name, "/"), services))
    client.wait(lambda: offered(client.node.get_service_names_and_types(), {"/casher/stop": "std_srvs/srv/Trigger"}))


def test_both_cameras_see_the_worktop_where_the_kitchen_has_it(client):
    clouds = {name: client.listen(PointCloud2, f"/{name}/points", qos_profile_sensor_data) for name in CAMERAS}
    states = client.listen(SimulationState, "/sim/state")
    client.wait(lambda: all(clouds.values()) and states)
    worktop = privileged_from_message(states[-1]).T_base_object[2, 3]
    for name, camera in load_rig(RIG).cameras.items():
        points, colours = cloud_arrays(clouds[name][-1])
        z = transform(camera.T_base_camera, points)[:, 2]
        assert clouds[name][-1].header.frame_id == f"{name}_color_optical_frame"
        assert len(points) > 2000 and len(colours) == len(points)
        assert (np.abs(z - worktop) < 0.01).mean() > 0.2


def test_images_come_only_to_those_who_listen_and_belong_together(client):
    depth = client.listen(Image, "/camera_left/aligned_depth_to_color/image_raw", qos_profile_sensor_data)
    colour = client.listen(Image, "/camera_left/color/image_raw", qos_profile_sensor_data)
    info = client.listen(CameraInfo, "/camera_left/color/camera_info", qos_profile_sensor_data)
    client.wait(lambda: depth and colour and info)
    assert image_array(depth[-1]).shape == (120, 160)
    assert image_array(colour[-1]).shape == (120, 160, 3)
    assert (info[-1].width, info[-1].height) == (160, 120)
    client.wait(lambda: {stamp_ns(m.header.stamp) for m in depth} & {stamp_ns(m.header.stamp) for m in colour})


def test_an_action_moves_the_tool_to_its_target_and_the_next_frame_shows_it(client):
    clouds = client.listen(PointCloud2, "/camera_left/points", qos_profile_sensor_data)
    robot = client.listen(RobotState, "/casher/robot_state")
    for action in (Action.PLUS_Y, Action.MINUS_RY, Action.MINUS_Z):
        result = client.act(action)
        reached, target = transform_from_pose(result.tcp_pose), transform_from_pose(result.target_pose)
        assert result.success and not result.refused and not result.fault
        assert np.linalg.norm(reached[:3, 3] - target[:3, 3]) < 0.001
        assert rotation_angle(reached[:3, :3].T @ target[:3, :3]) < np.deg2rad(0.3)
        settled = stamp_ns(result.settled)
        client.wait(lambda settled=settled: clouds and stamp_ns(clouds[-1].header.stamp) > settled)
        client.wait(lambda settled=settled: robot and stamp_ns(robot[-1].header.stamp) > settled)
        assert np.allclose(transform_from_pose(robot[-1].tcp_pose), reached, atol=1e-4)


def test_reset_sets_up_the_object_on_the_side_asked_for_with_the_arm_at_home(client):
    states = client.listen(SimulationState, "/sim/state")
    client.act(Action.CLOSE)
    for name, side, sign in (("bowl", "right", -1.0), ("box", "left", 1.0)):
        done = client.call(ResetScene, "/sim/reset", ResetScene.Request(object=name, side=side, seed=4))
        assert (done.success, done.object, done.side) == (True, name, side), done.message
        assert done.objects[:3] == ["mug", "bowl", "box"] and len(done.objects) >= 12
        client.wait(lambda name=name: states and states[-1].object == name)
        state = states[-1]
        scene = privileged_from_message(state)
        assert sign * (scene.T_base_object[1, 3] - scene.p_base_site[1]) > 0.2
        assert not state.success and "inside the sink" in state.unfulfilled
    refused = client.call(ResetScene, "/sim/reset", ResetScene.Request(object="cup"))
    assert not refused.success and "known are mug, bowl, box" in refused.message


def test_stop_ends_an_action_in_mid_move_until_recover(graph):
    client = Client(graph, speed=0.05)
    robot = client.listen(RobotState, "/casher/robot_state")
    client.wait(lambda: robot)
    start_y = robot[-1].tcp_pose.position.y
    goal = client.start(Action.PLUS_Y)
    client.wait(lambda: robot[-1].tcp_pose.position.y > start_y + 0.002)
    assert client.call(Trigger, "/casher/stop", Trigger.Request()).success
    result = client.result(client.asker.ask(goal.get_result_async)).result
    assert result.fault.startswith("stopped") and not result.success
    assert result.tcp_pose.position.y < start_y + 0.027
    assert client.act(Action.PLUS_Y).fault.startswith("stopped")
    assert client.call(Trigger, "/casher/recover", Trigger.Request()).success
    assert client.act(Action.OPEN).success


def test_a_target_outside_the_workspace_is_refused_and_nothing_moves(client):
    before = client.act(Action.OPEN).tcp_pose
    result = None
    for _ in range(30):
        result = client.act(Action.MINUS_X)
        if result.refused:
            break
        before = result.tcp_pose
    assert result.refused.partition(":")[0] in REFUSED
    assert np.allclose(transform_from_pose(result.tcp_pose), transform_from_pose(before), atol=1e-3)


def test_a_muted_camera_is_silent_and_the_other_goes_on(client):
    clouds = {name: client.listen(PointCloud2, f"/{name}/points", qos_profile_sensor_data) for name in CAMERAS}
    client.wait(lambda: all(clouds.values()))
    assert client.mute("camera_left").successful
    now_ns = client.node.get_clock().now().nanoseconds

    def after(name):
        # A frame on its way when the parameter was set may still come.
        return [m for m in clouds[name] if stamp_ns(m.header.stamp) > now_ns]

    client.wait(lambda: len(after("camera_right")) >= 8)
    assert len(after("camera_left")) <= 1
    assert client.mute("").successful
    heard = len(clouds["camera_left"])
    client.wait(lambda: len(clouds["camera_left"]) > heard + 2)
    refused = client.mute("camera_top")
    assert not refused.successful and "known are camera_left, camera_right" in refused.reason


def test_a_scene_that_does_not_come_to_rest_is_a_failed_reset_and_not_the_end_of_the_simulator(client, monkeypatch):
    def restless(*_):
        raise ArmFault("not_settled", "still moving")

    with monkeypatch.context() as patch:
        patch.setattr(client.sim._world, "reset", restless)
        answer = client.call(ResetScene, "/sim/reset", ResetScene.Request(object="mug", side="left"))
        assert not answer.success and "still moving" in answer.message
    assert client.call(ResetScene, "/sim/reset", ResetScene.Request(object="mug", side="left")).success
