"""Local averages: separable windows applied as banded matrices.

A window of n taps along an axis is a banded matrix product. Cut into blocks of some rows, it runs at the speed of the
matrix library, which on one core is several times faster than convolution routines in double precision, leaves exact
zeros where the image is exactly zero (an FFT does not), and works unchanged on a GPU.

Inside, images lie rows first, (H, B, C, W): a row of all images side by side is one long line. The product along the
rows then runs over long lines, the one along the columns over all lines of all images at once, and neither computes
anything that is not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

#: Outputs a block: the product then wastes little on the zeros outside the band.
_ROW_BLOCK = 8
_COLUMN_BLOCK = 12
#: About how many places a strip has (of one image or of a batch): what a strip needs then stays near the processor.
_STRIP_PLACES = 80 * 256
#: About how many rows a strip has where no windows overlap.
_PLAIN_STRIP_ROWS = 128

Taps = tuple[float, ...]


@lru_cache(maxsize=64)
def gaussian_taps(size: int, sigma: float) -> Taps:
    """One axis of the ``size`` × ``size`` Gaussian window with sum 1 (MATLAB's fspecial; facts C.1, g(n, s)).

    Args:
        size: Number of taps; the centre is (size − 1) / 2.
        sigma: Standard deviation in pixels.
    """
    centre = (size - 1) / 2
    weights = [math.exp(-((k - centre) ** 2) / (2.0 * sigma * sigma)) for k in range(size)]
    total = math.fsum(weights)
    return tuple(w / total for w in weights)


@lru_cache(maxsize=256)
def _band(outputs: int, taps: Taps, stride: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The (outputs, stretch of inputs) matrix that gives some outputs in a row, and its transpose."""
    band = torch.zeros(outputs, (outputs - 1) * stride + len(taps), dtype=torch.float64)
    for row in range(outputs):
        band[row, row * stride : row * stride + len(taps)] = torch.tensor(taps, dtype=torch.float64)
    return band.to(device, dtype), band.T.contiguous().to(device, dtype)


def _outputs(length: int, taps: Taps, stride: int) -> int:
    """Number of window positions along an axis without padding."""
    return (length - len(taps)) // stride + 1


def _along_rows(lines: Tensor, taps: Taps, stride: int, out: Tensor) -> None:
    """Window sums along the first axis: contiguous (H, n) to contiguous (H', n)."""
    rows, length = out.shape
    blocks, rest = divmod(rows, _ROW_BLOCK)
    if blocks:
        band, _ = _band(_ROW_BLOCK, taps, stride, lines.device, lines.dtype)
        shape, steps = (blocks, band.shape[1], length), (_ROW_BLOCK * stride * length, length, 1)
        windows = lines.as_strided(shape, steps, lines.storage_offset())
        target = out[: blocks * _ROW_BLOCK].view(blocks, _ROW_BLOCK, length)
        torch.bmm(band.expand(blocks, -1, -1), windows, out=target)
    if rest:
        band, _ = _band(rest, taps, stride, lines.device, lines.dtype)
        first = (rows - rest) * stride
        torch.mm(band, lines[first : first + band.shape[1]], out=out[rows - rest :])


def _along_columns(lines: Tensor, taps: Taps, stride: int, out: Tensor) -> None:
    """Window sums along the last axis: contiguous (n, W) to contiguous (n, W')."""
    number, width = out.shape
    blocks, rest = divmod(width, _COLUMN_BLOCK)
    if blocks:
        _, band = _band(_COLUMN_BLOCK, taps, stride, lines.device, lines.dtype)
        shape, steps = (blocks, number, band.shape[0]), (_COLUMN_BLOCK * stride, lines.stride(0), 1)
        windows = lines.as_strided(shape, steps, lines.storage_offset())
        target = out.as_strided((blocks, number, _COLUMN_BLOCK), (_COLUMN_BLOCK, width, 1), out.storage_offset())
        torch.bmm(windows, band.expand(blocks, -1, -1), out=target)
    if rest:
        _, band = _band(rest, taps, stride, lines.device, lines.dtype)
        first = (width - rest) * stride
        torch.mm(lines[:, first : first + band.shape[0]], band, out=out[:, width - rest :])


def _with_zeros(images: Tensor, margin: int) -> Tensor:
    """(B, C, H, W) with ``margin`` zeros around each image."""
    return F.pad(images, (margin, margin, margin, margin))


def _rows_first(images: Tensor) -> Tensor:
    """(H, B, C, W) view of (B, C, H, W)."""
    return images.permute(2, 0, 1, 3)


def side_by_side(*images: Tensor) -> Tensor:
    """(B, C, H, W) of C images (B, 1, H, W), in memory rows first, as filters have them."""
    return torch.cat([_rows_first(image) for image in images], dim=2).permute(1, 2, 0, 3)


def correlate(images: Tensor, taps: Taps, *, stride: int = 1, same: bool = False) -> Tensor:
    """Correlation with the separable window ``taps`` × ``taps``.

    Args:
        images: (B, C, H, W) floating point.
        taps: Weights along each axis, at most as many as the image has pixels there.
        stride: Keep every ``stride``-th row and column, from the first.
        same: Zero padding with output H × W (odd number of taps); otherwise no padding, (H − n) // stride + 1.

    Returns:
        (B, C, H', W'), in memory rows first.
    """
    images = _with_zeros(images, len(taps) // 2) if same else images
    lines = _rows_first(images).contiguous()
    height, batch, channels, width = lines.shape
    down = lines.new_empty(_outputs(height, taps, stride), batch, channels, width)
    result = lines.new_empty(*down.shape[:3], _outputs(width, taps, stride))
    _along_rows(lines.view(height, -1), taps, stride, down.view(len(down), -1))
    _along_columns(down.view(-1, width), taps, stride, result.view(-1, result.shape[3]))
    return result.permute(1, 2, 0, 3)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let the C library keep memory that is freed instead of handing it back to the system.

    By default glibc does so for blocks up to the largest that was ever freed (32 MB at most). Metrics use many blocks
    of about a megabyte; fetching fresh pages for each of them costs up to a tenth of their time.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _strip_rows(batch: int, height: int, width: int) -> int:
    """Rows a strip, whole blocks, so that strips are of about one size."""
    strips = max(1, round(batch * height * width / _STRIP_PLACES))
    return min(height, -(-height // (strips * _ROW_BLOCK)) * _ROW_BLOCK)


def _mean_strips(
    images: Tensor, taps: Taps, planes: int, add_products: Callable[[Tensor, Tensor], None]
) -> Iterator[Tensor]:
    """Sliding means of images and of products of them, some rows at a time, (rows, B, planes, W').

    Metrics only sum over pixels, so what is made of a strip can be used and forgotten: it stays in the processor's
    cache. The next strip overwrites it.

    Args:
        images: (B, C, H, W) floating point.
        taps: The separable window.
        planes: How many means there are: C of the images, the others of products.
        add_products: Writes the products of (rows, B, C, W) into (rows, B, planes − C, W).
    """
    keep_freed_memory()
    images = _rows_first(images)
    height, batch, channels, width = images.shape
    new_height, new_width = _outputs(height, taps, 1), _outputs(width, taps, 1)
    margin = len(taps) - 1
    strip = new_height if images.is_cuda else _strip_rows(batch, new_height, new_width)
    stack = images.new_empty(strip + margin, batch, planes, width)
    down = images.new_empty(strip, batch, planes, width)
    for first in range(0, new_height, strip):
        rows = min(strip, new_height - first)
        part = images[first : first + rows + margin]
        stacked = stack[: len(part)]
        stacked[:, :, :channels] = part
        add_products(stacked[:, :, :channels], stacked[:, :, channels:])
        _along_rows(stacked.view(len(part), -1), taps, 1, down[:rows].view(rows, -1))
        # The stack is of no more use, and its memory is still near.
        means = stack.view(-1)[: rows * batch * planes * new_width].view(rows, batch, planes, new_width)
        _along_columns(down[:rows].view(-1, width), taps, 1, means.view(-1, new_width))
        yield means


class LocalMoments(NamedTuple):
    """Sliding-window moments of a stack of images in some rows, (rows, B, channels, W').

    Variances are E[x²] − E[x]², not clipped, as all the reference codes have them.

    Attributes:
        mean: Of each of the C images.
        variance: Of each of the C images.
        covariance: Of the first image with each of the other C − 1.
    """

    mean: Tensor
    variance: Tensor
    covariance: Tensor


def _squares_and_crossed(part: Tensor, products: Tensor) -> None:
    """x² of every image, and the first image times each of the others."""
    channels = part.shape[2]
    torch.mul(part, part, out=products[:, :, :channels])
    torch.mul(part[:, :, :1], part[:, :, 1:], out=products[:, :, channels:])


def moment_strips(images: Tensor, taps: Taps, *, same: bool = False) -> Iterator[LocalMoments]:
    """Local moments, some rows at a time; the next strip may overwrite the last one.

    The strips of several stacks with one window position a pixel are alike, so they can be walked through together;
    `place_strips` gives other values at the same places.

    Args:
        images: (B, C, H, W) floating point.
        taps: The separable window.
        same: Zero padding, H × W places; otherwise no padding.
    """
    images = _with_zeros(images, len(taps) // 2) if same else images
    channels = images.shape[1]
    for means in _mean_strips(images, taps, 3 * channels - 1, _squares_and_crossed):
        mean, square, product = means.split((channels, channels, channels - 1), dim=2)
        square.addcmul_(mean, mean, value=-1.0)
        product.addcmul_(mean[:, :, :1], mean[:, :, 1:], value=-1.0)
        yield LocalMoments(mean, square, product)


class PairMoments(NamedTuple):
    """What SSIM is made of: moments of the first image x with each of the others y, (rows, B, C − 1, W') each.

    Attributes:
        product: μ_x μ_y.
        squares: μ_x² + μ_y².
        covariance: σ_xy.
        variances: σ_x² + σ_y².
    """

    product: Tensor
    squares: Tensor
    covariance: Tensor
    variances: Tensor


def pairs(moments: LocalMoments) -> PairMoments:
    """Of the moments of each image, those of the first with each of the others, in memory of their own."""
    mean, variance = moments.mean, moments.variance
    first, others = mean[:, :, :1], mean[:, :, 1:]
    squares = torch.addcmul(first * first, others, others)
    return PairMoments(first * others, squares, moments.covariance.clone(), variance[:, :, :1] + variance[:, :, 1:])


def _crossed_and_sums(part: Tensor, products: Tensor) -> None:
    """The products x y and x² + y² of the first image x with each other y."""
    first, others = part[:, :, :1], part[:, :, 1:]
    crossed, sums = products.chunk(2, dim=2)
    torch.mul(first, others, out=crossed)
    torch.addcmul(first * first, others, others, out=sums)


def pair_moment_strips(images: Tensor, taps: Taps) -> Iterator[PairMoments]:
    """As `moment_strips` and `pairs`, without padding; variances are filtered as sums, so there is less to filter."""
    others = images.shape[1] - 1
    for means in _mean_strips(images, taps, 1 + 3 * others, _crossed_and_sums):
        mean, covariance, variances = means.split((1 + others, others, others), dim=2)
        first, rest = mean[:, :, :1], mean[:, :, 1:]
        product = first * rest
        squares = torch.addcmul(first.square_(), rest, rest, out=rest)
        yield PairMoments(product, squares, covariance.sub_(product), variances.sub_(squares))


def place_strips(maps: Tensor) -> Iterator[Tensor]:
    """Values of (B, C, H', W') at the places of `moment_strips`, strip by strip, (rows, B, C, W')."""
    batch, _, height, width = maps.shape
    strip = height if maps.is_cuda else _strip_rows(batch, height, width)
    yield from _rows_first(maps).split(strip)


def sobel(images: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel derivatives (along x, along y) with zero padding; kernels [−1 0 1; −2 0 2; −1 0 1] and its transpose.

    Args:
        images: (B, C, H, W).

    Returns:
        Two tensors (B, C, H, W).
    """
    return derivative_pair(F.pad(images, (1, 1, 1, 1)), centre_weight=2.0)


def derivative_pair(padded: Tensor, *, centre_weight: float) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, smoothed by [1, centre_weight, 1] across, of an image padded by one pixel.

    Args:
        padded: (B, C, H + 2, W + 2).
        centre_weight: 2 for Sobel's kernel, 1 for Prewitt's.

    Returns:
        Right minus left and below minus above, (B, C, H, W) each.
    """
    across = padded[..., :, 2:] - padded[..., :, :-2]
    along_x = across[..., :-2, :] + across[..., 2:, :]
    along_x.add_(across[..., 1:-1, :], alpha=centre_weight)
    across = padded[..., 2:, :] - padded[..., :-2, :]
    along_y = across[..., :, :-2] + across[..., :, 2:]
    along_y.add_(across[..., :, 1:-1], alpha=centre_weight)
    return along_x, along_y


def row_strips(padded: Tensor, overlap: int) -> Iterator[Tensor]:
    """Strips of rows of (B, C, H, W) that overlap by ``overlap`` rows, so that windows of overlap + 1 rows tile it."""
    height = int(padded.shape[2])
    rows = height if padded.is_cuda else _PLAIN_STRIP_ROWS
    for first in range(0, height - overlap, rows):
        yield padded[:, :, first : min(first + rows + overlap, height)]
