"""Results of networks, kept as pictures with the key of what made them, so that no network runs twice for one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from upfusion_med.evaluation.methods import Kind, Method
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.picture_levels import Levels
from upfusion_med.evaluation.store import score_key

PICTURES_FOLDER = "fused"


def fused_picture(pictures: Path | None, method: Method, pair: Pair, a: Levels, b: Levels) -> Levels:
    """The fused image, (H, W) uint8; a network's result is kept and read again where nothing has changed.

    Args:
        pictures: Folder of the kept results, ``METHOD/GROUP/NAME.png``; None: nothing is kept.
        method: What fuses.
        pair: What is fused.
        a: (H, W) luma of A.
        b: (H, W) luma of B.
    """
    if pictures is None or method.kind is not Kind.MODEL:
        return method.fuse(pair, a, b)
    path = pictures / method.slug / pair.group / f"{pair.name}.png"
    return _kept(path, score_key(pair, method), lambda: method.fuse(pair, a, b))


def fused_again(output: Path, method: Method, pair: Pair, a: Levels, b: Levels) -> Levels:
    """The grey result of a method for a pair of a finished run; networks' results are read from the run's folder.

    Args:
        output: Folder of the run.
        method: One of its methods.
        pair: One of its pairs.
        a: (H, W) luma of A.
        b: (H, W) luma of B.
    """
    return fused_picture(output / PICTURES_FOLDER, method, pair, a, b)


def _kept(path: Path, key: str, fuse: Callable[[], Levels]) -> Levels:
    from PIL import Image, PngImagePlugin

    if path.is_file():
        try:
            with Image.open(path) as picture:
                if picture.info.get("score-key") == key and picture.mode == "L":
                    return np.asarray(picture)
        except (OSError, SyntaxError):
            pass  # a damaged file is made again
    fused = fuse()
    path.parent.mkdir(parents=True, exist_ok=True)
    about = PngImagePlugin.PngInfo()
    about.add_text("score-key", key)
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part")
    Image.fromarray(fused).save(beside, format="PNG", pnginfo=about)
    beside.replace(path)
    return fused
