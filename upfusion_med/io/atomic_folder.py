"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upfusion_med.core import RuntimeFailure, UsageError


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder beside ``path`` to write into; it becomes ``path`` when the block ends without an error.

    Args:
        path: Where the folder shall be in the end; it may exist when it is empty. Its parent is made if need be.

    Yields:
        The temporary folder.

    Raises:
        UsageError: ``path`` is a file, or a folder that holds something.
        RuntimeFailure: the folder cannot be written (rights, disk full).
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise UsageError(f"The output {path} is a file; expected a folder that is empty or does not exist.")
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"The output folder {path} is not empty; choose another one, or empty it first.")
    beside = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        beside.mkdir(parents=True)
        yield beside
        if target.is_dir():
            target.rmdir()
        beside.replace(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RuntimeFailure(
            f"The folder {path} could not be written ({reason}). Check the rights of its parent and the free space."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
