"""The student's network: sizes, invariances, and that it learns."""

import dataclasses

import numpy as np
import pytest
import torch
from checkpoints import TINY, preprocessing, random_network
from scipy.spatial.transform import Rotation
from torch.nn import functional

from casher_policy.network import CellMax, PolicyNetwork, probabilities, rotation
from casher_policy.network_config import PRESETS, NetworkConfig
from casher_policy.task import task_named

LOW, HIGH = (torch.tensor(corner) for corner in task_named("put_in_sink").crop)
COARSE = dataclasses.replace(TINY, near_grid=0)
PARAMETERS = {"cpu": 376_000, "paper": 1_160_000}


def observations(batch, points=64, near=32, seed=0):
    """Points, colours and states inside the crop; the near points about the tool."""
    generator = torch.Generator().manual_seed(seed)
    state = torch.rand(batch, 9, generator=generator)
    about = state[:, None, 2:5] + 0.3 * (torch.rand(batch, near, 3, generator=generator) - 0.5)
    return (
        torch.cat([LOW + (HIGH - LOW) * torch.rand(batch, points, 3, generator=generator), about], dim=1),
        torch.randint(256, (batch, points + near, 3), dtype=torch.uint8, generator=generator),
        state,
    )


def shuffled(points, seed=1):
    """An order of the points of the crop, and of those about the tool."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randperm(64, generator=generator), 64 + torch.randperm(points - 64, generator=generator)])


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_the_size_that_was_measured(preset):
    count = sum(p.numel() for p in random_network(config=PRESETS[preset]).parameters())
    assert count == pytest.approx(PARAMETERS[preset], rel=0.01)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_of_a_preset_takes_part(preset):
    network = random_network(config=PRESETS[preset]).train()
    seen = observations(2, near=32 if PRESETS[preset].near_grid else 0)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    for _ in range(2):  # the blocks' second layers start at zero: what is before them moves from the second step on
        optimiser.zero_grad()
        logits = network(*seen)
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
    order = shuffled(points.shape[1])
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
    points, colours, state = observations(1, points=200, near=0)
    points = LOW + (points - LOW) * 0.5
    network, seen = random_network(config=COARSE, points=200), []
    network.scene.points.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
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
        logits = random_network(config=COARSE, points=2)(
            corners, torch.zeros(1, 2, 3, dtype=torch.uint8), torch.zeros(1, 9)
        )
    assert torch.isfinite(logits).all()


def test_what_is_beyond_the_box_about_the_tool_does_not_matter_there():
    points, colours, state = observations(1)
    network, far = random_network(), points.clone()
    far[:, 80:] = state[:, None, 2:5] + 0.5
    with torch.inference_mode():
        alone = network.near(*_near(network, points[:, 64:80], colours[:, 64:80], state))
        embedding = network.embed(far, colours, state)[:, 128:]
    torch.testing.assert_close(embedding, alone, rtol=0, atol=1e-5)


def _near(network, points, colours, state):
    from_tool = (points - state[:, None, 2:5]) / network.preprocessing.near_m
    return (from_tool + 1) / 2, torch.cat([from_tool @ rotation(state[:, 5:9]), colours / 255], dim=-1)


def test_a_tool_that_sees_nothing_about_it_is_answered_too():
    points, colours, state = observations(2)
    points[:, 64:] = state[:, None, 2:5] + 0.5
    with torch.inference_mode():
        assert torch.isfinite(random_network()(points, colours, state)).all()


def test_the_rotation_is_scipys_and_rows_times_it_come_into_the_turned_frame():
    turn = Rotation.random(5, random_state=0)
    R = rotation(torch.from_numpy(turn.as_quat()))
    np.testing.assert_allclose(R.numpy(), turn.as_matrix(), atol=1e-12)
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    in_turned = (torch.from_numpy(vectors)[:, None] @ R)[:, 0]
    np.testing.assert_allclose(in_turned.numpy(), turn.inv().apply(vectors), atol=1e-12)


def test_a_network_and_clouds_of_which_only_one_has_a_part_about_the_tool_do_not_fit():
    with pytest.raises(ValueError, match="near_grid 8 does not fit clouds with near_points 0"):
        PolicyNetwork(TINY, preprocessing(near_points=0))


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
        ({"near_grid": 10}, "near_grid must be a multiple of 4"),
        ({"near_grid": -4}, "0 .. 64"),
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
