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
from typing import Any

from upfusion_med.core import InputError, MissingPackageError
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
        InputError: a file cannot be read, a field is missing, or a detection names an unknown picture or class.
        MissingPackageError: pycocotools is not installed.

    Source: COCO's own evaluation (101-point interpolated AP, at most 100 detections a picture).
    """
    try:
        import numpy as np
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingPackageError("pycocotools", "detection", "score detections") from error
    boxes, found = _truth(truth), _read(detections)
    _check_detections(found, boxes, detections)
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
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); expected a COCO-style file.") from error


def _truth(path: Path) -> dict[str, Any]:
    """The boxes with the fields that the evaluation needs filled in."""
    content = _read(path)
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise InputError(f"{path} lacks images, annotations or categories; expected COCO's 'instances' form.")
    if not content["images"]:
        raise InputError(f"{path} lists no picture; expected some.")
    annotations = []
    for number, annotation in enumerate(content["annotations"], start=1):
        box = annotation.get("bbox") if isinstance(annotation, dict) else None
        if not isinstance(box, list) or not _is_box(box) or not {"image_id", "category_id"} <= annotation.keys():
            raise InputError(f"{path}: annotation {number} lacks image_id, category_id or bbox [x, y, width, height].")
        area = annotation.get("area", box[2] * box[3])
        annotations.append({"iscrowd": 0, **annotation, "id": number, "area": area})
    return {**content, "annotations": annotations}


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(v, int | float) for v in box)


def _check_detections(found: Any, boxes: Mapping[str, Any], path: Path) -> None:
    if not isinstance(found, list):
        raise InputError(f"{path} holds no list; expected COCO's list of detections.")
    pictures = {i["id"] for i in boxes["images"]}
    classes = {c["id"] for c in boxes["categories"]}
    for number, detection in enumerate(found, start=1):
        fields = detection if isinstance(detection, dict) else {}
        if not {"image_id", "category_id", "score"} <= fields.keys() or not _is_box(fields.get("bbox")):
            raise InputError(f"{path}: detection {number} lacks image_id, category_id, score or bbox.")
        if fields["image_id"] not in pictures or fields["category_id"] not in classes:
            raise InputError(
                f"{path}: detection {number} is of picture {fields['image_id']} and class {fields['category_id']}; "
                "expected numbers that occur among the boxes."
            )


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
