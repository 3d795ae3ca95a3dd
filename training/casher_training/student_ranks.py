"""The processes of one training, as torchrun starts them: each takes its share of every batch, gradients are summed."""

import os
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True)
class Ranks:
    """This process among those of a training; alone, nothing is communicated."""

    rank: int = 0
    size: int = 1

    def sum_(self, tensor):
        """Replace the tensor by its sum over all processes -> the tensor."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def share(self, count, together):
        """The part of `count` things, which only come by `together`, that is this process' -> slice."""
        packets = -(-count // together)
        begin, end = (together * (packets * rank // self.size) for rank in (self.rank, self.rank + 1))
        return slice(min(begin, count), min(end, count))


def join(device):
    """Meet the other processes that torchrun started, if it did, over gloo or, on GPUs, NCCL -> Ranks."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Ranks()
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Ranks(distributed.get_rank(), size)


def leave():
    """End the meeting."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def device_named(name):
    """'auto', 'cpu' or 'cuda' -> torch.device, each process of a machine another GPU; ValueError."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ValueError("device cuda: torch finds no GPU here; take cpu, or install torch with CUDA")
    if name == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def has_bf16(device):
    """Whether bfloat16 is quicker: on such GPUs, and on CPUs with AMX; without, it is up to 60 times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
