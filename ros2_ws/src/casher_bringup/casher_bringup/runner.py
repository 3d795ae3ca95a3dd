"""Starts a node graph without `ros2 launch` and watches over it: one process a node, all stopped when one ends."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from rich.markup import escape

from casher_bringup import run_end
from casher_bringup.graph import environment

STOP_SEQUENCE = ((signal.SIGINT, 8.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
"""Signal, and how long [s] it is given. The recorder closes its bag on the first."""
DOMAINS = range(20, 101)
"""Above 101 the ports of a domain collide with the ephemeral ones of Linux."""
INTERRUPTED = 130
LAST_DOMAIN = 232
_DOMAIN_LOCK, _RUN_LOCK = "casher-ros-domain-", "casher-evaluation-on-domain-"
"""Names of abstract sockets, which leave no file behind: the domain is taken; an evaluation runs on it."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class RunnerError(RuntimeError):
    """The graph could not be started."""


@dataclass(frozen=True)
class End:
    """How a run ended."""

    code: int
    """0: the main node was content; 1: a node died; 130: interrupted; else the main node's own code."""
    reason: str
    died: str = ""
    """Name of the node that died."""
    killed: tuple = ()
    """Names of the nodes that had to be killed."""


def claim_domain(chosen=None):
    """(ROS domain id, lock): an id no other run on this machine uses, held until the lock is closed or we die.

    chosen: the text of ROS_DOMAIN_ID, if the user wants a certain one; RunnerError if another evaluation has it.
    """
    if not chosen:
        for domain in DOMAINS:
            with contextlib.suppress(OSError):
                return domain, _locked(f"{_DOMAIN_LOCK}{domain}", f"{_RUN_LOCK}{domain}")
        raise RunnerError(
            f"every ROS domain of {DOMAINS.start}..{DOMAINS.stop - 1} is taken by another run on this machine"
        )
    if not chosen.isdecimal() or int(chosen) > LAST_DOMAIN:
        raise RunnerError(f"ROS_DOMAIN_ID must be 0 .. {LAST_DOMAIN}, got '{chosen}': correct it, or unset it")
    domain = int(chosen)
    try:
        lock = _locked(f"{_RUN_LOCK}{domain}")
    except OSError:
        raise RunnerError(
            f"another evaluation on this machine runs on ROS domain {domain}, and they would hear each other: "
            "unset ROS_DOMAIN_ID to get a free one"
        ) from None
    with contextlib.suppress(OSError):  # so that nobody who looks for a free domain takes this one
        lock.push(_locked(f"{_DOMAIN_LOCK}{domain}"))
    return domain, lock


def running_domains(sockets="/proc/net/unix"):
    """ROS domains on which evaluations run on this machine; sockets: the kernel's list of them."""
    try:
        names = [line.split()[-1] for line in Path(sockets).read_text().splitlines()]
    except OSError:
        return []
    mark = f"@{_RUN_LOCK}"
    return sorted(int(name.removeprefix(mark)) for name in names if name.startswith(mark))


def _locked(*names):
    """An ExitStack that holds abstract sockets of these names; OSError, and none is held, if one is taken."""
    with contextlib.ExitStack() as held:
        for name in names:
            held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)).bind(f"\0{name}")
        return held.pop_all()


def command(spec):
    """NodeSpec -> argv. Raises RunnerError when the node is not built."""
    try:
        executable = Path(get_package_prefix(spec.package)) / "lib" / spec.package / spec.executable
    except PackageNotFoundError:
        raise RunnerError(f"package {spec.package} is not built: run `make setup`") from None
    if not executable.exists():
        raise RunnerError(f"{executable} is missing: run `make setup`")
    argv = [str(executable), "--ros-args", "-r", f"__node:={spec.name}"]
    for name, value in spec.parameters.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=10**9).splitlines()[0]
        argv += ["-p", f"{name}:={text}"]
    return argv


def run(specs, log_folder, domain=None, on_started=lambda: None):
    """Run the graph until its main node ends, a node dies, or SIGINT, SIGTERM or SIGHUP arrives -> End.

    Every node logs to <log_folder>/<name>.log; the main node also writes to our own stdout. Call from the main thread.
    """
    log_folder = Path(log_folder)
    log_folder.mkdir(parents=True, exist_ok=True)
    interrupted = threading.Event()
    # A terminal that is closed must not leave an arm moving; under nohup it is meant to be ignored.
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    handlers = {s: signal.signal(s, lambda *_: interrupted.set()) for s in wanted}
    env = {**os.environ, **environment(), "ROS_LOG_DIR": str(log_folder / "ros")}
    env[run_end.VARIABLE] = str(log_folder.absolute() / "run_end.txt")
    Path(env[run_end.VARIABLE]).unlink(missing_ok=True)
    if domain is not None:
        env["ROS_DOMAIN_ID"] = str(domain)
    commands = [command(spec) for spec in specs]  # all or nothing: a missing node is found before the first starts
    running = []
    try:
        for spec, argv in zip(specs, commands, strict=True):
            with open(log_folder / f"{spec.name}.log", "wb") as log:
                # A session of its own: a terminal's Ctrl-C reaches us alone, and we stop the nodes in good order.
                process = subprocess.Popen(
                    argv,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=None if spec.main else log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_end_with_us,
                )
            running.append((spec, process))
        on_started()
        end = _watch(running, interrupted)
        run_end.tell(env[run_end.VARIABLE], end.reason if end.died else "")
    finally:
        killed = _stop(running)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return End(end.code, end.reason, end.died, killed)


def _end_with_us():
    # Even when we are killed: nobody would watch over the arm any more, and our domain would be given to others.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _watch(running, interrupted):
    while not interrupted.wait(0.05):
        for spec, process in running:
            code = process.poll()
            if code is None:
                continue
            if spec.main and code >= 0 and code != 1:  # 1: an exception
                return End(code, f"{spec.name} finished")
            how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
            return End(1, f"node '{spec.name}' {how}", spec.name)
    return End(INTERRUPTED, "interrupted")


def _stop(running):
    """Stop whatever still runs, politely first -> names of those that had to be killed."""
    killed = []
    for number, grace_s in STOP_SEQUENCE:
        alive = [(spec, process) for spec, process in running if process.poll() is None]
        for spec, process in alive:
            if number == signal.SIGKILL:
                killed.append(spec.name)
            os.killpg(process.pid, number)
        end = time.monotonic() + grace_s
        while any(process.poll() is None for _, process in alive) and time.monotonic() < end:
            time.sleep(0.02)
    return tuple(killed)


def last_lines(log_folder, name, count=15):
    """The end of a node's log, for the message that says it died."""
    path = Path(log_folder) / f"{name}.log"
    return path.read_text(errors="replace").splitlines()[-count:] if path.exists() else []


def print_end(console, end, log_folder):
    """Say on a rich Console what was wrong with a run: the node that died, the nodes that had to be killed."""
    if end.died:
        log = Path(log_folder) / f"{end.died}.log"
        console.print(f"\nthe run ended: {escape(end.reason)}; the end of its log, {escape(str(log))}:", style="red")
        for line in last_lines(log_folder, end.died):
            console.print(f"  {escape(line)}")
    if end.killed:
        console.print(f"these nodes did not stop when asked and were killed: {', '.join(end.killed)}", style="yellow")
