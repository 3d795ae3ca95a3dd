"""The student's network: sizes, invariances, and that it learns."""

import numpy as np
import pytest
import torch
from checkpoints import TINY, random_network
from torch.nn import functional

from casher_policy.network import CellMax, probabilities
from casher_policy.network_config import PRESETS, NetworkConfig
from casher_policy.task import task_named

LOW, HIGH = (torch.tensor(corner) for corner in task_named("put_in_sink").crop)
PARAMETERS = {"cpu": 181_000, "paper": 1_160_000}


def observations(batch, points=200, seed=0):
    """Points, colours and states inside the crop."""
    generator = torch.Generator().manual_seed(seed)
    return (
        LOW + (HIGH - LOW) * torch.rand(batch, points, 3, generator=generator),
        torch.randint(256, (batch, points, 3), dtype=torch.uint8, generator=generator),
        torch.rand(batch, 9, generator=generator),
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_the_size_that_was_measured(preset):
    count = sum(p.numel() for p in random_network(config=PRESETS[preset]).parameters())
    assert count == pytest.approx(PARAMETERS[preset], rel=0.01)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_of_a_preset_takes_part(preset):
    network = random_network(config=PRESETS[preset]).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    for _ in range(2):  # the blocks' second layers start at zero: what is before them moves from the second step on
        optimiser.zero_grad()
        logits = network(*observations(2))
        assert logits.shape == (2, 14)
        functional.cross_entropy(logits, torch.tensor([3, 12])).backward()
        optimiser.step()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_few_updates_bring_the_loss_down():
    torch.manual_seed(0)
    network = random_network(config=PRESETS["cpu"]).train()
    seen, labels = observations(8), torch.arange(8)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(*seen), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_order_of_the_points_does_not_matter():
    points, colours, state = observations(1)
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(1))
    network = random_network()
    with torch.inference_mode():
        torch.testing.assert_close(
            network(points[:, order], colours[:, order], state), network(points, colours, state), rtol=0, atol=1e-5
        )


def test_a_cloud_in_a_batch_is_answered_as_alone():
    points, colours, state = observations(3)
    network = random_network()
    with torch.inference_mode():
        alone = torch.cat([network(points[i : i + 1], colours[i : i + 1], state[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(network(points, colours, state), alone, rtol=0, atol=1e-5)


def test_the_same_observation_gives_the_same_bits():
    network, seen = random_network(), observations(2)
    with torch.inference_mode():
        assert torch.equal(network(*seen), network(*seen))


def test_without_colour_the_colours_change_nothing_and_with_it_they_do():
    points, colours, state = observations(1)
    config = {**TINY.to_dict(), "use_colour": False}
    blind, seeing = random_network(config=NetworkConfig(**config)), random_network()
    with torch.inference_mode():
        assert torch.equal(blind(points, colours, state), blind(points, 255 - colours, state))
        assert not torch.allclose(seeing(points, colours, state), seeing(points, 255 - colours, state))


def test_a_point_is_known_by_its_place_in_its_cell_and_in_the_box():
    points, colours, state = observations(1)
    points = LOW + (points - LOW) * 0.5
    network, seen = random_network(), []
    network.encoder.points.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        for moved in (points, points + (HIGH - LOW) / TINY.grid):
            network(moved, colours, state)
    in_cell, in_box = slice(0, 3), slice(3, 6)
    torch.testing.assert_close(seen[0][:, in_cell], seen[1][:, in_cell], rtol=0, atol=1e-5)
    assert seen[0][:, in_cell].abs().max() <= 0.5
    torch.testing.assert_close(seen[1][:, in_box] - seen[0][:, in_box], torch.full((200, 3), 2 / TINY.grid))


def test_points_on_the_faces_of_the_crop_are_in_its_cells():
    corners = torch.stack([LOW, HIGH])[None]
    with torch.inference_mode():
        logits = random_network()(corners, torch.zeros(1, 2, 3, dtype=torch.uint8), torch.zeros(1, 9))
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("ties", [False, True])
def test_the_maximum_over_a_cell_is_scatter_reduces_and_so_is_its_gradient(ties):
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(50, 4, dtype=torch.float64, generator=generator)
    if ties:
        features = (features * 3).round()  # what repeated points of a thin cloud give
    cell = torch.randint(7, (50,), generator=generator)
    weight = torch.rand(50, 4, dtype=torch.float64, generator=generator)
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    got = CellMax.apply(ours, cell, 7)
    top = torch.zeros(7, 4, dtype=torch.float64)
    expected = top.scatter_reduce(0, cell[:, None].expand(-1, 4), theirs, "amax", include_self=False)[cell]
    assert torch.equal(got, expected)
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_probabilities_are_the_softmax_of_the_logits():
    seen = observations(1)
    network = random_network()
    answer = probabilities(network, *(tensor[0].numpy() for tensor in seen))
    assert answer.shape == (14,) and answer.dtype == np.float32
    assert answer.sum() == pytest.approx(1, abs=1e-6)
    with torch.inference_mode():
        np.testing.assert_allclose(answer, torch.softmax(network(*seen)[0], 0).numpy(), atol=1e-6)


def test_colours_that_are_no_bytes_are_refused():
    points, colours, state = observations(1)
    with pytest.raises(ValueError, match=r"uint8 0 \.\. 255, got torch.float32"):
        random_network()(points, colours / 255, state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"grid": 10}, "multiple of 4"),
        ({"grid": 10**6}, "1 .. 64"),
        ({"channels": 0}, "channels must be"),
        ({"blocks": 2.0}, "whole number"),
        ({"use_colour": 1}, "true or false"),
    ],
)
def test_sizes_that_make_no_network_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        NetworkConfig(**{**TINY.to_dict(), **change})


def test_a_config_survives_its_dictionary():
    assert NetworkConfig.from_dict(TINY.to_dict()) == TINY
    with pytest.raises(ValueError, match="exactly"):
        NetworkConfig.from_dict({"grid": 8})
