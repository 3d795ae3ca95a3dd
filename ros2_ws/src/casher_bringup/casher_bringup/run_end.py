"""Why a run ends, from whoever watches over the nodes to the recorder, which writes it into the bag that is open."""

import os
from pathlib import Path

from casher_policy.episode import Outcome

VARIABLE = "CASHER_RUN_END"
"""Environment variable that names the file."""
INTERRUPTED = "interrupted by the operator"


def tell(path, died):
    """Before the nodes are told to stop: what died, or '' when a person interrupted."""
    Path(path).write_text(died, encoding="utf-8")


def told():
    """(outcome, reason) for an episode that the end of the run cuts short."""
    died = _file().read_text(encoding="utf-8") if is_near() else ""
    return (Outcome.FAULT, died) if died else (Outcome.ABORTED, INTERRUPTED)


def is_near():
    """Whether the nodes are being told to stop: what fails from now on fails because of that."""
    return bool(os.environ.get(VARIABLE)) and _file().is_file()


def _file():
    return Path(os.environ[VARIABLE])
