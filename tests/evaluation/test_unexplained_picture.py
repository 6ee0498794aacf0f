from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import Modality
from upfusion_med.evaluation.datasets import folder_pair
from upfusion_med.evaluation.methods import FolderMethod, RuleMethod
from upfusion_med.evaluation.pairs import pairs_of_folders
from upfusion_med.evaluation.unexplained_picture import draw_maps, map_of, worst_pairs

from .conftest import SIDE, disc, save


@pytest.fixture
def invented(tmp_path: Path):
    """Three pairs; the results are averages, the second with a square that is in neither source."""
    for k in range(3):
        a, b = disc(k), disc(k + 10)
        fused = ((a.astype(int) + b) // 2).astype(np.uint8)
        if k == 1:
            fused[2:8, 2:8] = 150
        for folder, picture in (("a", a), ("b", b), ("fused", fused)):
            save(tmp_path / folder / f"s{k}.png", picture)
    pairs = pairs_of_folders(folder_pair("pairs", Modality.PET), tmp_path / "a", tmp_path / "b")
    return pairs, [FolderMethod("mine", tmp_path / "fused", pairs), RuleMethod("max")]


def test_the_pair_with_the_invented_square_is_found(invented) -> None:
    pairs, methods = invented
    (shown,) = worst_pairs(pairs.pairs, methods)
    assert shown.pair.name == "s1"
    name, _, found = shown.results[0]
    assert name == "mine"
    assert found.patches[4, 8]
    assert not found.patches[SIDE // 2 :].any()
    coloured = map_of(found)
    assert (coloured[found.patches] == (255, 60, 40)).all()
    assert coloured[SIDE // 2, SIDE // 2].max() == 0


def test_the_sheet_has_a_row_a_pair_and_a_map_a_method(invented) -> None:
    pairs, methods = invented
    sheet = draw_maps(worst_pairs(pairs.pairs, methods, per_group=2), "title")
    assert sheet.width > 6 * SIDE
    assert sheet.height > 2 * SIDE
    red = (np.asarray(sheet) == (255, 60, 40)).all(axis=2)
    assert red.sum() > 20
