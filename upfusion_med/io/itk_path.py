"""Paths as ITK takes them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def itk_path(file: Path) -> Iterator[str]:
    """The path of a file to read or to write, for ITK: it ends the whole process at one that is no UTF-8.

    File systems hold such names, of older days mostly; ITK gets a link to them.
    """
    try:
        os.fspath(file).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="upfusion-") as folder:
            link = Path(folder) / f"link{file.suffix}"
            link.symlink_to(file.absolute())
            yield os.fspath(link)
    else:
        yield os.fspath(file)
