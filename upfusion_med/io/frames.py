"""The choice of one volume out of a time series; never made silently."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import FrameChoice, InputError, UsageError


class FrameChoiceError(InputError):
    """The input is a time series and no frame was chosen.

    Attributes:
        count: Number of its frames.
    """

    def __init__(self, message: str, count: int) -> None:
        super().__init__(message)
        self.count = count


def choose_frame(data: NDArray[Any], path: str | os.PathLike[str], frame: FrameChoice) -> NDArray[Any]:
    """One frame, or the mean of all frames, of an array whose last axis is the frame; see `choose_stored_frame`."""
    return choose_stored_frame(lambda number: data[..., number], data.shape, path, frame)


def choose_stored_frame(
    read: Callable[[int], NDArray[Any]], shape: Sequence[int], path: str | os.PathLike[str], frame: FrameChoice
) -> NDArray[Any]:
    """One frame, or the mean of all frames, read one by one.

    Args:
        read: Gives the frame of a number from 0.
        shape: (..., T) of the whole series.
        path: The file, for messages.
        frame: Number of the frame from 0, ``"mean"``, or None when the caller chose nothing.

    Returns:
        The array without its last axis; float32 for the mean.

    Raises:
        FrameChoiceError: there are several frames and none was chosen.
        UsageError: the number does not exist.
    """
    count = shape[-1]
    if frame is None:
        if count != 1:
            raise FrameChoiceError(
                f"The file {path} is a series of {count} volumes (shape {tuple(shape)}); expected one volume. "
                f"{how_to_choose(count)} If its last axis holds colours, save it as RGB24.",
                count,
            )
        frame = 0
    if frame == "mean":
        total = read(0).astype(np.float64)
        for number in range(1, count):
            total += read(number)
        return np.asarray((total / count).astype(np.float32))
    check_frame(frame, count, path)
    return read(frame)


def how_to_choose(count: int) -> str:
    """What to do with a series of ``count`` frames, as a sentence."""
    return f"Choose a frame by its number, 0 to {count - 1}, or their mean: frame=0 or frame='mean' (--frame)."


def check_single(frame: FrameChoice, path: str | os.PathLike[str]) -> None:
    """Refuse a frame number other than 0 for an input that is one volume.

    Raises:
        UsageError: it is another number.
    """
    if frame is not None and frame != "mean":
        check_frame(frame, 1, path)


def check_frame(frame: object, count: int, path: str | os.PathLike[str]) -> None:
    """Refuse a frame number that is not in 0..count-1.

    Raises:
        UsageError: it is not.
    """
    if isinstance(frame, bool) or not isinstance(frame, int) or not 0 <= frame < count:
        numbers = "0" if count == 1 else f"0 to {count - 1}"
        raise UsageError(f"The frame {frame!r} of {path} does not exist; expected {numbers}, or 'mean'.")
