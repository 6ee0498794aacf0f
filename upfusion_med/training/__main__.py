"""``python -m upfusion_med.training CONFIG``: train on a machine that has PyTorch and timm and little else.

The same as ``upfusion train``, without a progress bar; under torchrun several processes share the steps:
``torchrun --nproc-per-node 4 -m upfusion_med.training CONFIG``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from upfusion_med.core import UpFusionError
from upfusion_med.training.configuration import read_config
from upfusion_med.training.export import export_weights
from upfusion_med.training.trainer import Trainer


def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m upfusion_med.training", description=__doc__)
    parser.add_argument("config", type=Path, help="JSON file with the fields of TrainingConfig")
    parser.add_argument("--export", type=Path, help="write the weights of the finished run to this .safetensors file")
    options = parser.parse_args(arguments)
    try:
        trainer = Trainer(read_config(options.config))
        trainer.run()
        trainer.processes.leave(trainer.parallel)
        finished = trainer.step == trainer.length
        if trainer.processes.is_first:
            sys.stdout.write(f"step {trainer.step} of {trainer.length}: {trainer.checkpoint}\n")
            if options.export is not None and finished:
                sys.stdout.write(f"{options.export}: sha256 {export_weights(trainer, options.export)}\n")
    except UpFusionError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    return 0 if finished else 130


if __name__ == "__main__":
    sys.exit(main())
