"""The whole stack with robot:=fr3: an episode that a reflex ends, one recovery, and an episode that is judged."""

import itertools
import os
import subprocess

import numpy as np
import pytest
from fci.process import fci_server

from casher_franka.kinematics import tcp_pose
from casher_perception.conversions import stamp_ns
from tests.hardware.fr3_stack import CASHER, Operator, Run, make_recordings, make_rig, messages, records, undisturbed

pytestmark = pytest.mark.ros
SPEED = 3.0
"""How much faster than a real one the robot of the test is."""


@pytest.mark.timeout(600)  # an action takes ten times as long on a machine that is busy with other things
def test_a_reflex_ends_an_episode_by_name_one_recovery_later_the_next_is_run_and_judged(tmp_path):
    rig = make_rig(tmp_path / "rehearsal.yaml")
    (tmp_path / "cameras").mkdir()
    recordings = make_recordings(tmp_path / "cameras")
    with (
        fci_server(version=10, speed=SPEED) as robot,
        Run(tmp_path / "run", robot.host, recordings, rig, episodes=2) as run,
    ):
        undisturbed(robot.process.pid)
        with Operator(run.domain) as operator:
            run.until(lambda: run.says("place the mug"))
            assert operator.ask("ready").success
            run.until(lambda: operator.steps)
            run.until(lambda: robot.state()["moving"])
            robot.inject("reflex", errors=["cartesian_reflex"])
            run.until(lambda: run.says("waiting for the arm: reflex"))
            stood = robot.state()["q"]
            assert operator.ask("recover").success
            run.until(lambda: run.says("place the mug", times=2))
            home = robot.state()["q"]
            assert not np.allclose(stood, home)
            assert operator.ask("ready").success
            seen = len(operator.steps)
            run.until(lambda: len(operator.steps) > seen)
            env = {**os.environ, "ROS_DOMAIN_ID": str(run.domain)}
            judge = [CASHER, "judge", "success"]
            run.until(lambda: subprocess.run(judge, env=env, timeout=180).returncode == 0)
        assert run.ended() == 3, run.printed  # an episode ended in a fault
    first, second = sorted(path for path in (tmp_path / "run").iterdir() if path.name.startswith("00"))
    fault, success = records(first)[-1], records(second)[-1]
    assert (fault.outcome, success.outcome, success.judge) == ("fault", "success", "operator")
    assert fault.reason.startswith("arm: reflex: ") and "cartesian_reflex" in fault.reason
    assert success.robot == "fr3" and success.kitchen == "rehearsal (recorded cameras)"
    assert success.calibration_id == "rehearsal-1"
    for bag, record in ((first, fault), (second, success)):
        steps = messages(bag, "/casher/policy_step")
        assert record.messages_dropped == 0 and len(steps) == record.steps > 0
        assert all(stamp_ns(now.cloud_stamp) > stamp_ns(was.settled) for was, now in itertools.pairwise(steps))
        assert all(step.cloud_points > 1000 for step in steps)
    for state in messages(second, "/casher/robot_state"):
        p = state.tcp_pose.position
        assert np.allclose(tcp_pose(state.joint_positions)[:3, 3], [p.x, p.y, p.z], atol=1e-3)


@pytest.mark.timeout(600)
def test_a_camera_whose_picture_freezes_ends_the_run_by_name_before_any_episode(tmp_path):
    rig = make_rig(tmp_path / "rehearsal.yaml")
    (tmp_path / "cameras").mkdir()
    recordings = make_recordings(tmp_path / "cameras", frozen="camera_right")
    with fci_server(version=10, speed=SPEED) as robot, Run(tmp_path / "run", robot.host, recordings, rig) as run:
        assert run.ended() == 1, run.printed  # though nobody says `casher ready`
    assert "node 'camera_right' exited with code 1" in run.printed
    assert "the same picture comes again and again, and neither a restart nor a reset has helped" in run.printed
