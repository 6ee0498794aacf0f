from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from upfusion_med.cli.main import app
from upfusion_med.core import Modality
from upfusion_med.evaluation.datasets import folder_pair
from upfusion_med.evaluation.harness import run_benchmark
from upfusion_med.evaluation.kept_pictures import fused_again
from upfusion_med.evaluation.methods import FolderMethod, RuleMethod
from upfusion_med.evaluation.pairs import Pair, pairs_of_folders
from upfusion_med.evaluation.slice_stacks import neighbours, with_flicker

from .conftest import SIDE, disc, save

STACK = folder_pair("pairs", Modality.PET, slices=True)


def pair(group: str, name: str) -> Pair:
    return Pair(group, name, "case", Path(f"{name}.png"), Path(f"{name}.png"), Modality.PET)


def test_neighbours_are_the_slices_of_one_stack_whose_numbers_differ_by_one() -> None:
    names = [("PET", "16009"), ("PET", "16010"), ("PET", "16012"), ("PET", "17011"), ("CT", "16011"), ("PET", "9011")]
    names += [("PET", "9012"), ("PET", "sa_21"), ("PET", "sa_22"), ("PET", "cdd_23"), ("PET", "overview")]
    assert sorted(neighbours([pair(*n) for n in names])) == [(0, 1), (5, 6), (7, 8)]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Three slices of steady sources; results that are steady, and results one of whose slices is 12 levels up."""
    for k in range(3):
        save(tmp_path / "a" / f"s{k}.png", disc(1))
        save(tmp_path / "b" / f"s{k}.png", disc(2))
        save(tmp_path / "steady" / f"s{k}.png", np.full((SIDE, SIDE), 90, dtype=np.uint8))
        save(tmp_path / "flickering" / f"s{k}.png", np.full((SIDE, SIDE), 90 + 12 * (k == 2), dtype=np.uint8))
    return tmp_path


def test_flicker_is_what_a_result_changes_beyond_its_sources(stack: Path) -> None:
    pairs = pairs_of_folders(STACK, stack / "a", stack / "b")
    methods = [FolderMethod("flickering", stack / "flickering", pairs), RuleMethod("max")]
    table = run_benchmark(pairs, methods, ("vif", "slice_flicker"), stack / "run")
    filled = with_flicker(table, methods, lambda m, p, a, b: fused_again(stack / "run", m, p, a, b))
    column = filled.values[:, :, 1]
    np.testing.assert_array_equal(column, [[0.0, 12.0, np.nan], [0.0, 0.0, np.nan]])
    assert with_flicker(replace(table, metrics=("vif", "scd")), methods, lambda *_: disc(1)).metrics == ("vif", "scd")


def test_a_slice_without_a_result_has_no_flicker(stack: Path) -> None:
    (stack / "flickering" / "s2.png").unlink()
    pairs = pairs_of_folders(STACK, stack / "a", stack / "b")
    methods = [FolderMethod("flickering", stack / "flickering", pairs), RuleMethod("max")]
    table = run_benchmark(pairs, methods, ("vif", "slice_flicker"), stack / "run")
    filled = with_flicker(table, methods, lambda m, p, a, b: fused_again(stack / "run", m, p, a, b))
    assert filled.values[0, 0, 1] == 0
    assert math.isnan(filled.values[0, 1, 1])
    assert filled.values[1, 1, 1] == 0


def test_evaluate_measures_the_flicker_of_a_stack(stack: Path) -> None:
    call = ["evaluate", "--fused", str(stack / "flickering"), "--a", str(stack / "a"), "--b", str(stack / "b")]
    done = CliRunner().invoke(app, [*call, "--modality", "pet", "--slices", "-q", "-o", str(stack / "scores")])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((stack / "scores" / "per_pair.csv").open()))
    assert [r["slice_flicker"] for r in rows if r["method"] == "fused"] == ["0", "12", ""]
