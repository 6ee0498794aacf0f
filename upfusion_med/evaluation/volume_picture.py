"""Cuts across the slices of a volume that was fused in several ways: what flickers shows as stripes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE
from upfusion_med.inference.display_planes import DisplayGrid, Plane
from upfusion_med.inference.sheet import BACKGROUND, TEXT, WARNING, Colour
from upfusion_med.metrics.reader import flicker_steps

if TYPE_CHECKING:
    from PIL import Image

    from upfusion_med.evaluation.volume_ways import VolumeComparison
    from upfusion_med.inference.fusion import Study

FloatArray = NDArray[np.float32]

#: Steps of so many grey levels beyond the sources' own are white in the rows that show them.
WHITE_STEP = 16.0
#: Pixels: gap between panels, room for words, largest width and height of a panel.
_GAP, _WORDS, _PANEL = 8, 22, (300, 300)


def draw_cuts(study: Study, comparison: VolumeComparison, title: str) -> Image.Image:
    """Both planes across the slices, where the ways together step most: sources, fused images, and their steps.

    Args:
        study: What was fused.
        comparison: The ways of fusing it.
        title: Headline.

    Returns:
        RGB picture with two rows a plane: luminance, and the steps between slices beyond the sources' own.
    """
    from PIL import Image, ImageDraw

    grid, axis = DisplayGrid(study.mri.geometry), study.axis
    steps = {key: steps_of(study, fused) for key, fused in comparison.fused.items()}
    columns: dict[str, FloatArray] = {"MRI": study.display_mri, "functional": study.prepared.functional}
    columns |= comparison.fused
    cuts = [(plane, worst_cut(grid, plane, steps)) for plane in Plane if grid.index_axis(plane.normal)[0] != axis]
    sizes = [_fitted(grid.size_mm(plane)) for plane, _ in cuts]
    width = max(w for w, _ in sizes) + _GAP
    height = sum(2 * (h + _WORDS) + _GAP for _, h in sizes)
    sheet = Image.new("RGB", (len(columns) * width + _GAP, height + 3 * _WORDS), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    _say(draw, (_GAP, _GAP), title, width * len(columns) - 220, size=16)
    _say(draw, (sheet.width - 190, _GAP), NOT_FOR_DIAGNOSTIC_USE, 182, size=15, fill=WARNING)
    y = 2 * _WORDS
    for (plane, index), size in zip(cuts, sizes, strict=True):
        for row, images in enumerate((columns, steps)):
            for column, key in enumerate(columns):
                x = _GAP + column * width
                if key not in images:
                    continue
                word = f"{plane.name.capitalize()} {index + 1}: {key}" if row == 0 else f"steps, white {WHITE_STEP:g}"
                _say(draw, (x, y), word, width - _GAP)
                panel = _grey(grid.picture(images[key], plane, index), 1.0 if row == 0 else WHITE_STEP)
                # Nearest: stripes of one slice must not be smoothed away.
                sheet.paste(panel.resize(size, Image.Resampling.NEAREST), (x, y + _WORDS - 4))
            y += size[1] + _WORDS
        y += _GAP
    return sheet


def steps_of(study: Study, fused: FloatArray) -> FloatArray:
    """(I, J, K) steps to the next slice beyond the sources' own, grey levels; 0 in the last slice."""
    own, first, second = (x * np.float32(255) for x in (fused, study.prepared.functional, study.display_mri))
    beyond = flicker_steps(own, first, second, axis=study.axis).astype(np.float32)
    return np.pad(beyond, [(0, 1 if axis == study.axis else 0) for axis in range(3)])


def worst_cut(grid: DisplayGrid, plane: Plane, steps: Mapping[str, FloatArray]) -> int:
    """Number of the slice of a plane with the largest sum of steps over all ways."""
    across, _ = grid.index_axis(plane.normal)
    others = tuple(axis for axis in range(3) if axis != across)
    return int(np.argmax(np.sum([x.sum(axis=others) for x in steps.values()], axis=0)))


def _fitted(size_mm: tuple[float, float]) -> tuple[int, int]:
    """Pixels of a panel with this physical size."""
    scale = min(_PANEL[0] / size_mm[0], _PANEL[1] / size_mm[1])
    return max(1, round(size_mm[0] * scale)), max(1, round(size_mm[1] * scale))


def _grey(values: FloatArray, white: float) -> Image.Image:
    from PIL import Image

    levels = np.rint(np.clip(values / np.float32(white), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(levels)).convert("RGB")


def _say(draw: object, place: tuple[int, int], words: str, room: int, *, size: int = 14, fill: Colour = TEXT) -> None:
    """Words in the largest font up to ``size`` that fits."""
    from PIL import ImageDraw, ImageFont

    assert isinstance(draw, ImageDraw.ImageDraw)
    while size > 8 and draw.textlength(words, font=ImageFont.load_default(size=size)) > room:
        size -= 1
    draw.text(place, words, font=ImageFont.load_default(size=size), fill=fill)
