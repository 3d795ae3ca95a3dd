"""The evaluate node says once on the terminal what only a person can mend."""

from io import StringIO

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from casher_bringup.evaluate_node import EvaluateNode
from casher_bringup.progress import Progress

pytestmark = pytest.mark.ros


def test_a_camera_that_has_moved_is_told_once(graph):
    node, fusion = graph.add(EvaluateNode), graph.add(Node, "fusion")
    shown = StringIO()
    node.progress = Progress(1, shown)
    diagnostics = fusion.create_publisher(DiagnosticArray, "/diagnostics", 10)
    assert graph.wait(lambda: diagnostics.get_subscription_count() == 1)
    words = "camera_left has moved by 8.1 mm and 1.00 deg"
    for level, name in ((DiagnosticStatus.OK, "drift"), (DiagnosticStatus.ERROR, "fusion"), *[(b"\x02", "drift")] * 3):
        diagnostics.publish(DiagnosticArray(status=[DiagnosticStatus(name=name, level=level, message=words)]))
    diagnostics.publish(DiagnosticArray(status=[DiagnosticStatus(name="drift", level=b"\x02", message="the last")]))
    assert graph.wait(lambda: node.warned)
    graph.spinning.stop()
    assert shown.getvalue() == f"{words}: the calibration no longer holds, `casher calibrate` again\n"
