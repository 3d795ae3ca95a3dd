"""One optimiser step of the student: equation 2 over a batch, in parts, on one or several processes.

    loss = - sum over the batch of w(a) log pi(a | cloud, state) / sum over the batch of w(a)

The sum is over the whole batch however it is cut: gradients of micro-batches and of processes are added, so that they
differ from those of the batch at once only by rounding. Augmentation is drawn by (seed, step, packet of 32 pairs).
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from casher_training.ppo_bc import NotFinite
from casher_training.student_augmentation import augment
from casher_training.student_ranks import Ranks, has_bf16

PACKET = 32
"""Pairs that are augmented by one generator and stay together."""
_WEIGHTS, _AVERAGE, _MOMENTS = "weights.", "average.", "adam."


class StepNotFinite(NotFinite):
    """Loss or gradient of a step; `pairs` are the indices in the batch that are to blame, all if it cannot be told."""

    def __init__(self, text, pairs):
        super().__init__(text)
        self.pairs = pairs


@dataclass(frozen=True)
class StepNumbers:
    """What is told of one step."""

    loss: float
    """Weighted, on the augmented batch, before the step."""
    accuracy: float
    """Share of the batch whose likeliest action was the label, before the step."""
    gradient: float
    """Norm before clipping."""
    rate: float
    """Learning rate."""


@dataclass(frozen=True)
class Embedded:
    """A batch whose clouds a frozen encoder has seen."""

    embeddings: torch.Tensor
    robot_states: torch.Tensor
    labels: torch.Tensor
    trajectories: torch.Tensor


class StudentLearner:
    """Network, moving average and optimiser."""

    def __init__(self, network, config, label_counts, seed, frozen=False, device=None, ranks=None):
        """network: PolicyNetwork to begin with; label_counts: (14,) of the data; frozen: train the head alone."""
        self.device, self.ranks = device or torch.device("cpu"), ranks or Ranks()
        self.config, self.seed, self.frozen = config, seed, frozen
        # On CPUs convolutions of few channels are up to 1.7 times as quick when the channels of a cell lie together.
        self.network = network.to(self.device, memory_format=torch.channels_last_3d)
        self.bf16 = has_bf16(self.device)
        self.sections = [n for n in (network.preprocessing.points, network.preprocessing.near_points) if n]
        self.parameters = list((network.head if frozen else network).parameters())
        self.average = {name: p.detach().clone() for name, p in network.named_parameters()}
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        self.class_weights = class_weights(label_counts, config.class_balance).to(self.device)

    def learn(self, batch, step, steps):
        """Step `step` of `steps` on a cloud_loader.PairBatch or an Embedded -> StepNumbers.

        StepNotFinite: weights and average are as they were.
        """
        rate = learning_rate(self.config, step, steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss, right = self._gradients(batch, step)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        if not (math.isfinite(loss) and bool(torch.isfinite(norm))):
            raise StepNotFinite(f"step {step}: loss {loss:g}, gradient {float(norm):g}", self._to_blame(batch, step))
        self.optimiser.step()
        self._follow(step)
        return StepNumbers(loss, right / len(batch.labels), float(norm), rate)

    def embed(self, batch, step):
        """What a frozen encoder makes of an augmented PairBatch -> Embedded."""
        self.network.eval()
        with torch.no_grad():
            found = [self._embedding(batch, step, part) for part in self._parts(slice(0, len(batch.labels)))]
        return Embedded(torch.cat(found), batch.robot_states, batch.labels, batch.trajectories)

    def averaged(self):
        """-> PolicyNetwork of the averaged weights, in evaluation mode."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average)
        return network.eval()

    def tensors(self):
        """{name: tensor}: all that a continuation needs besides the number of the step."""
        found = {f"{_WEIGHTS}{name}": value for name, value in self.network.state_dict().items()}
        found |= {f"{_AVERAGE}{name}": value for name, value in self.average.items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            found |= {f"{_MOMENTS}{index}.{name}": value for name, value in moments.items()}
        return found

    def restore(self, tensors):
        """Take over what `tensors` gave."""
        self.network.load_state_dict(
            {n.removeprefix(_WEIGHTS): t for n, t in tensors.items() if n.startswith(_WEIGHTS)}
        )
        for name, value in self.average.items():
            value.copy_(tensors[f"{_AVERAGE}{name}"])
        moments = {}
        parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        for name, value in tensors.items():
            if name.startswith(_MOMENTS):
                index, key = name.removeprefix(_MOMENTS).split(".")
                # The fused step reads memory as it lies: moments must lie as their parameters do.
                own = (
                    value
                    if value.ndim == 0
                    else torch.empty_like(parameters[int(index)], requires_grad=False).copy_(value)
                )
                moments.setdefault(int(index), {})[key] = own
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})

    def _gradients(self, batch, step):
        """Leave the batch's gradient in the parameters -> its loss, how many of its labels were the likeliest."""
        total = self.class_weights[batch.labels.to(self.device)].sum()
        sums = torch.zeros(2, dtype=torch.float32, device=self.device)
        for part in self._parts(self.ranks.share(len(batch.labels), PACKET)):
            labels = batch.labels[part].to(self.device)
            logits = self._logits(batch, step, part)
            each = functional.cross_entropy(
                logits, labels, reduction="none", label_smoothing=self.config.label_smoothing
            )
            loss = (self.class_weights[labels] * each).sum() / total
            loss.backward()
            sums += torch.stack([loss.detach(), (logits.argmax(dim=1) == labels).sum()])
        if self.ranks.size > 1:
            for parameter in self.parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [parameter.grad for parameter in self.parameters]
            flat = self.ranks.sum_(torch.cat([sums, *(gradient.flatten() for gradient in gradients)]))
            sums, *parts = flat.split([2, *(gradient.numel() for gradient in gradients)])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view(gradient.shape))
        loss, right = sums.tolist()
        return loss, right

    def _parts(self, share):
        size = PACKET * max(1, self.config.micro_batch // PACKET)
        return [slice(begin, min(begin + size, share.stop)) for begin in range(share.start, share.stop, size)]

    def _logits(self, batch, step, part):
        states = batch.robot_states[part].to(self.device)
        if isinstance(batch, Embedded):
            embedding = batch.embeddings[part]
        elif self.frozen:
            with torch.no_grad():
                embedding = self._embedding(batch, step, part)
        else:
            embedding = self._embedding(batch, step, part)
        with self._precision():
            return self.network.head(torch.cat([embedding, states], dim=1)).float()

    def _embedding(self, batch, step, part):
        points, colours, states = (
            tensor[part].to(self.device) for tensor in (batch.points, batch.colours, batch.robot_states)
        )
        changed = []
        for begin in range(0, len(points), PACKET):
            packet = slice(begin, begin + PACKET)
            seed = np.random.SeedSequence((self.seed, step, (part.start + begin) // PACKET)).generate_state(
                1, np.uint64
            )
            generator = torch.Generator(self.device).manual_seed(int(seed[0] >> 1))
            changed.append(augment(points[packet], colours[packet], self.config.augmentation, self.sections, generator))
        points, colours = (torch.cat(tensors) for tensors in zip(*changed, strict=True))
        with self._precision():
            return self.network.embed(points, colours, states).float()

    def _precision(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    @torch.no_grad()
    def _follow(self, step):
        decay = min(self.config.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.values()), list(self.network.parameters()), 1 - decay)

    @torch.no_grad()
    def _to_blame(self, batch, step):
        """Indices of the pairs whose logits are not finite; of all pairs if there are none such."""
        wrong = []
        for part in self._parts(slice(0, len(batch.labels))):
            finite = torch.isfinite(self._logits(batch, step, part)).all(dim=1)
            wrong += [part.start + int(i) for i in torch.nonzero(~finite)]
        return wrong or list(range(len(batch.labels)))


def class_weights(counts, balance):
    """Counts of the 14 labels -> (14,) float32 weights, count to the power of -balance, of mean 1 over the data."""
    counts = torch.as_tensor(np.asarray(counts), dtype=torch.float64)
    share = counts / counts.sum()
    weights = torch.where(counts > 0, share, 1.0) ** -balance
    return (weights / (weights * share).sum()).float()


def learning_rate(config, step, steps):
    """A linear rise over `warm_up` steps, then half a cosine down to the part `last_rate` at the end."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    way = min(1.0, (step - config.warm_up) / max(1, steps - config.warm_up))
    return config.learning_rate * (config.last_rate + (1 - config.last_rate) * 0.5 * (1 + math.cos(math.pi * way)))
