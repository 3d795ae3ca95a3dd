"""Calls into a driver that may never return."""

import contextlib
import faulthandler
import sys
import threading

GRACE_S = 10.0
"""Beyond its limit [s], a call that keeps all of Python from running ends the process."""


class DriverHang(Exception):
    """The call did not return in time; the thread it was made in is lost, and this process should end soon."""


@contextlib.contextmanager
def or_exit(limit_s):
    """What is in here takes at most limit_s + GRACE_S [s], else the process ends with 1 and says where it was.

    librealsense starts cameras and lists them while it holds Python's lock: then no thread of ours notices that it
    hangs. The timer is the process's only one: a second use at the same time takes it over.
    """
    faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def within(limit_s, what, function, *arguments):
    """function(*arguments), or DriverHang when it takes longer than limit_s [s]. What it raises is raised here."""
    outcome = []

    def call():
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:  # handed to the caller below
            outcome.append((None, error))

    thread = threading.Thread(target=call, name=what, daemon=True)
    with or_exit(limit_s):
        thread.start()
        thread.join(limit_s)
    if not outcome:
        raise DriverHang(f"the driver hangs in '{what}' for more than {limit_s:g} s: this process has to be ended")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
