"""An episode of a checkpoint through policy node and recorder is decided again from its bag alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from bags import episode, write_episode
from checkpoints import random_checkpoint
from graph import Graph
from rclpy.node import Node
from test_policy_node import Kitchen, Session

from casher_bringup.cli import main
from casher_bringup.policy_replay import read_recorded, replay
from casher_bringup.recorder_node import RecorderNode
from casher_msgs.srv import StartRecording, StopRecording
from casher_perception.conversions import stamp_ns
from casher_policy.conversions import episode_message
from casher_policy.episode import Episode
from casher_policy.policies import make_policy
from casher_policy.policy_node import PolicyNode

pytestmark = pytest.mark.ros
HORIZON, SEED = 12, 7
TOPICS = ["/casher/points", "/casher/policy_step", "/casher/robot_state"]


class LivelyKitchen(Kitchen):
    """Every cloud is another one."""

    generator = np.random.default_rng(0)

    def publish(self):
        self.at = float(self.generator.uniform(-0.1, 0.5))
        super().publish()


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """-> (bag, checkpoint) of one episode."""
    folder = tmp_path_factory.mktemp("replay")
    checkpoint = folder / "student.safetensors"
    identity = random_checkpoint(checkpoint)
    graph = Graph()
    try:
        graph.add(LivelyKitchen).open_arm()
        graph.add(RecorderNode)
        parameters = {"policy": str(checkpoint), "task": "put_in_sink", "robot": "sim"}
        graph.add(PolicyNode, parameters=parameters)
        session, caller = graph.add(Session), graph.add(Node, "caller")
        where = ("the-episode", 0, "sim", "demo", "put_in_sink", "mug", "left")
        episode = Episode(*where, SEED, str(checkpoint), identity, calibration_id="", software="", horizon=HORIZON)

        def call(kind, name, request):
            client = caller.create_client(kind, name)
            assert graph.wait(client.service_is_ready)
            future = client.call_async(request)
            assert graph.wait(future.done)
            assert future.result().success, future.result().message

        record = StartRecording.Request(uri=str(folder / "bag"), topics=TOPICS, episode=episode_message(episode, 0))
        call(StartRecording, "/casher/record/start", record)
        assert graph.wait(session.client.server_is_ready)
        session.ask(HORIZON, seed=SEED)
        assert graph.wait(lambda: session.end is not None, 60), "the episode did not end"
        call(StopRecording, "/casher/record/stop", StopRecording.Request(episode=episode_message(episode, 0)))
    finally:
        graph.close()
    return folder / "bag", checkpoint


def test_the_same_bag_and_seed_give_the_same_answers_to_the_last_bit(bag, capsys):
    assert main(["policy", "replay", str(bag[0]), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["steps"] == result["replayed"] == result["actions_equal"] == HORIZON
    assert result["largest_difference"] == 0.0 and result["seed"] == SEED


def test_another_seed_or_other_clouds_give_other_answers(bag):
    recorded, policy = read_recorded(bag[0]), make_policy(str(bag[1]), "put_in_sink", "sim")
    seed = replace(recorded, episode=replace(recorded.episode, seed=SEED + 1))
    stamps = sorted(recorded.clouds)
    exchanged = dict(zip(stamps, (recorded.clouds[ns] for ns in reversed(stamps)), strict=True))
    for other in (seed, replace(recorded, clouds=exchanged)):
        agreement = replay(other, policy)
        assert agreement.replayed == HORIZON and agreement.largest_difference > 0
    assert replay(recorded, policy).largest_difference == 0.0


def test_what_was_not_recorded_stops_the_replay_there_and_is_named(bag):
    recorded, policy = read_recorded(bag[0]), make_policy(str(bag[1]), "put_in_sink", "sim")
    stamps = [stamp_ns(step.cloud_stamp) for step in recorded.steps]
    without = {ns: cloud for ns, cloud in recorded.clouds.items() if ns != stamps[5]}
    blind = replay(replace(recorded, clouds=without), policy)
    assert (blind.replayed, blind.agrees) == (5, False) and str(stamps[5]) in blind.stopped
    gap = replay(replace(recorded, steps=recorded.steps[:3] + recorded.steps[4:]), policy)
    assert (gap.replayed, gap.agrees) == (3, False) and "goes on with step 4" in gap.stopped


def test_an_episode_without_a_step_agrees_with_nothing(bag):
    recorded, policy = read_recorded(bag[0]), make_policy(str(bag[1]), "put_in_sink", "sim")
    nothing = replay(replace(recorded, steps=()), policy)
    assert (nothing.steps, nothing.agrees) == (0, False) and "no step" in nothing.stopped


def test_another_checkpoint_is_compared_only_when_asked_for(bag, tmp_path, capsys):
    other = tmp_path / "other.safetensors"
    random_checkpoint(other, seed=1)
    assert main(["policy", "replay", str(bag[0]), "--policy", str(other), "--json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert result["replayed"] == HORIZON and result["first_difference"].startswith("step ")
    kept = bag[1].read_bytes()
    try:
        bag[1].write_bytes(other.read_bytes())
        assert main(["policy", "replay", str(bag[0])]) == 1
    finally:
        bag[1].write_bytes(kept)
    assert "is not the checkpoint that was recorded" in capsys.readouterr().out


def test_where_there_is_no_bag_it_says_so(tmp_path, capsys):
    assert main(["policy", "replay", str(tmp_path)]) == 2
    assert f"no bag under {tmp_path}" in capsys.readouterr().err


def test_of_a_demonstration_nobody_is_asked_but_a_policy_that_is_named(tmp_path, capsys):
    write_episode(tmp_path / "bag", episode(policy="human", steps=1), points=100)
    assert main(["policy", "replay", str(tmp_path)]) == 1
    assert "this is a demonstration" in capsys.readouterr().out
    assert main(["policy", "replay", str(tmp_path), "--policy", "random", "--json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert result["policy"] == "random" and result["steps"] == result["replayed"]
