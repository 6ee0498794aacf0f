from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from upfusion_med.cli.main import app


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name, prediction, truth in (("1", [[0, 1], [1, 0]], [[0, 1], [1, 1]]), ("2", [[0, 2]], [[0, 2]])):
        for folder, values in (("predictions", prediction), ("labels", truth)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(np.array(values, np.uint8)).save(tmp_path / folder / f"{name}.png")
    return tmp_path / "predictions", tmp_path / "labels"


def run(*arguments: object):
    return CliRunner().invoke(app, ["downstream", *map(str, arguments)])


def test_segmentation_prints_iou_in_percent_beside_the_published_rows(folders):
    predictions, labels = folders
    done = run("segmentation", "--predictions", predictions, "--labels", labels, "--name", "ours")
    assert done.exit_code == 0
    row = next(line for line in done.output.splitlines() if line.startswith("| ours |"))
    # Background 2 of 3, car 2 of 3, person 1 of 1.
    assert row.split("|")[2:5] == [" 66.67 ", " 66.67 ", " 100.00 "]
    assert "published" in done.output
    alone = run("segmentation", "--predictions", predictions, "--labels", labels, "--no-published")
    assert "published" not in alone.output


def test_a_missing_prediction_is_named_and_sets_the_exit_code(folders):
    predictions, labels = folders
    (predictions / "2.png").unlink()
    done = run("segmentation", "--predictions", predictions, "--labels", labels)
    assert done.exit_code == 3
    assert "2.png has no prediction" in done.output


def test_detection_prints_average_precision(tmp_path):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra 'detection')")
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 40]}
    truth = {"images": [{"id": 1}], "categories": [{"id": 1, "name": "People"}], "annotations": [box]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps([{**box, "score": 0.9}]))
    done = run("detection", "--predictions", tmp_path / "found.json", "--truth", tmp_path / "truth.json")
    assert done.exit_code == 0
    assert "| fused | 1.000 | 1.000 | 1.000 |" in done.output
