"""What a network costs: parameters, multiply-accumulates, seconds and memory, each model in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

from upfusion_med.core import RuntimeFailure, UsageError


@dataclass(frozen=True)
class NetworkCost:
    """Cost of fusing one slice.

    Attributes:
        model: Network name.
        side: Side of the square slice in pixels.
        threads: CPU threads.
        parameters: All parameters of the network.
        frozen: Those of the frozen backbone among them.
        gmacs: 10^9 multiply-accumulates of one slice (convolutions, linear layers, matrix products).
        seconds: Wall seconds of one slice, the smallest of the repeats.
        cpu_seconds: CPU seconds of one slice, the smallest of the repeats.
        volume_seconds: Wall seconds of one slice when the volume's decisions have been made, the smallest.
        peak_mib: Peak resident memory of the process, libraries included.
    """

    model: str
    side: int
    threads: int
    parameters: int
    frozen: int
    gmacs: float
    seconds: float
    cpu_seconds: float
    volume_seconds: float
    peak_mib: float


def measure(model: str, side: int = 256, threads: int = 1, repeats: int = 5) -> NetworkCost:
    """Measure a network with random weights in a fresh process.

    Raises:
        UsageError: fewer than one thread or repeat, or a side that the networks do not take.
        RuntimeFailure: the process failed, for instance for want of memory.
    """
    from upfusion_med.inference.engine import SMALLEST_SIDE

    least = {"pixels of a side": (side, SMALLEST_SIDE), "threads": (threads, 1), "repeats": (repeats, 1)}
    for what, (value, lowest) in least.items():
        if value < lowest:
            raise UsageError(f"The number of {what} is {value}; expected {lowest} or more.")
    call = [sys.executable, "-m", "upfusion_med.evaluation.network_cost", model, str(side), str(threads), str(repeats)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeFailure(f"Measuring {model} failed: {last[0]}")
    return NetworkCost(**json.loads(done.stdout.strip().splitlines()[-1]))


def measure_here(model: str, side: int, threads: int, repeats: int) -> NetworkCost:
    """Measure in this process; its peak memory counts everything the process ever held."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from upfusion_med.inference.backends.torch import keep_freed_memory
    from upfusion_med.networks import create
    from upfusion_med.networks.scope import RecordingScope, VolumeScope

    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = create(model).eval()
    parameters = sum(p.numel() for p in network.parameters())
    frozen = sum(p.numel() for n, p in network.named_parameters() if "backbone" in n or "convnext." in n)
    functional, mri = torch.rand(2, 1, 1, side, side)
    code = torch.randn(1, 512)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            network(functional, mri, code)
        recording = RecordingScope()
        network(functional, mri, code, recording)
        volume = VolumeScope(recording.statistics)
        wall, cpu, decided = [], [], []
        for _ in range(repeats):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            network(functional, mri, code)
            wall.append(time.perf_counter() - begin)
            cpu.append(time.process_time() - begin_cpu)
            begin = time.perf_counter()
            network(functional, mri, code, volume)
            decided.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gmacs = counter.get_total_flops() / 2e9
    return NetworkCost(
        model, side, threads, parameters, frozen, gmacs, min(wall), min(cpu), min(decided), peak
    )  # fmt: skip


if __name__ == "__main__":
    name, side_text, threads_text, repeats_text = sys.argv[1:]
    cost = measure_here(name, int(side_text), int(threads_text), int(repeats_text))
    sys.stdout.write(json.dumps(cost.__dict__) + "\n")
