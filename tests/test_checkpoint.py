"""A checkpoint comes back as it was saved, or is refused with words that say what to do."""

import dataclasses
import hashlib
import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from checkpoints import TINY, preprocessing, random_checkpoint, random_network
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casher_policy.action import ACTION_NAMES, PAPER
from casher_policy.checkpoint import load_checkpoint, save_checkpoint
from casher_policy.checkpoint_header import FORMAT_VERSION, CheckpointError, read_checkpoint
from casher_policy.network import PolicyNetwork
from casher_policy.preprocess import Preprocessing


@pytest.fixture
def path(tmp_path):
    """A sound checkpoint."""
    random_checkpoint(tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def split(path):
    """(header, weights) of a file."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(path, header, weights):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + weights)


def describe(path, change):
    """Change the description inside a file: name -> value; None takes the entry away."""
    header, weights = split(path)
    described = {**json.loads(header["__metadata__"]["casher"]), **change}
    described = {name: value for name, value in described.items() if value is not None}
    header["__metadata__"]["casher"] = json.dumps(described)
    join(path, header, weights)


def test_every_weight_comes_back_bit_for_bit_with_its_description(tmp_path):
    path = tmp_path / "a.safetensors"
    prepared = Preprocessing(
        (-0.5, -0.5, 0.0), (0.5, 0.5, 0.5), voxel_m=0.01, points=77, sampling="random", near_points=9, near_m=0.1
    )
    network = PolicyNetwork(TINY, prepared)
    trained_on = {"data_hash": "abc", "objects": ["mug", "bowl"], "kitchens": ["kitchen_00007"]}
    saved = save_checkpoint(path, network, task="put_in_sink", preprocessing=prepared, commit="1234567", **trained_on)
    loaded = load_checkpoint(path, "put_in_sink")
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor), name
    assert loaded.config.preprocessing == prepared
    assert loaded.config.network == TINY
    assert (loaded.config.task, loaded.config.data_hash, loaded.config.commit) == ("put_in_sink", "abc", "1234567")
    assert loaded.config.actions == ACTION_NAMES
    assert (loaded.config.objects, loaded.config.kitchens) == (("mug", "bowl"), ("kitchen_00007",))
    assert loaded.id == saved == read_checkpoint(path).id == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not loaded.network.training


def test_a_loaded_network_answers_as_the_saved_one_did(tmp_path):
    network, path = random_network(seed=1), tmp_path / "a.safetensors"
    save_checkpoint(
        path, network, task="put_in_sink", preprocessing=preprocessing(), data_hash="", commit="", created=None
    )
    seen = torch.rand(1, 96, 3), torch.randint(256, (1, 96, 3), dtype=torch.uint8), torch.rand(1, 9)
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(path).network(*seen), network(*seen))


def test_a_header_is_read_without_torch(path):
    code = (
        "import sys; from casher_policy.checkpoint_header import read_checkpoint;"
        f"print(read_checkpoint({str(path)!r}, 'put_in_sink').id, 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert answer == [hashlib.sha256(path.read_bytes()).hexdigest(), "False"]


def test_an_interrupted_save_leaves_the_old_checkpoint_and_no_rubbish(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        random_checkpoint(path, seed=1)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl", ".PT"])
def test_a_pickle_is_never_opened(tmp_path, suffix):
    trap = tmp_path / f"student{suffix}"
    trap.write_bytes(pickle.dumps({"weights": 1}))
    trap.chmod(0)
    with pytest.raises(CheckpointError, match=r"runs whatever code it contains.*save_checkpoint"):
        read_checkpoint(trap)
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors"):
        random_checkpoint(trap)


def test_a_pickle_under_another_name_is_no_checkpoint(tmp_path):
    path = tmp_path / "student.safetensors"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="not a safetensors file: its first 8 bytes announce"):
        load_checkpoint(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere\.safetensors: check the path"):
        read_checkpoint(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="is not a file"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        (2**63).to_bytes(8, "little") + b"{}",
        (2**40).to_bytes(8, "little") + b"{}" * 100,
        (0).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"\xff\xff",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (26).to_bytes(8, "little") + b'{"a":{"data_offsets":"x"}}',
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a safetensors file|truncated"):
        load_checkpoint(path)


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    join(path, {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4)
    with pytest.raises(CheckpointError, match="something else: its metadata has no 'casher'"):
        load_checkpoint(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_before_torch_sees_it(path, kept):
    whole = path.read_bytes()
    cut = path.with_name("cut.safetensors")
    cut.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(CheckpointError, match=r"truncated: \d+ bytes expected|not a safetensors file"):
        read_checkpoint(cut)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 12_000), byte=st.integers(0, 255))
def test_a_damaged_header_is_loaded_or_refused_but_never_crashes(path, at, byte):
    content = bytearray(path.read_bytes())
    content[at] = byte
    damaged = path.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    try:
        load_checkpoint(damaged)
    except CheckpointError as error:
        assert "damaged.safetensors" in str(error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": FORMAT_VERSION + 1}, "has format 3, this software reads 2: update the software, commit a test"),
        ({"format": FORMAT_VERSION - 1}, "old format 1, this software reads 2: export it again"),
        ({"format": "1"}, "no format version, got '1'"),
        ({"task": "put_in_cabinet"}, "trained for task 'put_in_cabinet', this run is 'put_in_sink': set task:=put_in_"),
        ({"actions": [*ACTION_NAMES[:12], "close", "open"]}, "trained on the actions .* close open; here they are"),
        ({"actions": list(ACTION_NAMES[:13])}, "train again on this action set"),
        ({"rotation_rad": 0.02}, r"0\.03 m and 0\.02 rad, here they go 0\.03 m and 0\.2 rad"),
        ({"data_hash": None}, "data_hash must be a str"),
        ({"objects": 3}, "objects must be a list"),
        ({"kitchens": [["kitchen_00007"]]}, "kitchens must list names"),
        ({"surprise": 1}, "unknown entry surprise"),
        ({"network": {"grid": 8}}, "a network config has exactly grid, channels"),
        ({"network": {**TINY.to_dict(), "grid": 4096}}, "grid must be a whole number 1 .. 64"),
        ({"preprocessing": {}}, "a preprocessing has exactly"),
        (
            {"preprocessing": {**preprocessing().to_dict(), "crop_high": [9.0, 9.0, 9.0]}},
            "the cameras crop them to .* for task 'put_in_sink': train again inside this box",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_this_run_is_refused(path, change, words):
    describe(path, change)
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(path, "put_in_sink")
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path, "put_in_sink")


def test_a_checkpoint_of_an_unknown_task_is_refused_even_when_any_will_do(path):
    describe(path, {"task": "fold_laundry"})
    with pytest.raises(CheckpointError, match="unknown task 'fold_laundry': known are put_in_sink"):
        load_checkpoint(path)


def test_a_checkpoint_of_smaller_steps_fits_a_run_with_smaller_steps(tmp_path):
    path = tmp_path / "a.safetensors"
    network = random_network()
    save_checkpoint(
        path, network, task="put_in_sink", preprocessing=preprocessing(), data_hash="", commit="", steps=PAPER
    )
    assert load_checkpoint(path, steps=PAPER).config.steps == PAPER
    with pytest.raises(CheckpointError, match=r"0\.02 rad, here they go"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h.pop("head.0.bias"), "head.0.bias is missing"),
        (lambda h: h.update(extra=dict(h["head.4.bias"])), "extra is not of this network"),
        (lambda h: h["head.0.weight"].update(shape=list(reversed(h["head.0.weight"]["shape"]))), "head.0.weight is "),
        (lambda h: h["head.4.bias"].update(dtype="I32"), "head.4.bias is .* torch.int32, not .* torch.float32"),
    ],
)
def test_weights_that_do_not_fit_are_named(path, change, words):
    header, _ = split(path)
    change(header)
    # Laid out anew, so that the file itself is sound.
    sizes = {"F32": 4, "I32": 4}
    end = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = sizes[tensor["dtype"]]
            for side in tensor["shape"]:
                size *= side
            tensor["data_offsets"] = [end, end + size]
            end += size
    join(path, header, b"\0" * end)
    with pytest.raises(CheckpointError, match=f"do not fit the network.*{words}"):
        load_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_on_both_ways(tmp_path, path, value):
    network = random_network()
    with torch.no_grad():
        network.head[0].bias[3] = value
    with pytest.raises(CheckpointError, match=r"not finite numbers in head\.0\.bias: the training diverged"):
        save_checkpoint(path, network, task="put_in_sink", preprocessing=preprocessing(), data_hash="", commit="")
    header, weights = split(path)
    at = header["head.0.bias"]["data_offsets"][0]
    number = torch.tensor([value]).numpy().tobytes()
    join(path, header, weights[:at] + number + weights[at + 4 :])
    with pytest.raises(CheckpointError, match=r"not finite numbers in head\.0\.bias: the training diverged"):
        load_checkpoint(path)


def test_nothing_is_saved_that_could_not_be_loaded(tmp_path):
    network = random_network()
    save = {"task": "put_in_sink", "preprocessing": preprocessing(), "data_hash": "", "commit": ""}
    with pytest.raises(CheckpointError, match="unknown task"):
        save_checkpoint(tmp_path / "a.safetensors", network, **{**save, "task": "fold_laundry"})
    other = dataclasses.replace(preprocessing(), crop_low=(-0.1, -0.1, -0.1))
    with pytest.raises(CheckpointError, match="save it with its own preprocessing"):
        save_checkpoint(tmp_path / "a.safetensors", network, **{**save, "preprocessing": other})
    assert list(tmp_path.iterdir()) == []


def test_all_that_does_not_fit_is_named_at_once(path):
    describe(path, {"task": "open_cabinet", "actions": ["+x"], "rotation_rad": 0.02})
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(path, "put_in_sink")
    for words in (
        "for task 'open_cabinet'",
        r"the actions +x; here",
        "0.02 rad, here they go",
        "the cameras crop them",
    ):
        assert words in str(refused.value)
