"""A quick walk over the elements of a plain DICOM file (PS3.5 chapter 7, PS3.10 chapter 7).

A study has thousands of files, and a general parser takes a millisecond for each. This walk knows the two encodings
that nearly all files have, little endian with and without stated types, and takes no more than the bytes of the
elements that are wanted. Whatever is unusual or damaged it does not judge: it gives None, and pydicom reads the file.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

#: First element of each of the three kinds of pixel data; the walk ends before them.
_PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SYNTAX, _DEFLATED, _BIG_ENDIAN = 0x00020010, b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
_IMPLICIT = b"1.2.840.10008.1.2"
_CHARACTER_SET = 0x00080005
#: Begins the change to another character set, in which bytes of ASCII stand for other letters (PS3.5 section 6.1.2.5).
_ESCAPE = b"\x1b"
#: Value representations with a length of 16 and of 32 bits (PS3.5 section 7.1.2).
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
#: Text in which a backslash separates values.
_TEXTS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"))
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_DEEPEST = 16
#: Sequences up to this size are parsed once for all slices that hold the same.
_REPEATED_BYTES = 1 << 14

_EXPLICIT_HEAD = struct.Struct("<HH2sH").unpack_from
_IMPLICIT_HEAD = struct.Struct("<HHI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from


class _UnusualError(Exception):
    """The bytes are none that this walk knows."""


@dataclass(frozen=True, eq=False)
class Elements:
    """The wanted elements of one file, as they are stored.

    Attributes:
        values: Type (empty where the file does not state types) and bytes, by tag.
        meta: The same of the file meta information.
        is_implicit: Whether the file does not state types.
        pixel_offset: Where Pixel Data begin, or the end of the file.
    """

    values: Mapping[int, tuple[str, bytes]]
    meta: Mapping[int, tuple[str, bytes]]
    is_implicit: bool
    pixel_offset: int

    def plain(self, tag: int, vr: str) -> Any:
        """The value of a simple element: None, a text, a number, or a list of them.

        Args:
            tag: Which.
            vr: Its type by the dictionary, for files that do not state it.

        Raises:
            LookupError: it is there, and no simple one (other types, text that is not ASCII, a damaged length).
        """
        found = self.values.get(tag)
        if found is None:
            return None
        stated, content = found
        kind = stated or vr
        if kind in _TEXTS and content.isascii() and _ESCAPE not in content:
            parts = [part.strip(" \0\t\r\n") for part in content.decode("ascii").split("\\")]
            return parts if len(parts) > 1 else parts[0]
        code = _NUMBERS.get(kind)
        if code is None or len(content) % struct.calcsize(code):
            raise LookupError(tag)
        numbers = struct.unpack(f"<{len(content) // struct.calcsize(code)}{code}", content)
        return list(numbers) if len(numbers) != 1 else numbers[0]

    def single(self, tag: int) -> Dataset:
        """A pydicom data set of one element, and of what its text needs to be read."""
        kept = tuple((t, *self.values[t]) for t in (_CHARACTER_SET, tag) if t in self.values)
        # the slices of a series repeat their sequences byte for byte
        is_small = sum(len(content) for _, _, content in kept) < _REPEATED_BYTES
        return (_dataset if is_small else _dataset.__wrapped__)(kept, self.is_implicit)

    def has_group(self, group: int) -> bool:
        """Whether there is any element of a group."""
        return any(tag >> 16 == group for tag in self.values)

    def as_dataset(self) -> Dataset:
        """The same elements as a pydicom data set with file meta information."""
        from pydicom.dataset import FileMetaDataset

        made = _dataset.__wrapped__(tuple((t, *stored) for t, stored in self.values.items()), self.is_implicit)
        meta = _dataset.__wrapped__(tuple((t, *stored) for t, stored in self.meta.items()), False)
        made.file_meta = FileMetaDataset(meta)
        return made


@lru_cache(maxsize=256)
def _dataset(stored: tuple[tuple[int, str, bytes], ...], implicit: bool) -> Dataset:
    """A data set of (tag, type, bytes); treated as constant, because it is shared."""
    from pydicom.charset import convert_encodings
    from pydicom.dataelem import RawDataElement, convert_raw_data_element
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

    raw: dict[Any, Any] = {
        BaseTag(tag): RawDataElement(BaseTag(tag), vr or None, len(content), content or None, 0, implicit, True)
        for tag, vr, content in stored
    }
    made = Dataset(raw)
    encoding: Any = "iso8859"
    if _CHARACTER_SET in raw:
        encoding = convert_encodings(convert_raw_data_element(raw[BaseTag(_CHARACTER_SET)]).value)
    made.set_original_encoding(implicit, True, encoding)
    return made


def read_elements(content: bytes, file_bytes: int, wanted: Collection[int]) -> Elements | None:
    """The wanted elements of a file.

    Args:
        content: The file from its first byte, as far as it was read.
        file_bytes: Size of the file.
        wanted: Tags to keep.

    Returns:
        The elements; None where the file is unusual, damaged, or its pixel data do not begin within ``content``.
    """
    if content[128:132] != b"DICM":
        return None
    try:
        meta, position = _meta(content)
        syntax = meta[_SYNTAX][1].rstrip(b"\0 ")
        if syntax in (_DEFLATED, _BIG_ENDIAN) or not syntax.startswith(b"1.2.840.10008.1.2"):
            return None
        implicit = syntax == _IMPLICIT
        values: dict[int, tuple[str, bytes]] = {}
        end = _walk(content, position, implicit, values, wanted)
    except (struct.error, _UnusualError, KeyError):
        return None
    if end is None:
        if len(content) < file_bytes:
            return None
        end = file_bytes
    return Elements(values, meta, implicit, end)


def _meta(content: bytes) -> tuple[dict[int, tuple[str, bytes]], int]:
    meta: dict[int, tuple[str, bytes]] = {}
    position = 132
    while True:
        group, element, vr, length = _EXPLICIT_HEAD(content, position)
        if group != 2:
            return meta, position
        head = 8
        if vr in _LONG:
            head, length = 12, _LENGTH(content, position + 8)[0]
        elif vr not in _SHORT:
            raise _UnusualError
        position += head + length
        if position > len(content):
            raise _UnusualError
        meta[(group << 16) | element] = (vr.decode(), content[position - length : position])


def _walk(
    content: bytes, position: int, implicit: bool, values: dict[int, tuple[str, bytes]], wanted: Collection[int]
) -> int | None:
    """Collect the wanted elements up to the pixel data; their place, or None where the content ends before them."""
    size, last = len(content), -1
    while position < size:
        if implicit:
            group, element, length = _IMPLICIT_HEAD(content, position)
            vr, head = b"", 8
        else:
            group, element, vr, length = _EXPLICIT_HEAD(content, position)
            head = 8
        tag = (group << 16) | element
        if tag in _PIXEL_TAGS:
            return position
        if tag <= last:
            raise _UnusualError  # elements are in rising order; what is not comes from no writer that is known
        last = tag
        if not implicit and vr not in _SHORT:
            if vr not in _LONG:
                raise _UnusualError
            head, length = 12, _LENGTH(content, position + 8)[0]
        start = position + head
        if length == _UNDEFINED:
            if vr == b"UN":
                raise _UnusualError
            stop, position = _sequence(content, start, implicit, 0)
        else:
            stop = position = start + length
        if stop > size:
            raise _UnusualError
        if tag in wanted:
            values[tag] = (vr.decode(), content[start:stop])
    return None


def _sequence(content: bytes, position: int, implicit: bool, depth: int) -> tuple[int, int]:
    """End of the items of a sequence of undefined length that begins here, and where the next element begins."""
    if depth > _DEEPEST:
        raise _UnusualError
    while True:
        group, element, length = _IMPLICIT_HEAD(content, position)
        tag = (group << 16) | element
        if tag == _SEQUENCE_END:
            return position, position + 8
        if tag != _ITEM:
            raise _UnusualError
        position += 8
        position = _item(content, position, implicit, depth) if length == _UNDEFINED else position + length


def _item(content: bytes, position: int, implicit: bool, depth: int) -> int:
    """Where an item of undefined length ends."""
    while True:
        group, element, length = _IMPLICIT_HEAD(content, position)
        if (group << 16) | element == _ITEM_END:
            return position + 8
        head = 8
        if not implicit:
            vr = content[position + 4 : position + 6]
            if vr in _LONG:
                head, length = 12, _LENGTH(content, position + 8)[0]
                if vr == b"UN" and length == _UNDEFINED:
                    raise _UnusualError
            elif vr in _SHORT:
                length >>= 16
            else:
                raise _UnusualError
        position += head
        if length == _UNDEFINED:
            _, position = _sequence(content, position, implicit, depth + 1)
        else:
            position += length
