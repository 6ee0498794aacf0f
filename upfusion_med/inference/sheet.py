"""The page of a contact sheet: pictures with letters, words that fit, a colour bar, and what it is not for."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE
from upfusion_med.inference.legend import Legend

if TYPE_CHECKING:
    from PIL import ImageFont

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

BACKGROUND: Colour = (17, 19, 23)
TEXT: Colour = (232, 234, 237)
QUIET_TEXT: Colour = (150, 156, 166)
WARNING: Colour = (244, 180, 66)
_LETTER: Colour = (196, 201, 209)
_BORDER: Colour = (58, 63, 72)
_BLACK: Colour = (0, 0, 0)
#: Lengths in pixels: margin of the page, height of the header and of a line of notes, width of the colour bar's column.
MARGIN, HEADER, NOTE_LINE, LEGEND_WIDTH = 28, 84, 20, 128
_NOTE_SIZE, _SMALLEST_SIZE = 14, 9
#: Smallest side of a picture that has letters at its edges.
_LEAST_LETTERED = 60


class Sheet:
    """A page to draw on; places and lengths are pixels from its upper left corner.

    Attributes:
        image: The page, RGB.
    """

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (width, height), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)

    def words(
        self,
        place: tuple[float, float],
        words: str,
        size: int,
        anchor: str,
        *,
        fill: Colour = TEXT,
        room: float = float("inf"),
    ) -> None:
        """One line of words.

        Args:
            place: Where the anchor is.
            words: Signs that Pillow's own font lacks are replaced.
            size: Of the font; it is made smaller, down to 9, where the words do not fit.
            anchor: Pillow's anchor of the text.
            fill: Colour.
            room: Width that the words may take.
        """
        words = plain(words)
        while size > _SMALLEST_SIZE and self._draw.textlength(words, font=_font(size)) > room:
            size -= 1
        self._draw.text(place, words, font=_font(size), fill=fill, anchor=anchor)

    def header(self, title: str, subtitle: str) -> None:
        """The headline, a line below it, and the note that the picture is not for diagnosis."""
        width = self.image.width
        noted = int(self._draw.textlength(NOT_FOR_DIAGNOSTIC_USE, font=_font(17)))
        box = (width - MARGIN - noted - 28, 22, width - MARGIN, 54)
        self._draw.rounded_rectangle(box, radius=16, outline=WARNING, width=2)
        self.words((box[0] + 14, 44), NOT_FOR_DIAGNOSTIC_USE, 17, "ls", fill=WARNING)
        room = box[0] - 2 * MARGIN
        self.words((MARGIN, 48), title, 28, "ls", room=room)
        self.words((MARGIN, 72), subtitle, 14, "ls", fill=QUIET_TEXT, room=room)

    def notes(self, lines: Sequence[str], y: int) -> None:
        """Lines one below the other, as `wrapped` gives them."""
        for number, line in enumerate(lines):
            self.words((MARGIN, y + number * NOTE_LINE), line, _NOTE_SIZE, "lt", fill=QUIET_TEXT)

    def blacken(self, box: Box) -> None:
        """Black from the first to before the last corner of a box."""
        x0, y0, x1, y1 = box
        self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=_BLACK)

    def picture(self, box: Box, values: NDArray[Any], letters: tuple[str, str, str, str] | None) -> None:
        """A picture that fills a box, with a letter at its left, right, upper and lower edge.

        Args:
            box: Its corners.
            values: (rows, columns) in [0, 1], or (rows, columns, 3) uint8.
            letters: None: no letters. A small picture has none either.
        """
        from PIL import Image

        x0, y0, x1, y1 = box
        picture = Image.fromarray(_pixels(values))
        if picture.size != (x1 - x0, y1 - y0):
            # Bilinear never leaves the range of the data, so that black stays black; it averages where it shrinks.
            picture = picture.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
        self.image.paste(picture, (x0, y0))
        if letters is None or min(x1 - x0, y1 - y0) < _LEAST_LETTERED:
            return
        middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
        places = (
            (x0 + 4, middle_y, "lm"),
            (x1 - 5, middle_y, "rm"),
            (middle_x, y0 + 3, "mt"),
            (middle_x, y1 - 4, "mb"),
        )
        for letter, (x, y, anchor) in zip(letters, places, strict=True):
            self._draw.text((x, y), letter, _LETTER, _font(13), anchor, stroke_width=2, stroke_fill=_BLACK)

    def colour_bar(self, legend: Legend, corner: tuple[int, int], height: int) -> None:
        """A vertical bar, the highest value on top, with round values and the ends of the window."""
        from PIL import Image

        x, y = corner
        height = max(height, 60)
        bar = Image.fromarray(np.ascontiguousarray(legend.colours[::-1, None]))
        self.image.paste(bar.resize((18, height), Image.Resampling.BILINEAR), (x, y))
        self._draw.rectangle((x - 1, y - 1, x + 18, y + height), outline=_BORDER)
        room = LEGEND_WIDTH - 22 - 4
        self.words((x, y - 10), legend.units, 15, "ls", room=room)
        for value in legend.ticks(max(2, min(6, height // 28))):
            level = y + (height - 1) * (1 - (value - legend.low) / (legend.high - legend.low))
            self._draw.line((x + 19, level, x + 24, level), fill=QUIET_TEXT)
            self.words((x + 29, level), f"{value:g}", 15, "lm")
        ends = f"{_number(legend.low)} to {_number(legend.high)}"
        for offset, words in ((9, ends), (26, legend.name)):
            self.words((x, y + height + offset), words, 13, "lt", fill=QUIET_TEXT, room=room)


def wrapped(notes: Sequence[str], room: int) -> list[str]:
    """Notes broken into lines that fit into ``room`` pixels."""
    font = _font(_NOTE_SIZE)
    lines: list[str] = []
    for note in notes:
        line = ""
        for word in plain(note).split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > room:
                lines.append(line)
                longer = word
            line = longer
        if line:
            lines.append(line)
    return lines


def plain(words: str) -> str:
    """The words in the characters that Pillow's own font has: ASCII and a few signs."""
    for sign, instead in (
        ("–", "-"),
        ("—", "-"),
        ("−", "-"),
        ("×", "x"),
        ("≥", ">="),
        ("≤", "<="),
        ("µ", "u"),
        ("²", "2"),
    ):
        words = words.replace(sign, instead)
    kept = (c for c in unicodedata.normalize("NFKD", words.replace("…", "...")) if not unicodedata.combining(c))
    return "".join(c if c.isascii() or c in "°·" else "?" for c in kept)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def _pixels(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """(rows, columns, 3) uint8 of a slice in [0, 1] or in colour."""
    if picture.ndim == 2:
        grey = np.rint(np.clip(picture, 0, 1) * np.float32(255)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.ascontiguousarray(picture)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
