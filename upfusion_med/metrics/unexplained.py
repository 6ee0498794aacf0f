"""Structure of a fused image that neither source explains: the check for invented detail.

Around every pixel the fused image is explained, as well as a straight line can, by the two sources and a constant.
What is left over is structure that no local mixture of the sources gives. Copies, averages and any weights that change
slowly leave nothing; a rule that switches from one source to the other leaves the seams of its switching, which the
maximum rule, as the yardstick, shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from upfusion_med.core import InputError
from upfusion_med.metrics.filters import correlate, gaussian_taps

Array = NDArray[Any]

#: The window of SSIM (Wang et al. 2004): it holds about 28 independent pixels for three coefficients.
WINDOW_SIZE, WINDOW_SIGMA = 11, 1.5
#: Variance in grey levels squared that counts as noise, and the price of a coefficient of 1. With one number for both,
#: copies leave exactly nothing, and so does a mixture rounded to whole levels whose squared weights add up to 3/4 or
#: less (rounding has a variance of 1/4 at most).
NOISE_VARIANCE = 1.0
#: A patch begins where more than so many grey levels (standard deviation) are unexplained …
PATCH_LEVELS = 4.0
#: … and more than this part of the standard deviation of the livelier source: seams of the maximum rule stay below it.
PATCH_PART = 0.5


@dataclass(frozen=True, eq=False)
class Unexplained:
    """What neither source explains of a fused image.

    Attributes:
        deviation: (H, W) float64: local standard deviation of what is unexplained, beyond noise, in grey levels.
        share: Unexplained part of the local variance, summed over the image, %; NaN for a constant fused image.
        patches: (H, W) bool: where it is strong (`PATCH_LEVELS`, `PATCH_PART`).
        largest_patch: Pixels of the largest of the patches, corners touching.
    """

    deviation: NDArray[np.float64]
    share: float
    patches: NDArray[np.bool_]
    largest_patch: int


def unexplained_structure(fused: Array, a: Array, b: Array) -> Unexplained:
    """What no local mixture of the sources explains of a fused image.

    In a Gaussian window of 11×11 pixels (σ 1.5) around each pixel, the unexplained variance is

        u = max( min over α, β of [ Var(F − αA − βB) + n (α² + β²) ] − n, 0 ),   n = 1 grey level squared:

    the rest of a least-squares fit of F by A, B and a constant, beyond noise. The share is Σ u / Σ Var(F) over all
    pixels, the background too: structure invented there counts. Coefficients may be negative: contrast that is inverted
    is explained here, and `reader.mri_edges_kept` does not count it. What is flat within a window is no structure: of a
    large invented plateau the rim counts.

    Args:
        fused: (H, W) grey levels in 0..255, 11×11 or larger.
        a: As ``fused``.
        b: As ``fused``.

    Raises:
        InputError: shapes differ, the images are smaller than the window, or values are not finite.

    Source: this project.
    """
    images = torch.stack([torch.as_tensor(np.asarray(x), dtype=torch.float64) for x in _checked(fused, a, b)])
    ff, fa, fb, aa, ab, bb = _covariances(images)
    held_a, held_b = aa + NOISE_VARIANCE, bb + NOISE_VARIANCE
    explained = (fa * fa * held_b - 2 * fa * fb * ab + fb * fb * held_a) / (held_a * held_b - ab * ab)
    left = (ff - explained - NOISE_VARIANCE).clamp(min=0)
    strong = (left > PATCH_LEVELS**2) & (left > PATCH_PART**2 * torch.maximum(aa, bb))
    total, patches = float(ff.clamp(min=0).sum()), strong.numpy()
    share = 100.0 * float(left.sum()) / total if total > 0 else float("nan")
    return Unexplained(left.sqrt().numpy(), share, patches, _largest(patches))


def _checked(*images: Array) -> list[Array]:
    arrays = [np.asarray(image, dtype=np.float64) for image in images]
    shape = arrays[0].shape
    if any(x.shape != shape for x in arrays):
        raise InputError(f"The images have shapes {[x.shape for x in arrays]}; expected one shape.")
    if len(shape) != 2 or min(shape) < WINDOW_SIZE:
        raise InputError(f"The images have shape {shape}; expected (H, W) of at least {WINDOW_SIZE}×{WINDOW_SIZE}.")
    if not all(np.isfinite(x).all() for x in arrays):
        raise InputError("An image holds values that are not finite; expected grey levels in 0..255.")
    return arrays


def _covariances(images: Tensor) -> Tensor:
    """(3, H, W) F, A, B to (6, H, W) local FF, FA, FB, AA, AB, BB; borders mirrored without repeating the edge."""
    first, second = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
    margin = WINDOW_SIZE // 2
    padded = F.pad(images[None], (margin, margin, margin, margin), mode="reflect")[0]
    stack = torch.cat([padded, padded[list(first)] * padded[list(second)]])
    local = correlate(stack[None], gaussian_taps(WINDOW_SIZE, WINDOW_SIGMA))[0]
    return local[3:] - local[list(first)] * local[list(second)]


def _largest(patches: NDArray[np.bool_]) -> int:
    from scipy.ndimage import label

    if not patches.any():
        return 0
    numbers, _ = label(patches, structure=np.ones((3, 3)))
    return int(np.bincount(numbers.ravel())[1:].max())
