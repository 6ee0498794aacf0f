"""Several training processes under torchrun, or one."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from upfusion_med.core import UsageError


@dataclass(frozen=True)
class Processes:
    """The place of this process among those of a run.

    Attributes:
        rank: From 0.
        count: How many there are.
        device: Where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, microbatches: int) -> range:
        """Numbers of the batches of a step that this process computes.

        Raises:
            UsageError: they cannot be shared out evenly.
        """
        if microbatches % self.count:
            raise UsageError(
                f"{self.count} processes share {microbatches} batches a step; expected 'microbatches' to be a multiple "
                "of the number of processes."
            )
        return range(self.rank, microbatches, self.count)

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose backward pass averages gradients over all processes; with one process, itself."""
        if self.count == 1:
            return network
        # Networks whose selection only ranks have parameters that get no gradient (upfusion-paper).
        return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=True)

    def apart(self, network: nn.Module, *, last: bool) -> Any:
        """Context of a backward pass; only the last one of a step averages over the processes."""
        if self.count == 1 or last:
            return nullcontext()
        assert isinstance(network, nn.parallel.DistributedDataParallel)
        return network.no_sync()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def any(self, asked: bool) -> bool:
        """Whether one of the processes says so; all of them ask at the same step and hear the same."""
        if self.count == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())

    def leave(self, network: nn.Module) -> None:
        """Close the connection to the others, which the wrapped network held; it cannot learn any more."""
        if self.count > 1:
            leave_group(network)


def join_group(on_cuda: bool) -> None:
    """Join the processes that torchrun started: NCCL on CUDA, gloo on CPU. Nothing where that is done."""
    if dist.is_initialized():
        return
    # DistributedDataParallel imports it, and imported while there is a group it keeps that, with its threads, for good.
    import torch._dynamo  # noqa: F401

    dist.init_process_group("nccl" if on_cuda else "gloo")


def leave_group(network: nn.Module) -> None:
    """Leave the group, where there is one, once all processes are here; its threads end with it.

    A thread of the group that wakes while Python is taken down aborts the process, whose work is done.

    Args:
        network: One wrapped in DistributedDataParallel gives up the group, and can only be evaluated after.
    """
    if not dist.is_initialized():
        return
    dist.barrier()  # one that leaves while another still talks to it aborts that one
    if isinstance(network, nn.parallel.DistributedDataParallel):
        vars(network).update(process_group=None, reducer=None, logger=None)
    dist.destroy_process_group()


def join(device: str) -> Processes:
    """Join the processes that torchrun started, as its environment variables say; or be the only one.

    Args:
        device: ``cpu`` or ``cuda``; with several processes each takes a GPU of its own.

    Raises:
        UsageError: the device is not there.
    """
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"'device' is '{device}'; expected cpu or cuda.") from error
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("'device' is 'cuda', and PyTorch sees no GPU; use \"device\": \"cpu\".")
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes(0, 1, wanted)
    if wanted.type == "cuda":
        wanted = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(wanted)
    join_group(wanted.type == "cuda")
    return Processes(dist.get_rank(), count, wanted)
