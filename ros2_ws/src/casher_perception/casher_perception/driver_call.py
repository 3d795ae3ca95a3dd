"""Calls into a driver that may never return."""

import threading


class DriverHang(Exception):
    """The call did not return in time; the thread it was made in is lost, and this process should end soon."""


def within(limit_s, what, function, *arguments):
    """function(*arguments), or DriverHang when it takes longer than limit_s [s]. What it raises is raised here."""
    outcome = []

    def call():
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:  # handed to the caller below
            outcome.append((None, error))

    thread = threading.Thread(target=call, name=what, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not outcome:
        raise DriverHang(f"the driver hangs in '{what}' for more than {limit_s:g} s: this process has to be ended")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
