"""Beginning a session, and going on with one: only with the board, the cameras, the pictures and the arm it has."""

import json
import time
from dataclasses import astuple
from pathlib import Path

import numpy as np

from casher_calibration.samples import FILE, ROBOTS, SessionCamera, SessionError, create, load

ABOUT = "collect.json"
OLD_S = 12 * 3600.0


def begin_or_go_on(folder, board, cameras, kitchen, robot, seed):
    """The folder's session if it goes with all of these, a new one in a folder that has none -> Session.

    cameras: name -> CameraSource. SessionError for a session that does not go with them.
    """
    own = {name: SessionCamera(camera.serial, camera.intrinsics) for name, camera in cameras.items()}
    if not (Path(folder) / FILE).exists():
        session = create(folder, board, own, kitchen=kitchen, robot=robot)
        about = {"robot": robot, "started": time.time(), "seed": seed}
        (Path(folder) / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")
        return session
    session = load(folder)
    was, age_s = robot_of(session, folder), time.time() - (Path(folder) / FILE).stat().st_mtime
    wrong = {
        f"its last sample is {age_s / 3600:.0f} hours old and the cameras may have moved since": age_s > OLD_S,
        f"its board is {session.board}, stated is {board}": session.board != board,
        f"its cameras are {_serials(session.cameras)}, connected are {_serials(own)}": _serials(session.cameras)
        != _serials(own),
        f"it is of robot {was!r}": was != robot,
        f"it is of a rehearsal with seed {_about(folder).get('seed')}": robot == "sim"
        and _about(folder).get("seed") != seed,
    }
    reasons = [text for text, is_so in wrong.items() if is_so] + _other_pictures(session.cameras, own)
    if reasons:
        raise SessionError(f"cannot go on with {folder}: {'; '.join(reasons)}; name a new folder with --session")
    print(f"going on with {folder}: {len(session.samples)} samples")
    return session


def robot_of(session, folder):
    """Whose samples these are, one of ROBOTS; SessionError when its files do not say, or contradict each other."""
    said = {session.robot, str(_about(folder).get("robot") or "")} - {""}
    if len(said) != 1 or not said <= set(ROBOTS):
        raise SessionError(
            f"{folder} does not say for certain of which robot it is (got {sorted(said) or 'nothing'}): put its "
            f"{ABOUT} back, or write 'robot: fr3' or 'robot: panda' into its {FILE} if that arm took the samples"
        )
    return said.pop()


def _about(folder):
    path = Path(folder) / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SessionError(f"cannot read {path}: {error}") from None
    if not isinstance(about, dict):
        raise SessionError(f"{path} must be a mapping, got {about!r}")
    return about


def _other_pictures(was, now):
    """In words: cameras of the same name whose pictures are of another size or other intrinsics."""
    found = []
    for name in sorted(set(was) & set(now)):
        a, b = was[name].intrinsics, now[name].intrinsics
        if (a.width, a.height) != (b.width, b.height):
            found.append(f"{name} had {a.width} x {a.height} pixels, now it has {b.width} x {b.height}")
        elif not np.allclose(astuple(a), astuple(b), rtol=1e-6, atol=0.0):
            found.append(f"{name} had the intrinsics {a}, now it has {b}")
    return found


def _serials(cameras):
    return {name: camera.serial for name, camera in cameras.items()}
