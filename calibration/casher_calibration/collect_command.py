"""`casher calibrate collect`: the samples of a calibration, with the arm driving, guided by hand, or from images."""

import dataclasses
import queue
import sys
import threading
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from casher_calibration.board import BOARDS, BoardError
from casher_calibration.collect_page import Page
from casher_calibration.collector import CollectError, Collector, rotation_spread
from casher_calibration.detection import BoardProblem
from casher_calibration.drive import collect
from casher_calibration.kitchen_rig import keep_new, rig_of, space_of
from casher_calibration.reach import Reach
from casher_calibration.resume import begin_or_go_on
from casher_calibration.samples import ROBOTS, SessionError, load
from casher_calibration.solution import SolveError
from casher_franka.arm import ArmFault
from casher_perception.rig import RigError

GATE = 20
"""Samples without which the check does not pass."""
PLACE = "place the arm so that every camera sees the whole board, 10 cm free all around it; then Start"
LIVE_S = 0.7
REFUSALS = (BoardError, BoardProblem, CollectError, RigError, SessionError, SolveError, ArmFault)


@dataclass(frozen=True)
class CollectArgs:
    """Take the samples of a calibration: board in the gripper, both cameras on the board."""

    kitchen: str
    """Name of the kitchen, or the path of its rig file."""
    robot: str = "sim"
    """sim: a rehearsal without hardware; fr3 or panda: the arm at `host`."""
    host: str = ""
    """Address of the robot."""
    hand_guided: bool = False
    """You move the arm and press the button, or Enter, for every sample."""
    images: Path | None = None
    """Folder of a session made elsewhere (images and session.yaml): only look whether it can be used."""
    session: Path | None = None
    """Folder to write to or to go on with; by default calibrations/KITCHEN_DATE."""
    poses: int = 25
    """Samples that every camera must see."""
    serials: tuple[str, ...] = ()
    """Serials of the left and the right camera, for a kitchen without a rig file or with new cameras."""
    table_m: float | None = None
    """New kitchen: height of the worktop in the robot's base frame [m]."""
    box_low: tuple[float, float, float] | None = None
    """New kitchen: lowest corner (x, y, z) of the box the tool may move in, base frame [m]."""
    box_high: tuple[float, float, float] | None = None
    """New kitchen: highest corner of that box."""
    paper: str = "a4"
    """The board: a4 or a3."""
    square_mm: float = 0.0
    """Side of a square as measured on the print, when it is not the paper's own."""
    width: int = 1280
    """Columns of the cameras' images while calibrating."""
    height: int = 720
    """Rows."""
    port: int = 8090
    """Of the page; 0: any."""
    page: bool = True
    """Show the page."""
    go: bool = False
    """Begin at once, without waiting for the start button or Enter."""
    seed: int = 0
    """Of the choice of poses, and of a rehearsal's errors."""
    motion_s: float = 0.5
    """How long a rehearsal's arm takes for a motion."""


def main(args):
    """0: all samples taken; 1: ended before; 2: refused, with what to do."""
    try:
        if args.images is not None:
            return _from_images(args.images)
        return _live(args)
    except REFUSALS as error:
        print(f"casher calibrate collect: {error}", file=sys.stderr)
        return 2


def _live(args):
    if args.robot not in ROBOTS:
        raise CollectError(f"unknown robot {args.robot!r}: known are {', '.join(ROBOTS)}")
    if args.robot != "sim" and not args.host:
        raise CollectError(f"robot {args.robot!r} needs --host, the robot's address on the network")
    if not 5 <= args.poses <= 200:
        raise CollectError(f"poses must lie in 5 .. 200, got {args.poses}; {GATE} and more can pass the check")
    board = _board(args)
    space = space_of(args.box_low, args.box_high, args.table_m)
    own = rig_of(args.kitchen, args.serials, space)
    rig = _sized(own, args)
    folder = args.session or Path("calibrations") / f"{rig.kitchen}_{date.today():%Y-%m-%d}"
    arm, cameras = _apparatus(args, rig, board)
    try:
        if args.robot != "sim":
            keep_new(own)
        session = begin_or_go_on(folder, board, cameras, rig.kitchen, args.robot, args.seed)
        return _run(args, Collector(folder, session, arm, cameras), _reach(args, rig))
    finally:
        for camera in cameras.values():
            camera.close()
        arm.close()


def _run(args, collector, reach):
    words, stop = queue.Queue(), threading.Event()

    def command(word):
        if word in ("stop", "finish"):
            stop.set()
        if word == "stop":
            collector.arm.stop()
        words.put(word)

    page = Page(collector, args.poses, not args.hand_guided, command, args.port) if args.page else None
    closing = threading.Event()
    if page:
        print(f"page: {page.url}", flush=True)
        threading.Thread(target=_keep_looking, args=(collector, closing), daemon=True).start()
    if sys.stdin and sys.stdin.isatty():
        threading.Thread(target=_listen, args=(command, "take" if args.hand_guided else "go"), daemon=True).start()
    try:
        if args.hand_guided:
            _by_hand(args, collector, words)
        else:
            _driven(args, collector, reach, words, stop)
    except KeyboardInterrupt:
        collector.arm.stop()
    except REFUSALS as error:
        collector.progress.phase = "refused"
        collector.progress.say(str(error))
        _report(collector)
        if page and not args.go:
            time.sleep(2.0)  # the page still shows why
        raise
    finally:
        closing.set()
        if page:
            page.close()
    _report(collector)
    return 0 if collector.whole() >= args.poses else 1


def _driven(args, collector, reach, words, stop):
    collector.progress.phase = (
        "place the arm so that every camera sees the whole board, 10 cm free around it; then Start"
    )
    print(f"{collector.progress.phase} (the page's button, or Enter here)", flush=True)
    if not args.go:
        while (word := words.get()) != "go":
            if word == "finish":
                return
    stop.clear()
    collect(collector, reach, args.poses, np.random.default_rng(args.seed), stop.is_set)


def _by_hand(args, collector, words):
    collector.progress.phase = "guide the arm, let go, take a sample; turn the board 20 .. 40 deg about two axes"
    print(f"{collector.progress.phase} (the page's button, or Enter here; Ctrl-C ends)", flush=True)
    while collector.whole() < args.poses:
        word = words.get()
        if word == "finish":
            return
        if word == "take":
            try:
                collector.take()
            except (CollectError, ArmFault) as error:
                collector.progress.say(str(error))
            print(collector.progress.said[-1], flush=True)
    collector.progress.phase = "done"


def _keep_looking(collector, closing):
    look = 0
    while not closing.wait(LIVE_S):
        try:
            collector.look(diagnosis=look % 5 == 0)
        except CollectError as error:
            collector.progress.say(str(error))
        look += 1


def _listen(command, word):
    for _ in sys.stdin:
        command(word)


def _report(collector):
    session, turned = collector.session, np.rad2deg(rotation_spread(collector.session))
    for text in collector.progress.said:
        print(f"  {text}")
    print(f"{len(session.samples)} samples in {collector.folder}, {collector.whole()} of them seen by every camera")
    print(f"the gripper turned by {turned[0]:.0f}, {turned[1]:.0f} and {turned[2]:.0f} deg about three axes")
    if collector.whole() < GATE:
        print(f"the check needs {GATE}: run the same command again, it goes on where it ended")
    print(f"next: casher calibrate touch {collector.folder}, then casher calibrate check {collector.folder}")


def _from_images(folder):
    session = load(folder)
    for index, camera, why in session.unusable:
        print(f"  image {index:03d}_{camera}: {why}")
    whole = sum(len(sample.detections) == len(session.cameras) for sample in session.samples)
    turned = np.rad2deg(rotation_spread(session))
    print(f"{len(session.samples)} samples in {folder}, {whole} of them seen by every camera")
    print(f"the gripper turned by {turned[0]:.0f}, {turned[1]:.0f} and {turned[2]:.0f} deg about three axes")
    if whole < GATE:
        print(f"the check needs {GATE} samples that every camera sees")
    return 0 if whole >= GATE else 1


def _board(args):
    if args.paper not in BOARDS:
        raise BoardError(f"unknown paper {args.paper!r}: known are {', '.join(BOARDS)}")
    board = BOARDS[args.paper]
    if args.square_mm:
        scale = args.square_mm / 1e3 / board.square_m
        board = dataclasses.replace(board, square_m=board.square_m * scale, marker_m=board.marker_m * scale)
    return board


def _sized(rig, args):
    cameras = {
        name: dataclasses.replace(mount, width=args.width, height=args.height, intrinsics=None)
        for name, mount in rig.cameras.items()
    }
    return dataclasses.replace(rig, cameras=cameras)


def _apparatus(args, rig, board):
    """-> (Arm, {camera: CameraSource})"""
    if args.robot == "sim":
        from casher_calibration.rehearsal import rehearsal

        return rehearsal(rig, board, args.seed, args.motion_s)
    from casher_calibration.hardware import open_arm, open_cameras

    cameras = open_cameras(rig)
    try:
        return open_arm(args.robot, args.host), cameras
    except BaseException:
        for camera in cameras.values():
            camera.close()
        raise


def _reach(args, rig):
    table_m = rig.workspace_low[2] if rig.table_m is None else rig.table_m
    robot = "fr3" if args.robot == "sim" else args.robot
    return Reach(rig.workspace_low, rig.workspace_high, table_m, robot, np.zeros((0, 3)))
