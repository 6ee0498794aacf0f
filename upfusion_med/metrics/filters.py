"""Local averages: separable windows applied as banded matrices.

A window of n taps along an axis is a banded matrix product. Cut into blocks of some rows, it runs at the speed of the
matrix library, which on one core is several times faster than convolution routines in double precision, leaves exact
zeros where the image is exactly zero (an FFT does not), and works unchanged on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

#: Outputs a block: the product then wastes little on the zeros outside the band. Blocks of rows are smaller, since
#: their products run over long lines.
_ROW_BLOCK = 8
_COLUMN_BLOCK = 24
#: Up to so many outputs along an axis, one product with the whole band costs less than the calls for its blocks.
_ONE_PRODUCT = 64
#: About how many rows a strip has, with windows and without: what a strip needs then stays near the processor.
_STRIP_ROWS = 112
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


def _blocks(outputs: int, block: int) -> tuple[int, int]:
    """How many whole blocks there are, and how many outputs are left for a product of their own."""
    return (0, outputs) if outputs <= _ONE_PRODUCT else divmod(outputs, block)


def _along_rows(images: Tensor, taps: Taps, stride: int, out: Tensor) -> None:
    """Window sums along the first axis: (H, n) to (H', n); both may be slices along the second."""
    rows, line = out.shape
    blocks, rest = _blocks(rows, _ROW_BLOCK)
    if blocks:
        band, _ = _band(_ROW_BLOCK, taps, stride, images.device, images.dtype)
        step, stretch = images.stride(0), band.shape[1]
        windows = images.as_strided(
            (blocks, stretch, line), (_ROW_BLOCK * stride * step, step, 1), images.storage_offset()
        )
        target = out.as_strided(
            (blocks, _ROW_BLOCK, line), (_ROW_BLOCK * out.stride(0), out.stride(0), 1), out.storage_offset()
        )
        torch.bmm(band.expand(blocks, -1, -1), windows, out=target)
    if rest:
        band, _ = _band(rest, taps, stride, images.device, images.dtype)
        first = (rows - rest) * stride
        torch.mm(band, images[first : first + band.shape[1]], out=out[rows - rest :])


def _along_columns(lines: Tensor, taps: Taps, stride: int, out: Tensor) -> None:
    """Window sums along the last axis: contiguous (n, W) to (n, W')."""
    number, width = out.shape
    blocks, rest = _blocks(width, _COLUMN_BLOCK)
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


def correlate(images: Tensor, taps: Taps, *, stride: int = 1, same: bool = False) -> Tensor:
    """Correlation with the separable window ``taps`` × ``taps``.

    Args:
        images: (B, C, H, W) floating point.
        taps: Weights along each axis, at most as many as the image has pixels there.
        stride: Keep every ``stride``-th row and column, from the first.
        same: Zero padding with output H × W (odd number of taps); otherwise no padding, (H − n) // stride + 1.

    Returns:
        (B, C, H', W').
    """
    images = _with_zeros(images, len(taps) // 2) if same else images.contiguous()
    batch, channels, height, width = images.shape
    down = images.new_empty(batch, channels, _outputs(height, taps, stride), width)
    result = images.new_empty(*down.shape[:3], _outputs(width, taps, stride))
    for image, target in zip(images.flatten(0, 1), down.flatten(0, 1), strict=True):
        _along_rows(image, taps, stride, target)
    _along_columns(down.view(-1, width), taps, stride, result.view(-1, result.shape[3]))
    return result


class LocalMoments(NamedTuple):
    """Sliding-window moments of a stack of images at some places, sizes (groups, B, channels, places in a group).

    Variances are E[x²] − E[x]², not clipped, as all the reference codes have them.

    Attributes:
        mean: Of each of the C images.
        variance: Of each of the C images.
        covariance: Of the first image with each of the other C − 1.
    """

    mean: Tensor
    variance: Tensor
    covariance: Tensor


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let the C library keep memory that is freed instead of handing it back to the system.

    By default glibc does so for blocks up to the largest that was ever freed (32 MB at most). Metrics use many blocks
    of about a megabyte; fetching fresh pages for each of them costs up to a tenth of their time.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _workspaces(like: Tensor, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Uninitialised tensors in one piece of memory, each at a multiple of 64 bytes.

    One piece, because the C library hands several large ones back to the system at once when they are freed, and
    fetching fresh pages for every call costs as much as the arithmetic.
    """
    sizes = [math.prod(shape) for shape in shapes]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // 8) * 8)
    memory = like.new_empty(starts[-1])
    pieces = zip(starts, sizes, shapes, strict=False)
    return [memory[start : start + size].view(shape) for start, size, shape in pieces]


def _strip_rows(height: int) -> int:
    """Rows a strip, whole blocks, so that strips are of about one size."""
    strips = max(1, round(height / _STRIP_ROWS))
    return min(height, -(-height // (strips * _COLUMN_BLOCK)) * _COLUMN_BLOCK)


def _grouped(lines: Tensor, planes: tuple[int, int], every: int, rows: int) -> Tensor:
    """(groups, B, channels, rows · n) of contiguous (groups, lines, n), where every plane begins ``every`` lines on."""
    groups, number, count = lines.shape
    batch, channels = planes
    steps = (number * count, channels * every * count, every * count, 1)
    return lines.as_strided((groups, batch, channels, rows * count), steps)


def moment_strips(images: Tensor, taps: Taps, *, same: bool = False) -> Iterator[LocalMoments]:
    """Local moments, a part of the places at a time.

    Metrics only sum over pixels, so the moments of a part can be used and forgotten: they stay in the processor's
    cache. The next part may overwrite those of the last. Where the places of a part lie says `place_strips`.

    Args:
        images: (B, C, H, W) floating point.
        taps: The separable window.
        same: Zero padding, H × W places; otherwise no padding.
    """
    keep_freed_memory()
    images = _with_zeros(images, len(taps) // 2) if same else images
    batch, channels, height, width = images.shape
    planes, margin = 3 * channels - 1, len(taps) - 1
    new_height, new_width = height - margin, width - margin
    strip = new_height if images.is_cuda else _strip_rows(new_height)
    lines = batch * planes * (strip + margin)
    stacked, down, result = _workspaces(images, (lines * width,), (lines * width,), (lines * new_width,))
    whole = _whole_blocks(new_width)
    for first in range(0, new_height, strip):
        rows = min(strip, new_height - first)
        every = rows + margin
        # All planes stand on top of each other, so that one product runs over all of them. What it makes of windows
        # that reach from one plane into the next is left aside.
        lines = batch * planes * every
        stack = stacked[: lines * width].view(batch, planes, every, width)
        part, squares, crossed = stack.split((channels, channels, channels - 1), dim=1)
        part.copy_(images[:, :, first : first + every])
        torch.mul(part, part, out=squares)
        torch.mul(part[:, :1], part[:, 1:], out=crossed)
        made = down[: (lines - margin) * width].view(-1, width)
        _along_rows(stack.view(-1, width), taps, 1, made)
        begin = 0
        for groups, count in ((whole, _COLUMN_BLOCK), (1, new_width - whole * _COLUMN_BLOCK)):
            if groups * count == 0:
                continue
            _, band = _band(count, taps, 1, images.device, images.dtype)
            windows = made.as_strided(
                (groups, len(made), count + margin), (count, width, 1), made.storage_offset() + begin
            )
            filtered = result[: groups * len(made) * count].view(groups, len(made), count)
            torch.bmm(windows, band.expand(groups, -1, -1), out=filtered)
            begin += groups * count
            moments = _grouped(filtered, (batch, planes), every, rows)
            mean, square, product = moments.split((channels, channels, channels - 1), dim=2)
            square.addcmul_(mean, mean, value=-1.0)
            product.addcmul_(mean[:, :, :1], mean[:, :, 1:], value=-1.0)
            yield LocalMoments(mean, square, product)


def _whole_blocks(width: int) -> int:
    """How many whole blocks of columns moments are taken in; the rest goes for itself."""
    return _blocks(width, _COLUMN_BLOCK)[0]


def place_strips(maps: Tensor) -> Iterator[Tensor]:
    """Values of (B, C, H', W') at the places of `moment_strips`, part by part, (groups, B, C, places in a group)."""
    height, width = maps.shape[-2:]
    strip = height if maps.is_cuda else _strip_rows(height)
    whole = _whole_blocks(width)
    for first in range(0, height, strip):
        part, begin = maps[:, :, first : first + strip], 0
        for groups, count in ((whole, _COLUMN_BLOCK), (1, width - whole * _COLUMN_BLOCK)):
            if groups * count:
                columns = part[..., begin : begin + groups * count].unflatten(3, (groups, count))
                yield columns.permute(3, 0, 1, 2, 4).flatten(3)
                begin += groups * count


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
