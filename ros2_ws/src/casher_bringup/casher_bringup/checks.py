"""What `casher doctor` looks at: every check takes what it judges as arguments and returns a `Check`."""

import contextlib
import ctypes
import importlib
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

PYTHONS = ((3, 11), (3, 12))
PROFILE_VARIABLE = {"jazzy": "FASTRTPS_DEFAULT_PROFILES_FILE", "kilted": "FASTDDS_DEFAULT_PROFILES_FILE"}
"""Distribution -> the variable from which its Fast DDS reads the profile."""
LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libusb-1.0.so.0": "libusb-1.0-0",
}
"""Shared library -> the Debian package that has it."""
SHARED_MEMORY_BYTES = 256 * 2**20
DISK_BYTES = 5 * 10**9
MEMORY_BYTES = 4 * 2**30
CORES = 2
FCI_PORT = 1337


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report."""

    name: str
    ok: bool | None
    """None: not needed here, or nothing that stops anything."""
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty when ok."""

    def __post_init__(self):
        if self.ok:
            object.__setattr__(self, "remedy", "")


def python(version):
    """version: (major, minor, ...)."""
    known = " or ".join(f"{a}.{b}" for a, b in PYTHONS)
    detail = ".".join(map(str, version[:3]))
    return Check(
        "python", tuple(version[:2]) in PYTHONS, detail, f"use Python {known}: PYTHON=python3.12 scripts/setup.sh"
    )


def ros(environ, load=importlib.import_module):
    """environ: variables of the process; load: imports a module by name."""
    distro = environ.get("ROS_DISTRO", "")
    try:
        load("rclpy")
    except ImportError as error:
        return Check("ros", False, f"rclpy: {error}", "run scripts/setup.sh, or source /opt/ros/jazzy/setup.bash")
    known = distro in PROFILE_VARIABLE
    return Check("ros", known, distro or "ROS_DISTRO is not set", f"use one of: {', '.join(PROFILE_VARIABLE)}")


def messages(load=importlib.import_module):
    """Whether casher_msgs is built, its libraries included."""
    remedy = "run scripts/setup.sh, or colcon build and source install/setup.bash"
    try:
        load("casher_msgs.msg").RobotState.__class__.__import_type_support__()
        load("casher_msgs.action")
    except Exception as error:  # a half-built package fails in many ways, and every one of them is an answer
        return Check("casher_msgs", False, f"{type(error).__name__}: {error}", remedy)
    return Check("casher_msgs", True, "built")


def rmw(environ, load=importlib.import_module):
    """Which middleware rclpy would use."""
    try:
        name = load("rclpy").get_rmw_implementation_identifier()
    except Exception as error:  # e.g. RMW_IMPLEMENTATION names one that is not installed
        name = f"{environ.get('RMW_IMPLEMENTATION', 'none')} ({type(error).__name__}: {error})"
    return Check(
        "rmw", name == "rmw_fastrtps_cpp", name, "unset RMW_IMPLEMENTATION: the clouds need Fast DDS and its profile"
    )


def fast_dds_profile(environ):
    """Whether nodes started by hand would have the shared-memory profile, without which clouds are dropped."""
    name = PROFILE_VARIABLE.get(environ.get("ROS_DISTRO", ""), PROFILE_VARIABLE["jazzy"])
    path = environ.get(name, "")
    if path:
        return Check("fast dds profile", Path(path).is_file(), path, f"{name} names a file that is not there: unset it")
    return Check(
        "fast dds profile",
        None,
        f"{name} is not set",
        f"`casher eval` sets it; for nodes started by hand: export {name}=<casher_bringup>/config/fastdds_shm.xml",
    )


def shared_memory(folder, needed=SHARED_MEMORY_BYTES):
    """Free space for Fast DDS in `folder`."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Check("shared memory", False, str(error), "mount a tmpfs on /dev/shm")
    detail = f"{folder}: {_size(usage.free)} free of {_size(usage.total)}"
    remedy = (
        f"{_size(needed)} must be free: mount -o remount,size=1G {folder}; in a container --shm-size=1g or --ipc=host"
    )
    return Check("shared memory", usage.free >= needed, detail, remedy)


def stale_segments(folder, processes="/proc"):
    """Files of Fast DDS in `folder` that no process uses: killed nodes leave them."""
    found = {path for path in Path(folder).glob("*fastrtps_*") if path.is_file()}
    stale = sorted(found - _used(processes))
    size = sum(path.stat().st_blocks * 512 for path in stale if path.exists())
    if not stale:
        return Check("stale segments", True, f"none of {len(found)}")
    remedy = f"while no ROS node runs: rm {folder}/*fastrtps_*"
    return Check("stale segments", None, f"{len(stale)} of {len(found)} files, {_size(size)}", remedy)


def _used(processes):
    """Files of Fast DDS that a process has open or mapped, as far as we may look."""
    used = set()
    # What belongs to another user, or has just ended or closed, raises OSError.
    for process in Path(processes).glob("[0-9]*"):
        with contextlib.suppress(OSError):
            lines = (process / "maps").read_text().splitlines()
            used |= {Path(line.split(None, 5)[5]) for line in lines if "fastrtps_" in line}
        with contextlib.suppress(OSError):
            for fd in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    used.add(Path(os.readlink(fd)))
    return used


def disk(folder, needed=DISK_BYTES):
    """Room for bags where `folder` is or will be."""
    existing = Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if not os.access(existing, os.W_OK):
        return Check("disk", False, f"{existing} is not writable", "choose another out:=")
    remedy = f"{_size(needed)} must be free for bags: make room or choose another out:="
    return Check("disk", free >= needed, f"{existing}: {_size(free)} free", remedy)


def libraries(packages=LIBRARIES, load=ctypes.CDLL):
    """packages: shared library -> Debian package; load: opens a library by name."""
    missing = []
    for name in packages:
        try:
            load(name)
        except OSError:
            missing.append(name)
    remedy = "sudo apt-get install " + " ".join(packages[name] for name in missing)
    return Check("libraries", not missing, ", ".join(missing) + " missing" if missing else "GL, EGL, X11, usb", remedy)


def cores(available=None):
    """available: processors this process may use."""
    available = len(os.sched_getaffinity(0)) if available is None else available
    return Check("processors", available >= CORES, f"{available}", f"the nodes need {CORES}")


def memory(meminfo="/proc/meminfo", needed=MEMORY_BYTES):
    """meminfo: the kernel's file."""
    fields = dict(line.split(":") for line in Path(meminfo).read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    return Check(
        "memory", free >= needed, f"{_size(free)} available", f"{_size(needed)} are needed: end other programs"
    )


def cameras(wanted, connected):
    """wanted: serial -> name of a real rig's cameras or None; connected: by serial, None without pyrealsense2."""
    if connected is None:
        found, missing = "pyrealsense2 is not installed", wanted or {}
        remedy = "pip install pyrealsense2"
    else:
        found = f"connected: {', '.join(connected) or 'none'}"
        missing = {serial: name for serial, name in (wanted or {}).items() if serial not in connected}
        remedy = "check cable, port (USB 3) and the rig file's serials"
    if wanted is None:
        return Check("cameras", None, f"{found}; not needed for robot:=sim", "")
    if missing:
        lacking = ", ".join(f"{name} ({serial})" for serial, name in missing.items())
        return Check("cameras", False, f"{lacking} missing; {found}", remedy)
    return Check("cameras", True, found)


def camera_ports(connected):
    """connected: serial -> dict of its name, usb, firmware and recommended firmware as far as known, or None."""
    if not connected:
        return Check("camera ports", None, "no camera is connected")
    said, slow, old = [], [], []
    for serial, about in connected.items():
        usb, firmware, wanted = (about.get(key, "unknown") for key in ("usb", "firmware", "recommended"))
        said.append(f"{serial}: {about.get('name', 'camera')}, USB {usb}, firmware {firmware}")
        if usb.startswith(("1", "2")):
            slow.append(serial)
        if wanted not in ("unknown", firmware):
            old.append(f"{serial} to {wanted}")
    if slow:
        remedy = f"plug {', '.join(slow)} into a USB 3 port of its own, with a USB 3 cable"
        return Check("camera ports", False, "; ".join(said), remedy)
    if old:
        return Check("camera ports", None, "; ".join(said), f"bring the firmware of {', '.join(old)} with rs-fw-update")
    return Check("camera ports", True, "; ".join(said))


def robot(host, port=FCI_PORT, timeout_s=1.0):
    """Whether an FCI answers at `host`; None without one."""
    if not host:
        return Check("robot", None, "no host given; not needed for robot:=sim")
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        remedy = "check address and cable, unlock the joints and activate FCI in Desk"
        return Check("robot", False, f"{host}:{port}: {error}", remedy)
    return Check("robot", True, f"{host}:{port} answers")


def realtime(host, release, flag="/sys/kernel/realtime"):
    """Whether the kernel, by its version text or its flag, is a PREEMPT_RT one; only a real robot needs that."""
    if not host:
        return Check("real-time kernel", None, "no host given; not needed for robot:=sim")
    flagged = Path(flag).exists() and Path(flag).read_text().strip() == "1"
    is_realtime = flagged or "PREEMPT_RT" in release
    return Check("real-time kernel", is_realtime, release, "boot a PREEMPT_RT kernel: the arm's 1 kHz loop needs it")


def time_sync(state):
    """state: what adjtimex(2) returns, negative if it could not tell; 5 is a clock nobody keeps right."""
    if state == 5 or state < 0:
        detail = "the clock is not synchronised: no matter while everything runs on this machine"
        return Check("time", None, detail, "with nodes on several machines: systemctl enable --now chrony on each")
    return Check("time", True, "synchronised")


def _size(n):
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.0f} MiB"
