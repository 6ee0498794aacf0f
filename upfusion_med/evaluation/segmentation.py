"""Semantic segmentation of fused pictures, scored as in the papers: IoU per class and its mean, over a whole set.

The segmentation network is the user's own; this file compares the label pictures it wrote with those of the set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError
from upfusion_med.evaluation.pairs import Failure, pictures_of
from upfusion_med.evaluation.published import MARK, SEGMENTATION_MSRS, SEGMENTATION_SOURCE

#: Classes of MSRS (MFNet's), the label value is the place in this list.
MSRS_CLASSES = (
    "background", "car", "person", "bike", "curve", "car stop", "guardrail", "colour cone", "bump",
)  # fmt: skip
#: Label of pixels that do not count.
IGNORED = 255

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class SegmentationScore:
    """IoU over all pictures of a set.

    Attributes:
        classes: Names of the classes.
        iou: IoU of each class in 0..1; NaN for a class that occurs neither in labels nor in predictions.
        mean: Mean over the classes that occur.
        pictures: Number of pictures that were compared.
        failures: Label pictures without a prediction and the like.
    """

    classes: tuple[str, ...]
    iou: tuple[float, ...]
    mean: float
    pictures: int
    failures: tuple[Failure, ...]


def confusion(prediction: Labels, truth: Labels, classes: int, ignored: int = IGNORED) -> NDArray[np.int64]:
    """Counts of pixels by true class (rows) and predicted class (columns).

    Args:
        prediction: (H, W) uint8 class numbers.
        truth: (H, W) uint8 class numbers; ``ignored`` does not count.
        classes: Number of classes.
        ignored: Label of pixels that do not count.

    Raises:
        InputError: the sizes differ, or a number is no class.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise InputError(
            f"The prediction has shape {prediction.shape}, the labels {truth.shape}; expected two single-channel "
            "pictures of class numbers of one size."
        )
    counted = truth != ignored
    for name, picture in (("labels", truth[counted]), ("prediction", prediction[counted])):
        if picture.size and int(picture.max()) >= classes:
            raise InputError(
                f"The {name} hold the number {int(picture.max())}; expected class numbers below {classes} "
                f"(or {ignored} in the labels for pixels that do not count), not colours."
            )
    joint = truth[counted].astype(np.int64) * classes + prediction[counted]
    return np.bincount(joint, minlength=classes * classes).reshape(classes, classes)


def iou_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU of each class, TP / (TP + FP + FN); NaN where a class does not occur."""
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(0) + counts.sum(1) - hit
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def score_segmentation(
    predictions: Path, labels: Path, classes: Sequence[str] = MSRS_CLASSES, ignored: int = IGNORED
) -> SegmentationScore:
    """Compare two folders of label pictures, matched by name; counts are summed over the set before IoU is taken.

    Args:
        predictions: Single-channel pictures of predicted class numbers.
        labels: The set's label pictures, such as ``MSRS/test/Segmentation_labels``.
        classes: Names of the classes, in the order of their numbers.
        ignored: Label of pixels that do not count.

    Raises:
        InputError: a folder is missing or empty, or no picture could be compared.
    """
    predicted, true = pictures_of(predictions), pictures_of(labels)
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    failures = [
        Failure("segmentation", stem, "", f"{true[stem]} has no prediction in {predictions}")
        for stem in sorted(true.keys() - predicted.keys())
    ]
    failures += [
        Failure("segmentation", stem, "", f"{predicted[stem]} has no labels in {labels}")
        for stem in sorted(predicted.keys() - true.keys())
    ]
    done = 0
    for stem in sorted(true.keys() & predicted.keys()):
        try:
            counts += confusion(read_labels(predicted[stem]), read_labels(true[stem]), len(classes), ignored)
            done += 1
        except InputError as error:
            failures.append(Failure("segmentation", stem, "", str(error)))
    if not done:
        raise InputError(f"No picture could be compared; the first reason: {failures[0].reason}")
    iou = iou_of(counts)
    return SegmentationScore(tuple(classes), tuple(iou.tolist()), float(np.nanmean(iou)), done, tuple(failures))


def read_labels(path: Path) -> Labels:
    """(H, W) uint8 class numbers; palette pictures give their indices.

    Raises:
        InputError: not readable, or colours.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P"):
                raise InputError(
                    f"The label picture {path} has the mode {picture.mode}; expected 8-bit class numbers (L or P)."
                )
            return np.array(picture)
    except (OSError, SyntaxError) as error:
        raise InputError(f"The label picture {path} cannot be read; copy it again from its source.") from error


def markdown(scores: Mapping[str, SegmentationScore], published: bool = True) -> str:
    """A table in %, one row a method, with the published MSRS rows below where the classes are those of MSRS."""
    classes = next(iter(scores.values())).classes
    lines = ["| method | " + " | ".join(classes) + " | mIoU |", "|" + "---|" * (len(classes) + 2)]
    for name, score in scores.items():
        cells = ["–" if np.isnan(v) else f"{100 * v:.2f}" for v in (*score.iou, score.mean)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if published and classes == MSRS_CLASSES:
        for name, values in SEGMENTATION_MSRS.items():
            lines.append(f"| *{name}* ({MARK}) | " + " | ".join(f"{v:.2f}" for v in values) + " |")
        lines += ["", f"Published: {SEGMENTATION_SOURCE}."]
    return "\n".join(lines) + "\n"
