"""The effort ledger: how many seconds of people's time went into what. Lines of JSON that are only ever appended."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

KINDS = ("scan", "setup", "demo")


class EffortError(ValueError):
    """A ledger or an entry that cannot be used."""


@dataclass(frozen=True)
class Effort:
    """One entry."""

    twin: str
    """Name of the twin."""
    task: str
    """Name of the task; empty for a scan, which serves all of them."""
    kind: str
    """Of KINDS."""
    human_s: float
    """[s] of a person's time."""
    source: str = "human"
    """Who did it: 'human', or 'expert' where nobody's time was taken."""
    id: str = ""
    """Of what came of it, a demonstration say; empty when it was thrown away."""
    time: str = ""
    """ISO 8601; filled in when it is appended."""

    def __post_init__(self):
        if self.kind not in KINDS:
            raise EffortError(f"unknown kind of effort {self.kind!r}: known are {', '.join(KINDS)}")
        if not 0 <= self.human_s < float("inf"):
            raise EffortError(f"human_s is a time in seconds, got {self.human_s}")


def append_effort(path, effort):
    """Add an entry; it is on the disk when this returns. A line that a crash tore off stays where it is, by itself."""
    values = {"time": effort.time or datetime.now(UTC).isoformat(timespec="seconds")}
    values |= {name: value for name, value in asdict(effort).items() if name != "time"}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        torn = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        file.write((b"\n" if torn else b"") + json.dumps(values).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_effort(path):
    """-> [Effort], [what is wrong with which line]. EffortError when there is no ledger."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise EffortError(f"cannot read the ledger {path}: {error.strerror or error}") from None
    entries, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entries.append(Effort(**json.loads(line)))
        except (ValueError, TypeError) as error:
            shown = line[:60].decode(errors="replace")
            problems.append(f"{path}, line {number} is not an entry and is passed over: {shown!r} ({error})")
    return entries, problems
