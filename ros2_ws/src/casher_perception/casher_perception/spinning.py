"""Executors that spin in a thread of their own, and how that ends.

rclpy's `Executor.shutdown` destroys what a spinning executor waits for, and waits for nobody: another thread that spins
it then fails somewhere in the middle, now and then. So does one whose context is shut down. Here the spinning has
ended before anything is taken away from it.
"""

import signal
import threading

STOP_S = 5.0
"""[s] callbacks that are running are given to end."""
_POLL_S = 0.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Spinning:
    """Spins `executor` until `stop`. Call `stop` before a node of it is destroyed or its context is shut down."""

    def __init__(self, executor, on_error=None, name="spinning"):
        """on_error(error): called with what a callback raises, and the spinning goes on; None: it ends the thread."""
        self._executor, self._on_error = executor, on_error
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self):
        """Whether callbacks are still served."""
        return self._thread.is_alive()

    def stop(self, timeout_s=STOP_S):
        """Serve no more callbacks -> whether those that were running ended within timeout_s [s] each.

        Where they did not, the executor is left as it is: they still use it. A second call does nothing more.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._executor.create_task(lambda: None)  # spin_once returns for work only
            self._thread.join(timeout_s)
        if self._thread.is_alive() or not _ended(self._executor, timeout_s):
            return False
        self._executor.shutdown()
        return True

    def _spin(self):
        from rclpy.executors import ExternalShutdownException  # only where something spins is there ROS

        while not self._stopping.is_set() and self._executor.context.ok():
            try:
                self._executor.spin_once()
            except ExternalShutdownException:
                return
            except Exception as error:
                if self._on_error is None:
                    raise
                self._on_error(error)


def _ended(executor, timeout_s):
    """Whether the worker threads of an executor that nobody spins have ended within timeout_s [s]."""
    pool = getattr(executor, "_executor", None)  # of a MultiThreadedExecutor, which has no public way to wait for it
    if pool is None:
        return True
    waiting = threading.Thread(target=pool.shutdown, daemon=True)
    waiting.start()
    waiting.join(timeout_s)
    return not waiting.is_alive()


def init_node_process(args=None):
    """rclpy.init for a process whose main thread calls `spin`: until then SIGINT and SIGTERM are a KeyboardInterrupt.

    rclpy's own handlers shut the context down at once: under the executor, and before a node can say farewell.
    """
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)


def spin(executor, over=None, farewell=lambda: None, stop_s=STOP_S):
    """Spin until SIGINT or SIGTERM, until `over` (threading.Event) is set or a callback fails -> whether by a signal.

    farewell() is called while callbacks are still served; stop_s: as of Spinning.stop. What a callback raised is
    raised. Call from the main thread. Signals that come later than the first do nothing.
    """
    over = over or threading.Event()
    signals, errors = [], []

    def fail(error):
        errors.append(error)
        over.set()

    def told(number, _):
        signals.append(number)
        over.set()

    for number in _SIGNALS:
        signal.signal(number, told)
    spinning = Spinning(executor, fail)
    while spinning.alive and not over.wait(_POLL_S):
        pass
    farewell()
    spinning.stop(stop_s)
    if errors:
        raise errors[0]
    return bool(signals)
