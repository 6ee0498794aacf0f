from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.datasets import folder_pair, get_data_set
from upfusion_med.evaluation.methods import FolderMethod, Kind, RuleMethod, check_names, model_method, named
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.pairs import pairs_of_folders

from .conftest import disc, save, warm


def test_results_are_found_by_name_and_colour_becomes_luma(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(folder_pair("pairs"), *folders("1", "2"))
    save(tmp_path / "fused" / "2.bmp", warm(disc(9)))
    method = FolderMethod("OURS", tmp_path / "fused", pairs)
    fused = method.fuse(pairs.pairs[1], disc(0), disc(1))
    assert fused.shape == disc(0).shape
    with pytest.raises(InputError, match="no result called 1"):
        method.fuse(pairs.pairs[0], disc(0), disc(1))


def test_a_result_of_another_size_is_refused_and_not_resized(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(folder_pair("pairs"), *folders("1"))
    save(tmp_path / "fused" / "1.png", disc(0, 32))
    with pytest.raises(InputError, match="is 32x32 pixels and its pair 64x64"):
        FolderMethod("OURS", tmp_path / "fused", pairs).fuse(pairs.pairs[0], disc(0), disc(1))


def test_results_may_lie_in_one_folder_per_kind_of_pair(atlas: Path, tmp_path: Path) -> None:
    pairs = find_pairs(get_data_set("harvard"), atlas)
    save(tmp_path / "fused" / "CT-MRI" / "1001.png", disc(3))
    method = FolderMethod("OURS", tmp_path / "fused", pairs)
    np.testing.assert_array_equal(method.fuse(pairs.pairs[0], disc(0), disc(1)), disc(3))


def test_a_result_that_fits_two_kinds_of_pairs_is_refused(atlas: Path, tmp_path: Path) -> None:
    for side in ("PET", "MRI"):
        save(atlas / "PET-MRI" / side / "1001.png", disc(0))
    save(tmp_path / "fused" / "1001.png", disc(3))
    pairs = find_pairs(get_data_set("harvard"), atlas, "all")
    with pytest.raises(InputError, match="could belong to CT-MRI or to PET-MRI"):
        FolderMethod("OURS", tmp_path / "fused", pairs)


def test_a_folder_of_other_results_is_refused_before_anything_is_measured(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(folder_pair("pairs"), *folders("1", "2"))
    save(tmp_path / "fused" / "1_fused.png", disc(3))
    with pytest.raises(InputError, match="that is named like a pair: it has 1_fused and so on; expected 1 and so on"):
        FolderMethod("OURS", tmp_path / "fused", pairs)


def test_a_changed_result_changes_the_fingerprint(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(folder_pair("pairs"), *folders("1"))
    save(tmp_path / "fused" / "1.png", disc(3))
    method = FolderMethod("OURS", tmp_path / "fused", pairs)
    before = method.fingerprint(pairs.pairs[0])
    save(tmp_path / "fused" / "1.png", disc(4))
    assert method.fingerprint(pairs.pairs[0]) != before


def test_copies_are_told_from_rules() -> None:
    assert [RuleMethod(n).kind for n in ("max", "copy-a")] == [Kind.RULE, Kind.COPY]


@pytest.mark.parametrize("text", ["OURS", "=folder", "OURS=", ""])
def test_a_folder_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not of the form NAME=DIR"):
        named(text, "DIR")


def test_models_are_named_by_hand_or_after_their_file() -> None:
    names = [model_method(t).name for t in ("upfusion", "runs/best.safetensors", "OURS=runs/best.safetensors")]
    assert names == ["upfusion", "best", "OURS"]


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="Two methods are called 'MAX'"):
        method = RuleMethod("max")
        twin = RuleMethod("max")
        twin.name = "MAX"
        check_names([method, twin])


def test_any_name_becomes_a_file_name_of_its_own() -> None:
    slugs = set()
    for name in ("max", "a/b", "a b", "../up", "größer"):
        method = RuleMethod("max")
        method.name = name
        slugs.add(method.slug)
        assert "/" not in method.slug
        assert not method.slug.startswith(".")
    assert len(slugs) == 5


def test_a_network_travels_to_a_worker_without_its_weights(weights_file: Path) -> None:
    method = model_method(str(weights_file))
    before = method.describe()["weights_sha256"]
    twin = pickle.loads(pickle.dumps(method))
    assert "_checkpoint" not in twin.__dict__
    assert twin._sha256 == before
    assert len(pickle.dumps(method)) < 5000
