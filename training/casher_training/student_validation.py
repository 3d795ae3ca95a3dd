"""How well a student foretells the teacher's actions in kitchens it does not learn from."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from casher_policy.action import ACTION_NAMES

ACTIONS = len(ACTION_NAMES)


@dataclass(frozen=True)
class Validation:
    """Over M pairs of twins that were held out, without augmentation."""

    loss: float
    """Mean of -log pi(label)."""
    accuracy: float
    """Share of pairs whose likeliest action was the label."""
    confusion: list
    """14 lists of 14 numbers: [label][decided]."""

    @property
    def recalls(self):
        """{action: share of its pairs that were foretold}, of the actions that occur."""
        rows = {
            name: (row[i], sum(row)) for i, (name, row) in enumerate(zip(ACTION_NAMES, self.confusion, strict=True))
        }
        return {name: right / count for name, (right, count) in rows.items() if count}

    def to_dict(self):
        """For JSON."""
        recalls = {name: round(value, 4) for name, value in self.recalls.items()}
        return {"loss": self.loss, "accuracy": self.accuracy, "recalls": recalls, "confusion": self.confusion}


@torch.inference_mode()
def validate(network, batches, ranks, bf16=False, at_once=64):
    """PolicyNetwork in evaluation mode, [PairBatch], student_ranks.Ranks, each with its share -> Validation."""
    device = next(network.parameters()).device
    loss, confusion = torch.zeros((), device=device), torch.zeros(ACTIONS * ACTIONS, device=device)
    for batch in batches:
        share = ranks.share(len(batch.labels), 1)
        for begin in range(share.start, share.stop, at_once):
            part = slice(begin, min(begin + at_once, share.stop))
            tensors = (batch.points, batch.colours, batch.robot_states, batch.labels)
            points, colours, states, labels = (tensor[part].to(device) for tensor in tensors)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = network(points, colours, states).float()
            loss += functional.cross_entropy(logits, labels, reduction="sum")
            confusion += torch.bincount(labels * ACTIONS + logits.argmax(dim=1), minlength=ACTIONS * ACTIONS)
    sums = ranks.sum_(torch.cat([loss[None], confusion])).cpu()
    table = sums[1:].view(ACTIONS, ACTIONS).long()
    count = int(table.sum())
    return Validation(float(sums[0]) / count, float(table.diagonal().sum()) / count, table.tolist())
