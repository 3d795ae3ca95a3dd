"""The supervisor, with real processes: nodes of the workspace that need no graph around them."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from casher_bringup.graph import NodeSpec, environment
from casher_bringup.runner import DOMAINS, RunnerError, claim_domain, command, run, running_domains

RECORDER = NodeSpec("casher_bringup", "recorder_node", "recorder")
DOOMED = NodeSpec("casher_bringup", "session_node", "session")  # its required parameters are missing: it ends at once


def test_a_node_that_dies_ends_the_run_with_its_name_and_the_others_are_stopped(tmp_path):
    end = run([RECORDER, DOOMED], tmp_path, 0)
    assert end.code == 1 and "'session' exited with code 1" in end.reason
    assert end.killed == ()
    assert "rig" in (tmp_path / "session.log").read_text()


def test_an_interrupt_stops_every_node_politely(tmp_path):
    def interrupt():
        time.sleep(2.0)
        os.kill(os.getpid(), signal.SIGINT)

    end = run([RECORDER], tmp_path, 0, on_started=lambda: threading.Thread(target=interrupt).start())
    assert (end.code, end.killed) == (130, ())


def test_a_node_that_is_not_built_is_named_before_anything_starts(tmp_path):
    started = []
    with pytest.raises(RunnerError, match="magic_node"):
        run([RECORDER, NodeSpec("casher_bringup", "magic_node", "magic")], tmp_path, 0, lambda: started.append(1))
    with pytest.raises(RunnerError, match="casher_magic"):
        command(NodeSpec("casher_magic", "node", "magic"))
    assert not started


def test_parameters_of_every_type_survive_the_command_line():
    argv = command(
        NodeSpec("casher_bringup", "recorder_node", "r", {"a": "0.1", "b": [1.0, -2.0], "c": True, "d": ["x", "y"]})
    )
    assert argv[-8:] == ["-p", "a:='0.1'", "-p", "b:=[1.0, -2.0]", "-p", "c:=true", "-p", "d:=[x, y]"]


def test_two_runs_claim_different_domains_and_give_them_back():
    first, first_lock = claim_domain()
    second, second_lock = claim_domain()
    assert first != second and {first, second} <= set(DOMAINS)
    first_lock.close()
    third, third_lock = claim_domain()
    assert third == first
    second_lock.close()
    third_lock.close()


def test_a_killed_run_gives_its_domain_back():
    code = (
        "import time; from casher_bringup.runner import claim_domain; d, lock = claim_domain(); "
        "print(d, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    domain = int(holder.stdout.readline())
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with pytest.raises(OSError):
        probe.bind(f"\0casher-ros-domain-{domain}")
    holder.kill()
    holder.wait()
    probe.bind(f"\0casher-ros-domain-{domain}")
    probe.close()


def test_what_the_user_has_set_is_kept(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert environment()["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    assert environment()["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds_shm.xml")


def test_a_main_node_that_raises_has_died_and_is_named(tmp_path):
    end = run([RECORDER, dataclasses.replace(DOOMED, main=True)], tmp_path, 0)
    assert (end.code, end.died) == (1, "session")


def test_a_domain_the_user_chose_is_refused_while_another_evaluation_runs_on_it():
    domain, lock = claim_domain("217")
    assert domain == 217 and 217 in running_domains()
    with pytest.raises(RunnerError, match=r"domain 217.*unset ROS_DOMAIN_ID"):
        claim_domain("217")
    lock.close()
    assert 217 not in running_domains()
    claim_domain("217")[1].close()


def test_a_domain_the_user_chose_is_not_given_to_anybody_else():
    free, lock = claim_domain()
    lock.close()
    with claim_domain(str(free))[1]:
        other, lock = claim_domain()
        lock.close()
        assert other != free


@pytest.mark.parametrize("text", ["abc", "-1", "233", "1.0"])
def test_a_domain_that_does_not_exist_is_refused(text):
    with pytest.raises(RunnerError, match=r"ROS_DOMAIN_ID must be 0 .. 232, got"):
        claim_domain(text)


def test_no_node_outlives_a_runner_that_is_killed_or_whose_terminal_is_closed(tmp_path):
    code = (
        "import sys; from casher_bringup.graph import NodeSpec; from casher_bringup.runner import run; "
        "spec = NodeSpec('casher_bringup', 'recorder_node', 'recorder'); "
        "end = run([spec], sys.argv[1], 0, lambda: print('started', flush=True)); print(end.code)"
    )
    for number, says in ((signal.SIGKILL, ""), (signal.SIGHUP, "130\n")):
        runner = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / number.name)], stdout=subprocess.PIPE, text=True
        )
        assert runner.stdout.readline() == "started\n"
        (node,) = psutil.Process(runner.pid).children()
        time.sleep(2.0)
        assert node.is_running()
        runner.send_signal(number)
        assert psutil.wait_procs([node], timeout=30)[1] == []
        assert runner.communicate(timeout=30)[0] == says
