"""The policies that can be chosen, and how a wrong choice is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import random_checkpoint, random_network

from casher_policy.action import ACTION_NAMES, Action
from casher_policy.checkpoint import load_checkpoint
from casher_policy.checkpoint_header import CheckpointError
from casher_policy.expert import Expert, Privileged
from casher_policy.fast_inference import FastNetwork
from casher_policy.network import probabilities
from casher_policy.policies import ExpertView, PolicyError, check_policy, make_policy
from casher_policy.preprocess import EmptyCloudError, preprocess

STATE = np.float32([1, 1, 0.46, 0, 0.39, 1, 0, 0, 0])


@pytest.fixture
def path(tmp_path):
    """Of a checkpoint that knows nothing."""
    random_checkpoint(tmp_path / "student.safetensors")
    return str(tmp_path / "student.safetensors")


def cloud(points=500, seed=0):
    generator = np.random.default_rng(seed)
    where = generator.uniform(-0.3, 0.7, (points, 3)).astype(np.float32)
    return where, generator.integers(256, size=(points, 3), dtype=np.uint8)


def view():
    """A scene with the object in front of the arm."""
    T_base_tcp = np.diag([1.0, -1.0, -1.0, 1.0])
    T_base_tcp[:3, 3] = 0.46, 0.0, 0.39
    T_base_object = np.eye(4)
    T_base_object[:3, 3] = 0.5, 0.2, 0.0
    scene = Privileged(
        T_base_object=T_base_object,
        object_height=0.1,
        grasp_width=0.06,
        p_object_grasp=np.array([0.0, 0.0, 0.05]),
        grasp_yaw=0.0,
        grasp_yaw_freedom=0.0,
        p_base_site=np.array([0.5, -0.2, -0.1]),
        clearance_z=0.05,
    )
    return ExpertView(scene, T_base_tcp, np.array([0.04, 0.04]), False)


def decisions(policy, seed, count=20):
    policy.reset(seed)
    return [policy.act(*cloud(seed=i), STATE, view()) for i in range(count)]


@pytest.mark.parametrize("spec", ["expert", "random", "checkpoint"])
def test_every_policy_answers_with_an_action_and_probabilities_that_sum_to_one(spec, path):
    policy = make_policy(path if spec == "checkpoint" else spec, "put_in_sink", "sim")
    policy.warm_up()
    for decision in decisions(policy, 0):
        assert isinstance(decision.action, Action)
        assert decision.probabilities.shape == (14,) and decision.probabilities.dtype == np.float32
        assert decision.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert decision.probabilities[decision.action] == decision.probabilities.max()


@pytest.mark.parametrize("spec", ["expert", "random", "checkpoint"])
def test_the_same_seed_gives_the_same_episode(spec, path):
    policy = make_policy(path if spec == "checkpoint" else spec, "put_in_sink", "sim")
    policy.warm_up()
    first, again = decisions(policy, 7), decisions(policy, 7)
    assert [d.action for d in first] == [d.action for d in again]
    assert all(np.array_equal(a.probabilities, b.probabilities) for a, b in zip(first, again, strict=True))


def test_random_actions_depend_on_the_seed_and_reach_all_fourteen():
    policy = make_policy("random", "put_in_cabinet", "fr3")
    first, other = ([d.action for d in decisions(policy, seed, 300)] for seed in (0, 1))
    assert first != other
    assert set(first) == set(Action)


def test_a_policy_says_what_it_needs(path):
    needs = {
        spec: (policy.needs_cloud, policy.needs_privileged)
        for spec in ("expert", "random", path)
        for policy in [make_policy(spec, "put_in_sink", "sim")]
    }
    assert needs == {"expert": (False, True), "random": (False, False), path: (True, False)}
    for spec in ("expert", "random"):
        policy = make_policy(spec, "put_in_sink", "sim")
        policy.act(None, None, STATE, view() if policy.needs_privileged else None)


def test_the_expert_policy_does_what_the_expert_does():
    v = view()
    decision = make_policy("expert", "put_in_sink", "sim").act(None, None, STATE, v)
    assert decision.action == Expert().act(v.scene, v.T_base_tcp, v.fingers, v.grasped)
    assert decision.probabilities.tolist() == [float(i == decision.action) for i in range(14)]


def test_a_checkpoint_sees_what_its_own_preprocessing_makes_of_the_cloud(path):
    policy = make_policy(path, "put_in_sink", "sim")
    policy.reset(5)
    decision = policy.act(*cloud(), STATE, None)
    loaded = load_checkpoint(path)
    seed = int(np.random.default_rng(5).integers(2**31))
    prepared = preprocess(*cloud(), loaded.config.preprocessing, seed, STATE[2:5])
    assert np.array_equal(decision.probabilities, probabilities(FastNetwork(loaded.network), *prepared, STATE))


def test_warming_up_leaves_no_trace(path):
    cold, warm = (make_policy(path, "put_in_sink", "sim") for _ in range(2))
    warm.warm_up()
    assert np.array_equal(cold.act(*cloud(), STATE, None).probabilities, warm.act(*cloud(), STATE, None).probabilities)


def test_a_checkpoint_has_the_id_of_its_file_and_scripts_have_none(path):
    assert make_policy(path, "put_in_sink", "sim").checkpoint_id == load_checkpoint(path).id
    assert check_policy(path, "put_in_sink", "fr3") == load_checkpoint(path).id
    assert check_policy("random", "put_in_sink", "fr3") == check_policy("expert", "put_in_sink", "sim") == ""


def test_an_empty_crop_is_an_error_of_its_own(path):
    points, colours = cloud()
    with pytest.raises(EmptyCloudError):
        make_policy(path, "put_in_sink", "sim").act(points + 10, colours, STATE, None)


def test_an_answer_that_is_no_number_is_an_error(path):
    policy = make_policy(path, "put_in_sink", "sim")
    with torch.no_grad():
        policy._network.network.head[-1].bias.fill_(float("nan"))
    with pytest.raises(PolicyError, match=r"answers .*nan"):
        policy.act(*cloud(), STATE, None)


def test_a_state_that_is_no_number_is_an_error_and_no_default_action(path):
    policy = make_policy(path, "put_in_sink", "sim")
    for i in range(9):
        state = STATE.copy()
        state[i] = np.nan
        with pytest.raises(PolicyError, match=r"robot state .*nan.* is not finite"):
            policy.act(*cloud(), state, None)


def test_the_student_is_the_checkpoint_shipped_for_the_task(path, monkeypatch):
    from casher_policy import policies

    folder = Path(path).parent
    Path(path).rename(folder / "put_in_sink.safetensors")
    monkeypatch.setattr(policies, "MODELS", folder)
    policy = make_policy("student", "put_in_sink", "fr3")
    assert policy.checkpoint_id == check_policy("student", "put_in_sink", "fr3") == load_checkpoint(policy.name).id
    with pytest.raises(PolicyError, match=r"no checkpoint for task 'open_cabinet' .* only for put_in_sink"):
        check_policy("student", "open_cabinet", "sim")


@pytest.mark.parametrize("check", [check_policy, make_policy])
@pytest.mark.parametrize(
    ("spec", "task", "robot", "error", "words"),
    [
        ("expert", "put_in_sink", "fr3", PolicyError, "privileged state, which robot 'fr3' does not have: choose"),
        ("expert", "put_in_sink", "panda", PolicyError, "robot 'panda'"),
        (
            "exprt",
            "put_in_sink",
            "sim",
            PolicyError,
            "unknown policy 'exprt': known are expert, random, student, or the path",
        ),
        ("", "put_in_sink", "sim", PolicyError, "unknown policy ''"),
        ("runs/a.safetensors", "put_in_sink", "sim", CheckpointError, "no checkpoint at runs/a.safetensors"),
        ("runs/a.pt", "put_in_sink", "sim", CheckpointError, "is a pickle by its name"),
        ("random", "fold_laundry", "sim", ValueError, "unknown task 'fold_laundry': known are"),
    ],
)
def test_a_policy_that_cannot_run_is_refused_by_command_and_node_alike(check, spec, task, robot, error, words):
    with pytest.raises(error, match=words):
        check(spec, task, robot)


def test_a_checkpoint_of_another_task_is_refused_by_command_and_node_alike(path):
    for check in (check_policy, make_policy):
        with pytest.raises(CheckpointError, match="trained for task 'put_in_sink', this run is 'open_cabinet'"):
            check(path, "open_cabinet", "sim")


def test_checking_a_checkpoint_needs_no_torch(path):
    code = (
        "import sys; from casher_policy.policies import check_policy;"
        f"check_policy({path!r}, 'put_in_sink', 'sim'); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_node_runs_its_network_on_one_thread(path):
    before = torch.get_num_threads()
    try:
        make_policy(path, "put_in_sink", "sim")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_actions_have_the_networks_order():
    assert random_network().head[-1].out_features == len(ACTION_NAMES) == len(Action)
