"""The text codes of the named prompts, as a training run reads them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from upfusion_med.core import InputError


def read_text_codes(path: Path, encoder: str) -> dict[str, Tensor]:
    """Named prompts and their codes, each (512,) float32.

    Args:
        path: npz file with ``names``, ``prompts`` (their sentences, which exported weights carry) and one array of
            codes per encoder.
        encoder: Name of the array.

    Raises:
        InputError: there is no such file or array.
    """
    try:
        with np.load(path, allow_pickle=False) as table:
            if missing := [name for name in ("names", "prompts", encoder) if name not in table.files]:
                raise InputError(f"{path} lacks the array {', '.join(missing)}; it has {', '.join(table.files)}.")
            return {
                str(n): torch.from_numpy(c.astype(np.float32))
                for n, c in zip(table["names"], table[encoder], strict=True)
            }
    except FileNotFoundError as error:
        raise InputError(f"There are no text codes {path}; docs/training.md says how they are made.") from error
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The text codes {path} cannot be read ({error}); expected an npz file.") from error
