"""`casher estop`: a terminal whose keys stop the arm, and without which, once started, the arm does not move."""

import os
import select
import signal
import sys
import time
from dataclasses import dataclass

BEAT_S = 0.1
"""[s] between two signs of life; the arm stops after a second without one (casher_franka.server_node.WATCHER_S)."""
CONFIRM_S = 2.0
"""[s] within which a stop must show in the arm's state; it is repeated until then."""
HEARD_S = 1.0
"""[s] after which a state of the arm is old."""
HELP = "any key: STOP    r: recover    q: leave, the arm may go on without this terminal"


@dataclass(frozen=True)
class EstopArgs:
    """Stop the arm with any key, and by closing this terminal. Not a substitute for the red button."""


class Panel:
    """What the terminal knows and says, without terminal or ROS. Times are of one monotonic clock [s]."""

    def __init__(self):
        self.state, self.heard_s, self.pressed_s = None, float("-inf"), None

    def hear(self, state, now_s):
        """A casher_msgs/RobotState."""
        self.state, self.heard_s = state, now_s

    def press(self, now_s):
        """Somebody wants the arm to stop."""
        self.pressed_s = now_s

    def pressing(self, now_s):
        """Whether a stop is to be sent (again): it was pressed and the arm has not said yet that it stands."""
        if self.pressed_s is not None and self.heard_s > self.pressed_s and self.state.fault:
            self.pressed_s = None
        return self.pressed_s is not None

    def line(self, now_s):
        """One line about the arm."""
        if self.pressed_s is not None:
            late = now_s - self.pressed_s > CONFIRM_S
            return "STOP IS NOT CONFIRMED: press the red button" if late else "stopping ..."
        if now_s - self.heard_s > HEARD_S:
            return "no arm is heard: this terminal cannot stop it, use the red button"
        if self.state.fault:
            return f"the arm stands still: {self.state.fault}"
        return "the arm moves" if self.state.moving else "the arm is ready"


def main(_):
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions
    from std_msgs.msg import Empty, String
    from std_srvs.srv import Trigger

    from casher_bringup.graph import environment
    from casher_bringup.operator_command import chosen_domain
    from casher_msgs.msg import RobotState
    from casher_perception.spinning import Spinning

    try:
        domain = chosen_domain()
    except ValueError as error:
        print(f"casher: {error}", file=sys.stderr)
        return 2
    os.environ.update(environment())
    # Our own signals: rclpy's would take the means to stop the arm away before it has been stopped.
    rclpy.init(
        args=["--ros-args", "--disable-external-lib-logs"],
        domain_id=domain,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    name = f"estop-{os.getpid()}"
    node = rclpy.create_node("casher_estop")
    estop, watcher = (
        node.create_publisher(Empty, "/casher/estop", 10),
        node.create_publisher(String, "/casher/watcher", 10),
    )
    recover = node.create_client(Trigger, "/casher/recover")
    panel = Panel()
    node.create_subscription(RobotState, "/casher/robot_state", lambda m: panel.hear(m, time.monotonic()), 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    spinning = Spinning(executor)
    ended = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: ended.append(number))
    print(f"ROS domain {domain}    {HELP}")
    with Keys() as keys:
        left = False
        while not ended and not left:
            now_s = time.monotonic()
            watcher.publish(String(data=name))  # from the thread that reads the keys: one that hangs is a dead one
            if panel.pressing(now_s):
                estop.publish(Empty())
            _show(panel.line(now_s))
            for key in keys.read(BEAT_S):
                if key == "q":
                    left = True
                elif key == "r":
                    recover.call_async(Trigger.Request())
                elif key:
                    panel.press(time.monotonic())
                    estop.publish(Empty())
                else:
                    ended.append("the keyboard went away")
    if ended:
        estop.publish(Empty())
    watcher.publish(String(data=f"{name} bye"))
    for publisher in (estop, watcher):
        publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=1.0))
    _show("the arm was stopped" if ended else "left: the arm may go on")
    print()
    spinning.stop(2.0)
    rclpy.try_shutdown()
    return 1 if ended else 0


def _show(line):
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{line}")
        sys.stdout.flush()


class Keys:
    """The keyboard, key by key; '' when it is gone."""

    def __enter__(self):
        self._settings = None
        if sys.stdin.isatty():
            import termios
            import tty

            self._settings = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_):
        if self._settings is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._settings)

    def read(self, timeout_s):
        """The keys pressed within timeout_s [s]."""
        try:
            if not select.select([sys.stdin], [], [], timeout_s)[0]:
                return []
            return list(os.read(sys.stdin.fileno(), 1024).decode(errors="replace")) or [""]
        except OSError:  # the terminal was closed
            return [""]
