"""What can make the arm stand still, in a node and a thread of its own: nothing else that the arm does delays it."""

import threading
import time

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

from casher_perception.spinning import Spinning

PERIOD_S = 0.05
"""Between two looks at the leases."""


class Guard:
    """Serves /casher/stop, /casher/estop, /casher/watcher and /casher/lease for one arm until `close`."""

    def __init__(self, context, leases, on_stop, on_lease_lost):
        """leases: lease.Leases; on_stop(reason): stand still until `recover`; on_lease_lost(silent_s): end the motion.

        Both are called from the guard's thread and must not wait for anything but the arm's own `stop`.
        """
        self._leases, self._on_stop, self._on_lease_lost = leases, on_stop, on_lease_lost
        self.node = Node("arm_guard", context=context)
        self.node.create_service(Trigger, "/casher/stop", self._stop)
        self.node.create_subscription(Empty, "/casher/estop", lambda _: on_stop("an emergency stop was pressed"), 10)
        self.node.create_subscription(String, "/casher/watcher", self._watcher, 10)
        self.node.create_subscription(Empty, "/casher/lease", lambda _: leases.renew(time.monotonic()), 10)
        self.node.create_timer(PERIOD_S, self._look)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(self.node)
        self._closing = threading.Event()
        self._spinning = Spinning(executor, self._failed, "casher-guard")

    def close(self):
        """Stop serving; a second call does nothing."""
        if not self._closing.is_set():
            self._closing.set()
            self._spinning.stop(2.0)
            self.node.destroy_node()

    def _failed(self, error):
        if not self.node.context.ok():
            return
        self.node.get_logger().fatal(f"the guard failed and goes on: {error!r}")
        self._on_stop(f"the guard failed: {error!r}")
        self._closing.wait(PERIOD_S)

    def _stop(self, _request, response):
        self._on_stop("/casher/stop was called")
        response.success, response.message = True, "the arm stands still; recover before it moves again"
        return response

    def _watcher(self, message):
        self._leases.heard(message.data, time.monotonic())

    def _look(self):
        now_s = time.monotonic()
        if name := self._leases.watcher_lost(now_s):
            self._on_stop(f"the watcher '{name}' has gone silent")
        if (silent_s := self._leases.motion_lost(now_s)) is not None:
            self._on_lease_lost(silent_s)
