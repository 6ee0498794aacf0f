"""Where a bundle's network runs: one device, or one a rank."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from upfusion_med.training.processes import join_group, leave_group


def best_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def device_of_rank() -> torch.device:
    """The CUDA device of this rank (``LOCAL_RANK``, as torchrun sets it), or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def join_ranks(device: torch.device | str) -> None:
    """Meet the other ranks that torchrun started: NCCL on CUDA, gloo on CPU."""
    import ignite.distributed as idist

    on_cuda = torch.device(device).type == "cuda"
    join_group(on_cuda)
    if on_cuda:
        torch.cuda.set_device(torch.device(device))
    idist.sync()


def leave_ranks(network: nn.Module) -> None:
    """End the process group, where there is one, and what the network holds of it (:func:`across_ranks`)."""
    leave_group(network)


def is_helping_rank() -> bool:
    """Whether another rank writes files and logs."""
    return dist.is_initialized() and dist.get_rank() > 0


def across_ranks(network: nn.Module, device: torch.device | str) -> DistributedDataParallel:
    """The network on this rank's device, its gradients averaged over the ranks."""
    target = torch.device(device)
    ids = [target] if target.type == "cuda" else None
    # Parts of a network may get no gradient in a step; the ranks must not wait for one.
    return DistributedDataParallel(network.to(target), device_ids=ids, find_unused_parameters=True)
