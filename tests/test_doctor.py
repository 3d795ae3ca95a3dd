"""The doctor's checks: what passes, what fails with what to do, and what is not needed."""

import json
import mmap
import socket
import sys

import pytest

from casher_bringup import checks, doctor
from casher_bringup.checks import Check
from casher_bringup.doctor import DoctorArgs


def missing(name):
    raise ImportError(f"No module named {name!r}")


def failed(check, *words):
    """The check failed and its line says what and what to do."""
    assert check.ok is False and check.remedy
    assert all(word in f"{check.detail} {check.remedy}" for word in words), check
    return True


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 11, 2), True), ((3, 12, 0), True), ((3, 10, 9), False), ((3, 13, 0), False)]
)
def test_python_must_be_one_the_wheels_are_built_for(version, ok):
    assert checks.python(version).ok is ok


def test_ros_is_a_known_distribution_with_rclpy():
    assert checks.ros({"ROS_DISTRO": "jazzy"}).ok
    assert failed(checks.ros({"ROS_DISTRO": "humble"}), "humble", "jazzy, kilted")
    assert failed(checks.ros({}), "ROS_DISTRO is not set")
    assert failed(checks.ros({"ROS_DISTRO": "jazzy"}, missing), "rclpy", "setup")


def test_messages_that_are_not_built_say_how_to_build_them():
    assert checks.messages().ok
    assert failed(checks.messages(missing), "casher_msgs", "scripts/setup.sh")


def test_another_middleware_is_refused_by_name():
    class Cyclone:
        def get_rmw_implementation_identifier():
            return "rmw_cyclonedds_cpp"

    assert checks.rmw({}).ok
    assert failed(checks.rmw({}, lambda _: Cyclone), "rmw_cyclonedds_cpp", "unset RMW_IMPLEMENTATION")
    assert failed(checks.rmw({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, missing), "rmw_zenoh_cpp")


@pytest.mark.parametrize(
    ("distro", "variable"),
    [("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE")],
)
def test_each_distribution_reads_the_profile_from_its_own_variable(tmp_path, distro, variable):
    profile = tmp_path / "profile.xml"
    environ = {"ROS_DISTRO": distro, variable: str(profile)}
    assert failed(checks.fast_dds_profile(environ), variable)
    profile.touch()
    assert checks.fast_dds_profile(environ).ok
    unset = checks.fast_dds_profile({"ROS_DISTRO": distro})
    assert unset.ok is None and f"export {variable}" in unset.remedy


def test_shared_memory_that_is_small_or_absent_fails(tmp_path):
    assert checks.shared_memory(tmp_path, needed=1).ok
    assert failed(checks.shared_memory(tmp_path, needed=2**60), "remount", str(tmp_path))
    assert failed(checks.shared_memory(tmp_path / "none"), "none")


def test_a_segment_is_stale_when_no_process_has_it_open_or_mapped(tmp_path):
    for name in ("fastrtps_mapped", "fastrtps_open", "fastrtps_left", "sem.fastrtps_left", "other"):
        (tmp_path / name).write_bytes(b"x" * 4096)
    with (tmp_path / "fastrtps_open").open() as _, (tmp_path / "fastrtps_mapped").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 4096)
        file.close()
        check = checks.stale_segments(tmp_path)
        mapped.close()
    assert check.ok is None and check.detail.startswith("2 of 4 files") and "rm " in check.remedy
    for name in ("fastrtps_left", "sem.fastrtps_left"):
        (tmp_path / name).unlink()
    with (tmp_path / "fastrtps_open").open(), (tmp_path / "fastrtps_mapped").open():
        assert checks.stale_segments(tmp_path).ok is True


def test_the_disk_is_that_of_a_folder_that_need_not_exist_yet(tmp_path):
    check = checks.disk(tmp_path / "runs" / "today", needed=1)
    assert check.ok and str(tmp_path) in check.detail
    assert failed(checks.disk(tmp_path, needed=10**18), "out:=")


def test_a_missing_library_is_named_with_its_package():
    packages = {"libc.so.6": "libc6", "libnothere.so.1": "libnothere1"}
    assert failed(checks.libraries(packages), "libnothere.so.1", "apt-get install libnothere1")
    assert checks.libraries({"libc.so.6": "libc6"}).ok


def test_processors_and_memory_are_measured_against_what_the_nodes_need(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       8000000 kB\nMemAvailable:   1048576 kB\n")
    assert failed(checks.memory(meminfo), "1.0 GiB available")
    assert checks.memory(meminfo, needed=2**30).ok
    assert failed(checks.cores(1), "1") and checks.cores(2).ok


def test_cameras_are_compared_with_the_rigs_serials():
    rig = {"111": "camera_left", "222": "camera_right"}
    assert checks.cameras(rig, ["222", "111", "333"]).ok
    assert failed(checks.cameras(rig, ["111"]), "camera_right (222) missing", "connected: 111")
    assert failed(checks.cameras(rig, None), "camera_left (111)", "pip install pyrealsense2")
    assert checks.cameras(None, []).ok is None
    assert checks.cameras(None, None).ok is None


def test_a_camera_on_a_slow_port_and_an_old_firmware_are_told():
    good = {"name": "Intel RealSense D435I", "usb": "3.2", "firmware": "5.16.0.1", "recommended": "5.16.0.1"}
    assert checks.camera_ports({"111": good, "222": good}).ok
    assert failed(checks.camera_ports({"111": good, "222": good | {"usb": "2.1"}}), "USB 2.1", "plug 222 into a USB 3")
    old = checks.camera_ports({"111": good | {"firmware": "5.12.0.0"}})
    assert old.ok is None and "111 to 5.16.0.1" in old.remedy
    assert checks.camera_ports({}).ok is checks.camera_ports(None).ok is None
    assert "USB unknown" in checks.camera_ports({"111": {}}).detail


def test_a_robot_is_asked_only_when_a_host_is_given():
    assert checks.robot(None).ok is None
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert checks.robot("127.0.0.1", port).ok
    assert failed(checks.robot("127.0.0.1", port), f"127.0.0.1:{port}", "FCI")


def test_a_real_time_kernel_is_needed_only_for_a_robot(tmp_path):
    flag = tmp_path / "realtime"
    assert checks.realtime(None, "#1 SMP", flag).ok is None
    assert failed(checks.realtime("host", "#1 SMP PREEMPT_DYNAMIC", flag), "PREEMPT_RT")
    assert checks.realtime("host", "#1 SMP PREEMPT_RT Debian", flag).ok
    flag.write_text("1\n")
    assert checks.realtime("host", "#1 SMP", flag).ok


def test_a_clock_nobody_keeps_right_is_no_failure():
    assert checks.time_sync(0).ok
    assert checks.time_sync(5).ok is None
    assert checks.time_sync(-1).ok is None


def test_this_machine_has_what_the_tests_need(tmp_path):
    results = {check.name: check for check in doctor.run_checks(out=tmp_path)}
    for name in ("python", "ros", "casher_msgs", "rmw", "libraries"):
        assert results[name].ok, results[name]
    for name in ("cameras", "robot", "real-time kernel"):
        assert results[name].ok is None


def test_an_unknown_kitchen_is_a_failed_check_that_lists_the_known(tmp_path):
    results = {check.name: check for check in doctor.run_checks(rig="nowhere", out=tmp_path)}
    assert failed(results["cameras"], "nowhere", "demo")


def test_a_simulated_kitchen_needs_no_cameras(tmp_path):
    results = {check.name: check for check in doctor.run_checks(rig="demo", out=tmp_path)}
    assert results["cameras"].ok is None


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (None, 0), (False, 1)])
def test_only_a_failed_check_makes_the_exit_code_1(monkeypatch, capsys, ok, code):
    monkeypatch.setattr(
        doctor, "run_checks", lambda *_: [Check("python", True, "3.11"), Check("disk", ok, "found", "do this")]
    )
    assert doctor.main(DoctorArgs()) == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert ("do this" in lines[1]) == (ok is not True)


def test_json_carries_every_check(monkeypatch, capsys):
    results = [Check("disk", False, "full", "make room"), Check("robot", None, "no host")]
    monkeypatch.setattr(doctor, "run_checks", lambda *_: results)
    assert doctor.main(DoctorArgs(json=True)) == 1
    assert [Check(**item) for item in json.loads(capsys.readouterr().out)] == results


def test_the_doctor_can_be_asked_where_ros_is_missing():
    import subprocess

    hidden = (
        "import sys; sys.modules['rclpy'] = sys.modules['ament_index_python'] = sys.modules['casher_msgs'] = None\n"
    )
    program = hidden + "from casher_bringup.doctor import run_checks\nprint({c.name: c.ok for c in run_checks()})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "'ros': False" in done.stdout and "'casher_msgs': False" in done.stdout, done.stderr
