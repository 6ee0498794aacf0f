"""The choice of one volume out of a time series; never made silently."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, UsageError

#: A frame's number from 0, the mean of all frames, or no choice.
FrameChoice = int | Literal["mean"] | None


class FrameChoiceError(InputError):
    """The input is a time series and no frame was chosen.

    Attributes:
        count: Number of its frames.
    """

    def __init__(self, message: str, count: int) -> None:
        super().__init__(message)
        self.count = count


def choose_frame(data: NDArray[Any], path: str | os.PathLike[str], frame: FrameChoice) -> NDArray[Any]:
    """One frame, or the mean of all frames, of an array whose last axis is the frame.

    Args:
        data: (..., T).
        path: The file, for messages.
        frame: Number of the frame from 0, ``"mean"``, or None when the caller chose nothing.

    Returns:
        The array without its last axis.

    Raises:
        FrameChoiceError: there are several frames and none was chosen.
        UsageError: the number does not exist.
    """
    count = data.shape[-1]
    if frame is None:
        if count != 1:
            raise FrameChoiceError(
                f"The file {path} is a series of {count} volumes (shape {tuple(data.shape)}); expected one volume. "
                f"Choose one with frame=0 to {count - 1}, or frame='mean' for their average. "
                "If its last axis holds colours, save it as RGB24.",
                count,
            )
        frame = 0
    if frame == "mean":
        return np.asarray(data.mean(axis=-1, dtype=np.float64).astype(np.float32))
    check_frame(frame, count, path)
    return data[..., frame]


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
