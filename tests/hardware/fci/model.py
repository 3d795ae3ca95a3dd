"""panda_model.c, compiled when first used: the file a Panda sends to its client, and the server's own kinematics."""

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("panda_model.c")
JOINTS, TWIST, POSE = ctypes.c_double * 7, ctypes.c_double * 6, ctypes.c_double * 16


@functools.cache
def library_path():
    """The compiled library; one per user and version of the source. Needs a C compiler."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"casher-panda-model-{os.getuid()}-{digest}.so"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", part, SOURCE, "-lm"], check=True)
        part.replace(path)
    return path


class Kinematics:
    """Joints in, poses out; poses are 16 numbers, column-major. `q` and `dq` are JOINTS arrays, changed in place."""

    def __init__(self):
        library = ctypes.CDLL(str(library_path()))
        self._pose = library.O_T_J9
        self._follow_pose = library.follow_pose
        self._follow_pose.restype = ctypes.c_double
        self._follow_twist = library.follow_twist
        self._follow_torque = library.follow_torque
        self._follow_torque.argtypes = (JOINTS, JOINTS, JOINTS, ctypes.c_double)
        self._out = POSE()

    def pose(self, q, F_T_EE):
        """The tool's pose, a list."""
        self._pose(q, F_T_EE, self._out)
        return self._out[:]

    def follow_pose(self, q, F_T_EE, target):
        """Bring the tool to `target`; the largest component of what is missing, [m] or [rad]."""
        return self._follow_pose(q, F_T_EE, POSE(*target))

    def follow_twist(self, q, F_T_EE, twist):
        """Move the tool by `twist`, [m] and [rad] along base axes."""
        self._follow_twist(q, F_T_EE, TWIST(*twist))

    def follow_torque(self, q, dq, torques, dt):
        """One step of `dt` [s] under `torques` [N m]."""
        self._follow_torque(q, dq, JOINTS(*torques), dt)
