"""The student's training: equation 2 however a batch is cut, the same bits after a kill, and refusals in words."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.run import parse_args

from casher_policy.action import RELEASED
from casher_policy.checkpoint import load_checkpoint
from casher_policy.network import PolicyNetwork
from casher_policy.preprocess import Preprocessing
from casher_policy.task import task_named
from casher_training.cloud_loader import CloudLoader
from casher_training.clouds import Clouds, quantise
from casher_training.ppo_bc import NotFinite
from casher_training.student_augmentation import augment
from casher_training.student_config import CPU, PAPER, Augmentation, StudentConfig
from casher_training.student_learner import StudentLearner, class_weights, learning_rate
from casher_training.student_ranks import Ranks
from casher_training.student_state import StudentError, read_state
from casher_training.student_training import PROGRESS, STATE, STUDENT
from casher_training.train_student_command import TrainStudentArgs, held_out_of, prepare, torchrun
from casher_training.trajectories import TrajectoryStore
from casher_training.trajectory import TrajectoryError, action_set
from tests.trajectories import trajectory

TASK = "put_in_sink"
PREPROCESSING = Preprocessing(*task_named(TASK).crop, points=48, near_points=24)
TINY = replace(CPU.network, grid=8, channels=8, point_features=8, hidden=8, blocks=1, near_grid=4)
OFF = Augmentation(**dict.fromkeys(vars(Augmentation()), 0.0))
SMALL = replace(CPU, network=TINY, batch_size=64, warm_up=5, frozen_batches=3)
SETTINGS = ["network.grid=8", "network.channels=8", "network.point_features=8", "network.hidden=8", "network.blocks=1"]
SETTINGS += ["network.near_grid=4", "warm_up=5", "frozen_batches=3"]


def seen(seed, steps=40, view="cameras", source="teacher", **changes):
    """A trajectory whose label says on which of four sides of the tool the red points are."""
    random, n = np.random.default_rng(seed), PREPROCESSING.total
    tool = random.uniform([0.3, -0.2, 0.1], [0.6, 0.2, 0.3], (steps, 3))
    labels = random.integers(0, 4, steps)
    way = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])[labels] * 0.08
    points = random.uniform(-0.4, 0.7, (steps, n, 3))
    colours = np.full((steps, n, 3), 100, np.uint8)
    points[:, 32:] = (tool + way)[:, None] + random.normal(0, 0.01, (steps, n - 32, 3))
    colours[:, 32:] = (250, 20, 20)
    states = np.concatenate([np.ones((steps, 2)), tool, np.tile([1, 0, 0, 0], (steps, 1))], axis=1)
    clouds = Clouds(
        view=view,
        preprocessing=PREPROCESSING,
        points=quantise(points),
        colours=colours,
        robot_states=states,
        labels=labels,
    )
    about = {"action_set": action_set(RELEASED), "source": source, "clouds": clouds}
    return trajectory(seed, steps, **{**about, **changes})


@pytest.fixture(autouse=True)
def one_thread():
    """As the command has it: sums are in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five twins, by cameras and from meshes."""
    folder = tmp_path_factory.mktemp("clouds")
    with TrajectoryStore(folder, "a") as store:
        for t, twin in enumerate("abcde"):
            store.append(seen(10 * t, twin=twin))
            store.append(seen(10 * t + 1, twin=twin, view="meshes"))
    return folder


@pytest.fixture(scope="module")
def batch(data):
    with CloudLoader(data, TASK, 96, prefetch=False) as loader:
        return loader.batch(0)


def arguments(data, out, **changes):
    known = {"task": TASK, "set": tuple(SETTINGS), "steps": 20, "checkpoint_every": 5, "validate_every": 10}
    return TrainStudentArgs((data,), out, **{**known, "validation_pairs": 64, **changes})


def training(data, out, **changes):
    return prepare(arguments(data, out, **changes), Ranks(), torch.device("cpu"))[0]


def learner(config=SMALL, seed=0, counts=(1,) * 14, **options):
    torch.manual_seed(seed)
    return StudentLearner(PolicyNetwork(config.network, PREPROCESSING), config, counts, seed, **options)


def gradient(learner, batch, step=3):
    learner.optimiser.zero_grad()
    loss, right = learner._gradients(batch, step)
    return torch.cat([p.grad.flatten() for p in learner.parameters]), loss, right


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_is_equation_2(batch):
    plain = replace(SMALL, augmentation=OFF, batch_size=96)
    found, loss, right = gradient(learner(plain), batch)
    other = learner(plain)
    log_pi = torch.log_softmax(other.network(batch.points, batch.colours, batch.robot_states), dim=1)
    likelihood = log_pi.gather(1, batch.labels[:, None]).mean()
    (-likelihood).backward()
    expected = torch.cat([p.grad.flatten() for p in other.parameters])
    assert loss == pytest.approx(-likelihood.item(), rel=1e-5)
    assert right == (log_pi.argmax(dim=1) == batch.labels).sum()
    assert (found - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_gradients_of_micro_batches_and_of_processes_add_up_to_the_whole_batchs(batch, balance):
    counts = np.bincount(batch.labels, minlength=14)
    config = replace(SMALL, batch_size=96, micro_batch=96, class_balance=balance)
    whole, loss, _ = gradient(learner(config, counts=counts), batch)
    parts, loss_of_parts, _ = gradient(learner(replace(config, micro_batch=32), counts=counts), batch)
    assert loss_of_parts == pytest.approx(loss, rel=1e-6)
    assert (parts - whole).norm() < 1e-5 * whole.norm()
    shares = [Ranks(rank, 2).share(96, 32) for rank in range(2)]
    assert [(share.start, share.stop) for share in shares] == [(0, 32), (32, 96)]


def test_rare_actions_may_count_more(batch):
    counts = np.array([900, 90, 10] + [0] * 11)
    assert torch.equal(class_weights(counts, 0.0), torch.ones(14))
    weights = class_weights(counts, 0.5)
    assert weights[2] / weights[0] == pytest.approx(90**0.5, rel=1e-3)
    assert (weights * torch.as_tensor(counts) / 1000).sum() == pytest.approx(1.0, rel=1e-5)


def test_the_learning_rate_rises_and_falls():
    config = replace(CPU, learning_rate=1.0, warm_up=10, last_rate=0.1)
    rates = [learning_rate(config, step, 100) for step in range(101)]
    assert rates[0] == 0.1 and rates[9:11] == [1.0, 1.0] and rates[100] == pytest.approx(0.1)
    assert np.all(np.diff(rates[:10]) > 0) and np.all(np.diff(rates[10:]) < 0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_settings_augmentation_changes_nothing_and_with_them_the_seed_decides(batch):
    sections = [PREPROCESSING.points, PREPROCESSING.near_points]
    points, colours = augment(batch.points, batch.colours, OFF, sections, generator())
    assert torch.equal(points, batch.points) and torch.equal(colours, batch.colours)
    a, b, c = (augment(batch.points, batch.colours, Augmentation(), sections, generator(s)) for s in (1, 1, 2))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) and not torch.equal(a[0], c[0])
    assert a[0].dtype == torch.float32 and a[1].dtype == torch.uint8 and a[0].shape == batch.points.shape


def test_lost_points_are_replaced_by_kept_ones_of_their_own_section(batch):
    sections = [PREPROCESSING.points, PREPROCESSING.near_points]
    settings = replace(OFF, dropout=0.9, hole_share=1.0, hole_m=0.3)
    points, colours = augment(batch.points, batch.colours, settings, sections, generator())
    begin, gone = 0, 0
    for size in sections:
        own = slice(begin, begin + size)
        for new, old, new_colour, old_colour in zip(
            points[:, own], batch.points[:, own], colours[:, own], batch.colours[:, own], strict=True
        ):
            known = {(*p, *c) for p, c in zip(old.tolist(), old_colour.tolist(), strict=True)}
            now = {(*p, *c) for p, c in zip(new.tolist(), new_colour.tolist(), strict=True)}
            assert now and now <= known
            gone += len(known) - len(now)
        begin += size
    assert gone > 0.3 * batch.points.shape[0] * sum(sections)


def test_the_whole_cloud_moves_rigidly_and_by_no_more_than_a_calibration_is_off(batch):
    settings = replace(OFF, shift_m=0.01, turn_rad=0.01)
    points, _ = augment(batch.points, batch.colours, settings, [PREPROCESSING.total], generator())
    before, after = ((p[:, :, None] - p[:, None]).norm(dim=3) for p in (batch.points, points))
    assert torch.allclose(before, after, atol=2e-4)
    shift = (points.mean(dim=1) - batch.points.mean(dim=1)).norm(dim=1)
    assert 0.004 < shift.mean() < 0.006 and shift.max() <= 0.0101


def test_jitter_moves_a_share_of_the_points_and_colours_stay_colours(batch):
    settings = replace(OFF, jitter_m=0.005, jitter_share=0.25)
    points, _ = augment(batch.points, batch.colours, settings, [PREPROCESSING.total], generator())
    moved = (points != batch.points).any(dim=2)
    assert 0.2 < moved.float().mean() < 0.3
    assert (points - batch.points)[moved].std() == pytest.approx(0.005, rel=0.1)
    white = torch.full_like(batch.colours, 255)
    _, lit = augment(batch.points, white, replace(OFF, gain=0.5, offset=0.2), [PREPROCESSING.total], generator())
    assert lit.min() < 120 and lit.max() == 255
    greyed = augment(batch.points, batch.colours, replace(OFF, grey=1.0), [PREPROCESSING.total], generator())[1]
    spread = (greyed.amax(dim=2) - greyed.amin(dim=2)).float().mean()
    assert spread < 0.8 * (batch.colours.amax(dim=2) - batch.colours.amin(dim=2)).float().mean()


def test_it_learns_what_holds_in_a_twin_it_never_saw(data, tmp_path):
    settings = (*SETTINGS, "learning_rate=0.004", "ema=0.9")
    run = training(data, tmp_path, steps=70, checkpoint_every=70, validate_every=70, held_out="e", set=settings)
    told = []
    run.run(lambda progress: told.append(progress.numbers["accuracy"]))
    assert np.mean(told[:5]) < 0.5 and np.mean(told[-5:]) > 0.8
    found = run.validations["cameras"]
    assert found.accuracy > 0.8 and np.sum(found.confusion) == 64 and set(found.recalls) == {"+x", "-x", "+y", "-y"}
    loaded = load_checkpoint(tmp_path / STUDENT, TASK)
    assert loaded.config.data_hash == run.loader.data_hash and loaded.config.kitchens == ("a", "b", "c", "d")
    assert same(loaded.network.state_dict(), run.learner.averaged().state_dict())
    assert not same(loaded.network.state_dict(), run.learner.network.state_dict())


def test_a_run_that_was_killed_goes_on_to_the_same_bits(data, tmp_path):
    whole = training(data, tmp_path / "whole", steps=20)
    whole.run()
    command = [sys.executable, "-m", "casher_bringup.cli", "train", "student", str(data), "--out"]
    command += [str(tmp_path / "killed"), "--steps", "20", "--checkpoint-every", "5", "--validate-every", "10"]
    command += ["--validation-pairs", "64", "--set", *SETTINGS]
    state, said = tmp_path / "killed" / STATE, tmp_path / "said"
    with said.open("wb") as log, subprocess.Popen(command, stderr=log) as killed:
        while killed.poll() is None and not state.exists():
            time.sleep(0.01)
        killed.kill()
    assert state.exists(), said.read_text()
    again = training(data, tmp_path / "killed")
    assert again.resumed and again.step >= 5
    again.run()
    (a, _), (b, about) = (read_state(tmp_path / run / STATE) for run in ("whole", "killed"))
    assert same(a, b) and about["step"] == 20
    files = [load_file(tmp_path / run / STUDENT) for run in ("whole", "killed")]
    assert same(*files)
    lines = [json.loads(line) for line in (tmp_path / "killed" / PROGRESS).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 21))


def gradients_agree(one, two):
    """After one step of Adam its first moment is a tenth of the gradient."""
    one, two = (
        torch.cat([tensor.flatten() for name, tensor in sorted(state.items()) if name.endswith("exp_avg")])
        for state in (read_state(out / STATE)[0] for out in (one, two))
    )
    return (one - two).norm() < 1e-5 * one.norm()


def test_two_processes_find_the_gradient_of_one(data, tmp_path):
    alone = training(data, tmp_path / "one", steps=1)
    alone.run()
    command = [sys.executable, "-m", "casher_bringup.cli", "train", "student", str(data), "--out"]
    command += [str(tmp_path / "two"), "--steps", "1", "--validation-pairs", "64", "--json", "--set", *SETTINGS]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    meeting = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(command, env={**meeting, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=150)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0] and not said[1]
    assert gradients_agree(tmp_path / "one", tmp_path / "two")
    told = json.loads(said[0])["validation"]["cameras"]
    assert np.sum(told["confusion"]) == 64
    assert told["loss"] == pytest.approx(alone.validations["cameras"].loss, rel=1e-4)


@pytest.mark.nightly
def test_processes_of_this_machine_are_started_by_torchrun(data, tmp_path):
    training(data, tmp_path / "first", steps=1).run()
    start = tmp_path / "first" / STUDENT
    training(data, tmp_path / "one", steps=1, start=start).run()
    command = [sys.executable, "-m", "casher_bringup.cli", "train", "student", str(data), "--out"]
    command += [str(tmp_path / "two"), "--steps", "1", "--start", str(start), "--processes", "2", "--set", *SETTINGS]
    subprocess.run(command, check=True)
    assert gradients_agree(tmp_path / "one", tmp_path / "two")


def test_torchrun_leaves_the_commands_own_options_alone():
    words = ["train", "student", "data", "--start", "a.safetensors", "--processes", "2", "--set", "ema=0.9", "--", "-x"]
    read = parse_args(torchrun(2, words)[3:])
    assert (read.module, read.standalone, read.nproc_per_node) == (True, True, "2")
    assert [read.training_script, *read.training_script_args] == ["casher_bringup.cli", *words]


def test_a_folder_with_another_run_is_refused_and_all_that_differs_is_named(data, tmp_path):
    training(data, tmp_path, steps=5).run()
    with pytest.raises(StudentError) as refused:
        training(data, tmp_path, seed=1, set=(*SETTINGS, "batch_size=32", "augmentation.dropout=0.5"))
    for text in ("seed was 0 and is 1", "batch_size was 64 and is 32", "dropout was 0.3 and is 0.5", "another folder"):
        assert text in str(refused.value)
    longer = training(data, tmp_path, steps=8)
    assert longer.resumed and longer.step == 5
    longer.run()
    assert longer.step == 8
    (tmp_path / STATE).write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(StudentError, match="cannot be read"):
        training(data, tmp_path)


def test_nan_stops_it_names_whose_it_is_and_the_last_good_state_stays(data, tmp_path):
    run = training(data, tmp_path, steps=5)
    run.run()
    good = (tmp_path / STATE).read_bytes()
    run = training(data, tmp_path, steps=10)
    broken = run.loader.batch(5)
    guilty = run.loader.name(int(broken.trajectories[7]))
    broken.robot_states[7] = float("nan")
    run.loader.batches = lambda step: iter([broken])
    before = {name: tensor.clone() for name, tensor in run.learner.tensors().items()}
    with pytest.raises(NotFinite, match=r"step 5: loss nan, gradient nan; .* the last good state is") as stopped:
        run.run()
    assert f"pairs of {guilty};" in str(stopped.value)
    assert (tmp_path / STATE).read_bytes() == good and same(before, run.learner.tensors())


def test_with_a_frozen_encoder_only_the_head_changes(data, tmp_path):
    training(data, tmp_path / "first", steps=5).run()
    first = tmp_path / "first" / STUDENT
    tuned = training(data, tmp_path / "tuned", start=first, freeze_encoder=True, steps=12)
    tuned.run()
    a, b = (load_checkpoint(tmp_path / run / STUDENT).network.state_dict() for run in ("first", "tuned"))
    assert {name.split(".")[0] for name in a if not torch.equal(a[name], b[name])} == {"head"}
    again = training(data, tmp_path / "parts", start=first, freeze_encoder=True, steps=12)
    again.run(lambda progress: progress.step == 7)
    rest = training(data, tmp_path / "parts", start=first, freeze_encoder=True, steps=12)
    assert rest.step == 7
    rest.run()
    assert same(*(read_state(tmp_path / run / STATE)[0] for run in ("tuned", "parts")))


def test_a_checkpoint_tells_all_kitchens_that_it_and_the_one_it_began_with_were_trained_in(data, tmp_path):
    training(data, tmp_path / "first", steps=1, held_out="d,e").run()
    first = tmp_path / "first" / STUDENT
    with TrajectoryStore(tmp_path / "new", "a") as store:
        store.append(seen(99, twin="f", object="bowl"))
    run = training(tmp_path / "new", tmp_path / "second", start=first, steps=1, held_out="0")
    run.run()
    before, after = (load_checkpoint(tmp_path / name / STUDENT).config for name in ("first", "second"))
    assert before.kitchens == ("a", "b", "c") and after.kitchens == ("a", "b", "c", "f")
    assert set(after.objects) == {*before.objects, "bowl"}
    assert after.data_hash not in (before.data_hash, run.loader.data_hash)
    _, told = prepare(arguments(data, tmp_path / "third", start=first, held_out="c,d"), Ranks(), torch.device("cpu"))
    assert [text.partition(" was trained in ")[2].partition(",")[0] for text in told] == ["c"]


def test_what_cannot_be_trained_on_is_refused(data, tmp_path):
    with pytest.raises(StudentError, match="give --start"):
        training(data, tmp_path, freeze_encoder=True)
    with pytest.raises(StudentError, match=r"near_grid 0 does not fit clouds with near_points 24"):
        training(data, tmp_path, set=(*SETTINGS, "network.near_grid=0"))
    with pytest.raises(TrajectoryError, match="by human"):
        training(data, tmp_path, sources="human")
    with pytest.raises(ValueError, match="no twin z in the data; there are a, b, c, d, e"):
        training(data, tmp_path, held_out="a,z")
    training(data, tmp_path / "first", steps=1).run()
    with TrajectoryStore(tmp_path / "others", "a") as store:
        other = replace(PREPROCESSING, voxel_m=0.01)
        clouds = seen(0).clouds
        store.append(seen(0, clouds=replace(clouds, preprocessing=other)))
    with pytest.raises(StudentError, match=r"voxel_m was 0\.005 and is 0\.01"):
        training(tmp_path / "others", tmp_path / "out", start=tmp_path / "first" / STUDENT)


def test_settings_come_by_name(data, tmp_path):
    assert StudentConfig.from_dict(json.loads(json.dumps(PAPER.to_dict()))) == PAPER
    run = training(data, tmp_path, set=(*SETTINGS, "batch_size=32", "augmentation.gain=0"))
    assert run.plan.config.batch_size == 32 and run.plan.config.augmentation.gain == 0
    assert run.plan.config.network == TINY
    for wrong in ("augmentation.gian=0", "augmentation=0", "batchsize=2"):
        with pytest.raises(ValueError, match=r"unknown setting .* known are .*batch_size"):
            training(data, tmp_path, set=(wrong,))
    for wrong in ("ema=2", "batch_size=0", "batch_size=2.5", "augmentation.dropout=-1", "network.grid=5"):
        with pytest.raises(ValueError, match=wrong.partition("=")[0].split(".")[-1]):
            training(data, tmp_path, set=(wrong,))
    assert held_out_of("auto", "abc") == () and held_out_of("auto", "abcd") == ("d",)
    assert held_out_of("2", "abcd") == ("c", "d") and held_out_of("b", "abcd") == ("b",)
    with pytest.raises(ValueError, match="leave none to train on"):
        held_out_of("3", "abc")
