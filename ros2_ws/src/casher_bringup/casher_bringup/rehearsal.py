"""A real robot's software with recordings in the place of the cameras: only ever with an arm that is not there."""

import ipaddress
from pathlib import Path


def recording(folder, camera):
    """Path of a camera's recording in the rehearsal's folder."""
    return Path(folder).expanduser().absolute() / f"{camera}.db3"


def check(folder, cameras, host):
    """ValueError unless the folder has a recording of each camera and the arm at `host` runs on this very machine.

    On a recording the policy moves the arm without seeing what is in its way.
    """
    if not _is_here(host):
        raise ValueError(
            f"cameras:={folder} plays recordings, and host:={host} may be a real arm, which would move without seeing: "
            "rehearse with an arm server on this machine (host:=127.0.0.1), or leave out cameras:="
        )
    missing = [str(path) for path in (recording(folder, camera) for camera in cameras) if not path.is_file()]
    if missing:
        raise ValueError(f"cameras:={folder} lacks the recordings {', '.join(missing)}: one .db3 for each camera")


def _is_here(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
