"""`casher ready`, `judge`, `stop` and `recover`: the operator's word, from any terminal of the machine."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ReadyArgs:
    """Tell the session that the scene is set up; the episode starts."""


@dataclass(frozen=True)
class JudgeArgs:
    """Tell the session whether the episode succeeded; ends it if it is still running."""

    verdict: Annotated[Literal["success", "failure"], tyro.conf.Positional]
    """What you saw."""
    note: str = ""
    """Why, for the report."""


@dataclass(frozen=True)
class StopArgs:
    """Make the arm stand still now; `casher recover` when it is safe."""


@dataclass(frozen=True)
class RecoverArgs:
    """Let the arm move again after a stop or a fault, once its cause is gone."""


def ready(_):
    from std_srvs.srv import Trigger

    return _ask(Trigger, "/casher/ready", Trigger.Request(), lambda answer: answer.success)


def judge(args):
    from casher_msgs.srv import Judge

    request = Judge.Request(succeeded=args.verdict == "success", note=args.note)
    return _ask(Judge, "/casher/judge", request, lambda answer: answer.accepted)


def stop(_):
    from std_srvs.srv import Trigger

    return _ask(Trigger, "/casher/stop", Trigger.Request(), lambda answer: answer.success)


def recover(_):
    from std_srvs.srv import Trigger

    return _ask(Trigger, "/casher/recover", Trigger.Request(), lambda answer: answer.success)


def _ask(service_type, name, request, accepted):
    import rclpy

    from casher_bringup.graph import environment

    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        domain = chosen_domain()
    except ValueError as error:
        errors.print(f"casher: {error}", style="red")
        return 2
    os.environ.update(environment())
    # No log file: this must work without a home folder, too.
    rclpy.init(args=["--ros-args", "--disable-external-lib-logs"], domain_id=domain)
    try:
        node = rclpy.create_node("casher_operator")
        client = node.create_client(service_type, name)
        if not client.wait_for_service(TIMEOUT_S):
            errors.print(
                f"nobody offers {name} on ROS domain {domain}: is an evaluation running there? "
                "It prints its domain: set ROS_DOMAIN_ID to it",
                style="red",
            )
            return 1
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node, future, timeout_sec=TIMEOUT_S)
        if not future.done():
            errors.print(f"{name} did not answer within {TIMEOUT_S:g} s", style="red")
            return 1
        answer = future.result()
        Console(highlight=False, soft_wrap=True).print(escape(answer.message) or "ok")
        return 0 if accepted(answer) else 1
    finally:
        rclpy.try_shutdown()


def chosen_domain():
    """The ROS domain to speak on: what ROS_DOMAIN_ID says, else that of the one evaluation on this machine, else 0.

    Raises ValueError when that is no number, or when it is unset and several evaluations run.
    """
    from casher_bringup.runner import running_domains

    chosen = os.environ.get("ROS_DOMAIN_ID")
    if chosen:
        if not chosen.isdecimal():
            raise ValueError(f"ROS_DOMAIN_ID must be a number, got '{chosen}'")
        return int(chosen)
    running = running_domains()
    if len(running) > 1:
        raise ValueError(
            f"evaluations run on the ROS domains {', '.join(map(str, running))}: set ROS_DOMAIN_ID to the one you mean"
        )
    return running[0] if running else 0
