"""Two recorded D435i at 640 x 480 and 30 Hz to one fused cloud, live: age, CPU, and against pyrealsense2 + Open3D.

Ours are two camera nodes and the fusion node, each a process, and a listener to the fused cloud. The reference is one
process with librealsense's align and Open3D: RGBD image, cloud in base, crop, voxels of 5 mm, merge; no transport. Both
play the same recordings through librealsense's pipeline in real time. What the playback alone takes is measured, too,
and taken off both: value is the ratio of the CPU time that is left, for each fused cloud. The age of a cloud counts
from when its older frame came out of the playback: a camera's own exposure and transfer come on top.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.camera_steps import CROP, VOXEL_M, Played, open3d_cloud, open_cameras, write_cameras
from benchmarks.harness import finish

RECORDED_S, MEASURED_S = 14.0, 10.0
TARGET_RATIO, TARGET_HZ = 3.0, 29.0


def main():
    """Record, run both, report."""
    with tempfile.TemporaryDirectory(prefix="casher-cameras-") as scratch:
        folder = Path(scratch)
        write_cameras(folder, RECORDED_S)
        loads = [os.getloadavg()[0]]
        playback = sum(child("playback", folder, camera)["cpu_s"] for camera in ("camera_left", "camera_right"))
        ours = run_nodes(folder)
        loads.append(os.getloadavg()[0])
        reference = child("reference", folder)
        loads.append(os.getloadavg()[0])
    for result in (ours, reference):
        result["cpu_ms_per_cloud"] = round(1e3 * result["cpu_s"] / result["clouds"], 2)
        result["cpu_ms_per_cloud_without_playback"] = round(1e3 * (result["cpu_s"] - playback) / result["clouds"], 2)
        result["cpu_percent_of_one_core"] = round(100 * result["cpu_s"] / MEASURED_S, 1)
        result["fused_hz"] = round(result["clouds"] / MEASURED_S, 2)
    ratio = reference["cpu_ms_per_cloud_without_playback"] / ours["cpu_ms_per_cloud_without_playback"]
    detail = {
        "ours": ours,
        "pyrealsense2_open3d": reference,
        "playback_cpu_percent_of_one_core": round(100 * playback / MEASURED_S, 1),
        "ratio_with_playback": round(reference["cpu_ms_per_cloud"] / ours["cpu_ms_per_cloud"], 2),
        "seconds": MEASURED_S,
        "load_average_before_between_after": [round(load, 2) for load in loads],
    }
    sys.stdout.write(json.dumps(detail, indent=1) + "\n")
    holds = ratio >= TARGET_RATIO and ours["fused_hz"] >= TARGET_HZ
    target = f">= {TARGET_RATIO:g} with >= {TARGET_HZ:g} Hz fused"
    return finish("cameras_live", ratio, "times less CPU than pyrealsense2 + Open3D", target, holds, detail)


def run_nodes(folder):
    """Our three processes -> what they took while MEASURED_S of fused clouds came."""
    from casher_bringup.graph import environment
    from casher_bringup.runner import claim_domain

    domain, lock = claim_domain()
    os.environ.update(environment(), ROS_DOMAIN_ID=str(domain))
    rig = f"rig:={folder / 'rig.yaml'}"
    crop = [f"crop_low:={list(CROP[0])}", f"crop_high:={list(CROP[1])}", f"voxel_m:={VOXEL_M}"]
    parameters = {"fusion": [rig]} | {
        name: [rig, *crop, f"camera:={name}", "source:=realsense", f"playback:={folder / name}.db3"]
        for name in ("camera_left", "camera_right")
    }
    processes = {}
    with contextlib.ExitStack() as stack:
        stack.callback(lock.close)
        for name, given in parameters.items():
            module = "fusion_node" if name == "fusion" else "camera_node"
            arguments = [word for item in given for word in ("-p", item)]
            process = subprocess.Popen([sys.executable, "-m", f"casher_perception.{module}", "--ros-args", *arguments])
            stack.callback(end, process)
            processes[name] = psutil.Process(process.pid)
        listener = subprocess.Popen([sys.executable, "-m", "benchmarks.cameras_live", "listen"], stdout=subprocess.PIPE)
        stack.callback(end, listener)
        if not listener.stdout.readline():
            raise RuntimeError("no fused cloud came")
        start = {name: cpu_s(process) for name, process in processes.items()}
        out, _ = listener.communicate(timeout=60 + MEASURED_S)
        used = {name: cpu_s(process) - start[name] for name, process in processes.items()}
    heard = json.loads(out)
    shares = {name: round(100 * seconds / MEASURED_S, 1) for name, seconds in used.items()}
    return {**heard, "cpu_s": sum(used.values()), "cpu_percent_by_process": shares}


def listen():
    """Be the listener: a line with the first fused cloud, MEASURED_S later the figures."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import PointCloud2

    from casher_perception.conversions import stamp_ns

    rclpy.init()
    node, heard = rclpy.create_node("listener"), []
    node.create_subscription(
        PointCloud2,
        "/casher/points",
        lambda message: heard.append((time.time_ns() - stamp_ns(message.header.stamp), message.width)),
        qos_profile_sensor_data,
    )
    deadline = time.monotonic() + 60
    while len(heard) < 10 and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    if not heard:
        return
    sys.stdout.write("first\n")
    sys.stdout.flush()
    heard.clear()
    end_s = time.monotonic() + MEASURED_S
    while time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=max(0.0, end_s - time.monotonic()))
    sys.stdout.write(json.dumps(figures(heard)))
    rclpy.shutdown()


def figures(heard):
    """[(age of a cloud [ns], its points)] -> dict."""
    ages, points = np.array(heard, dtype=float).T
    p50, p99 = np.percentile(ages * 1e-6, (50, 99))
    about = {"clouds": len(heard), "age_p50_ms": round(p50, 2), "age_p99_ms": round(p99, 2)}
    return {**about, "age_max_ms": round(ages.max() * 1e-6, 2), "points": int(np.median(points))}


def playback(folder, camera):
    """One camera's frames taken and dropped: what the playback alone costs."""
    played, end_s = Played(folder, camera), None
    while end_s is None or time.monotonic() < end_s:
        played.frames()
        if end_s is None:
            end_s, before = time.monotonic() + MEASURED_S, cpu_s(psutil.Process())
    sys.stdout.write(json.dumps({"cpu_s": cpu_s(psutil.Process()) - before}))
    sys.stdout.flush()
    os._exit(0)


def reference(folder):
    """rs.align and Open3D for both cameras in turn, as fast as frames come."""
    cameras = open_cameras(folder)
    heard, end_s = [], None
    while end_s is None or time.monotonic() < end_s:
        frames, stamps = zip(*(camera.played.frames() for camera in cameras), strict=True)
        fused = open3d_cloud(cameras, frames)
        heard.append((time.time_ns() - min(stamps), len(fused.points)))
        if end_s is None and len(heard) == 10:
            heard, end_s, before = [], time.monotonic() + MEASURED_S, cpu_s(psutil.Process())
    sys.stdout.write(json.dumps({**figures(heard), "cpu_s": cpu_s(psutil.Process()) - before}))
    sys.stdout.flush()
    os._exit(0)


def child(what, folder, *more):
    """Run this file in a process of its own -> what it says."""
    command = [sys.executable, "-m", "benchmarks.cameras_live", what, str(folder), *more]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if out.returncode:
        raise RuntimeError(f"{what} failed:\n{out.stderr}")
    return json.loads(out.stdout)


def end(process):
    """Ask it to stop, and see that it does."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)


def cpu_s(process):
    """User and system time a process has used [s]."""
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["listen"]:
            listen()
        case ["playback", where, name]:
            playback(Path(where), name)
        case ["reference", where]:
            reference(Path(where))
        case _:
            sys.exit(main())
