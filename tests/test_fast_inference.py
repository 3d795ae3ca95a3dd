"""One cloud on a CPU is answered as by the plain forward, whatever the cloud and the weights."""

import dataclasses

import pytest
import torch
from checkpoints import TINY, random_network
from torch.nn import functional

from casher_policy.checkpoint import save_checkpoint
from casher_policy.fast_inference import FastNetwork
from casher_policy.fast_unet import upsampling_kernel
from casher_policy.task import task_named

LOW, HIGH = (torch.tensor(corner) for corner in task_named("put_in_sink").crop)
CONFIGS = {
    "with a part about the tool": TINY,
    "mostly empty": dataclasses.replace(TINY, grid=20, channels=16, near_grid=0),
    "channels in one group": dataclasses.replace(TINY, grid=12, point_features=6, near_grid=0),
    "one block, no colours": dataclasses.replace(TINY, blocks=1, use_colour=False, near_grid=0),
    "a grid smaller than the cases of its background": dataclasses.replace(TINY, near_grid=4),
    "light": dataclasses.replace(TINY, light=True),
}


def drawn_network(config, seed=0):
    """No weight of which is 0 or 1, as none is after a training."""
    network, generator = random_network(config=config), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            wide = parameter.dim() > 1
            spread = parameter[0].numel() ** -0.5 if wide else 0.4
            parameter.mul_(not wide).add_(spread * torch.randn(parameter.shape, generator=generator))
    return network


def clouds(config, seed=1):
    """{name: (points, colours, state)}; the last half of the points is about the tool where the network has a part."""
    generator = torch.Generator().manual_seed(seed)
    state = torch.rand(1, 9, generator=generator)
    middle = LOW + 0.4 * (HIGH - LOW)
    corners = torch.cartesian_prod(*torch.stack([LOW, HIGH], 1))
    spread = LOW + (HIGH - LOW) * torch.rand(64, 3, generator=generator)
    table = torch.cat([spread[:, :2], torch.full((64, 1), float(middle[2]))], 1)
    scenes = {
        "everywhere": spread,
        "a table": table,
        "a mug": middle + 0.03 * torch.randn(64, 3, generator=generator),
        "one point": middle.expand(64, 3),
        "the corners": corners.repeat(8, 1),
        "beyond the box": corners.repeat(8, 1) + 0.1 * torch.randn(64, 3, generator=generator),
    }
    about = state[0, 2:5] + 0.1 * torch.randn(32, 3, generator=generator)
    near = dict.fromkeys(scenes, about) | {"a mug": about + 9.0, "one point": about[:1].expand(32, 3)}
    made = {}
    for name, points in scenes.items():
        points = torch.cat([points, near[name]]) if config.near_grid else points
        made[name] = points[None], torch.randint(256, (1, *points.shape), dtype=torch.uint8, generator=generator), state
    if not config.near_grid:
        made["empty"] = torch.zeros(1, 0, 3), torch.zeros(1, 0, 3, dtype=torch.uint8), state
    return made


@pytest.mark.parametrize("name", CONFIGS)
def test_the_answer_is_that_of_the_plain_forward_to_rounding(name):
    network = drawn_network(CONFIGS[name])
    fast, seen = FastNetwork(network), clouds(CONFIGS[name])
    with torch.inference_mode():
        expected = {cloud: network(*one) for cloud, one in seen.items()}
        # Of what the clouds change, not of the biases that come to it.
        scale = torch.cat(list(expected.values())).std(0).max().item()
        for cloud, one in seen.items():
            torch.testing.assert_close(
                fast(*one), expected[cloud], rtol=0, atol=1e-4 * scale, msg=lambda m, c=cloud: f"{c}: {m}"
            )


def test_the_same_cloud_gives_the_same_bits():
    fast, one = FastNetwork(drawn_network(TINY)), clouds(TINY)["a table"]
    with torch.inference_mode():
        assert torch.equal(fast(*one), fast(*one))


@pytest.mark.parametrize("change", ["in place", "loaded"])
def test_weights_that_change_change_the_answer(change):
    config = CONFIGS["mostly empty"]
    network, other = drawn_network(config), drawn_network(config, seed=5)
    fast, one = FastNetwork(network), clouds(config)["a mug"]
    with torch.inference_mode():
        before = fast(*one)
    if change == "loaded":
        network.load_state_dict(other.state_dict())
    else:
        with torch.no_grad():
            for mine, its in zip(network.parameters(), other.parameters(), strict=True):
                mine.copy_(its)
    with torch.inference_mode():
        assert torch.equal(fast(*one), FastNetwork(other)(*one))
        assert not torch.allclose(fast(*one), before, atol=1e-2)


def test_weights_that_were_made_for_inference_only_are_followed_too():
    one = clouds(TINY)["a mug"]
    with torch.inference_mode():
        network = drawn_network(TINY)
        fast = FastNetwork(network)
        fast(*one)
        network.load_state_dict(drawn_network(TINY, seed=5).state_dict())
        torch.testing.assert_close(fast(*one), network(*one), rtol=0, atol=1e-4)


def test_batches_gradients_and_other_numbers_are_the_plain_forwards():
    network = drawn_network(TINY)
    fast, seen = FastNetwork(network), list(clouds(TINY).values())
    points, colours, state = seen[0]
    batch = [torch.cat(parts) for parts in zip(*seen, strict=True)]
    with torch.inference_mode():
        assert torch.equal(fast(*batch), network(*batch))
        double = drawn_network(TINY).double()
        assert torch.equal(
            FastNetwork(double)(points.double(), colours, state.double()),
            double(points.double(), colours, state.double()),
        )
    answer = fast(points, colours, state)
    assert answer.requires_grad and torch.equal(answer, network(points, colours, state))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_takes_the_plain_forward():
    network = drawn_network(TINY).cuda()
    one = [tensor.cuda() for tensor in clouds(TINY)["a table"]]
    with torch.inference_mode():
        torch.testing.assert_close(FastNetwork(network)(*one), network(*one))


def test_asking_leaves_the_checkpoint_as_it_is(tmp_path):
    network = drawn_network(TINY)
    told = {"task": "put_in_sink", "preprocessing": network.preprocessing, "data_hash": "0", "commit": "a test"}
    save_checkpoint(tmp_path / "before.safetensors", network, **told)
    with torch.inference_mode():
        FastNetwork(network)(*clouds(TINY)["a mug"])
    save_checkpoint(tmp_path / "after.safetensors", network, **told)
    assert _tensors(tmp_path / "before.safetensors") == _tensors(tmp_path / "after.safetensors")


def _tensors(path):
    from safetensors.torch import load_file

    return {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}


def test_the_nearest_of_two_and_27_taps_are_a_transposed_convolution():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 3, 4, 4, 4, dtype=torch.float64, generator=generator)
    weight = torch.randn(2, 3, 3, 3, 3, dtype=torch.float64, generator=generator)
    expected = functional.conv3d(functional.interpolate(coarse, scale_factor=2, mode="nearest"), weight, padding=1)
    got = functional.conv_transpose3d(coarse, upsampling_kernel(weight), stride=2, padding=1)
    torch.testing.assert_close(got, expected)
