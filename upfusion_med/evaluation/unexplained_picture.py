"""Pairs where a method shows most that neither source explains, with maps of it: for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, Progress, SilentProgress
from upfusion_med.evaluation.methods import Method
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.picture_levels import Levels, grey
from upfusion_med.evaluation.source_colours import read_pair
from upfusion_med.metrics.unexplained import Unexplained, unexplained_structure

if TYPE_CHECKING:
    from PIL import Image

#: Unexplained standard deviation, in grey levels, that is white on the maps; what counts as a patch is red.
WHITE_LEVELS = 16.0
_GAP, _WORDS, _HEAD = 6, 20, 30


@dataclass(frozen=True, eq=False)
class Shown:
    """A pair to look at: its sources, and each method's result with what is unexplained of it."""

    pair: Pair
    a: Levels
    b: Levels
    results: tuple[tuple[str, Levels, Unexplained], ...]


def worst_pairs(
    pairs: Sequence[Pair], methods: Sequence[Method], per_group: int = 1, progress: Progress | None = None
) -> list[Shown]:
    """For each kind of pair those in which the first method has the largest unexplained patch.

    Equal patches are ordered by the unexplained share.

    Args:
        pairs: Where to look; every one is fused by the first method.
        methods: What to show; the first is judged.
        per_group: How many of each kind.
        progress: Told about every pair.
    """
    progress = progress or SilentProgress()
    progress.stage("looking", len(pairs))
    judged: dict[str, list[tuple[int, float, Pair]]] = {}
    for pair in pairs:
        found = show_pair(pair, methods[:1]).results[0][2]
        judged.setdefault(pair.group, []).append((-found.largest_patch, -np.nan_to_num(found.share), pair))
        progress.advance()
    chosen = [sorted(group, key=lambda x: (*x[:2], x[2].name))[:per_group] for group in judged.values()]
    return [show_pair(pair, methods) for group in chosen for _, _, pair in group]


def show_pair(pair: Pair, methods: Sequence[Method]) -> Shown:
    """Fuse one pair with every method and look for what is unexplained."""
    a, b = read_pair(pair)
    luma = grey(a)
    fused = [(method.name, method.fuse(pair, luma, b)) for method in methods]
    return Shown(pair, luma, b, tuple((name, f, unexplained_structure(f, luma, b)) for name, f in fused))


def draw_maps(shown: Sequence[Shown], title: str) -> Image.Image:
    """One row a pair: A, B, then every method's result beside its map.

    Returns:
        RGB picture; on the maps white is `WHITE_LEVELS` or more, red what counts as an unexplained patch.
    """
    from PIL import Image, ImageDraw, ImageFont

    width = max(x.a.shape[1] for x in shown) + _GAP
    columns = 2 + 2 * len(shown[0].results)
    heights = [x.a.shape[0] + _WORDS + _GAP for x in shown]
    sheet = Image.new("RGB", (columns * width + _GAP, sum(heights) + _HEAD), (17, 19, 23))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    draw.text((_GAP, 8), title, font=font, fill=(232, 234, 237))
    draw.text((sheet.width - _GAP, 8), NOT_FOR_DIAGNOSTIC_USE, font=font, fill=(244, 180, 66), anchor="ra")
    y = _HEAD
    for row, height in zip(shown, heights, strict=True):
        panels: list[tuple[str, NDArray[np.uint8]]] = [(f"{row.pair.id}: A", row.a), ("B (MRI)", row.b)]
        for name, fused, found in row.results:
            panels += [(name, fused), (f"{found.share:.2f} %, patch {found.largest_patch} px", map_of(found))]
        for column, (words, pixels) in enumerate(panels):
            x = _GAP + column * width
            draw.text((x, y), words, font=font, fill=(232, 234, 237))
            sheet.paste(Image.fromarray(pixels).convert("RGB"), (x, y + _WORDS))
        y += height
    return sheet


def map_of(found: Unexplained) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the unexplained deviation in grey, patches in red."""
    level = np.rint(255 * np.clip(found.deviation / WHITE_LEVELS, 0, 1)).astype(np.uint8)
    colours = np.repeat(level[..., None], 3, axis=-1)
    colours[found.patches] = (255, 60, 40)
    return colours
