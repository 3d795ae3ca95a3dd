"""Demonstrations on an arm with cameras, from the keys to a student's training; the simulator stands in for both."""

import json
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from graph import Graph
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from casher_bringup.bag import BagWriter
from casher_bringup.recorder_node import RecorderNode
from casher_bringup.schemas import interface
from casher_perception.bag_reader import BagError, read_bag
from casher_perception.conversions import cloud_arrays, stamp_ns
from casher_perception.fusion_node import FusionNode
from casher_perception.spinning import Spinning
from casher_policy.action import Action
from casher_policy.checkpoint import load_checkpoint
from casher_policy.conversions import state_vector
from casher_policy.episode_topics import CLOUD_TOPIC, EPISODE_TOPIC, STATE_TOPIC, STEP_TOPIC
from casher_policy.policies import MODELS
from casher_policy.preprocess import preprocess
from casher_policy.step_gate import FreshGate
from casher_policy.task import task_named
from casher_sim.sim_node import MUTE_CAMERA, SimNode
from casher_training import demos_arm_node, demos_recorder_node
from casher_training import demos_keys as keys
from casher_training.cloud_loader import CloudLoader
from casher_training.clouds import quantise
from casher_training.collect_command import CollectArgs
from casher_training.collect_command import main as collect
from casher_training.demo_bag import bag_path
from casher_training.demos_arm_node import ArmDemo
from casher_training.demos_collection import Collection
from casher_training.demos_session import DemoError
from casher_training.recorded_clouds import with_recorded_clouds
from casher_training.scenes import DEMO, Scene
from casher_training.seen_trajectory import cloud_seed
from casher_training.student_training import STUDENT
from casher_training.train_student_command import TrainStudentArgs
from casher_training.train_student_command import main as train
from casher_training.trajectories import TrajectoryStore

pytestmark = [pytest.mark.ros, pytest.mark.timeout(900)]
RIG = str(Path(__file__).parents[2] / "ros2_ws/src/casher_bringup/config/kitchens/demo.yaml")
TASK = "put_in_sink"
LOW, HIGH = (list(corner) for corner in task_named(TASK).crop)
A = Action
ACTIONS = [A.PLUS_Y, A.MINUS_Z, A.PLUS_RZ, A.CLOSE, A.MINUS_Y, A.PLUS_Z, A.OPEN]
STOPPED_BEFORE = 4
"""The action before which the person stopped the arm and let it move again."""


class Kitchen(Graph):
    """An arm and cameras as of a real kitchen, fusion and recorder."""

    THREADS = 8

    def __init__(self):
        super().__init__()
        self.sim = self.add(SimNode, parameters={"rig": RIG, "crop_low": LOW, "crop_high": HIGH})
        self.recorder, self.recording, self.closed = None, None, False

    def add_recorder(self):
        """Spun by one thread, as in its own process: it destroys subscriptions while it listens."""
        self.recorder = RecorderNode(context=self.context)
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(self.recorder)
        self.recording = Spinning(executor, self.errors.append)

    def add_fusion(self):
        self.add(FusionNode, parameters={"rig": RIG, "drift_period_s": 0.0})

    def end_recorder(self):
        if self.recording:
            self.recording.stop(2.0)
            self.recorder.destroy_node()
        self.recorder = self.recording = None

    def close(self):
        if not self.closed:
            self.closed = True
            self.end_recorder()
            super().close()

    def demo(self, store):
        return ArmDemo(Scene(DEMO, "mug"), TASK, "fr3", store=store)

    def until(self, condition):
        assert self.wait(condition, 120.0)


@pytest.fixture(scope="module", autouse=True)
def patience():
    """This machine may be busy with other things, and no person is near the arm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demos_arm_node, "LATE_S", 300.0)
        patch.setattr(demos_arm_node, "ANSWER_S", 60.0)
        patch.setattr(demos_recorder_node, "CLOUD_S", 60.0)
        patch.setattr(demos_recorder_node, "RECORDER_S", 120.0)
        yield


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """-> Kitchen; what was said while it had no recorder, then no fusion."""
    kitchen, said = Kitchen(), []
    try:
        for add in (kitchen.add_recorder, kitchen.add_fusion):
            with pytest.MonkeyPatch.context() as haste, pytest.raises(DemoError) as refused:
                haste.setattr(demos_recorder_node, "RECORDER_S", 60.0 if said else 0.5)
                haste.setattr(demos_recorder_node, "FIRST_CLOUD_S", 0.5)
                kitchen.demo(tmp_path_factory.mktemp("refused"))
            said.append(str(refused.value))
            add()
        yield kitchen, said
    finally:
        kitchen.close()


def test_without_a_recorder_or_a_fused_cloud_it_says_so_and_how_to_go_on_without(started):
    _, (no_recorder, no_cloud) = started
    assert no_recorder.startswith("nobody offers /casher/record/start on ROS domain ")
    assert no_cloud.startswith("no_cloud: no fused cloud from after the arm settled within 0.5 s")
    assert "--no-bag" in no_recorder and "--no-bag" in no_cloud


@pytest.fixture
def driven(started, tmp_path):
    """Kitchen, ArmDemo at its start pose and Collection of one demonstration."""
    demo = started[0].demo(tmp_path)
    try:
        with TrajectoryStore(tmp_path, "a") as store:
            collection = Collection(demo, store, tmp_path / "effort.jsonl", count(), 1)
            collection.press(keys.HOME)
            assert "recording" in collection.message, collection.message
            yield started[0], demo, collection
    finally:
        demo.close()


def test_while_a_camera_is_silent_the_arm_is_not_moved(driven, monkeypatch):
    kitchen, demo, collection = driven
    monkeypatch.setattr(demos_recorder_node, "CLOUD_S", 3.0)
    kitchen.sim.set_parameters([Parameter(MUTE_CAMERA, value="camera_left")])
    try:
        collection.press(A.PLUS_Y)
        before = kitchen.sim._world.joints.copy()
        collection.press(A.PLUS_Y)
        assert collection.message.startswith("camera_silent: camera_left"), collection.message
        assert np.array_equal(before, kitchen.sim._world.joints)
    finally:
        kitchen.sim.set_parameters([Parameter(MUTE_CAMERA, value="")])
    monkeypatch.undo()
    collection.press(A.PLUS_Y)
    assert "press the key again" in collection.message and demo.steps == 1
    collection.press(A.PLUS_Y)
    assert demo.steps == 2, collection.message


def test_the_arm_does_not_go_home_for_a_demonstration_that_the_disk_has_no_room_for(driven, monkeypatch):
    kitchen, _, collection = driven
    monkeypatch.setattr(demos_recorder_node, "MIN_FREE_BYTES", 10**18)
    collection.press(A.PLUS_Z)
    before = kitchen.sim._world.joints.copy()
    collection.press(keys.HOME)
    assert collection.message.startswith("only ") and "--bags" in collection.message
    monkeypatch.undo()
    monkeypatch.setattr(demos_arm_node, "LATE_S", 0.0)
    collection.press(keys.HOME)
    assert "press B again" in collection.message
    assert np.array_equal(before, kitchen.sim._world.joints)


def test_while_a_demonstration_waits_to_be_saved_the_arm_is_not_moved_unrecorded(driven, monkeypatch):
    kitchen, demo, collection = driven
    collection.press(A.PLUS_Y)
    assert demo.steps == 1, collection.message
    before = kitchen.sim._world.joints.copy()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(TrajectoryStore, "append", full)
    collection.press(keys.SAVE)
    assert "enter tries again" in collection.message
    collection.press(A.PLUS_Y)
    assert "its bag is closed: enter saves it" in collection.message and demo.steps == 1
    assert np.array_equal(before, kitchen.sim._world.joints)
    monkeypatch.undo()
    collection.press(keys.SAVE)
    assert collection.done and not collection.remarks


def test_when_the_recorder_fails_the_person_is_told_at_once_and_when_saving(driven):
    kitchen, demo, collection = driven
    collection.press(A.PLUS_Y)
    assert demo.steps == 1, collection.message

    def fail():
        raise BagError("the disk is full")

    def once():
        timer.cancel()
        kitchen.recorder.attempt(fail)

    timer = kitchen.recorder.create_timer(0.01, once)
    kitchen.until(lambda: demo._recorder._failure)
    collection.press(A.PLUS_Y)
    assert "the disk is full. Nothing more is recorded" in collection.message and demo.steps == 1
    collection.press(keys.SAVE)
    assert collection.message == "saved: 1 of 1; the recorder: the disk is full"
    assert "the disk is full" in collection.remarks[0]


def test_when_the_recorder_is_gone_nothing_moves_and_what_was_done_is_saved_with_what_to_try(driven):
    kitchen, demo, collection = driven
    collection.press(A.PLUS_Y)
    assert demo.steps == 1, collection.message
    kitchen.end_recorder()
    try:
        kitchen.until(lambda: not demo._recorder._stop.service_is_ready())
        collection.press(A.PLUS_Y)
        assert "the recorder: it went away. Nothing more is recorded" in collection.message and demo.steps == 1
        collection.press(keys.SAVE)
        assert "saved: 1 of 1; the recorder: it went away; try `casher bag recover" in collection.message
    finally:
        kitchen.add_recorder()


@pytest.fixture(scope="module")
def given(started, tmp_path_factory):
    """Folder of two demonstrations, the first of ACTIONS; before them two were discarded, one of them empty."""
    kitchen, _ = started
    folder = tmp_path_factory.mktemp("demos")
    demo = kitchen.demo(folder)

    def press(command, steps):
        collection.press(command)
        assert demo.steps == steps, collection.message

    try:
        with TrajectoryStore(folder, "a") as store:
            collection = Collection(demo, store, folder / "effort.jsonl", count(), 2)
            press(keys.RECOVER, 0)  # should another attempt have left it stopped
            press(keys.HOME, 0)
            assert "recording" in collection.message
            press(A.PLUS_Y, 1)
            press(keys.DISCARD, 0)
            press(keys.HOME, 0)
            press(keys.DISCARD, 0)
            press(keys.HOME, 0)
            for k, action in enumerate(ACTIONS):
                if k == STOPPED_BEFORE:
                    demo.stop()
                    kitchen.until(lambda: kitchen.sim._arm.state().fault == "stopped")
                    press(action, k)
                    press(keys.RECOVER, k)
                press(action, k + 1)
            press(keys.SAVE, 0)
            assert collection.message == "saved: 1 of 2", collection.message
            press(keys.HOME, 0)
            press(A.PLUS_Z, 1)
            press(keys.SAVE, 1)
            assert collection.done and not collection.remarks
    finally:
        demo.close()
    kitchen.close()  # nobody needs it any more
    return folder


def collect_args(folder, out, **changes):
    return CollectArgs(
        **{"twins": (Path(DEMO),), "out": out, "demos": folder, "source": "human", "objects": "mug", "per_twin": 2}
        | changes
    )


@pytest.fixture(scope="module")
def clouds(given, tmp_path_factory):
    """Folder of what `casher collect` made of them."""
    folder = tmp_path_factory.mktemp("clouds")
    assert collect(collect_args(given, folder)) == 0
    return folder


def trajectories(folder):
    """-> [Trajectory, its bag an absolute path]."""
    with TrajectoryStore(folder) as store:
        kept = list(store.trajectories(robot="fr3"))
    for one in kept:
        object.__setattr__(one, "bag", str(bag_path(one.bag, folder)))
    return kept


def test_each_demonstration_has_a_bag_and_the_last_that_was_discarded_is_still_there(given):
    first, second = trajectories(given)
    bags = given / "bags"
    assert {Path(first.bag).parent, Path(second.bag).parent} == {bags}
    with TrajectoryStore(given) as store:
        assert store.header(0)["bag"] == f"bags/{Path(first.bag).name}"
    (discarded,) = (bags / "discarded").iterdir()
    assert {path.name for path in bags.iterdir()} == {Path(first.bag).name, Path(second.bag).name, "discarded"}
    records = [[r.message for r in read_bag(bag, [EPISODE_TOPIC])][-1] for bag in (first.bag, discarded)]
    assert [(r.outcome, r.steps, r.policy, r.robot) for r in records] == [
        ("success", len(ACTIONS), "human", "fr3"),
        ("aborted", 1, "human", "fr3"),
    ]


def first_after(bag, after_ns):
    """What a FreshGate, as the policy node has one, gets out of the bag's clouds."""
    gate = FreshGate()
    for record in read_bag(bag, [CLOUD_TOPIC]):
        gate.offer(stamp_ns(record.message.header.stamp), record.message, record.log_ns)
        if found := gate.wait_after(after_ns, 0.0):
            return found


def test_a_student_gets_the_clouds_and_states_that_the_policy_node_would_have_used(given, clouds):
    (made, _), (real, _) = trajectories(clouds), trajectories(given)
    assert (made.robot, made.source, made.clouds.view, made.bag) == ("fr3", "human", "cameras", real.bag)
    assert made.success and made.clouds.labels.tolist() == made.actions.tolist() == ACTIONS
    steps = [r.message for r in read_bag(made.bag, [STEP_TOPIC])]
    states = [r.message for r in read_bag(made.bag, [STATE_TOPIC])]
    settled_ns = stamp_ns(next(read_bag(made.bag, [EPISODE_TOPIC])).message.start)
    for k, step in enumerate(steps):
        used = first_after(made.bag, settled_ns)
        if k in (0, STOPPED_BEFORE):  # settled later than this: at the end of `home`; after the stop
            used = first_after(made.bag, stamp_ns(step.cloud_stamp) - 1)
        else:
            at_rest = min(
                (s for s in states if stamp_ns(s.header.stamp) >= settled_ns), key=lambda s: stamp_ns(s.header.stamp)
            )
            assert np.array_equal(made.clouds.robot_states[k], state_vector(at_rest))
        assert settled_ns < used.stamp_ns == stamp_ns(step.cloud_stamp)
        seed = int(cloud_seed(made.seed, k).integers(2**31))
        state = made.clouds.robot_states[k]
        points, colours = preprocess(*cloud_arrays(used.value), made.clouds.preprocessing, seed, state[2:5])
        assert np.array_equal(made.clouds.points[k], quantise(points))
        assert np.array_equal(made.clouds.colours[k], colours)
        settled_ns = stamp_ns(step.settled)
    assert len(steps) == len(ACTIONS)
    moved = np.abs(np.diff(made.clouds.robot_states[:, 2:5], axis=0)).max(axis=1)
    assert (moved[:2] > 0.02).all()


def test_the_shipped_student_is_trained_on_with_them(clouds, tmp_path):
    shipped = MODELS / f"{TASK}.safetensors"
    with CloudLoader([clouds], TASK, batch=4, sources=("human",), prefetch=False) as loader:
        assert loader.pairs == len(ACTIONS) + 1 and len(loader.batch(0)) == 4
    args = TrainStudentArgs(
        data=(clouds,), out=tmp_path, start=shipped, steps=2, set=("batch_size=4", "micro_batch=4"), json=True
    )
    assert train(args) == 0
    before, after = load_checkpoint(shipped, TASK).config, load_checkpoint(tmp_path / STUDENT, TASK).config
    assert after.objects == before.objects and set(after.kitchens) == {*before.kitchens, "demo"}


def test_a_demonstration_without_its_bag_is_named_and_the_others_are_kept(given, tmp_path, capsys):
    shutil.copytree(given, tmp_path / "demos")
    first, second = trajectories(tmp_path / "demos")
    shutil.rmtree(first.bag)
    args = collect_args(tmp_path / "demos", tmp_path / "out", json=True, points=64, near_points=0, per_twin=1)
    assert collect(args) == 0
    printed = capsys.readouterr()
    (scene,) = json.loads(printed.out)["scenes"]
    assert (scene["made"], scene["missing"], scene["failures"]) == (1, 0, {"unusable bag": 1})
    assert f"demo_0 is passed over: {first.bag} is not a bag" in printed.err
    assert [one.seed for one in trajectories(tmp_path / "out")] == [second.seed]


def without_a_cloud(bag, to, k):
    """A copy of a bag that lacks the cloud of step k."""
    steps = [r.message for r in read_bag(bag, [STEP_TOPIC])]
    lost, writer = stamp_ns(steps[k].cloud_stamp), BagWriter(to)
    for whole, raw in zip(read_bag(bag), read_bag(bag, decoded=False), strict=True):
        if whole.topic == CLOUD_TOPIC and stamp_ns(whole.message.header.stamp) == lost:
            continue
        if raw.topic not in writer.topics:
            writer.add_topic(raw.topic, interface(raw.type))
        writer.write(raw.topic, raw.log_ns, raw.log_ns, raw.message)
    writer.close()
    return to


def test_a_bag_that_is_cut_off_or_lacks_a_cloud_is_refused_in_words(given, clouds, tmp_path):
    (one, other), preprocessing = trajectories(given), trajectories(clouds)[0].clouds.preprocessing

    def refused(bag):
        object.__setattr__(one, "bag", str(bag))
        with pytest.raises(ValueError) as error:
            with_recorded_clouds(one, preprocessing)
        return str(error.value)

    assert "lacks the clouds of 1 of 7 steps: 3" in refused(without_a_cloud(one.bag, tmp_path / "gap", 3))
    cut = tmp_path / Path(other.bag).name
    shutil.copytree(other.bag, cut)
    (file,) = cut.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "cannot be read" in refused(cut)
    (cut / "metadata.yaml").unlink()
    assert "casher bag recover" in refused(cut)
    assert "step 0 of the trajectory is +y, the bag has step 0, +z" in refused(other.bag)
    assert "--no-bag" in refused("")
