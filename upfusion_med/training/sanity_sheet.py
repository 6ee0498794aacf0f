"""One picture that shows whether a run is sane: held-out pairs and imitated modalities above their fusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from upfusion_med.training.batches import Batch
from upfusion_med.training.pairs import PicturePair
from upfusion_med.training.validation import fuse_middle

#: Side of a picture on the sheet in pixels.
SIDE = 192
#: Width of the gap between pictures.
GAP = 4


@torch.no_grad()
def sanity_sheet(
    network: nn.Module,
    pairs: Sequence[PicturePair],
    crops: Batch | None,
    codes: Mapping[str, Tensor],
    device: torch.device,
) -> NDArray[np.uint8]:
    """First pictures, second pictures and fusions in three rows, one column a pair, then one a crop.

    Args:
        network: In evaluation mode.
        pairs: Held-out pairs, of which the middle is shown.
        crops: Held-out crops as the network sees them in training, or None.
        codes: Code of each named prompt.
        device: Where the network is.

    Returns:
        (H, W) grey picture.
    """
    columns = [fuse_middle(network, pair, codes, device) for pair in pairs]
    if crops is not None:
        first, second, code = (x.to(device) for x in crops[:3])
        fused = network(first, second, code).float().clamp(0, 1)
        columns += [[x[i : i + 1] for x in (first, second, fused)] for i in range(len(first))]
    height, width = 3 * (SIDE + GAP) - GAP, len(columns) * (SIDE + GAP) - GAP
    sheet = np.full((height, max(width, 1)), 255, np.uint8)
    for column, images in enumerate(columns):
        for row, image in enumerate(images):
            y, x = row * (SIDE + GAP), column * (SIDE + GAP)
            sheet[y : y + SIDE, x : x + SIDE] = _tile(image)
    return sheet


def _tile(image: Tensor) -> NDArray[np.uint8]:
    """The picture fitted into a square, black beside it."""
    scale = SIDE / max(image.shape[-2:])
    size = [max(round(n * scale), 1) for n in image.shape[-2:]]
    small = nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
    tile = np.zeros((SIDE, SIDE), np.uint8)
    tile[: size[0], : size[1]] = (255 * small[0, 0].clamp(0, 1)).round().byte().cpu().numpy()
    return tile


def write_sheet(path: Path, sheet: NDArray[np.uint8]) -> None:
    """Write a sheet as PNG."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
