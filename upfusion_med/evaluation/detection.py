"""Object detection on fused pictures, scored as in the papers: AP per class, mAP@0.5 and mAP@[0.5:0.95].

The detector is the user's own; this file compares its detections with the set's boxes, both in COCO's JSON form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from upfusion_med.core import InputError, package_failure
from upfusion_med.evaluation.published import DETECTION_M3FD, DETECTION_SOURCE, MARK

#: Classes of M3FD in the order of the paper's table.
M3FD_CLASSES = ("people", "car", "bus", "lamp", "motorcycle", "truck")


@dataclass(frozen=True)
class DetectionScore:
    """Average precision over all pictures of a set.

    Attributes:
        classes: Names of the classes, in the order of their numbers.
        ap50: AP at IoU 0.5 of each class; NaN for a class without boxes.
        ap: AP over IoU 0.5, 0.55 … 0.95 of each class.
        map50: Mean of ``ap50`` over the classes that occur.
        map: Mean of ``ap`` over the classes that occur.
        pictures: Number of pictures.
    """

    classes: tuple[str, ...]
    ap50: tuple[float, ...]
    ap: tuple[float, ...]
    map50: float
    map: float
    pictures: int


def score_detection(detections: Path, truth: Path) -> DetectionScore:
    """Compare detections with boxes.

    Args:
        detections: JSON list of ``{image_id, category_id, bbox: [x, y, width, height], score}``.
        truth: JSON object with ``images``, ``annotations`` and ``categories``, as COCO's ``instances``.

    Raises:
        InputError: a file cannot be read, a field is missing or of a wrong kind, or a box is of a picture or class that
            does not occur.
        MissingPackageError: pycocotools is not installed.

    Source: COCO's own evaluation (101-point interpolated AP, at most 100 detections a picture).
    """
    try:
        import numpy as np
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise package_failure(error, "pycocotools", "detection", "score detections") from error
    (boxes, ids), found = _truth(truth), _read(detections)
    _check_detections(found, ids, detections)
    predicted = [
        {**d, "id": n, "iscrowd": 0, "area": d["bbox"][2] * d["bbox"][3]} for n, d in enumerate(found, start=1)
    ]
    with redirect_stdout(StringIO()):  # pycocotools reports its progress by print
        sides = (COCO(), COCO())
        for side, annotations in zip(sides, (boxes["annotations"], predicted), strict=True):
            side.dataset = {**boxes, "annotations": annotations}
            side.createIndex()
        evaluation = COCOeval(*sides, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # precision: (IoU, recall, class, area, detections a picture); -1 where a class has no boxes.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    precision = np.array(precision, dtype=np.float64)
    precision[precision < 0] = np.nan
    names = {c["id"]: str(c["name"]) for c in boxes["categories"]}
    numbers = evaluation.params.catIds
    occurs = np.isfinite(precision).all(axis=(0, 1))
    ap50 = [float(precision[0, :, k].mean()) if occurs[k] else math.nan for k in range(len(numbers))]
    ap = [float(precision[:, :, k].mean()) if occurs[k] else math.nan for k in range(len(numbers))]
    return DetectionScore(
        classes=tuple(names[n] for n in numbers),
        ap50=tuple(ap50),
        ap=tuple(ap),
        map50=float(np.mean([v for v in ap50 if not math.isnan(v)])) if occurs.any() else math.nan,
        map=float(np.mean([v for v in ap if not math.isnan(v)])) if occurs.any() else math.nan,
        pictures=len(boxes["images"]),
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); expected a COCO-style file.") from error


class _Ids(NamedTuple):
    """Ids that occur in a file of true boxes."""

    pictures: frozenset[Any]
    classes: frozenset[Any]


def _truth(path: Path) -> tuple[dict[str, Any], _Ids]:
    """The boxes, with those fields that the evaluation needs, and the ids of pictures and classes."""
    content = _read(path)
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise InputError(f"{path} lacks images, annotations or categories; expected COCO's 'instances' form.")
    ids = _Ids(*(_ids_of(content[name], name, path) for name in ("images", "categories")))
    for number, category in enumerate(content["categories"], start=1):
        if not isinstance(category.get("name"), str):
            raise InputError(f"{path}: entry {number} of categories lacks a name; expected a text.")
    if not content["images"]:
        raise InputError(f"{path} lists no picture; expected some.")
    if not isinstance(content["annotations"], list):
        raise InputError(f"{path}: annotations are no list; expected COCO's 'instances' form.")
    annotations = []
    for number, annotation in enumerate(content["annotations"], start=1):
        called = f"{path}: annotation {number}"
        _check_box(annotation, ids, called)
        crowd = annotation.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise InputError(f"{called} has iscrowd {crowd!r}; expected 0 or 1.")
        box = {key: annotation[key] for key in ("image_id", "category_id", "bbox")}
        annotations.append({**box, "id": number, "iscrowd": int(crowd), "area": box["bbox"][2] * box["bbox"][3]})
    return {**content, "annotations": annotations}, ids


def _ids_of(entries: object, name: str, path: Path) -> frozenset[Any]:
    if not isinstance(entries, list):
        raise InputError(f"{path}: {name} are no list; expected COCO's 'instances' form.")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not _is_id(entry.get("id")):
            raise InputError(f"{path}: entry {number} of {name} lacks an id; expected a number or a text.")
    if len({isinstance(entry["id"], str) for entry in entries}) > 1:
        raise InputError(f"{path}: the ids of {name} are numbers and texts; expected one kind.")
    return frozenset(entry["id"] for entry in entries)


def _check_box(entry: object, ids: _Ids, called: str) -> None:
    """Refuse a box without its fields, one that is none, or one of a picture or class that does not occur."""
    fields = entry if isinstance(entry, dict) else {}
    box = fields.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not {"image_id", "category_id"} <= fields.keys():
        raise InputError(f"{called} lacks image_id, category_id or bbox [x, y, width, height].")
    if not all(map(_is_number, box)) or min(box[2:]) < 0:
        raise InputError(f"{called} has the bbox {box}; expected finite numbers, width and height of 0 or more.")
    picture, kind = fields["image_id"], fields["category_id"]
    occurs = _is_id(picture) and _is_id(kind) and picture in ids.pictures and kind in ids.classes
    if not occurs:
        raise InputError(
            f"{called} is of picture {picture} and class {kind}; expected ids that occur among images and categories."
        )


def _is_id(value: object) -> bool:
    return isinstance(value, str) or _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_detections(found: Any, ids: _Ids, path: Path) -> None:
    if not isinstance(found, list):
        raise InputError(f"{path} holds no list; expected COCO's list of detections.")
    for number, detection in enumerate(found, start=1):
        called = f"{path}: detection {number}"
        _check_box(detection, ids, called)
        if not _is_number(detection.get("score")):
            raise InputError(f"{called} has the score {detection.get('score')!r}; expected a finite number.")


def markdown(scores: Mapping[str, DetectionScore], published: bool = True) -> str:
    """A table of AP@0.5 per class, mAP@0.5 and mAP@[0.5:0.95], with the published M3FD rows below where they fit."""
    classes = next(iter(scores.values())).classes
    lines = ["| method | " + " | ".join(classes) + " | mAP@0.5 | mAP@[0.5:0.95] |", "|" + "---|" * (len(classes) + 3)]
    for name, score in scores.items():
        cells = ["–" if math.isnan(v) else f"{v:.3f}" for v in (*score.ap50, score.map50, score.map)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if published and tuple(c.lower() for c in classes) == M3FD_CLASSES:
        for name, values in DETECTION_M3FD.items():
            lines.append(f"| *{name}* ({MARK}) | " + " | ".join(f"{v:.3f}" for v in values) + " |")
        lines += ["", f"Published: {DETECTION_SOURCE}."]
    return "\n".join(lines) + "\n"
