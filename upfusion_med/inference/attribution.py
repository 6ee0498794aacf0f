"""Where the detail of a fused image comes from: the MRI, the functional image, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import UsageError
from upfusion_med.transforms.colour import compose, rgb_chroma

FloatArray = NDArray[np.float32]

#: Standard deviation of the Gaussian window, in pixels of the slice; it reaches to 3 of them.
WINDOW_SIGMA = 1.5
_TRUNCATE = 8 / 3
#: Slope (luminance per pixel) below which there is no detail: one grey level of 255 in two pixels.
DETAIL_FLOOR = 0.5 / 255
#: Part of the detail that the sources have to explain for a share to mean something. Unrelated fine textures explain
#: less than 0.25 of each other in nine places of ten, smooth ones 0.5; sources of a fusion explain 0.93 (median, demo).
EXPLAINED_FLOOR = 0.2
#: Part of a source's own energy by which its coefficient is held back, so that two sources that say the same share it.
_RIDGE = 1e-3
#: Slices that are worked on at a time, so that temporaries stay small.
_SLICES_AT_ONCE = 4

#: Colours of the two ends: blue and orange, which colour-blind readers tell apart.
MRI_COLOUR = (0.16, 0.56, 1.0)
FUNCTIONAL_COLOUR = (1.0, 0.53, 0.0)
#: Slope at which the colour of the overlay is full.
_FULL_COLOUR_DETAIL = 8 * DETAIL_FLOOR


@dataclass(frozen=True, eq=False)
class AttributionMap:
    """Origin of the detail of a fused image, voxel by voxel.

    Attributes:
        share: (I, J, K) float32 in [0, 1]: 1 where the detail is the MRI's, 0 where it is the functional image's;
            0.5 where both have equal parts, and where there is nothing to attribute.
        detail: (I, J, K) float32, at least 0: root mean square slope of the fused luminance in the window, luminance
            per pixel; how much there is to attribute.
        explained: (I, J, K) float32 in [0, 1]: part of the energy of that detail that the two sources together
            explain; where it is small, the fused image shows what neither source has, or inverts it. 0 where there is
            no detail.
    """

    share: FloatArray
    detail: FloatArray
    explained: FloatArray

    @property
    def has_detail(self) -> NDArray[np.bool_]:
        """(I, J, K) where ``share`` says something: there is detail, and the sources explain at least a fifth of it."""
        return np.asarray((self.detail > DETAIL_FLOOR) & (self.explained > EXPLAINED_FLOOR))


def attribution(fused: FloatArray, mri: FloatArray, functional: FloatArray, *, axis: int) -> AttributionMap:
    r"""How much of the detail of a fused luminance comes from each of its sources.

    Detail is the gradient in the plane of the slice, by central differences. In a Gaussian window w of 1.5 pixels
    around each voxel, the fused gradient is explained by the gradients of both sources with coefficients that are not
    negative,

        (a, b) = argmin_{a, b ≥ 0}  Σ w |∇F − a ∇M − b ∇P|² + a² (λ E_M + τ²) + b² (λ E_P + τ²),

    with E_S = Σ w |∇S|², λ = 0.001 and τ = 0.5/255 (half a grey level). The MRI's share is its part of the amplitude,

        share = a √E_M / (a √E_M + b √E_P),

    so that a local mixture F = p M + (1 − p) P of unrelated sources of equal detail has the share p. Coefficients are
    not negative because tissue and uptake often have the same borders with opposite contrast (white matter is bright
    on T1 and dark on FDG-PET): such a border belongs to the source whose contrast the fusion shows. Where both sources
    have the same border with the same contrast, it counts for both. ``explained`` is 1 − Σ w |∇F − a ∇M − b ∇P|² / E_F.

    Args:
        fused: (I, J, K) luminance in [0, 1] of the picture that is shown.
        mri: What the fusion was made from, on the same grid and scale: the MRI's display luminance.
        functional: The same for the functional image.
        axis: Array axis along which the slices are stacked.

    Raises:
        UsageError: the shapes differ, or the axis is not one of the three.

    Source: own definition; non-negative least squares on gradients, after the edge-preservation idea of Xydeas and
    Petrović, Electron. Lett. 36 (2000) 308.
    """
    if fused.ndim != 3 or not fused.shape == mri.shape == functional.shape or axis not in (0, 1, 2):
        raise UsageError(
            f"The images have the shapes {fused.shape}, {mri.shape} and {functional.shape}, slices along axis {axis}; "
            "expected one (I, J, K) grid and an axis from 0 to 2."
        )
    stacks = [np.moveaxis(volume, axis, 0) for volume in (fused, mri, functional)]
    results = [np.empty(stacks[0].shape, np.float32) for _ in range(3)]
    for start in range(0, len(stacks[0]), _SLICES_AT_ONCE):
        block = slice(start, start + _SLICES_AT_ONCE)
        for result, values in zip(results, _block(*(stack[block] for stack in stacks)), strict=True):
            result[block] = values
    return AttributionMap(*(np.ascontiguousarray(np.moveaxis(result, 0, axis)) for result in results))


def attribution_colours(attributed: AttributionMap, fused: FloatArray) -> NDArray[np.uint8]:
    """The fused luminance, coloured by the origin of its detail, for people to look at.

    Blue is the MRI's, orange the functional image's; grey where both have equal parts or there is no detail. Colour
    fades where there is little detail, or neither source explains it.

    Args:
        attributed: Of this fused image.
        fused: (I, J, K) luminance in [0, 1]; shown darker at its bright end, where there is no room for colours.

    Returns:
        (I, J, K, 3) uint8.
    """
    strength = np.minimum(attributed.detail / np.float32(_FULL_COLOUR_DETAIL), 1) * attributed.explained
    strength[~attributed.has_detail] = 0
    luminance = np.float32(0.8) * np.clip(fused, 0, 1) ** np.float32(0.8)
    return compose(luminance, share_chroma(attributed.share) * strength[..., None])


def share_chroma(share: FloatArray) -> FloatArray:
    """Chroma (zero luma) of shares in [0, 1] of any shape S: (S, 3), orange at 0, none at 0.5, blue at 1."""
    mri, functional = (rgb_chroma(np.array(c, np.float32)) for c in (MRI_COLOUR, FUNCTIONAL_COLOUR))
    balance = 2 * np.asarray(share, np.float32)[..., None] - 1
    return np.asarray(np.maximum(balance, 0) * mri + np.maximum(-balance, 0) * functional, dtype=np.float32)


def _block(fused: FloatArray, mri: FloatArray, functional: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share, detail and explained part of some slices, (N, H, W) each."""
    f, m, p = (_slopes(stack) for stack in (fused, mri, functional))
    ff, mm, pp = _windowed(f, f), _windowed(m, m), _windowed(p, p)
    fm, fp, mp = _windowed(f, m), _windowed(f, p), _windowed(m, p)
    a, b = _non_negative(fm, fp, mp, _held_back(mm), _held_back(pp))
    part_mri, part_functional = a * np.sqrt(mm), b * np.sqrt(pp)
    total = part_mri + part_functional
    has_detail = (ff > DETAIL_FLOOR**2) & (total > 0)
    share = np.full_like(ff, 0.5)
    np.divide(part_mri, total, out=share, where=has_detail)
    energy = a * (2 * fm - a * mm - b * mp) + b * (2 * fp - b * pp - a * mp)
    explained = np.zeros_like(ff)
    np.divide(energy, ff, out=explained, where=has_detail)
    return share, np.sqrt(ff), np.clip(explained, 0, 1, out=explained)


def _slopes(stack: FloatArray) -> tuple[FloatArray, ...]:
    """Central differences along the rows and the columns; along a single row or column there are none."""
    stack = np.ascontiguousarray(stack, dtype=np.float32)
    return tuple(np.gradient(stack, axis=k) if stack.shape[k] > 1 else np.zeros_like(stack) for k in (1, 2))


def _windowed(one: tuple[FloatArray, ...], other: tuple[FloatArray, ...]) -> FloatArray:
    """Σ w ∇X · ∇Y around every pixel."""
    from scipy.ndimage import gaussian_filter

    product = one[0] * other[0] + one[1] * other[1]
    sigma = (0.0, WINDOW_SIGMA, WINDOW_SIGMA)
    return np.asarray(gaussian_filter(product, sigma, mode="nearest", truncate=_TRUNCATE), dtype=np.float32)


def _held_back(energy: FloatArray) -> FloatArray:
    return energy * np.float32(1 + _RIDGE) + np.float32(DETAIL_FLOOR**2)


def _non_negative(
    fm: FloatArray, fp: FloatArray, mp: FloatArray, mm: FloatArray, pp: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The minimum over a, b ≥ 0 of a² mm + b² pp + 2ab mp − 2a fm − 2b fp, pixel by pixel."""
    determinant = mm * pp - mp * mp
    a, b = (fm * pp - fp * mp) / determinant, (fp * mm - fm * mp) / determinant
    alone_a, alone_b = np.maximum(fm, 0) / mm, np.maximum(fp, 0) / pp
    # Where the free minimum lies outside, the constrained one lies on an axis: on the one that explains more.
    outside = (a < 0) | (b < 0)
    first = alone_a * fm >= alone_b * fp
    a = np.where(outside, np.where(first, alone_a, 0), a)
    b = np.where(outside, np.where(first, 0, alone_b), b)
    return a.astype(np.float32, copy=False), b.astype(np.float32, copy=False)
