"""Nodes of a test, in the test's own process."""

import time


class Graph:
    """Nodes of one test on their own context."""

    THREADS = 4
    """Of the executor."""

    def __init__(self):
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import MultiThreadedExecutor

        from casher_perception.spinning import Spinning

        self.context = Context()
        rclpy.init(context=self.context)
        self.executor = MultiThreadedExecutor(num_threads=self.THREADS, context=self.context)
        self.nodes = []
        self.errors = []
        """What callbacks raised: reported by wait() and close(), in the test's own thread."""
        self.spinning = Spinning(self.executor, self.errors.append)

    def add(self, node_class, *args, **kwargs):
        """Construct a node on this graph's context and spin it; parameters={...} sets its ROS parameters."""
        from rclpy.parameter import Parameter

        parameters = kwargs.pop("parameters", {})
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = node_class(*args, context=self.context, parameter_overrides=overrides, **kwargs)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def wait(self, condition, timeout_s=60.0):
        """Until condition() holds; False when it did not in time. Raises what a callback raised."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.errors:
                raise self.errors[0]
            if condition():
                return True
            time.sleep(0.005)
        return bool(condition())

    def close(self):
        import rclpy

        self.spinning.stop(2.0)
        for node in self.nodes:
            node.destroy_node()
        rclpy.shutdown(context=self.context)
        assert not self.spinning.alive
        if self.errors:
            raise self.errors[0]
