"""The contact sheet: MRI, functional image and fused image side by side, the picture a person looks at first."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, Geometry, UsageError
from upfusion_med.inference.display_planes import DisplayGrid, Plane
from upfusion_med.inference.legend import Legend
from upfusion_med.io.picture import PICTURE_AFFINE
from upfusion_med.transforms.colour import luma

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

__all__ = ["Legend", "render_contact_sheet"]

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

BACKGROUND: Colour = (17, 19, 23)
_TEXT: Colour = (232, 234, 237)
_QUIET_TEXT: Colour = (150, 156, 166)
_LETTER: Colour = (196, 201, 209)
_WARNING: Colour = (244, 180, 66)
_BORDER: Colour = (58, 63, 72)
#: Lengths in pixels.
_MARGIN, _GAP, _ROW_LABEL, _LEGEND_WIDTH = 28, 8, 104, 128
_HEADER, _COLUMN_LABEL, _NOTE_LINE = 84, 26, 20
_MOST_ROW_HEIGHT, _LEAST_PICTURE_SHEET = 460, 640
_MORE_AXIAL = 3
#: An angle from which the planes of the grid are no longer called anatomical planes without a word.
_OBLIQUE_DEG = 3.0


@dataclass(frozen=True)
class _Panel:
    """One picture on the sheet: its place, its content, and the letters at its edges."""

    box: Box
    pixels: NDArray[np.uint8]
    letters: tuple[str, str, str, str] | None


def render_contact_sheet(
    mri01: NDArray[np.floating[Any]],
    functional_rgb: NDArray[np.uint8],
    fused_rgb: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    legend: Legend | None,
    title: str,
    notes: Sequence[str] = (),
    labels: tuple[str, str, str] = ("MRI", "Functional", "Fused"),
    attribution_rgb: NDArray[np.uint8] | None = None,
    width_px: int = 1600,
) -> Image.Image:
    """Draw MRI, functional and fused image.

    A volume is shown in three rows (MRI, functional, fused) and six columns: the axial, coronal and sagittal slice
    with the most uptake, and three more axial slices. All panels have one scale in millimetres, also where voxels are
    not cubes. Orientation is radiological, from the affine: the patient's right is on the left, front and head are up,
    sagittal slices look to the left. A picture or single slice is shown in one row, one pixel to one pixel.

    Args:
        mri01: (I, J, K) in [0, 1].
        functional_rgb: (I, J, K, 3) uint8, the functional image in its colours, on the same grid.
        fused_rgb: (I, J, K, 3) uint8.
        affine: (4, 4) voxel index to RAS+ millimetres.
        legend: Colour bar, or None where the colours have no known scale.
        title: Headline.
        notes: Lines below the pictures.
        labels: What the three images are called.
        attribution_rgb: (I, J, K, 3) uint8 for a fourth row that shows where the detail comes from.
        width_px: Width of a volume's sheet. Sheets of pictures are as wide as the pictures need.

    Returns:
        An RGB image. "Not for diagnostic use" always stands on it.

    Raises:
        UsageError: the arrays do not share one grid, or have other types.
    """
    shape = mri01.shape
    more = {} if attribution_rgb is None else {"Origin": attribution_rgb}
    for name, array in (("functional", functional_rgb), ("fused", fused_rgb), *more.items()):
        if mri01.ndim != 3 or array.shape != (*shape, 3) or array.dtype != np.uint8:
            raise UsageError(
                f"The {name} image has shape {array.shape} and type {array.dtype}, the MRI {shape}; expected "
                "(I, J, K, 3) of uint8 on the grid of the MRI."
            )
    grid = DisplayGrid(Geometry(shape, affine))
    images, names = (np.asarray(mri01), functional_rgb, fused_rgb, *more.values()), (*labels, *more)
    if more:
        notes = [*notes, "Origin of the detail: blue from the MRI, orange from the functional image, grey from both."]
    if 1 in shape:
        return _picture_sheet(grid, images, legend, title, notes, names)
    return _volume_sheet(grid, images, legend, title, notes, names, width_px)


def _volume_sheet(
    grid: DisplayGrid,
    images: tuple[NDArray[Any], ...],
    legend: Legend | None,
    title: str,
    notes: Sequence[str],
    labels: tuple[str, ...],
    width_px: int,
) -> Image.Image:
    columns = _columns(grid, images[0], images[1])
    legend_width = _LEGEND_WIDTH if legend else 0
    left = _MARGIN + _ROW_LABEL
    room = width_px - left - _MARGIN - legend_width - _GAP * (len(columns) - 1)
    sizes_mm = [grid.size_mm(plane) for plane, _ in columns]
    tallest_mm = max(height for _, height in sizes_mm)
    scale = min(room / sum(width for width, _ in sizes_mm), _MOST_ROW_HEIGHT / tallest_mm)
    row_height = max(1, round(tallest_mm * scale))
    widths = [max(1, round(width * scale)) for width, _ in sizes_mm]
    # Where the height is the limit, the columns stand apart more widely.
    spare = max(0, room - sum(widths)) // len(columns)
    cells, x = [], left
    for width in widths:
        cells.append((x, width + spare))
        x += width + spare + _GAP

    top = _HEADER + _COLUMN_LABEL
    notes = [*notes, *_orientation_notes(grid)]
    lines = _wrapped(notes, width_px - 2 * _MARGIN, 14)
    rows = len(images) * (row_height + _GAP) - _GAP
    height = top + rows + 16 + len(lines) * _NOTE_LINE + _MARGIN
    sheet, draw = _blank(width_px, height)
    spacing = " x ".join(f"{s:.3g}" for s in grid.geometry.spacing_mm)
    voxels = " x ".join(str(n) for n in grid.geometry.shape)
    _draw_header(draw, title, f"{voxels} voxels of {spacing} mm", width_px)
    for (plane, index), (x, width) in zip(columns, cells, strict=True):
        words = f"{plane.name.capitalize()}  {index + 1}/{grid.slice_count(plane)}"
        draw.text((x + width / 2, top - 8), words, font=_font(15), fill=_QUIET_TEXT, anchor="ms")
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        y = top + row * (row_height + _GAP)
        label_font = _fitting_font(draw, label, _ROW_LABEL - 14, 20)
        draw.text((_MARGIN, y + row_height / 2), _plain(label), font=label_font, fill=_TEXT, anchor="lm")
        for (plane, index), (x, width) in zip(columns, cells, strict=True):
            draw.rectangle((x, y, x + width - 1, y + row_height - 1), fill=(0, 0, 0))
            size = tuple(max(1, round(mm * scale)) for mm in grid.size_mm(plane))
            corner = (x + (width - size[0]) // 2, y + (row_height - size[1]) // 2)
            box = (*corner, corner[0] + size[0], corner[1] + size[1])
            _draw_panel(sheet, draw, _Panel(box, _pixels(grid.picture(image, plane, index)), plane.letters))
    if legend:
        x = cells[-1][0] + cells[-1][1] + _GAP
        _draw_legend(sheet, draw, legend, (x + 22 - _GAP, top + row_height + _GAP + 30), 2 * row_height + _GAP - 60)
    _draw_notes(draw, lines, top + rows + 16)
    return sheet


def _picture_sheet(
    grid: DisplayGrid,
    images: tuple[NDArray[Any], ...],
    legend: Legend | None,
    title: str,
    notes: Sequence[str],
    labels: tuple[str, ...],
) -> Image.Image:
    shape = grid.geometry.shape
    plane = next(p for p in Plane if shape[grid.index_axis(p.normal)[0]] == 1)
    width, height = grid.size_voxels(plane)
    width_mm, height_mm = grid.size_mm(plane)
    # One voxel is one pixel across the finer direction; the other is stretched to the physical aspect.
    finer_mm = min(width_mm / width, height_mm / height)
    width, height = max(1, round(width_mm / finer_mm)), max(1, round(height_mm / finer_mm))
    has_place = not np.array_equal(grid.geometry.affine, PICTURE_AFFINE)

    legend_width = _LEGEND_WIDTH if legend else 0
    content = len(images) * (width + _GAP) - _GAP + legend_width
    sheet_width = max(_LEAST_PICTURE_SHEET, content + 2 * _MARGIN)
    left = (sheet_width - content) // 2
    top = _HEADER + _COLUMN_LABEL
    lines = _wrapped([*notes, *(_orientation_notes(grid) if has_place else ())], sheet_width - 2 * _MARGIN, 14)
    body = max(height, 160 if legend else 0)
    sheet, draw = _blank(sheet_width, top + body + 16 + len(lines) * _NOTE_LINE + _MARGIN)
    _draw_header(draw, title, f"{shape[0]} x {shape[1]} pixels" if has_place is False else "one slice", sheet_width)
    for column, (image, label) in enumerate(zip(images, labels, strict=True)):
        x = left + column * (width + _GAP)
        font = _fitting_font(draw, label, max(width, 24), 16)
        draw.text((x + width / 2, top - 8), _plain(label), font=font, fill=_TEXT, anchor="ms")
        panel = _Panel(
            (x, top, x + width, top + height),
            _pixels(grid.picture(image, plane, 0)),
            plane.letters if has_place else None,
        )
        _draw_panel(sheet, draw, panel)
    if legend:
        _draw_legend(sheet, draw, legend, (left + len(images) * (width + _GAP) - _GAP + 22, top + 30), body - 60)
    _draw_notes(draw, lines, top + body + 16)
    return sheet


def _columns(grid: DisplayGrid, mri01: NDArray[Any], functional_rgb: NDArray[Any]) -> list[tuple[Plane, int]]:
    chosen = grid.chosen_slices(mri01, luma(functional_rgb))
    more = grid.spread_slices(mri01, Plane.AXIAL, _MORE_AXIAL, chosen[Plane.AXIAL])
    three = [(plane, chosen[plane]) for plane in (Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL)]
    return three + [(Plane.AXIAL, index) for index in more]


def _orientation_notes(grid: DisplayGrid) -> list[str]:
    angle = grid.obliqueness_deg
    if angle < _OBLIQUE_DEG:
        return []
    return [f"The planes are those of the MRI's grid, which is turned {angle:.0f}° from the patient's axes."]


def _pixels(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """(rows, columns, 3) uint8 of a slice in [0, 1] or in colour."""
    if picture.ndim == 2:
        grey = np.rint(np.clip(picture, 0, 1) * np.float32(255)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.ascontiguousarray(picture)


def _draw_panel(sheet: Image.Image, draw: ImageDraw.ImageDraw, panel: _Panel) -> None:
    from PIL import Image

    x0, y0, x1, y1 = panel.box
    picture = Image.fromarray(panel.pixels)
    if picture.size != (x1 - x0, y1 - y0):
        # Bilinear never leaves the range of the data, so that black stays black; it averages where it shrinks.
        picture = picture.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
    sheet.paste(picture, (x0, y0))
    if panel.letters is None or min(x1 - x0, y1 - y0) < 60:
        return
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    places = (
        (x0 + 4, middle_y, "lm"),
        (x1 - 5, middle_y, "rm"),
        (middle_x, y0 + 3, "mt"),
        (middle_x, y1 - 4, "mb"),
    )
    for letter, (x, y, anchor) in zip(panel.letters, places, strict=True):
        draw.text((x, y), letter, font=_font(13), fill=_LETTER, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def _draw_legend(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, legend: Legend, corner: tuple[int, int], height: int
) -> None:
    """A vertical bar, the highest value on top, with round values and the ends of the window."""
    from PIL import Image

    x, y = corner
    height = max(height, 60)
    bar = Image.fromarray(np.ascontiguousarray(legend.colours[::-1, None])).resize(
        (18, height), Image.Resampling.BILINEAR
    )
    sheet.paste(bar, (x, y))
    draw.rectangle((x - 1, y - 1, x + 18, y + height), outline=_BORDER)
    room = _LEGEND_WIDTH - 22 - 4
    draw.text(
        (x, y - 10), _plain(legend.units), font=_fitting_font(draw, legend.units, room, 15), fill=_TEXT, anchor="ls"
    )
    for value in legend.ticks(max(2, min(6, height // 28))):
        level = y + (height - 1) * (1 - (value - legend.low) / (legend.high - legend.low))
        draw.line((x + 19, level, x + 24, level), fill=_QUIET_TEXT)
        draw.text((x + 29, level), f"{value:g}", font=_font(15), fill=_TEXT, anchor="lm")
    ends = f"{_number(legend.low)} to {_number(legend.high)}"
    for offset, words in ((9, ends), (26, legend.name)):
        font = _fitting_font(draw, words, room, 13)
        draw.text((x, y + height + offset), _plain(words), font=font, fill=_QUIET_TEXT, anchor="lt")


def _draw_header(draw: ImageDraw.ImageDraw, title: str, subtitle: str, width: int) -> None:
    warning = _font(17)
    words = int(draw.textlength(NOT_FOR_DIAGNOSTIC_USE, font=warning))
    box = (width - _MARGIN - words - 28, 22, width - _MARGIN, 54)
    draw.rounded_rectangle(box, radius=16, outline=_WARNING, width=2)
    draw.text((box[0] + 14, 44), NOT_FOR_DIAGNOSTIC_USE, font=warning, fill=_WARNING, anchor="ls")
    room = box[0] - 2 * _MARGIN
    draw.text((_MARGIN, 48), _plain(title), font=_fitting_font(draw, title, room, 28), fill=_TEXT, anchor="ls")
    draw.text((_MARGIN, 72), subtitle, font=_fitting_font(draw, subtitle, room, 14), fill=_QUIET_TEXT, anchor="ls")


def _draw_notes(draw: ImageDraw.ImageDraw, lines: Sequence[str], y: int) -> None:
    for number, line in enumerate(lines):
        draw.text((_MARGIN, y + number * _NOTE_LINE), line, font=_font(14), fill=_QUIET_TEXT, anchor="lt")


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", (width, height), BACKGROUND)
    return sheet, ImageDraw.Draw(sheet)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def _fitting_font(
    draw: ImageDraw.ImageDraw, words: str, room: int, size: int
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font at ``size``, or smaller (down to 9) so that the words fit."""
    while size > 9 and draw.textlength(_plain(words), font=_font(size)) > room:
        size -= 1
    return _font(size)


def _wrapped(notes: Sequence[str], room: int, size: int) -> list[str]:
    """The notes broken into lines that fit."""
    font = _font(size)
    lines: list[str] = []
    for note in notes:
        line = ""
        for word in _plain(note).split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > room:
                lines.append(line)
                longer = word
            line = longer
        if line:
            lines.append(line)
    return lines


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _plain(words: str) -> str:
    """The words in the characters that Pillow's own font has: ASCII and a few signs."""
    for sign, plain in (
        ("–", "-"),
        ("—", "-"),
        ("−", "-"),
        ("×", "x"),
        ("≥", ">="),
        ("≤", "<="),
        ("µ", "u"),
        ("²", "2"),
    ):
        words = words.replace(sign, plain)
    kept = (c for c in unicodedata.normalize("NFKD", words.replace("…", "...")) if not unicodedata.combining(c))
    return "".join(c if c.isascii() or c in "°·" else "?" for c in kept)
