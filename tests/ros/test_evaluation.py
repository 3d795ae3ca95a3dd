"""The user's own command, every node a process of its own, over real DDS: two short episodes, and what can go wrong."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(500)  # a graph of seven processes on a busy machine
CASHER = Path(sys.executable).with_name("casher")


_STARTED = []


@pytest.fixture(autouse=True)
def nothing_is_left():
    """A test that fails leaves no graph behind to slow down the others."""
    yield
    while _STARTED:
        process = _STARTED.pop()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def start(out, *arguments):
    """`casher eval` in the background, on a ROS domain it claims itself."""
    env = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    process = subprocess.Popen(
        [CASHER, "eval", f"out:={out}", *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _STARTED.append(process)
    return process


def finish(process, timeout_s=300):
    """-> (exit code, what it printed)."""
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=30)
        pytest.fail(f"casher eval did not end:\n{printed}")
    return process.returncode, printed


def children(process):
    """Node name -> pid of the nodes a `casher eval` has started."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            argv = (entry / "cmdline").read_bytes().decode().split("\0")
            parent = int(re.search(r"PPid:\t(\d+)", (entry / "status").read_text()).group(1))
        except (OSError, AttributeError):
            continue
        name = next((item.removeprefix("__node:=") for item in argv if item.startswith("__node:=")), None)
        if parent == process.pid and name:
            found[name] = int(entry.name)
    return found


def until(condition, timeout_s=150):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail("it did not happen in time")


def in_mid_episode(out):
    """Whether a bag has been begun and has grown beyond its first messages."""
    return any(bag.stat().st_size > 300_000 for bag in Path(out).glob("*/*.mcap"))


def report(out):
    subprocess.run([CASHER, "report", out], check=True, capture_output=True)
    return json.loads((out / "report.json").read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two episodes of the demo, run once for the tests that look at what they left."""
    out = tmp_path_factory.mktemp("runs") / "demo"
    code, printed = finish(start(out, "episodes:=2", "objects:=mug", "seed:=1"))
    return out, code, printed


def test_the_demo_runs_two_episodes_that_succeed(demo):
    out, code, printed = demo
    assert code == 0, printed
    assert "2/2 succeeded" in printed
    assert (out / "report.html").exists() and (out / "report.json").exists()


def test_a_bag_opens_with_both_public_readers_and_nothing_was_dropped(demo):
    from mcap_ros2.reader import read_ros2_messages
    from rosbags.highlevel import AnyReader

    bags = sorted(path.parent for path in demo[0].glob("*/metadata.yaml"))
    assert [bag.name for bag in bags] == ["000_mug_left", "001_mug_right"]
    for bag in bags:
        with AnyReader([bag]) as reader:
            counts = {connection.topic: connection.msgcount for connection in reader.connections}
        steps = [m.ros_msg for m in read_ros2_messages(next(bag.glob("*.mcap")), topics=["/casher/policy_step"])]
        episodes = [m.ros_msg for m in read_ros2_messages(next(bag.glob("*.mcap")), topics=["/casher/episode"])]
        assert [e.outcome for e in episodes] == ["running", "success"]
        assert episodes[-1].messages_dropped == 0 and episodes[-1].judge == "predicate"
        assert len(steps) == episodes[-1].steps == counts["/casher/policy_step"]
        assert [step.step for step in steps] == list(range(len(steps)))
        assert counts["/casher/points"] >= len(steps) and counts["/casher/robot_state"] > 0 and counts["/tf_static"] > 0


def test_every_decision_was_made_on_a_cloud_newer_than_the_last_action(demo):
    """From the bag alone: the older camera's stamp is later than the moment the arm had settled."""
    from mcap_ros2.reader import read_ros2_messages

    def ns(stamp):
        return stamp.sec * 10**9 + stamp.nanosec

    for path in demo[0].glob("*/*.mcap"):
        steps = [m.ros_msg for m in read_ros2_messages(path, topics=["/casher/policy_step"])]
        assert all(ns(now.cloud_stamp) > ns(before.settled) for before, now in itertools.pairwise(steps))
        assert all(step.cloud_age_s >= 0 and step.cloud_points > 0 for step in steps)


def test_the_report_agrees_with_what_was_printed(demo):
    overall = report(demo[0])["groups"][0]["success"]
    assert (overall["successes"], overall["trials"]) == (2, 2)


def test_interrupting_marks_the_episode_aborted_and_leaves_a_readable_bag(tmp_path):
    process = start(tmp_path / "run", "policy:=random", "episodes:=3", "objects:=box")
    until(lambda: in_mid_episode(tmp_path / "run"))
    process.send_signal(signal.SIGINT)
    code, printed = finish(process, 120)
    assert code == 130 and "130" in printed, printed
    assert (tmp_path / "run/000_box_left/metadata.yaml").exists()
    assert last_record(tmp_path / "run/000_box_left").outcome == "aborted"


@pytest.mark.parametrize("victim", ["fusion", "policy", "sim"])
def test_a_node_that_dies_ends_the_run_by_name_and_keeps_the_bag(tmp_path, victim):
    process = start(tmp_path / "run", "policy:=random", "episodes:=3", "objects:=box")
    until(lambda: in_mid_episode(tmp_path / "run"))
    os.kill(children(process)[victim], signal.SIGKILL)
    code, printed = finish(process, 120)
    assert code == 1 and f"'{victim}' was killed by signal 9" in printed, printed
    record = last_record(tmp_path / "run/000_box_left")
    # Who noticed it first, the session or the runner, is a matter of milliseconds.
    assert record.outcome == "fault" and (victim in record.reason or "arm_silent" in record.reason), record.reason


def test_a_camera_that_goes_silent_ends_the_episode_with_its_name(tmp_path, ros_domain):
    domain = int(os.environ["ROS_DOMAIN_ID"])
    process = subprocess.Popen(
        [CASHER, "eval", f"out:={tmp_path / 'run'}", "policy:=random", "episodes:=3", "objects:=box"],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _STARTED.append(process)
    with muting() as mute:
        until(lambda: in_mid_episode(tmp_path / "run"))
        mute("camera_left")
    code, printed = finish(process, 120)
    assert code == 3, printed
    record = last_record(tmp_path / "run/000_box_left")
    assert record.outcome == "fault" and record.reason.startswith("camera_silent") and "camera_left" in record.reason
    assert "faults in a row" in printed


def test_two_runs_at_once_do_not_hear_each_other(tmp_path):
    runs = [start(tmp_path / name, "episodes:=1", f"objects:={name}") for name in ("mug", "box")]
    for run, name in zip(runs, ("mug", "box"), strict=True):
        code, printed = finish(run)
        assert code == 0, printed
        record = last_record(next((tmp_path / name).glob("000_*")))
        assert record.object == name and record.outcome in ("success", "failure")


def last_record(bag):
    from mcap_ros2.reader import read_ros2_messages

    return [m.ros_msg for m in read_ros2_messages(next(bag.glob("*.mcap")), topics=["/casher/episode"])][-1]


@contextlib.contextmanager
def muting():
    """mute(camera) silences one of the simulator's cameras, as its parameter allows; ready when the `with` begins."""
    import rclpy
    from rclpy.parameter import Parameter
    from rclpy.parameter_client import AsyncParameterClient

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("mute", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    client = AsyncParameterClient(node, "sim")
    assert client.wait_for_services(120.0)

    def is_set(camera):
        future = client.set_parameters([Parameter("mute_camera", value=camera)])
        executor.spin_until_future_complete(future, 10.0)
        return future.done() and future.result().results[0].successful

    try:
        yield lambda camera: until(lambda: is_set(camera), 60)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_door_of_a_digital_twin_is_opened(tmp_path):
    from casher_sim.procedural import kitchen, save_kitchen

    (tmp_path / "kitchen").mkdir()
    save_kitchen(tmp_path / "kitchen", *kitchen(1))
    code, printed = finish(
        start(tmp_path / "run", f"twin:={tmp_path / 'kitchen'}", "task:=open_cabinet", "episodes:=1")
    )
    assert code == 0, printed
    record = last_record(next((tmp_path / "run").glob("000_*")))
    assert (record.task, record.outcome) == ("open_cabinet", "success"), record.reason


def test_one_run_goes_through_several_unseen_kitchens_and_its_report_has_a_total(tmp_path):
    out = tmp_path / "run"
    code, printed = finish(start(out, "twin:=unseen:2", "episodes:=2", "objects:=mug"))
    assert code == 0, printed
    kitchens = sorted(folder.name for folder in (out / "kitchens").iterdir())
    records = [last_record(bag) for bag in sorted(out.glob("00?_mug_*"))]
    assert [(record.kitchen, record.outcome) for record in records] == [(name, "success") for name in kitchens]
    (total,) = report(out)["over_kitchens"]
    assert sorted(total["by_kitchen"]) == kitchens and total["success"]["trials"] == len(kitchens) == 2
