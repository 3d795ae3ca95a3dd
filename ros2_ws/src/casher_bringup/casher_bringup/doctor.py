"""`casher doctor`: one line for each thing this stack needs of the machine: ok, or what to do."""

import ctypes
import dataclasses
import importlib
import json
import os
import sys

from rich.console import Console
from rich.text import Text

from casher_bringup import checks
from casher_bringup.checks import Check
from casher_perception.rig import RigError, load_rig

SHARED_MEMORY = "/dev/shm"


@dataclasses.dataclass(frozen=True)
class DoctorArgs:
    """Check this machine. Exits 1 if something must be done."""

    rig: str = ""
    """Rig file, or name, of a real kitchen: are its cameras connected?"""
    host: str = ""
    """Address of a real robot: does it answer, and is this kernel fit to drive it?"""
    out: str = "."
    """Folder for the bags: is there room?"""
    json: bool = False
    """Print the checks as JSON."""


def run_checks(rig=None, host=None, out="."):
    """list[Check] of this machine. rig: name or path of a rig file or None; host: address of a robot or None."""
    environ = os.environ
    return [
        checks.python(sys.version_info),
        checks.ros(environ),
        checks.messages(),
        checks.rmw(environ),
        checks.fast_dds_profile(environ),
        checks.shared_memory(SHARED_MEMORY),
        checks.stale_segments(SHARED_MEMORY),
        checks.disk(out),
        checks.libraries(),
        checks.cores(),
        checks.memory(),
        *_cameras(rig),
        checks.robot(host),
        checks.realtime(host, os.uname().version),
        checks.time_sync(_clock_state()),
    ]


def main(args):
    """DoctorArgs -> exit code: 1 if a check failed."""
    results = run_checks(args.rig or None, args.host or None, args.out)
    if args.json:
        print(json.dumps([dataclasses.asdict(check) for check in results], indent=2))
    else:
        console = Console(highlight=False)
        for check in results:
            console.print(line(check), soft_wrap=True)
    return int(any(check.ok is False for check in results))


def line(check):
    """Check -> the line that is printed."""
    mark, style = {True: ("ok", "green"), None: ("--", "dim"), False: ("DO", "bold red")}[check.ok]
    text = Text.assemble((f"{mark:<3}", style), f"{check.name:<18}", (check.detail, "dim" if check.ok else ""))
    if not check.ok and check.remedy:
        text.append(f"  -> {check.remedy}", style="bold" if check.ok is False else "dim")
    return text


def _cameras(rig):
    try:
        wanted = None if rig is None else _serials(rig)
    except (RigError, OSError) as error:
        return [Check("cameras", False, str(error), "give a rig file: casher doctor --rig kitchens/NAME.yaml")]
    try:
        connected = _connected()
    except RuntimeError as error:
        return [Check("cameras", False, f"librealsense: {error}", "check the udev rules and the USB ports")]
    return [checks.cameras(wanted, connected), checks.camera_ports(connected)]


def _serials(rig):
    from casher_bringup.arguments import kitchen_folders  # needs ROS, which may be what is missing
    from casher_perception.rig import find_rig

    found = load_rig(find_rig(rig, kitchen_folders()))
    if found.calibration.status == "simulated":
        return None
    return {mount.serial: name for name, mount in found.cameras.items()}


def _connected():
    """Serial -> what the RealSense camera says about itself; None without pyrealsense2."""
    try:
        rs = importlib.import_module("pyrealsense2")
    except ImportError:
        return None
    info = rs.camera_info
    wanted = {
        "name": info.name,
        "usb": info.usb_type_descriptor,
        "firmware": info.firmware_version,
        "recommended": info.recommended_firmware_version,
    }
    return {
        device.get_info(info.serial_number): {
            key: device.get_info(item) for key, item in wanted.items() if device.supports(item)
        }
        for device in rs.context().query_devices()
    }


def _clock_state():
    # timex is about 200 bytes; zeroed, it asks and sets nothing.
    return ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
