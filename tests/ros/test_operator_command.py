"""`casher stop`, `recover` and their like reach the run, and say so when they do not."""

import os
import subprocess
import sys

import pytest
from rclpy.node import Node
from std_srvs.srv import Trigger

from casher_bringup import operator_command, runner

pytestmark = pytest.mark.ros


def casher(word, **variables):
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", "ROS_LOG_DIR")}
    argv = [sys.executable, "-m", "casher_bringup.cli", word]
    return subprocess.run(argv, env={**env, **variables}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("word", ["stop", "recover", "ready"])
def test_the_operators_word_arrives_and_the_answer_is_shown_even_without_a_home_folder(graph, word):
    asked = []

    def answer(_, response):
        asked.append(word)
        response.success, response.message = word != "recover", "as [you] said"
        return response

    graph.add(Node, "arm").create_service(Trigger, f"/casher/{word}", answer)
    done = casher(word)
    assert asked == [word] and done.stdout == "as [you] said\n", done.stderr
    assert done.returncode == (word == "recover")


def test_a_run_that_is_not_there_is_named_by_its_domain(ros_domain):
    done = casher("stop")
    assert done.returncode == 1 and f"nobody offers /casher/stop on ROS domain {ros_domain}" in done.stderr
    nowhere = casher("stop", ROS_DOMAIN_ID="x")
    assert nowhere.returncode == 2 and "ROS_DOMAIN_ID must be a number, got 'x'" in nowhere.stderr


def test_without_a_domain_the_one_evaluation_of_this_machine_is_meant(monkeypatch):
    monkeypatch.setattr(runner, "running_domains", lambda: [23])
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    assert operator_command.chosen_domain() == 7
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert operator_command.chosen_domain() == 23
    monkeypatch.setattr(runner, "running_domains", lambda: [23, 24])
    with pytest.raises(ValueError, match="23, 24"):
        operator_command.chosen_domain()
    monkeypatch.setattr(runner, "running_domains", list)
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    assert operator_command.chosen_domain() == 0
