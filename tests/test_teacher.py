import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import ray
import torch
from gymnasium.vector import AutoresetMode

from casher_policy.action import Action
from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named
from casher_sim.batch_expert import BatchExpert
from casher_sim.place import PlaceError
from casher_training.cloning import load_pairs
from casher_training.clouds import VIEWS
from casher_training.collector import Collector, CollectorPlan
from casher_training.episodes import run_episodes, trajectory
from casher_training.ppo_bc import PPOBC, NotFinite
from casher_training.scenes import DEMO, Scene, environment, scenes_of
from casher_training.seen_trajectory import shortened
from casher_training.shard import Share, ShareRunner, roll, world_seeds
from casher_training.teacher_config import CPU, PAPER, TeacherConfig
from casher_training.teacher_episodes import episode_workers
from casher_training.teacher_eval import evaluate, shares_of
from casher_training.teacher_features import relative
from casher_training.teacher_policy import TeacherError, build_policy, load_teacher, new_to, read_tensors, weights_of
from casher_training.teacher_training import PROGRESS, STATE, TEACHER, TeacherTraining, TrainingPlan
from casher_training.train_teacher_command import configured
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError
from casher_training.workers import Inline, Processes, RayActors

SINK = task_named("put_in_sink")
BOX = Scene(DEMO, "box")
SMALL = replace(CPU, layers=(16,), worlds=2, batch_size=90, epochs=1, bc_batch=16, warm_start=20, value_only=1)


@pytest.fixture(autouse=True)
def one_thread():
    """As the command has it: sums are in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three demonstrations of the box by the script."""
    env = environment(BOX, "put_in_sink", 3, autoreset_mode=AutoresetMode.DISABLED)
    expert = BatchExpert(env)
    episodes = run_episodes(env, lambda _, __: expert.actions(), np.arange(3))
    assert episodes.success.all()
    folder = tmp_path_factory.mktemp("demonstrations")
    with TrajectoryStore(folder, "a") as store:
        for i in range(3):
            store.append(trajectory(episodes, i, BOX, SINK, "released", "expert", human_s=20.0))
    return folder


@pytest.fixture(scope="module")
def demonstrations(store):
    return load_pairs(store, [BOX], "put_in_sink", per_twin=3)


def plan(**changes):
    return TrainingPlan(**{"task": "put_in_sink", "scenes": (BOX,), "config": SMALL, "steps": 3 * 270, **changes})


def space(size=21):
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_the_paper_preset_is_table_iv():
    assert (PAPER.layers, PAPER.batch_size, PAPER.bc_batch, PAPER.bc_weight) == ((256, 256), 31257, 32, 0.1)
    assert (PAPER.gradient_clip, PAPER.worlds, PAPER.epochs, PAPER.entropy_weight) == (5.0, 2048, 10, 0.0)
    assert TeacherConfig.from_dict(json.loads(json.dumps(PAPER.to_dict()))) == PAPER
    with pytest.raises(ValueError, match="differ in layers"):
        TeacherConfig.from_dict({k: v for k, v in PAPER.to_dict().items() if k != "layers"})


def test_settings_are_given_as_name_and_value():
    config = configured(CPU, ("bc_weight=0", "layers=[256, 512, 256]", "activation=tanh", "ppo=false"))
    assert (config.bc_weight, config.layers, config.activation, config.ppo) == (0.0, (256, 512, 256), "tanh", False)
    with pytest.raises(ValueError, match="unknown setting 'bcweight': known are layers"):
        configured(CPU, ("bcweight=0",))
    with pytest.raises(ValueError, match="worlds is 128 by default, got 'many'"):
        configured(CPU, ("worlds=many",))
    for wrong in ("activation=gelu", "layers=5", "layers=[]", "batch_size=0", "epochs=0", "learning_rate=0"):
        with pytest.raises(ValueError, match=wrong.partition("=")[0]):
            configured(CPU, (wrong,))


def test_features_do_not_change_when_quaternions_change_sign_and_the_papers_state_has_them_too():
    env = environment(BOX, "put_in_sink", 2)
    state = torch.as_tensor(env.reset(seed=0)[0])
    flipped = state.clone()
    flipped[:, 3:7] *= -1
    assert torch.allclose(relative(state), relative(flipped), atol=1e-6)
    assert relative(state[:, :16]).shape[1] < relative(state).shape[1]
    state[:, 13:16] = state[:, 0:3]  # the tool at the object
    step = state.clone()
    step[:, 0] += 0.005
    assert (relative(step) - relative(state)).abs().max() > 0.1  # 5 mm, a third of what a grasp tolerates


def test_the_gradient_of_an_update_is_ppos_plus_the_demonstrations(demonstrations):
    """Equation 1: with every advantage and value error zero, what is left is the cloning term."""
    config = replace(SMALL, entropy_weight=0.0, value_weight=0.0, gradient_clip=1e9, bc_weight=0.1, batch_size=270)
    model = PPOBC(
        config, space(), gymnasium.spaces.Discrete(14), 135, 0, (demonstrations.states, demonstrations.actions)
    )
    gradients = {}

    def keep(*_):
        gradients.update({n: p.grad.clone() for n, p in model.policy.named_parameters() if p.grad is not None})

    model.policy.optimizer.register_step_pre_hook(keep)
    rollout = roll(environment(BOX, "put_in_sink", 2), model.policy, world_seeds(0, 0, 2), 135, 0.99)
    rollout = replace(
        rollout, rewards=0 * rollout.rewards, values=0 * rollout.values, last_values=0 * rollout.last_values
    )
    before = {n: p.detach().clone() for n, p in model.policy.named_parameters()}
    model.learn_from([rollout], seed=5)
    chosen = np.random.default_rng(5).integers(len(demonstrations.actions), size=config.bc_batch)
    model.policy.load_state_dict(before, strict=False)
    model.policy.optimizer.zero_grad()
    states = torch.as_tensor(demonstrations.states[chosen])
    loss = model.policy.get_distribution(states).log_prob(torch.as_tensor(demonstrations.actions[chosen])).mean()
    (-0.1 * loss).backward()
    for name, parameter in model.policy.named_parameters():
        if "policy_net" in name or "action_net" in name:
            assert torch.allclose(gradients[name], parameter.grad, atol=1e-6), name
    assert gradients["action_net.weight"].abs().max() > 1e-4


def test_while_only_the_value_learns_the_policy_stays(demonstrations):
    model = PPOBC(
        SMALL, space(), gymnasium.spaces.Discrete(14), 135, 0, (demonstrations.states, demonstrations.actions)
    )
    rollout = roll(environment(BOX, "put_in_sink", 2), model.policy, world_seeds(0, 0, 2), 135, 0.99)
    before = weights_of(model.policy)
    model.learn_from([rollout], 0, value_only=True)
    after = weights_of(model.policy)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed and all("value" in name for name in changed)


@pytest.mark.timeout(600)  # on a busy machine a cluster, an actor and two processes take minutes to start
def test_a_rollout_and_what_is_collected_are_the_same_in_this_process_in_others_and_on_ray(store):
    shares = [Share(BOX, "put_in_sink", 2), Share(Scene(DEMO, "mug"), "put_in_sink", 2)]
    weights = weights_of(build_policy(SMALL, space()))
    calls = [(i, weights, (7, 3), 6) for i in range(2)]
    arguments = (ShareRunner, SMALL, shares, 0.99)
    found, apart = [], []
    seen = Collector, CollectorPlan("put_in_sink", "released", Preprocessing(*SINK.crop, points=64), (BOX,), seed=0)
    with TrajectoryStore(store) as there:
        demonstration = shortened(there.read(0), 3)
    looks = [(0, (view,), [demonstration]) for view in VIEWS]
    on_ray, beside_it = RayActors("local", 1, *arguments), RayActors("local", 1, *seen)
    collected, here = dict(beside_it.each("demonstrations", looks)), Inline(*seen).map("demonstrations", looks)
    beside_it.close()  # as an evaluation does while a training goes on
    niceness = ray.remote(num_cpus=0)(lambda: os.nice(0))
    assert ray.get(niceness.remote()) == os.nice(0), "beside other work they would starve"
    for i, harvest in enumerate(here):
        (one,), (other,) = harvest.trajectories, collected[i].trajectories
        assert one.clouds.points.any() and same(vars(one.clouds), vars(other.clouds))
    for workers in (Inline(*arguments), Processes(2, *arguments), on_ray):
        found.append(workers.map("rollout", calls))
        whenever_done = dict(workers.each("rollout", calls))
        apart.append([whenever_done[i] for i in range(2)])
        workers.close()
    for other in found[1:] + apart:
        assert all(same(vars(a), vars(b)) for a, b in zip(found[0], other, strict=True))
    assert not np.array_equal(found[0][0].states, found[0][1].states)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, store, demonstrations):
    whole = TeacherTraining(plan(), demonstrations, tmp_path / "whole")
    whole.run()
    command = [sys.executable, "-m", "casher_bringup.cli", "train", "teacher", DEMO, "--demos", str(store)]
    command += ["--out", str(tmp_path / "killed"), "--objects", "box", "--per-twin", "3", "--steps", "810"]
    command += ["--target", "1", "--set", "layers=[16]", "worlds=2", "batch_size=90", "epochs=1", "bc_batch=16"]
    command += ["warm_start=20", "value_only=1"]
    progress, said = tmp_path / "killed" / PROGRESS, tmp_path / "said"
    with said.open("wb") as log, subprocess.Popen(command, stderr=log) as killed:
        while killed.poll() is None and not (progress.exists() and progress.read_text()):
            time.sleep(0.01)
        killed.kill()
    assert progress.exists(), said.read_text()
    again = TeacherTraining(plan(), demonstrations, tmp_path / "killed")
    assert again.resumed
    again.run()
    (a, _), (b, header) = (read_tensors(tmp_path / run / STATE) for run in ("whole", "killed"))
    assert same(a, b) and header.steps == 810 and header.update == 3
    lines = [json.loads(line) for line in progress.read_text().splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3]
    policy, _ = load_teacher(tmp_path / "killed" / TEACHER)
    assert same(weights_of(policy), weights_of(whole.model.policy))
    with pytest.raises(TeacherError, match="a run that differs in seed: take another folder"):
        TeacherTraining(plan(seed=1), demonstrations, tmp_path / "killed")


def test_a_run_that_goes_on_after_some_updates_has_the_optimisers_moments(tmp_path, demonstrations):
    whole = TeacherTraining(plan(), demonstrations, tmp_path / "whole")
    whole.run()
    TeacherTraining(plan(steps=540), demonstrations, tmp_path / "parts").run()
    rest = TeacherTraining(plan(), demonstrations, tmp_path / "parts")
    assert rest.resumed and rest.update == 2
    rest.run()
    assert same(*(read_tensors(tmp_path / run / STATE)[0] for run in ("whole", "parts")))


def test_a_run_that_reached_its_target_only_goes_on_for_a_higher_one(tmp_path, demonstrations):
    ended = TeacherTraining(plan(steps=10_000, target=0.5), demonstrations, tmp_path)
    ended.run(lambda progress: True)
    again = TeacherTraining(plan(steps=10_000, target=0.5), demonstrations, tmp_path)
    assert again.run() is None and again.update == 1
    higher = TeacherTraining(plan(steps=540, target=1.0), demonstrations, tmp_path)
    higher.run()
    assert higher.update == 2


def test_without_demonstrations_the_features_are_those_of_random_states(tmp_path):
    config = replace(SMALL, bc_weight=0.0, warm_start=0)
    training = TeacherTraining(plan(config=config), None, tmp_path)
    mean = training.model.policy.features_extractor.mean
    assert mean.abs().max() > 0.1 and torch.isfinite(mean).all()


def test_nan_stops_the_training_and_the_last_good_state_stays(tmp_path, demonstrations):
    training = TeacherTraining(plan(), demonstrations, tmp_path)
    training.run()
    good = (tmp_path / STATE).read_bytes()
    again = TeacherTraining(plan(steps=10_000), demonstrations, tmp_path)
    with torch.no_grad():
        again.model.policy.value_net.bias.fill_(float("nan"))
    with pytest.raises(
        NotFinite, match=r"update 4, step 810: rewards in the rollout are not finite; the last good state is"
    ):
        again.run()
    assert (tmp_path / STATE).read_bytes() == good


def test_the_evaluation_says_what_each_failure_was():
    env = environment(BOX, "put_in_sink", 2, autoreset_mode=AutoresetMode.DISABLED)
    expert = BatchExpert(env)

    def once_lifted(then):
        lifted = np.zeros(2, dtype=bool)

        def act(_observations, _step):
            lifted[:] |= env.world.grasped & (env.world.object_qpos[:, 2] > 0.08 + env.world.shift[:, 2])
            return np.where(lifted, then, expert.actions())

        return act

    assert run_episodes(env, lambda _, __: np.full(2, Action.PLUS_Z), [1, 2]).reasons == ["never grasped"] * 2
    held = run_episodes(env, once_lifted(Action.PLUS_RZ), [1, 2])
    assert held.reasons == ["timeout"] * 2 and not held.success.any()
    assert run_episodes(env, once_lifted(Action.OPEN), [1, 2]).reasons == ["dropped"] * 2
    solved = run_episodes(env, lambda _, __: expert.actions(), [1, 2])
    assert solved.reasons == ["", ""] and (solved.steps < 135).all()
    assert solved.rewards.sum() == 2 and len(solved.actions) == solved.steps.max()


def test_without_a_twin_there_is_nothing_to_do_it_in():
    with pytest.raises(PlaceError, match="no twin is given"):
        scenes_of([], ["box"], "put_in_sink")


def test_an_evaluation_counts_by_twin(tmp_path, demonstrations):
    scenes = scenes_of([DEMO], ["box", "mug"], "put_in_sink")
    shares = shares_of(scenes, "put_in_sink", 4)
    assert [share.worlds for share in shares] == [2, 2]
    config = replace(SMALL, worlds=2)
    workers = episode_workers(config, shares)
    told = []
    weights = weights_of(build_policy(config, space()))
    evaluation = evaluate(workers, shares, weights, seed=3, done=lambda i, e: told.append((i, len(e.success))))
    assert told == [(0, 2), (1, 2)]
    assert [(r.name, r.episodes) for r in evaluation.twins] == [("demo", 4)]
    assert [r.name for r in evaluation.scenes] == ["demo box", "demo mug"]
    assert sum(evaluation.overall.reasons.values()) + evaluation.overall.successes == 4
    assert evaluation.worst_bound == evaluation.twins[0].interval[0]


def test_demonstrations_must_fit(store, tmp_path):
    with pytest.raises(TrajectoryError, match=r"10 demonstrations of put_in_sink with box in 'demo' are needed"):
        load_pairs(store, [BOX], "put_in_sink")
    with pytest.raises(TrajectoryError, match=r"1 demonstrations of put_in_sink with mug in 'demo' are needed"):
        load_pairs(store, [Scene(DEMO, "mug")], "put_in_sink", per_twin=1)
    with pytest.raises(TrajectoryError, match="has action_set"):
        load_pairs(store, [BOX], "put_in_sink", "paper", per_twin=1)
    with TrajectoryStore(store) as found, TrajectoryStore(tmp_path, "a") as broken:
        one = found.read(0)
        one.observations[3, 2] = np.nan
        broken.append(one)
    with pytest.raises(TrajectoryError, match="not finite: collect them anew"):
        load_pairs(tmp_path, [BOX], "put_in_sink", per_twin=1)


def test_what_a_teacher_was_not_trained_with_is_named(tmp_path, demonstrations):
    TeacherTraining(plan(config=replace(SMALL, ppo=False)), demonstrations, tmp_path).run()
    _, header = load_teacher(tmp_path / TEACHER)
    assert new_to(header, [BOX]) == ""
    assert new_to(header, [BOX, Scene(DEMO, "mug")]) == "the teacher was not trained with mug"


def test_a_teachers_file_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(TeacherError, match="no teacher at"):
        load_teacher(tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(TeacherError, match="cannot be read"):
        load_teacher(tmp_path / "torn.safetensors")
