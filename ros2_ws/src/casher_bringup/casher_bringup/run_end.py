"""Why a run ends, from whoever watches over the nodes to the recorder, which writes it into the bag that is open."""

import os
from pathlib import Path

from casher_policy.episode import Outcome

VARIABLE = "CASHER_RUN_END"
"""Environment variable that names the file."""
INTERRUPTED = "interrupted by the operator"


def tell(path, died):
    """Before the nodes are told to stop: what died, or '' when a person interrupted."""
    if died:
        Path(path).write_text(died, encoding="utf-8")


def told():
    """(outcome, reason) for an episode that the end of the run cuts short."""
    path = os.environ.get(VARIABLE, "")
    died = Path(path).read_text(encoding="utf-8") if path and Path(path).is_file() else ""
    return (Outcome.FAULT, died) if died else (Outcome.ABORTED, INTERRUPTED)
