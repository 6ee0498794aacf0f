from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from upfusion_med.core import InputError
from upfusion_med.evaluation import detection

pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra 'detection')")

CATEGORIES = [{"id": k + 1, "name": n} for k, n in enumerate(detection.M3FD_CLASSES)]


def files(tmp_path: Path, boxes: list[Any], found: Any) -> tuple[Path, Path]:
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": CATEGORIES,
        "annotations": [{"image_id": i, "category_id": c, "bbox": b} for i, c, b in boxes],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    return tmp_path / "found.json", tmp_path / "truth.json"


def hit(picture: int, kind: int, box: list[float], score: float = 0.9) -> dict[str, Any]:
    return {"image_id": picture, "category_id": kind, "bbox": box, "score": score}


def test_perfect_boxes_score_one_and_absent_classes_do_not_count(tmp_path: Path) -> None:
    boxes = [(1, 1, [0, 0, 50, 40]), (2, 2, [10, 10, 60, 30])]
    score = detection.score_detection(*files(tmp_path, boxes, [hit(i, c, b) for i, c, b in boxes]))
    assert score.ap50[:2] == pytest.approx((1.0, 1.0))
    assert (score.map50, score.map) == pytest.approx((1.0, 1.0))
    assert all(math.isnan(v) for v in score.ap50[2:])
    assert score.classes == detection.M3FD_CLASSES


def test_a_box_of_overlap_062_counts_at_three_of_ten_thresholds(tmp_path: Path) -> None:
    # Intersection 62 of union 100: above 0.5, 0.55 and 0.6.
    found = files(tmp_path, [(1, 1, [0, 0, 100, 10])], [hit(1, 1, [0, 0, 62, 10])])
    score = detection.score_detection(*found)
    assert score.map50 == pytest.approx(1.0)
    assert score.map == pytest.approx(0.3)


def test_a_missed_box_halves_the_recall(tmp_path: Path) -> None:
    boxes = [(1, 1, [0, 0, 50, 40]), (2, 1, [0, 0, 50, 40])]
    score = detection.score_detection(*files(tmp_path, boxes, [hit(1, 1, [0, 0, 50, 40])]))
    assert score.ap50[0] == pytest.approx(51 / 101)  # 101 recall points, 0 to 0.5 are reached


def test_no_detection_at_all_scores_zero(tmp_path: Path) -> None:
    score = detection.score_detection(*files(tmp_path, [(1, 1, [0, 0, 50, 40])], []))
    assert (score.map50, score.map) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "holds no list"),
        ([{"image_id": 1}], "detection 1 lacks"),
        ([hit(7, 1, [0, 0, 1, 1])], "of picture 7 and class 1"),
        ([hit(1, 99, [0, 0, 1, 1])], "of picture 1 and class 99"),
        ([hit(1, 1, [0, 0, 1])], "detection 1 lacks"),
        ([hit(1, 1, [0, 0, 1, math.nan])], "detection 1 has the bbox"),
        ([hit(1, 1, [0, 0, 1, "1"])], "detection 1 has the bbox"),
        ([hit(1, 1, [0, 0, -1, 1])], "detection 1 has the bbox"),
        ([{**hit(1, 1, [0, 0, 1, 1]), "score": "0.9"}], "detection 1 has the score '0.9'"),
        ([{**hit(1, 1, [0, 0, 1, 1]), "score": math.nan}], "detection 1 has the score nan"),
        ([{**hit(1, 1, [0, 0, 1, 1]), "image_id": [1]}], r"of picture \[1\] and class 1"),
    ],
)
def test_wrong_detections_are_refused(tmp_path: Path, found: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        detection.score_detection(*files(tmp_path, [(1, 1, [0, 0, 50, 40])], found))


def test_wrong_boxes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="annotation 1 lacks"):
        detection.score_detection(*files(tmp_path, [(1, 1, [0, 0])], []))
    (tmp_path / "truth.json").write_text("[]")
    with pytest.raises(InputError, match="lacks images"):
        detection.score_detection(tmp_path / "found.json", tmp_path / "truth.json")
    (tmp_path / "truth.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        detection.score_detection(tmp_path / "found.json", tmp_path / "truth.json")
    with pytest.raises(InputError, match=r"gone\.json cannot be read: No such file or directory\. Check the path"):
        detection.score_detection(tmp_path / "found.json", tmp_path / "gone.json")


BOX = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": 1}, "images are no list"),
        ({"images": [{"file_name": "a"}]}, "entry 1 of images lacks an id"),
        ({"images": [{"id": 1}, {"id": "2"}]}, "ids of images are numbers and texts"),
        ({"categories": [{"id": 1}]}, "entry 1 of categories lacks a name"),
        ({"annotations": {}}, "annotations are no list"),
        ({"annotations": [5]}, "annotation 1 lacks"),
        ({"annotations": [BOX, {**BOX, "image_id": 99}]}, "annotation 2 is of picture 99 and class 1"),
        ({"annotations": [{**BOX, "category_id": 7}]}, "annotation 1 is of picture 1 and class 7"),
        ({"annotations": [{**BOX, "bbox": [0, 0, math.nan, 5]}]}, "annotation 1 has the bbox"),
        ({"annotations": [{**BOX, "iscrowd": "no"}]}, "annotation 1 has iscrowd 'no'"),
    ],
)
def test_a_wrong_entry_among_the_true_boxes_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    found, truth = files(tmp_path, [(1, 1, [0, 0, 50, 40])], [hit(1, 1, [0, 0, 50, 40])])
    truth.write_text(json.dumps({**json.loads(truth.read_text()), **changed}))
    with pytest.raises(InputError, match=message):
        detection.score_detection(found, truth)


def test_a_crowd_is_not_missed_and_ids_may_be_texts(tmp_path: Path) -> None:
    found, truth = files(tmp_path, [], [])
    boxes = [{**BOX, "image_id": "a"}, {**BOX, "image_id": "a", "bbox": [20, 20, 9, 9], "iscrowd": 1}]
    truth.write_text(json.dumps({**json.loads(truth.read_text()), "images": [{"id": "a"}], "annotations": boxes}))
    found.write_text(json.dumps([{**boxes[0], "score": 0.5}]))
    assert detection.score_detection(found, truth).map == pytest.approx(1.0)


def test_the_papers_rows_stand_below_and_are_marked() -> None:
    score = detection.DetectionScore(detection.M3FD_CLASSES, (0.5,) * 6, (0.3,) * 6, 0.5, 0.3, 2)
    text = detection.markdown({"OURS": score})
    assert "| OURS | 0.500 |" in text
    assert "| *UP-Fusion* (published, other test pairs) | 0.825 |" in text
