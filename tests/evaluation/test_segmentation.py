from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upfusion_med.core import InputError
from upfusion_med.evaluation import segmentation

from .conftest import save


def labels(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, dtype=np.uint8)


def test_iou_is_taken_over_the_whole_set_and_not_picture_by_picture(tmp_path: Path) -> None:
    save(tmp_path / "labels" / "1.png", labels([[0, 1], [1, 1]]))
    save(tmp_path / "predictions" / "1.png", labels([[0, 1], [1, 0]]))
    save(tmp_path / "labels" / "2.png", labels([[0, 0], [0, 2]]))
    save(tmp_path / "predictions" / "2.png", labels([[0, 0], [0, 2]]))
    score = segmentation.score_segmentation(tmp_path / "predictions", tmp_path / "labels")
    # background: 4 hit, 1 false; car: 2 hit, 1 missed; person: 1 hit.
    assert score.iou[:3] == pytest.approx((4 / 5, 2 / 3, 1.0))
    assert np.isnan(score.iou[3:]).all()
    assert score.mean == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)
    assert (score.pictures, score.failures) == (2, ())


def test_ignored_pixels_do_not_count() -> None:
    counts = segmentation.confusion(labels([[1, 7, 0]]), labels([[1, 255, 0]]), 9)
    assert counts.sum() == 2
    assert counts[1, 1] == 1


def test_colours_in_place_of_class_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="hold the number 64; expected class numbers below 9"):
        segmentation.confusion(labels([[64]]), labels([[1]]), 9)


def test_what_is_missing_or_broken_is_listed(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        save(tmp_path / "labels" / f"{name}.png", labels([[0, 1]]))
    save(tmp_path / "predictions" / "1.png", labels([[0, 1]]))
    save(tmp_path / "predictions" / "2.png", labels([[0, 1], [0, 1]]))
    save(tmp_path / "predictions" / "3.png", np.zeros((1, 2, 3), np.uint8))
    save(tmp_path / "predictions" / "9.png", labels([[0, 1]]))
    score = segmentation.score_segmentation(tmp_path / "predictions", tmp_path / "labels")
    assert score.pictures == 1
    assert {f.name: f.reason.split("; expected")[0].split()[-1] for f in score.failures}.keys() == {"2", "3", "4", "9"}


def test_palette_pictures_give_their_indices(tmp_path: Path) -> None:
    picture = Image.fromarray(labels([[0, 3]])).convert("P")
    picture.putpalette([9, 9, 9] * 256)
    picture.putdata([0, 3])
    picture.save(tmp_path / "p.png")
    assert segmentation.read_labels(tmp_path / "p.png").tolist() == [[0, 3]]


def test_the_papers_rows_stand_below_and_are_marked(tmp_path: Path) -> None:
    score = segmentation.SegmentationScore(segmentation.MSRS_CLASSES, (0.5,) * 8 + (float("nan"),), 0.5, 3, ())
    text = segmentation.markdown({"OURS": score})
    assert "| OURS | 50.00 |" in text
    assert "| – | 50.00 |" in text
    assert "| *UP-Fusion* (published, other test pairs) | 98.56 |" in text
    assert "UP-Fusion*" not in segmentation.markdown({"OURS": score}, published=False)
