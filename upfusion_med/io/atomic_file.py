"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upfusion_med.core import RuntimeFailure, UsageError


@contextmanager
def atomic_file(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> Iterator[Path]:
    """A place beside ``path`` to write to; it is moved to ``path`` when the block ends without an error.

    Args:
        path: Where the file shall be in the end.
        suffixes: The endings that are allowed, such as ``(".nii", ".nii.gz")``; the temporary name keeps the ending,
            because the writers choose the format by it.

    Yields:
        The temporary path, in the same folder.

    Raises:
        UsageError: the ending is not allowed, or the folder does not exist.
        RuntimeFailure: the file cannot be written (rights, disk full).
    """
    target = Path(path)
    suffix = next((s for s in sorted(suffixes, key=len, reverse=True) if target.name.lower().endswith(s)), None)
    if suffix is None:
        raise UsageError(f"The output is called {path}; expected a name that ends in {' or '.join(suffixes)}.")
    if not target.parent.is_dir():
        raise UsageError(f"The folder {target.parent} does not exist; make it before writing {target.name} into it.")
    temporary = target.parent / f".{secrets.token_hex(8)}.part{suffix}"
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RuntimeFailure(
            f"The file {path} could not be written ({reason}). Check the rights of the folder and the free space."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
