"""The contact sheet: MRI, functional image and fused image side by side, the picture a person looks at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Geometry, UsageError
from upfusion_med.inference.display_planes import DisplayGrid, Plane
from upfusion_med.inference.legend import Legend
from upfusion_med.inference.sheet import HEADER, LEGEND_WIDTH, MARGIN, NOTE_LINE, QUIET_TEXT, Sheet, wrapped
from upfusion_med.io.picture import PICTURE_AFFINE
from upfusion_med.transforms.colour import luma

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Legend", "render_contact_sheet"]

#: Lengths in pixels.
_GAP, _ROW_LABEL, _COLUMN_LABEL = 8, 104, 26
_MOST_ROW_HEIGHT, _LEAST_PICTURE_SHEET = 460, 640
_MORE_AXIAL = 3
#: An angle from which the planes of the grid are no longer called anatomical planes without a word.
_OBLIQUE_DEG = 3.0


@dataclass(frozen=True, eq=False)
class _Content:
    """What stands on a sheet: images with their labels, on one grid, and the words around them."""

    grid: DisplayGrid
    images: tuple[NDArray[Any], ...]
    labels: tuple[str, ...]
    legend: Legend | None
    title: str
    notes: tuple[str, ...]


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
    images = (np.asarray(mri01), functional_rgb, fused_rgb, *more.values())
    content = _Content(DisplayGrid(Geometry(shape, affine)), images, (*labels, *more), legend, title, tuple(notes))
    return _picture_sheet(content) if 1 in shape else _volume_sheet(content, width_px)


def _volume_sheet(content: _Content, width_px: int) -> Image.Image:
    grid, legend = content.grid, content.legend
    columns = _columns(grid, content.images[0], content.images[1])
    left = MARGIN + _ROW_LABEL
    room = width_px - left - MARGIN - (LEGEND_WIDTH if legend else 0) - _GAP * (len(columns) - 1)
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

    top = HEADER + _COLUMN_LABEL
    lines = wrapped([*content.notes, *_orientation_notes(grid)], width_px - 2 * MARGIN)
    rows = len(content.images) * (row_height + _GAP) - _GAP
    sheet = Sheet(width_px, top + rows + 16 + len(lines) * NOTE_LINE + MARGIN)
    spacing = " x ".join(f"{s:.3g}" for s in grid.geometry.spacing_mm)
    voxels = " x ".join(str(n) for n in grid.geometry.shape)
    sheet.header(content.title, f"{voxels} voxels of {spacing} mm")
    for (plane, index), (x, width) in zip(columns, cells, strict=True):
        words = f"{plane.name.capitalize()}  {index + 1}/{grid.slice_count(plane)}"
        sheet.words((x + width / 2, top - 8), words, 15, "ms", fill=QUIET_TEXT)
    for row, (image, label) in enumerate(zip(content.images, content.labels, strict=True)):
        y = top + row * (row_height + _GAP)
        sheet.words((MARGIN, y + row_height / 2), label, 20, "lm", room=_ROW_LABEL - 14)
        for (plane, index), (x, width) in zip(columns, cells, strict=True):
            sheet.blacken((x, y, x + width, y + row_height))
            w, h = (max(1, round(mm * scale)) for mm in grid.size_mm(plane))
            x0, y0 = x + (width - w) // 2, y + (row_height - h) // 2
            sheet.picture((x0, y0, x0 + w, y0 + h), grid.picture(image, plane, index), plane.letters)
    if legend:
        x = cells[-1][0] + cells[-1][1] + _GAP
        sheet.colour_bar(legend, (x + 22 - _GAP, top + row_height + _GAP + 30), 2 * row_height + _GAP - 60)
    sheet.notes(lines, top + rows + 16)
    return sheet.image


def _picture_sheet(content: _Content) -> Image.Image:
    grid, legend = content.grid, content.legend
    shape = grid.geometry.shape
    plane = next(p for p in Plane if shape[grid.index_axis(p.normal)[0]] == 1)
    width, height = grid.size_voxels(plane)
    width_mm, height_mm = grid.size_mm(plane)
    # One voxel is one pixel across the finer direction; the other is stretched to the physical aspect.
    finer_mm = min(width_mm / width, height_mm / height)
    width, height = max(1, round(width_mm / finer_mm)), max(1, round(height_mm / finer_mm))
    has_place = not np.array_equal(grid.geometry.affine, PICTURE_AFFINE)

    pictures = len(content.images) * (width + _GAP) - _GAP
    used = pictures + (LEGEND_WIDTH if legend else 0)
    sheet_width = max(_LEAST_PICTURE_SHEET, used + 2 * MARGIN)
    left, top = (sheet_width - used) // 2, HEADER + _COLUMN_LABEL
    notes = [*content.notes, *(_orientation_notes(grid) if has_place else ())]
    lines = wrapped(notes, sheet_width - 2 * MARGIN)
    body = max(height, 160 if legend else 0)
    sheet = Sheet(sheet_width, top + body + 16 + len(lines) * NOTE_LINE + MARGIN)
    sheet.header(content.title, "one slice" if has_place else f"{shape[0]} x {shape[1]} pixels")
    for column, (image, label) in enumerate(zip(content.images, content.labels, strict=True)):
        x = left + column * (width + _GAP)
        sheet.words((x + width / 2, top - 8), label, 16, "ms", room=max(width, 24))
        letters = plane.letters if has_place else None
        sheet.picture((x, top, x + width, top + height), grid.picture(image, plane, 0), letters)
    if legend:
        sheet.colour_bar(legend, (left + pictures + 22, top + 30), body - 60)
    sheet.notes(lines, top + body + 16)
    return sheet.image


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
