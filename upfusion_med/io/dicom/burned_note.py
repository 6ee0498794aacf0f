"""A note drawn into the pixels of slices, for viewers that show no text of the header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: Part of the slice's width that the note may take, and its size as part of the slice's height.
_WIDTH, _HEIGHT = 0.9, 0.045
#: Sizes in pixels: the least that is wanted, and the least that is legible where the slice is narrow.
_WANTED, _SMALLEST = 11, 7


def with_note(pixels: NDArray[np.uint8], note: str) -> NDArray[np.uint8]:
    """The slices with a note at their lower left, white on a black edge.

    Args:
        pixels: (rows, columns, 3) or (slices, rows, columns, 3).
        note: One line of text.

    Returns:
        A copy of the same shape.
    """
    if pixels.ndim == 4:
        return np.stack([with_note(one, note) for one in pixels])
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(picture)
    font = _font(note, *picture.size)
    margin = max(1, round(0.01 * min(picture.size)))
    draw.text(
        (margin, picture.height - margin),
        note,
        fill=(255, 255, 255),
        font=font,
        anchor="ld",
        stroke_width=1,
        stroke_fill=(0, 0, 0),
    )
    return np.asarray(picture)


def _font(note: str, width: int, height: int) -> FreeTypeFont | ImageFont:
    """A font with which the note fits into the width, as far as it stays legible."""
    from PIL import ImageFont

    size = max(_WANTED, round(_HEIGHT * height))
    font = ImageFont.load_default(size)
    while size > _SMALLEST and font.getbbox(note)[2] > _WIDTH * width:
        size -= 1
        font = ImageFont.load_default(size)
    return font
