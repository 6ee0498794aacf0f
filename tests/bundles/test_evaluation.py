"""The evaluation configurations against the package's own benchmark."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from PIL import Image

from tests.bundles.conftest import NAMES
from tests.bundles.workflows import workflow
from upfusion_med.bundle import PicturePairs, ToLevelsd
from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.methods import model_method
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.picture_levels import grey, read_levels
from upfusion_med.metrics import compute

KEYS = ("vif", "vif_a", "vif_b", "q_p", "q_abf", "ssim", "scd")


def evaluated(bundle: Path, **options):
    flow = workflow(bundle, "evaluate", device="cpu", **options)
    flow.initialize()
    assert flow.check_properties() == []
    flow.run()
    return flow.evaluator.state.metrics


def benchmarked(name: str, root: Path, count: int | None = None):
    """Mean scores of the network by the benchmark's own classes."""
    method, rows = model_method("upfusion"), []
    for pair in find_pairs(get_data_set(name), root).pairs[:count]:
        a, b = (grey(read_levels(file)) for file in (pair.a, pair.b))
        rows.append(compute(method.fuse(pair, a, b), a, b, names=KEYS))
    return {key: np.mean([row[key] for row in rows]) for key in KEYS}


def test_infrared_scores_are_those_of_the_benchmark_and_are_written(bundles, pictures, tmp_path):
    found = evaluated(bundles / NAMES[1], dataset_dir=str(pictures), output_dir=str(tmp_path / "eval"))
    for key, value in benchmarked("msrs", pictures).items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
    with (tmp_path / "eval" / "metrics.csv").open() as file:
        written = {row[0]: float(row[1]) for row in csv.reader(file)}
    assert written["vif"] == pytest.approx(found["vif"], rel=1e-6)


def test_colour_pet_is_scored_under_the_prompt_of_its_group(bundles, pictures, tmp_path):
    root = tmp_path / "harvard" / "PET-MRI"
    for folder in ("PET", "MRI"):
        (root / folder).mkdir(parents=True)
    for number in range(2):
        grey_levels = np.asarray(Image.open(pictures / "vi" / f"{number}.png"))
        colours = np.stack([grey_levels, grey_levels // 2, 255 - grey_levels], axis=-1)
        Image.fromarray(colours).save(root / "PET" / f"{number}.png")
        Image.open(pictures / "ir" / f"{number}.png").save(root / "MRI" / f"{number}.png")
    found = evaluated(
        bundles / NAMES[0], dataset_dir=str(tmp_path / "harvard"), group="PET-MRI", output_dir=str(tmp_path / "eval")
    )
    for key, value in benchmarked("harvard", tmp_path / "harvard").items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


def test_pairs_are_chosen_by_group_split_and_name(shared):
    harvard = str(shared / "data" / "harvard")
    assert len(PicturePairs(harvard, "harvard", "PET-MRI", "dev")) == 176  # counts: read-me of the data
    assert len(PicturePairs(harvard, "harvard", "CT-MRI")) == 55
    only = PicturePairs(harvard, "harvard", "PET-MRI", "all", ["41031"])
    item = only[0]
    assert (len(only), item["name"], item["modality"]) == (1, "41031", "pet")
    torch.testing.assert_close(item["image"] * 255, item["label"])


def test_a_wrong_folder_group_or_name_is_refused(pictures, tmp_path):
    with pytest.raises(InputError, match="does not look like"):
        PicturePairs(str(tmp_path / "vi"), "msrs")
    with pytest.raises(UsageError, match="no group 'PET'"):
        PicturePairs(str(pictures), "msrs", group="PET")
    with pytest.raises(UsageError, match="is called nothing; expected names such as 0"):
        PicturePairs(str(pictures), "msrs", names=["nothing"])
    with pytest.raises(UsageError, match=r"No pair of the split .* is called four, nine; expected names such as 0\."):
        PicturePairs(str(pictures), "msrs", names=["nine", "1", "four"])
    with pytest.raises(UsageError, match="is called 23;"):
        PicturePairs(str(pictures), "msrs", names="23")


def test_names_that_monai_reads_as_numbers_are_names(pictures):
    for names in ([1, 2], ["1", "2"]):
        assert [pair.name for pair in PicturePairs(str(pictures), "msrs", names=names).data] == ["1", "2"]
    assert [pair.name for pair in PicturePairs(str(pictures), "msrs", names=3).data] == ["3"]


def test_pictures_without_their_counterpart_are_told(pictures, caplog):
    (pictures / "ir" / "2.png").unlink()
    assert len(PicturePairs(str(pictures), "msrs")) == 3
    (told,) = [record.message for record in caplog.records]
    assert "/2 is left out. " in told and "ir" in told


def test_levels_are_whole_and_inside_their_range():
    shown = ToLevelsd("pred")({"pred": torch.tensor([-1.0, 0.0, 0.49 / 255, 0.51 / 255, 1.0, 2.0])})["pred"]
    assert shown.tolist() == [0, 0, 0, 1, 255, 255]
