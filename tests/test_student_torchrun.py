"""Several processes get the arguments that the command was given."""

import subprocess
import sys
from pathlib import Path


def test_torchrun_takes_none_of_the_commands_own_arguments(tmp_path):
    casher = Path(sys.executable).with_name("casher")
    words = ["train", "student", tmp_path / "nothing", "--out", tmp_path, "--start", "x", "--processes", "2"]
    ended = subprocess.run([casher, *words], capture_output=True, text=True, timeout=300)
    assert ended.returncode != 0
    assert "casher train student: no trajectories" in ended.stderr.replace("\n", " ")
