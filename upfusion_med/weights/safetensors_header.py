"""The head of a safetensors file, put into one order, so that equal content is equal byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

#: The file begins with the length of its JSON head, 8 bytes, little-endian (format of safetensors).
_LENGTH_BYTES = 8
_METADATA = "__metadata__"


def sort_metadata(path: Path) -> None:
    """Sort the metadata of a file that safetensors wrote; it writes them in an order that differs from run to run.

    Tensors, their order and their places in the file stay as they are: the head keeps its length.

    Args:
        path: A finished safetensors file; changed in place.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        head = json.loads(file.read(length))
        if _METADATA not in head:
            return
        head[_METADATA] = dict(sorted(head[_METADATA].items()))
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise AssertionError(f"The sorted head of {path.name} has {len(text)} bytes; expected at most {length}.")
        file.seek(_LENGTH_BYTES)
        file.write(text.ljust(length))  # spaces at the end are allowed
