"""Every fault an FR3 can meet, done to the running stack: how soon the arm stands, what the episode says, the way back.

`casher eval robot:=fr3` with real franky, librealsense and DDS on the FCI test server and two recorded cameras. That an
arm stood still is the server's own account: when a joint last moved. A fault that can be cleared is followed by an
episode that is run and judged. CASHER_FAULTS names a few, separated by commas; then no result is saved.
"""

import contextlib
import itertools
import os
import resource
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import finish
from casher_bringup.recover import RecoverArgs
from casher_bringup.recover import main as recover
from casher_policy.action import Action
from tests.hardware.fci.arm import START
from tests.hardware.fci.process import fci_server
from tests.hardware.fr3_stack import Operator, Run, make_recordings, make_rig, messages, records, undisturbed

ADDRESSES = itertools.count(1)
STILL_MS = 1500.0
"""By then the arm stands, whatever happened."""


def main():
    wanted = [name.strip() for name in os.environ.get("CASHER_FAULTS", "").split(",") if name.strip()] or list(FAULTS)
    if unknown := set(wanted) - set(FAULTS):
        raise SystemExit(f"unknown faults {', '.join(sorted(unknown))}: known are {', '.join(FAULTS)}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="casher-faults-") as folder:
        folder = Path(folder)
        rig = make_rig(folder / "rehearsal.yaml")
        for name in ("cameras", "frozen"):
            (folder / name).mkdir()
            make_recordings(folder / name, frozen="camera_right" if name == "frozen" else "")
        together = [name for name in wanted if name in SHARED]
        with contextlib.ExitStack() as stack:  # those that the run outlives, in one run
            bench = Bench(folder / "together", rig, folder / "cameras", stack)
            if together:
                bench.start(episodes=2 * len(together) + 1)
                bench.meet()
            for name in together:
                rows.append(row_of(name, bench))
        for number, name in enumerate(name for name in wanted if name not in SHARED):
            with contextlib.ExitStack() as stack:
                rows.append(row_of(name, Bench(folder / f"{number:02d}", rig, folder / "cameras", stack)))
    print(table(rows))
    good = sum(row["holds"] for row in rows)
    if len(wanted) < len(FAULTS):
        print(f"{good} of the {len(wanted)} chosen faults hold; results are kept of the whole table only")
        return 0 if good == len(wanted) else 1
    detail = {"limit_still_ms": STILL_MS, "rows": rows}
    return finish("fault_table", good, f"of {len(FAULTS)} faults", f"== {len(FAULTS)}", good == len(FAULTS), detail)


def row_of(name, bench):
    """-> the row of one fault."""
    inject, expected, outcome, actions = FAULTS[name]
    try:
        seen = inject(bench)
    except Exception as error:  # a row that could not be made is one that does not hold
        row = {"fault": name, "holds": False, "why": repr(error)[-2000:]}
    else:
        still_ms = seen["still_ms"]
        holds = expected in seen["told"] and seen["outcome"] == outcome and not seen["lost"]
        holds = holds and seen["actions"] <= actions <= 1 and (still_ms is None or still_ms <= STILL_MS)
        row = {"fault": name, **seen, "holds": bool(holds)}
    print(row, flush=True)
    return row


class Bench:
    """One robot and one run, with what is done to them."""

    def __init__(self, folder, rig, recordings, stack):
        self.folder, self.rig, self.recordings, self.stack = folder, rig, recordings, stack
        self.episodes = self.waits = 0

    def start(self, seed=0, episodes=1, version=10):
        """The robot and `casher eval`."""
        host = f"127.0.{os.getpid() % 200 + 50}.{next(ADDRESSES)}"  # a test run that looks for a free one stays away
        self.robot = self.stack.enter_context(fci_server(version=version, host=host, speed=1.0))
        undisturbed(self.robot.process.pid)
        self.run = self.stack.enter_context(
            Run(self.folder, self.robot.host, self.recordings, self.rig, episodes=episodes, seed=seed)
        )

    def meet(self):
        """The operator joins the run."""
        self.operator = self.stack.enter_context(Operator(self.run.domain))

    def begin(self):
        """An episode, until the arm moves in its second step."""
        self.set_up()
        self.wait_for_step()
        self.until_it_moves()

    def set_up(self):
        """The scene of the next episode."""
        self.episodes += 1
        self.run.until(lambda: self.run.says("place the mug", self.episodes))
        assert self.operator.ask("ready").success

    def wait_for_step(self, count=1):
        """So many more steps."""
        seen = len(self.operator.steps)
        self.run.until(lambda: len(self.operator.steps) >= seen + count)

    def wait_for_end(self):
        """The episode has ended."""
        self.run.until(lambda: len(self.operator.episodes) >= self.episodes)

    def judge(self, succeeded, note=""):
        """A verdict, and the end of the episode."""
        assert self.operator.judge(succeeded, note).accepted
        self.wait_for_end()

    def until_it_moves(self):
        """The arm is somewhere in a motion."""
        self.run.until(lambda: self.robot.state()["moving"])

    def still_ms(self, since_ns):
        """How long after `since_ns` the arm last moved [ms], once it has been at rest for half a second."""

        def rest():
            state = self.robot.state()
            return not state["moving"] and time.time_ns() - state["moved_ns"] > 500_000_000 and state

        state = self.run.until(rest) if self.run.process.poll() is None else self.at_rest(rest)
        return round(max(0, state["moved_ns"] - since_ns) / 1e6, 1)

    def at_rest(self, rest):
        """`rest` without a run to watch."""
        end = time.monotonic() + 20.0
        while not (state := rest()):
            assert time.monotonic() < end, "the arm still moves"
            time.sleep(0.02)
        return state

    def next_is_judged(self):
        """After the fault: the next episode is run and judged."""
        self.set_up()
        self.wait_for_step()
        self.judge(True)

    def told(self):
        """Outcome and reason of the latest episode's record, and whether anything of it is lost."""
        bag = next(self.folder.glob(f"{self.episodes - 1:03d}_*"))
        record, steps = records(bag)[-1], messages(bag, "/casher/policy_step")
        known = [step for step in self.operator.steps if step.episode_id == record.episode_id]
        lost = record.messages_dropped > 0 or len(steps) != record.steps or len(steps) < len(known)
        return {"outcome": record.outcome, "told": record.reason, "lost": bool(lost)}


def cleared(inject, clear=lambda bench: bench.operator.ask("recover")):
    """A fault in mid-motion that one action of the operator clears."""

    def run(bench):
        bench.begin()
        since_ns = inject(bench)
        still_ms = bench.still_ms(since_ns)
        bench.wait_for_end()
        bench.waits += 1
        bench.run.until(lambda: bench.run.says("waiting for the arm", bench.waits))
        told = bench.told()
        clear(bench)
        bench.next_is_judged()
        return {"still_ms": still_ms, **told, "actions": 1}

    return run


def on_robot(name, **arguments):
    return lambda bench: bench.robot.inject(name, **arguments)["at_ns"]


def survived(inject):
    """Something the episode outlives."""

    def run(bench):
        bench.begin()
        inject(bench)
        bench.wait_for_step(2)
        bench.judge(True)
        return {"still_ms": None, **bench.told(), "actions": 0}

    return run


def pressed(bench):
    from std_msgs.msg import Empty

    since_ns = time.time_ns()
    bench.operator.estop.publish(Empty())
    return since_ns


def revived(bench):
    bench.robot.inject("revive")
    bench.operator.ask("recover")


def released(bench):
    bench.robot.inject("release")
    bench.run.until(lambda: bench.operator.ask("recover").success)


def killed(node, number=signal.SIGKILL):
    """The end of a process ends the run; the arm is fit to move for the next one."""

    def run(bench):
        bench.start()
        bench.meet()
        bench.begin()
        since_ns = time.time_ns()
        os.kill(bench.run.node(node), number)
        assert bench.run.ended() == 1, bench.run.printed
        still_ms = bench.still_ms(since_ns)
        told = bench.told()
        assert "were killed" not in bench.run.printed, bench.run.printed  # a node that did not end when asked
        fit_to_move(bench)
        return {"still_ms": still_ms, **told, "actions": 1}

    return run


def fit_to_move(bench):
    """A new client moves the arm, with nothing cleared by hand."""
    from casher_franka.franka_config import FrankaConfig
    from casher_franka.franky_arm import open_arm

    arm = open_arm(FrankaConfig(bench.robot.host, realtime="ignore"))
    try:
        assert not arm.home().fault
    finally:
        arm.close()


def silent_camera(bench):
    """A camera's node is halted, so its clouds end; the camera itself is not touched."""
    bench.start()
    bench.meet()
    bench.begin()
    since_ns, pid = time.time_ns(), bench.run.node("camera_right")
    os.kill(pid, signal.SIGSTOP)
    try:
        bench.wait_for_end()
        still_ms = bench.still_ms(since_ns)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert bench.run.ended() == 3, bench.run.printed
    # The motion that was under way is carried out: the arm waits for a cloud before the next.
    return {"still_ms": None, "stood_after_ms": still_ms, **bench.told(), "actions": 1}


def frozen_camera(bench):
    bench.recordings = bench.recordings.with_name("frozen")
    bench.start()
    code = bench.run.ended(240.0)
    told = [line.strip() for line in bench.run.printed.splitlines() if "camera_right" in line]
    return {"still_ms": None, "outcome": f"exit code {code}", "told": " ".join(told), "lost": False, "actions": 1}


def other_version(bench):
    bench.start(version=5)
    code = bench.run.ended()
    assert np.allclose(bench.robot.state()["q"], START, rtol=0.0, atol=1e-9), "it has moved"
    lines = [line.strip() for line in bench.run.printed.splitlines() if "ncompatible" in line or "version" in line]
    return {"still_ms": None, "outcome": f"exit code {code}", "told": " ".join(lines), "lost": False, "actions": 1}


def seed_of(*first):
    """A seed with which the random policy begins with these actions."""
    return next(
        seed
        for seed in range(100_000)
        if [int(a) for a in np.random.default_rng(seed).integers(14, size=len(first))] == [int(a) for a in first]
    )


def not_homed(bench):
    bench.start(seed=seed_of(Action.CLOSE), episodes=2)
    bench.meet()
    bench.run.until(lambda: bench.run.says("place the mug"))
    since_ns = bench.robot.inject("not_homed")["at_ns"]
    bench.set_up()
    bench.wait_for_end()  # the fingers meet the fault, in the first action; the arm does not move
    still_ms, told = bench.still_ms(since_ns), bench.told()
    bench.next_is_judged()
    return {"still_ms": still_ms, **told, "actions": 0}


def slipped(bench):
    """No fault of the apparatus: the episode goes on and is judged, and the state on record shows it."""
    bench.start(seed=seed_of(Action.CLOSE, Action.PLUS_Z, Action.MINUS_Z))
    bench.meet()
    bench.run.until(lambda: bench.run.says("place the mug"))
    bench.robot.inject("object", width=0.04)
    bench.set_up()
    bench.run.until(lambda: bench.operator.states and bench.operator.states[-1].object_grasped)
    bench.robot.inject("slip")
    bench.run.until(lambda: not bench.operator.states[-1].object_grasped)
    bench.wait_for_step()
    bench.judge(False, "the mug slipped out of the hand")
    return {"still_ms": None, **bench.told(), "actions": 0}


def disk_full(bench):
    """The recorder may write no more, by a limit of the system on its files."""
    bench.start()
    bench.meet()
    bench.begin()
    since_ns = time.time_ns()
    written = next(bench.folder.glob("00*/*.mcap")).stat().st_size
    resource.prlimit(bench.run.node("recorder"), resource.RLIMIT_FSIZE, (written, resource.RLIM_INFINITY))
    bench.wait_for_end()
    still_ms, heard = bench.still_ms(since_ns), bench.operator.episodes[-1]
    bench.run.ended()
    bag = next(bench.folder.glob("00*"))
    recovered = recover(RecoverArgs(bag)) == 0
    steps = messages(bag, "/casher/policy_step")
    lost = not recovered or len(steps) < len(bench.operator.steps) - 1
    # What the arm was doing is carried out or cancelled: within an action, not within a lease.
    told = {"outcome": heard.outcome, "told": heard.reason, "lost": bool(lost)}
    return {"still_ms": None, "stood_after_ms": still_ms, **told, "actions": 1}


FAULTS = {
    "reflex": (cleared(on_robot("reflex", errors=["cartesian_reflex"])), "arm: reflex", "fault", 1),
    "user stop": (
        cleared(on_robot("user_stop"), released), "arm: user_stop", "fault", 1,
    ),
    "emergency stop": (cleared(pressed), "arm: stopped: an emergency stop", "fault", 1),
    "joint limit": (cleared(on_robot("joint_limit")), "joint_position_limits_violation", "fault", 1),
    "gap 0.5 s": (survived(on_robot("gap", seconds=0.5)), "", "success", 0),
    "gap 1.5 s": (cleared(on_robot("gap", seconds=1.5)), "arm: connection_lost", "fault", 1),
    "dead TCP": (cleared(on_robot("dead"), revived), "arm: connection_lost", "fault", 1),
    "version mismatch": (other_version, "version", "exit code 1", 1),
    "gripper not homed": (not_homed, "arm: gripper", "fault", 0),
    "object slipped": (slipped, "slipped", "failure", 0),
    "camera node halted": (silent_camera, "camera_silent", "fault", 1),
    "camera frozen": (frozen_camera, "camera_right", "exit code 1", 1),
    "fusion killed": (killed("fusion"), "'fusion' was killed by signal 9", "fault", 1),
    "policy killed": (killed("policy"), "policy", "fault", 1),
    "session killed": (killed("session"), "'session' was killed by signal 9", "fault", 1),
    "disk full": (disk_full, "recorder: ", "fault", 1),
}  # fmt: skip
"""Fault -> (what is done, a part of what must be told, the episode's outcome, actions to recover)."""
SHARED = ("reflex", "user stop", "emergency stop", "joint limit", "gap 0.5 s", "gap 1.5 s", "dead TCP")
"""These are done in one run, one after the other."""


def table(rows):
    """The rows for people."""
    lines = [f"{'fault':<18} {'still [ms]':>10} {'outcome':<12} {'actions':>7} {'lost':<5} told"]
    for row in rows:
        still = row.get("still_ms")
        lines.append(
            f"{row['fault']:<18} {'-' if still is None else still:>10} {row.get('outcome', '?'):<12} "
            f"{row.get('actions', '?'):>7} {row.get('lost', '?')!s:<5} "
            f"{'' if row['holds'] else 'DOES NOT HOLD: '}{row.get('told', row.get('why', ''))[:110]}"
        )
    return "\n".join(lines)
