"""Weights that anybody can rebuild from key names and shapes: the rule behind ``refs/upfusion_parity.npz``."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

#: Elements worked on at once; small enough for the cache.
CHUNK = 1 << 15

GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
SECOND_FACTOR = np.uint64(0x94D049BB133111EB)
RAMP = np.arange(1, CHUNK + 1, dtype=np.uint64) * GAMMA


def affine_sequence(key: str, count: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """``shift + scale * r[i]`` as float32, computed in float64; r is the splitmix64 sequence of the key in -1..1."""
    seed = zlib.crc32(key.encode()) << 32
    values = np.empty(count, np.float32)
    z, spare, real = np.empty(CHUNK, np.uint64), np.empty(CHUNK, np.uint64), np.empty(CHUNK, np.float64)
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        a, b, r = z[:n], spare[:n], real[:n]
        np.add(RAMP[:n], np.uint64((seed + start * int(GAMMA)) % 2**64), out=a)
        for shift_bits, factor in ((30, FIRST_FACTOR), (27, SECOND_FACTOR), (31, None)):
            np.right_shift(a, np.uint64(shift_bits), out=b)
            np.bitwise_xor(a, b, out=a)
            if factor is not None:
                np.multiply(a, factor, out=a)
        np.right_shift(a, np.uint64(40), out=a)
        r[...] = a.view(np.int64)
        r *= 2.0**-23
        r -= 1.0
        if scale != 1.0:
            r *= scale
        if shift:
            r += shift
        values[start : start + n] = r
    return values


def comb(count: int, step: int, start: int) -> np.ndarray:
    """Well separated values ``2 ((step j + start) mod count) / count - 1`` in float64."""
    return 2.0 * ((step * np.arange(count) + start) % count) / count - 1.0


def rule_tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 value of one weight."""
    count = int(np.prod(shape, dtype=np.int64))
    name = key.rsplit(".", 1)[-1]
    if key.endswith("se_fc.2.weight"):
        rows, columns = shape
        value = np.empty(shape)
        value[:, 0::2] = comb(rows, 29, 7)[:, None] * 8.0 / columns
        value[:, 1::2] = (np.arange(rows) % 2)[:, None] * 3.0 / columns
        return value.astype(np.float32)
    if key.endswith("text_fc.2.weight"):
        rows, columns = shape
        r = affine_sequence(key, columns).astype(np.float64)
        return ((np.arange(rows) % 2)[:, None] * 0.05 * r).astype(np.float32)
    if key.endswith("text_fc.2.bias"):
        return comb(count, 35, 11).astype(np.float32)
    named = {"alpha": (0.25, 1.0), "attn4": (0.25, 0.75), "temperature": (1.0, 2.0), "layer_scale": (0.1, 0.3),
             "bias": (0.1, 0.0)}  # fmt: skip
    if name in named:
        scale, shift = named[name]
    elif len(shape) == 1:
        scale, shift = 0.25, 1.0
    else:
        gain = 0.1 if key == "output.weight" else 1.0
        scale, shift = gain * np.sqrt(3.0 / (count / shape[0])), 0.0
    return affine_sequence(key, count, scale, shift).reshape(shape)


def rule_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A whole state dict by the rule."""
    return {key: rule_tensor(key, tuple(shape)) for key, shape in shapes.items()}
