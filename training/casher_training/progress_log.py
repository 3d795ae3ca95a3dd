"""progress.jsonl: one JSON object for each step of a training."""

import json


def append_line(path, values):
    """Add one line."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def read_lines(path):
    """-> [dict], as far as the file can be read; [] without one."""
    found = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found


def drop_after(path, name, last):
    """Take away the lines whose `name` is beyond `last`: a continuation makes these steps again."""
    if path.exists():
        kept = [json.dumps(line) + "\n" for line in read_lines(path) if line[name] <= last]
        path.write_text("".join(kept), encoding="utf-8")
