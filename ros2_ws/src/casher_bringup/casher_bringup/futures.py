"""Wait for a future from a thread that does not spin."""

import threading
import time

PERIOD_S = 0.1


def result_of(future, timeout_s, what, meanwhile=lambda: None):
    """The future's result; TimeoutError names `what` did not answer. Call only where another thread spins the node.

    meanwhile: called every PERIOD_S [s] of the waiting.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    end = time.monotonic() + timeout_s
    while not done.wait(min(PERIOD_S, max(0.0, end - time.monotonic()))):
        if time.monotonic() >= end:
            future.cancel()
            raise TimeoutError(f"{what} did not answer within {timeout_s:g} s")
        meanwhile()
    return future.result()
