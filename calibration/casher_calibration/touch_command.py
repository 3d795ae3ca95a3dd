"""`casher calibrate touch`: the board lies in the kitchen; the tool's tip touches corners of it."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro

from casher_calibration.collect_command import REFUSALS, ROBOTS
from casher_calibration.collect_page import draw_corners
from casher_calibration.collector import CollectError, wait_for_rest
from casher_calibration.detect import detect
from casher_calibration.detection import BoardProblem
from casher_calibration.kitchen_rig import rig_of_session
from casher_calibration.resume import robot_of
from casher_calibration.samples import load
from casher_calibration.touch import Touch, corners_to_touch, save_touch

EYE = "touch_here_{}.png"
"""Picture that shows which corner is which."""
RED = (230, 60, 60)


@dataclass(frozen=True)
class TouchArgs:
    """The touch test: board on the worktop in both cameras' view, close the fingers, guide their tip to each corner."""

    session: tyro.conf.Positional[Path]
    """Folder that `casher calibrate collect` wrote."""
    robot: str = "sim"
    """sim: the rehearsal; fr3 or panda: the arm at `host`."""
    host: str = ""
    """Address of the robot."""
    seed: int = 0
    """Of the rehearsal, as given to `collect`."""


def main(args):
    """0: the test is in the session's folder; 2: refused, with what to do; 130: interrupted, nothing kept."""
    try:
        touch = _take(args, load(args.session))
        save_touch(touch, args.session)
    except (*REFUSALS, EOFError) as error:
        print(f"casher calibrate touch: {error or 'no more input; nothing is kept'}", file=sys.stderr)
        return 2
    print(f"{len(touch.corners)} corners touched; next: casher calibrate check {args.session}")
    return 0


def _take(args, session):
    if args.robot not in ROBOTS:
        raise CollectError(f"unknown robot {args.robot!r}: known are {', '.join(ROBOTS)}")
    if (args.robot == "sim") != ((was := robot_of(session, args.session)) == "sim"):
        raise CollectError(f"{args.session} is of robot {was!r}: its touch test is taken with --robot {was}")
    if args.robot == "sim":
        return _rehearsed(args, session)
    if not args.host:
        raise CollectError(f"robot {args.robot!r} needs --host, the robot's address on the network")
    from casher_calibration.hardware import open_arm, open_cameras

    cameras = open_cameras(_rig_of(session))
    try:
        arm = open_arm(args.robot, args.host)
        try:
            input("Lay the board flat in both cameras' view, arm out of the way, then Enter: ")
            frames = _pictures(cameras)
            corners = _corners(frames, session, args.session)
            positions = [_touched(arm, number, len(corners), corner) for number, corner in enumerate(corners)]
        finally:
            arm.close()
    finally:
        for camera in cameras.values():
            camera.close()
    return _touch(corners, positions, frames)


def _touched(arm, number, count, corner):
    input(f"{number + 1} of {count}: guide the closed fingertips to corner {corner} (see the pictures), then Enter: ")
    return wait_for_rest(arm).T_base_tcp[:3, 3]


def _rehearsed(args, session):
    from casher_calibration.rehearsal import lay_down, rehearsal, touch_point

    rig = _rig_of(session)
    arm, cameras = rehearsal(rig, session.board, args.seed)
    rng = np.random.default_rng(args.seed)
    T_base_board = lay_down(rig, cameras)
    frames = _pictures(cameras)
    corners = _corners(frames, session, args.session)
    points = [T_base_board[:3, :3] @ session.board.corners()[corner] + T_base_board[:3, 3] for corner in corners]
    return _touch(corners, [touch_point(arm, point, rng) for point in points], frames)


def _rig_of(session):
    """The kitchen's rig with cameras of the session's size."""

    rig = rig_of_session(session)
    sizes = {name: camera.intrinsics for name, camera in session.cameras.items()}
    cameras = {
        name: dataclasses.replace(mount, width=sizes[name].width, height=sizes[name].height, intrinsics=None)
        for name, mount in rig.cameras.items()
    }
    return dataclasses.replace(rig, cameras=cameras)


def _pictures(cameras):
    frames = {name: camera.read(5.0) for name, camera in cameras.items()}
    if silent := [name for name, frame in frames.items() if frame is None]:
        raise CollectError(f"{', '.join(silent)} gave no picture: check cable and serial")
    return frames


def _corners(frames, session, folder):
    """Ids to touch; writes pictures in which they are marked."""
    found = {}
    for name, frame in frames.items():
        try:
            found[name] = detect(frame.colour, session.board)
        except BoardProblem as problem:
            raise BoardProblem(problem.kind, f"{name}: {problem}") from None
    corners = corners_to_touch(session.board, set.intersection(*(set(d.ids.tolist()) for d in found.values())))
    for name, frame in frames.items():
        image = draw_corners(frame.colour, found[name])
        for number, corner in enumerate(corners):
            x, y = np.rint(found[name].pixels[found[name].ids == corner][0]).astype(int)
            cv2.circle(image, (x, y), 16, RED, 4)
            cv2.putText(image, str(number + 1), (x + 18, y - 12), cv2.FONT_HERSHEY_SIMPLEX, 1.1, RED, 3)
        cv2.imwrite(str(Path(folder) / EYE.format(name)), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    print(f"corners {', '.join(map(str, corners))} are marked 1 .. {len(corners)} in {Path(folder) / EYE.format('*')}")
    return corners


def _touch(corners, positions, frames):
    depths = {name: frame.depth for name, frame in frames.items() if frame.depth.any()}
    return Touch(np.array(corners), np.array(positions), {name: f.colour for name, f in frames.items()}, depths)
