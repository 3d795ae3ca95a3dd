"""Spinning ends before anything is taken away from it: busy executors, callbacks that fail, callbacks that hang."""

import threading

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from casher_perception.spinning import Spinning

pytestmark = pytest.mark.ros
EXECUTORS = [SingleThreadedExecutor, MultiThreadedExecutor]


@pytest.fixture
def context(ros_domain):
    context = Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


class Busy(Node):
    """Publishes to itself as often as it can."""

    def __init__(self, context):
        super().__init__("busy", context=context)
        self.heard, group = threading.Event(), ReentrantCallbackGroup()
        talk = self.create_publisher(String, "/talk", 10)
        self.create_subscription(String, "/talk", lambda _: self.heard.set(), 10, callback_group=group)
        for _ in range(3):
            self.create_timer(0.001, lambda: talk.publish(String()), callback_group=group)


@pytest.mark.parametrize("executor_class", EXECUTORS)
def test_a_busy_executor_ends_without_an_error_every_time(context, executor_class, capfd):
    for _ in range(15):
        node, errors = Busy(context), []
        executor = executor_class(context=context)
        executor.add_node(node)
        spinning = Spinning(executor, errors.append)
        assert node.heard.wait(60.0)
        assert spinning.stop(60.0) and spinning.stop(60.0)
        node.destroy_node()
        assert not spinning.alive and errors == []
    said = capfd.readouterr().err
    assert "Traceback" not in said and "exception" not in said


@pytest.mark.parametrize("executor_class", EXECUTORS)
def test_what_a_callback_raises_is_told_and_the_others_are_served_on(context, executor_class):
    node, told, errors = Node("fails", context=context), threading.Event(), []
    node.create_timer(0.01, lambda: 1 / 0)
    executor = executor_class(context=context)
    executor.add_node(node)
    spinning = Spinning(executor, lambda error: errors.append(error) or (len(errors) >= 2 and told.set()))
    assert told.wait(60.0) and spinning.alive
    spinning.stop(60.0)
    node.destroy_node()
    assert all(isinstance(error, ZeroDivisionError) for error in errors)


@pytest.mark.parametrize("executor_class", EXECUTORS)
def test_a_callback_that_hangs_is_not_waited_for_for_ever_and_keeps_its_executor(context, executor_class):
    may_go, hangs = threading.Event(), threading.Event()
    executor = executor_class(context=context)
    spinning = Spinning(executor)
    executor.create_task(lambda: hangs.set() or may_go.wait(120.0))
    assert hangs.wait(60.0)
    assert not spinning.stop(0.1)
    may_go.set()
    assert spinning.stop(60.0)
