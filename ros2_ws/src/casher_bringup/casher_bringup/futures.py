"""Wait for a future from a thread that does not spin."""

import threading


def result_of(future, timeout_s, what):
    """The future's result; TimeoutError names `what` did not answer. Call only where another thread spins the node."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout_s):
        future.cancel()
        raise TimeoutError(f"{what} did not answer within {timeout_s:g} s")
    return future.result()
