"""Which software this is: the git commit of the checkout it runs from, else its version."""

import functools
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@functools.cache
def software_id():
    """ "<commit>", "<commit>+dirty" when files differ from it, or "casher <version>" outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        git = ["git", "-C", str(here)]
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True, timeout=5
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        try:
            return f"casher {version('casher')}"
        except PackageNotFoundError:
            return f"casher_policy {version('casher_policy')}"
    return commit.stdout.strip() + ("+dirty" if changed.stdout.strip() else "")
