"""The simulator and the arm's node carry out one and the same `decode`."""

from pathlib import Path

import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

from casher_franka.arm_node import ArmNode
from casher_franka.franka_arm import FrankaArm
from casher_msgs.action import ExecuteAction
from casher_perception.conversions import pose_message
from casher_policy.action import ACTION_NAMES, Action, decode
from casher_policy.asking import Asker
from casher_policy.task import task_named
from casher_sim.sim_arm import SimArm
from casher_sim.sim_node import SimNode

pytestmark = pytest.mark.ros

RIG = str(Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")
LOW, HIGH = (list(corner) for corner in task_named("put_in_sink").crop)


@pytest.fixture(params=["sim", "fr3"])
def arm_class(request, graph):
    """The class behind a running node that offers /casher/execute_action."""
    if request.param == "sim":
        graph.add(SimNode, parameters={"rig": RIG, "crop_low": LOW, "crop_high": HIGH})
        return SimArm
    host = request.getfixturevalue("fr3_host")
    quick = {"dynamics_factor": 0.8, "realtime": "ignore", "lease_s": 0.0}
    graph.add(ArmNode, parameters={"rig": RIG, "host": host, **quick})
    return FrankaArm


class Watched:
    """What an arm measured up to each motion it was asked for, and what it was asked for."""

    def __init__(self, arm_class, monkeypatch):
        self.measured, self.asked = [], []
        state, move_to = arm_class.state, arm_class.move_to

        def watched_state(arm):
            self.measured.append(state(arm))
            return self.measured[-1]

        def watched_move_to(arm, target):
            self.asked.append((list(self.measured), target))
            return move_to(arm, target)

        monkeypatch.setattr(arm_class, "state", watched_state)
        monkeypatch.setattr(arm_class, "move_to", watched_move_to)


def test_simulator_and_arm_node_decode_an_action_identically(graph, arm_class, monkeypatch):
    client = graph.add(Node, "client")
    actions = ActionClient(client, ExecuteAction, "/casher/execute_action")
    asker = Asker(client, client.default_callback_group)
    home = client.create_client(Trigger, "/casher/home")
    assert graph.wait(lambda: actions.server_is_ready() and home.service_is_ready())

    def done(future):
        assert graph.wait(future.done, 60.0), "no answer"
        return future.result()

    assert done(home.call_async(Trigger.Request())).success
    watched = Watched(arm_class, monkeypatch)
    for action in Action:
        watched.measured.clear()
        handle = done(asker.ask(lambda a=action: actions.send_goal_async(ExecuteAction.Goal(action=int(a)))))
        result = done(asker.ask(handle.get_result_async)).result
        assert result.success, f"{ACTION_NAMES[action]}: {result.refused}{result.fault}"
        measured, asked = watched.asked[-1]
        decoded = [decode(int(action), s.T_base_tcp, s.width_command) for s in measured]
        # Bit for bit: the target the arm got is that of one of the poses it had measured until then ...
        assert any(
            np.array_equal(target.T_base_tcp, asked.T_base_tcp) and target.width == asked.width for target in decoded
        )
        # ... and is the one the result reports.
        assert result.target_pose == pose_message(asked.T_base_tcp)
    assert len(watched.asked) == len(Action)
