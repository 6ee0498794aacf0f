"""The tags of one DICOM file, read defensively: whatever a header holds, only `InputError` comes out."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upfusion_med.core import InputError
from upfusion_med.io.dicom.elements import Elements
from upfusion_med.io.dicom.keywords import KEYWORDS
from upfusion_med.io.dicom.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID


class Header:
    """The tags of one file, or of one item of a sequence in it.

    Attributes:
        path: Where the file is.
        shown: The file's name as messages show it.
        pixel_offset: Where Pixel Data begin in the file; None when they cannot be read from there (deflated).
    """

    def __init__(
        self, source: Dataset | Elements, path: Path, shown: str, pixel_offset: int | None = None, inside: str = ""
    ) -> None:
        self._elements = source if isinstance(source, Elements) else None
        self._dataset = None if isinstance(source, Elements) else source
        self.path = path
        self.shown = shown
        self.pixel_offset = pixel_offset
        self._inside = inside
        self._values: dict[str, Any] = {}

    @property
    def dataset(self) -> Dataset:
        """The tags as pydicom holds them."""
        if self._dataset is None:
            assert self._elements is not None
            with quiet():
                self._dataset = self._elements.as_dataset()
        return self._dataset

    def _dataset_with(self, key: str | int) -> Dataset:
        if self._elements is None:
            return self.dataset
        return self._elements.single(_tag_and_type(key)[0] if isinstance(key, str) else key)

    def text(self, keyword: str) -> str:
        """The value as text, several values joined by a backslash; empty when absent."""
        return "\\".join(self.texts(keyword))

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as text, stripped; empty when absent.

        Raises:
            InputError: it is a sequence of items, or damaged.
        """
        value = self._value(keyword)
        if value is None:
            return ()
        parts = value if _is_multiple(value) else (value,)
        if any(hasattr(part, "elements") for part in parts):
            raise self.wrong(keyword, "is a sequence", "text")
        return tuple(_as_text(part) for part in parts)

    def number(self, keyword: str) -> float | None:
        """The first value as a number; None when absent or empty."""
        numbers = self.numbers(keyword)
        return numbers[0] if numbers else None

    def count(self, keyword: str) -> int | None:
        """The first value as a whole number that is not negative; None when absent or empty."""
        number = self.number(keyword)
        if number is None:
            return None
        if number != int(number) or number < 0:
            raise self.wrong(keyword, f"is {number:g}", "a whole number")
        return int(number)

    def numbers(self, keyword: str, length: int | None = None) -> tuple[float, ...]:
        """All values as finite numbers; empty when absent.

        Raises:
            InputError: a value is no number or not finite, or there are not ``length`` of them.
        """
        value = self._value(keyword)
        if value is None or (isinstance(value, str | bytes) and not value.strip()):
            return ()
        parts = value if _is_multiple(value) else (value,)
        try:
            numbers = tuple(float(part) for part in parts)
        except (TypeError, ValueError) as error:
            raise self.wrong(keyword, "is not a number", "a number") from error
        if not all(math.isfinite(number) for number in numbers):
            raise self.wrong(keyword, "is not finite", "a finite number")
        if length is not None and numbers and len(numbers) != length:
            raise self.wrong(keyword, f"has {len(numbers)} values", f"{length} values")
        return numbers

    def stored_value(self, keyword: str) -> int | None:
        """A value of the pixels as they are stored, such as Pixel Padding Value; None when absent or empty.

        Its type is that of the pixels, whatever the element says: files state 63536 for a signed −2000.
        """
        value = self._value(keyword)
        bits = self.count("BitsStored")
        if value is None or not bits:
            return None
        # without its surroundings the parser cannot tell signed from unsigned, and gives the bytes
        found = int.from_bytes(value, "little") if isinstance(value, bytes) else int(self.numbers(keyword)[0])
        found &= (1 << bits) - 1
        return found - (1 << bits) if self.count("PixelRepresentation") and found >> (bits - 1) else found

    def items(self, keyword: str) -> tuple[Header, ...]:
        """The items of a sequence; empty when absent."""
        value = self._value(keyword)
        if value is None:
            return ()
        if not _is_multiple(value):
            raise self.wrong(keyword, "is not a sequence", "a sequence of items")
        if not all(hasattr(item, "elements") for item in value):
            raise self.wrong(keyword, "is not a sequence", "a sequence of items")
        return tuple(Header(item, self.path, self.shown, inside=keyword) for item in value)

    def item(self, keyword: str) -> Header | None:
        """The first item of a sequence, or None."""
        items = self.items(keyword)
        return items[0] if items else None

    def private(self, group: int, creator: str, element: int, vendor: str) -> str:
        """A private value as text: by its creator, or at the usual place when the manufacturer's name fits.

        Args:
            group: Private group.
            creator: Text of the private creator element.
            element: Low byte of the element.
            vendor: Beginning of the manufacturer's name that allows the block 10 without a creator.
        """
        if self._elements is not None and not self._elements.has_group(group):
            return ""
        with quiet():
            try:
                found = self.dataset.private_block(group, creator)[element].value
            except KeyError:
                found = None
                if self.text("Manufacturer").upper().startswith(vendor.upper()):
                    found = self._value_of((group << 16) | 0x1000 | element, f"({group:04X},10{element:02X})")
            except Exception as error:  # the parser raises what it likes on a damaged element
                raise InputError(
                    f"The private tag of '{creator}' in {self.shown} is damaged; expected text."
                ) from error
        return "" if found is None else _as_text(found[0] if _is_multiple(found) and len(found) else found)

    @property
    def transfer_syntax(self) -> UID | None:
        """How the file is encoded; None when it does not say so.

        Raises:
            InputError: it is no transfer syntax that is known.
        """
        from pydicom.config import IGNORE
        from pydicom.uid import UID

        text = self._meta_text("TransferSyntaxUID")
        if not text:
            return None
        uid = UID(text, validation_mode=IGNORE)
        if uid.is_private or not uid.is_transfer_syntax:
            raise self.wrong("TransferSyntaxUID", "is unknown", "a transfer syntax of the standard")
        return uid

    @property
    def sop_class(self) -> UID:
        """SOP Class UID, of the data set or else of the file meta information; empty when absent."""
        from pydicom.config import IGNORE
        from pydicom.uid import UID

        return UID(self.text("SOPClassUID") or self._meta_text("MediaStorageSOPClassUID"), validation_mode=IGNORE)

    def _meta_text(self, keyword: str) -> str:
        if self._elements is not None:
            content = self._elements.meta.get(_tag_and_type(keyword)[0], ("", b""))[1]
            return _as_text(content)
        try:
            with quiet():
                return _as_text(getattr(self.dataset, "file_meta", {}).get(keyword) or "")
        except Exception as error:  # the parser raises what it likes on a damaged element
            raise InputError(f"The file meta information of {self.shown} is damaged; copy the file again.") from error

    def wrong(self, keyword: str, found: str, expected: str) -> InputError:
        """The error that a tag is not as it should be."""
        return InputError(
            f"{tag_name(keyword)} in {self.shown} {found}; expected {expected}. "
            "Export the series again, or correct the tag."
        )

    def _value(self, keyword: str) -> Any:
        if not self._inside and keyword not in KEYWORDS:
            raise KeyError(f"{keyword} is not among the tags that are read")
        if keyword not in self._values:
            self._values[keyword] = self._value_of(keyword, keyword)
        return self._values[keyword]

    def _value_of(self, key: str | int, name: str) -> Any:
        if self._elements is not None and isinstance(key, str):
            value: Any
            try:
                value = self._elements.plain(*_tag_and_type(key))
            except LookupError:
                pass  # pydicom knows more kinds
            else:
                return None if value == "" else value
        try:
            with quiet():
                dataset = self._dataset_with(key)
                value = dataset[key].value if key in dataset else None
        except Exception as error:  # the parser raises what it likes on a damaged element
            raise InputError(
                f"{tag_name(name)} in {self.shown} cannot be read ({type(error).__name__}); the header is damaged. "
                "Export the series again."
            ) from error
        if _is_multiple(value):
            return value if len(value) else None
        return None if isinstance(value, str | bytes) and not value else value


@cache
def _tag_and_type(keyword: str) -> tuple[int, str]:
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword} is not in the dictionary")
    return int(tag), dictionary_VR(tag)


def tag_name(keyword: str) -> str:
    """The tag's name and number as a message shows it, such as ``Pixel Spacing (0028,0030)``."""
    from pydicom.datadict import dictionary_description, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        return keyword
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def uid_digest(uid: str) -> str:
    """A short name for a UID that does not give the UID away: the first 12 hex digits of its SHA-256."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12] if uid else ""


def _is_multiple(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes) and hasattr(value, "__len__")


def _as_text(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.strip(" \0\t\r\n")
