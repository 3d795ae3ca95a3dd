"""`casher eval robot:=fr3` as the user runs it, on the FCI test server and two recorded cameras, and an operator.

Real franky, real librealsense, real DDS, every node a process of its own; only the metal is missing.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from casher_bringup.graph import environment
from casher_perception.geometry import pose_matrix
from casher_perception.rig import Calibration, CameraMount, Rig, save_rig
from tests.hardware.recorded_camera import record, scene_shots

WIDTH, HEIGHT, RATE_HZ, SHOTS = 160, 120, 15.0, 30
CAMERAS = {
    "camera_left": ("SW0001", pose_matrix([-0.01, 0.5, 0.69], [-0.40895848, 0.83786616, -0.32916171, 0.14961896])),
    "camera_right": ("SW0002", pose_matrix([-0.01, -0.5, 0.69], [-0.83786616, 0.40895848, -0.14961896, 0.32916171])),
}
CASHER = Path(sys.executable).with_name("casher")


def make_rig(path):
    """A rig file of the two recorded cameras, as a calibration that passed today leaves it."""
    mounts = {
        name: CameraMount(serial, T_base_camera, WIDTH, HEIGHT, RATE_HZ)
        for name, (serial, T_base_camera) in CAMERAS.items()
    }
    serials = {name: serial for name, (serial, _) in CAMERAS.items()}
    today = datetime.now(UTC).astimezone().date().isoformat()
    calibration = Calibration("rehearsal-1", today, "passed", kitchen="rehearsal", serials=serials)
    save_rig(Rig("rehearsal", calibration, (0.2, -0.5, 0.1), (0.8, 0.5, 0.8), mounts, table_m=0.15), path)
    return path


def make_recordings(folder, frozen=""):
    """<camera>.db3 of the synthetic scene for both cameras; the one named `frozen` shows one picture for ever."""
    t0_ms, shots = time.time() * 1e3, {}
    for name, (serial, T_base_camera) in CAMERAS.items():
        taken = scene_shots(T_base_camera, WIDTH, HEIGHT, SHOTS, RATE_HZ, t0_ms)
        if name == frozen:
            taken = [replace(taken[0], stamp_ms=shot.stamp_ms, number=shot.number) for shot in taken]
        shots[str(folder / f"{name}.db3")] = serial, taken
    record(shots, RATE_HZ, pace_hz=60.0)
    return folder


def undisturbed(pid):
    """Let a process have the processor when it wants it: a robot has one of its own, libfranka real-time priority."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -10)


class Run:
    """A `casher eval` in the background, for as long as the `with` block lasts."""

    def __init__(self, folder, host, recordings, rig, **arguments):
        self.out = folder
        given = {
            "robot": "fr3", "host": host, "cameras": recordings, "kitchen": rig, "policy": "random", "episodes": 1,
            "objects": "mug", "sides": "left", "out": folder, **arguments,
        }  # fmt: skip
        env = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
        self.printed = ""
        self.process = subprocess.Popen(
            [CASHER, "eval", *(f"{name}:={value}" for name, value in given.items())],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        undisturbed(self.until(lambda: self.node("arm")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self._reader.join(5)

    def _read(self):
        for line in self.process.stdout:
            self.printed += line

    def until(self, condition, timeout_s=180.0):
        """condition()'s value once it is true; AssertionError with what was printed when it is not in time."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if value := condition():
                return value
            if self.process.poll() is not None:
                self._reader.join(5)
                break
            time.sleep(0.01)
        value = condition()
        assert value, f"did not happen:\n{self.printed}\n{self.logs()}"
        return value

    def ended(self, timeout_s=180.0):
        """The exit code."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"casher eval did not end:\n{self.printed}") from None
        self._reader.join(5)
        return code

    def says(self, text, times=1):
        """Whether `text` was printed so often."""
        return self.printed.count(text) >= times

    @property
    def domain(self):
        """ROS domain of the run, once it is printed."""
        found = self.until(lambda: re.search(r"ROS domain (\d+)", self.printed))
        return int(found.group(1))

    def node(self, name):
        """The pid of a node."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                argv = (entry / "cmdline").read_bytes().decode().split("\0")
                if f"__node:={name}" in argv and f"PPid:\t{self.process.pid}\n" in (entry / "status").read_text():
                    return int(entry.name)
        return None

    def logs(self):
        """The ends of the nodes' logs."""
        return "\n".join(f"{p.name}: {p.read_text(errors='replace')[-600:]}" for p in self.out.glob("logs/*.log"))


class Operator:
    """Who stands beside the robot of a run: hears what the nodes publish, and asks them for things."""

    def __init__(self, domain):
        for name, value in environment().items():
            os.environ.setdefault(name, value)
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from std_msgs.msg import Empty
        from std_srvs.srv import Trigger

        from casher_msgs.msg import EpisodeResult, PolicyStep, RobotState
        from casher_msgs.srv import Judge
        from casher_perception.spinning import Spinning

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("operator", context=self._context)
        self.steps, self.states, self.episodes = [], [], []
        for kind, topic, heard in (
            (PolicyStep, "/casher/policy_step", self.steps),
            (RobotState, "/casher/robot_state", self.states),
            (EpisodeResult, "/casher/episode", self.episodes),
        ):
            self._node.create_subscription(kind, topic, heard.append, 100)
        self.estop = self._node.create_publisher(Empty, "/casher/estop", 10)
        self._trigger, self._judge = Trigger, Judge
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        self._spinning = Spinning(executor)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        import rclpy

        self._spinning.stop()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def ask(self, name):
        """/casher/<name>, a Trigger -> its response."""
        return self._call(self._trigger, name, self._trigger.Request())

    def judge(self, succeeded, note=""):
        """The verdict on the running episode."""
        return self._call(self._judge, "judge", self._judge.Request(succeeded=succeeded, note=note))

    def _call(self, kind, name, request):
        client = self._node.create_client(kind, f"/casher/{name}")
        assert client.wait_for_service(60.0), f"nobody offers /casher/{name}"
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(60.0), f"/casher/{name} did not answer"
        return future.result()


def records(bag):
    """The EpisodeResult messages of a bag's folder."""
    return messages(bag, "/casher/episode")


def messages(bag, topic):
    """What a bag's folder holds of a topic."""
    from mcap_ros2.reader import read_ros2_messages

    return [m.ros_msg for m in read_ros2_messages(next(bag.glob("*.mcap")), topics=[topic])]
