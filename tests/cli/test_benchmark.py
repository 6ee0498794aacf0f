from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from upfusion_med.cli.main import app
from upfusion_med.core import InputError, UsageError


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Folders ``a``, ``b`` and ``fused`` with three pairs."""
    rng = np.random.default_rng(0)
    for folder in ("a", "b", "fused"):
        (tmp_path / folder).mkdir()
        for name in ("1", "2", "3"):
            picture = rng.integers(0, 256, (12, 12), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(picture).save(tmp_path / folder / f"{name}.png")
    return tmp_path


def call(*words: object, fails: type[Exception] | None = None) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    if fails is None:
        assert result.exception is None, result.output
        return result.output
    assert isinstance(result.exception, fails), result.output
    return str(result.exception)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_benchmark_writes_every_file(folders: Path) -> None:
    out = folders / "run"
    text = call(
        "benchmark", "folders", "--a", folders / "a", "--b", folders / "b", "--fused", f"OURS={folders / 'fused'}",
        "--method", "max", "--metrics", "vif,ssim", "-o", out,
    )  # fmt: skip
    assert {f.name for f in out.iterdir()} == {
        "per_pair.csv", "summary.csv", "summary.md", "summary.tex", "lines.csv", "tests.csv", "run.json", "report.html",
        "scores",
    }  # fmt: skip
    assert {r["method"] for r in rows(out / "per_pair.csv")} == {"OURS", "max", "average"}
    assert {r["reference"] for r in rows(out / "tests.csv")} == {"OURS"}
    assert "OURS" in text


def test_columns_that_do_not_fit_are_counted_and_no_files_are_promised_where_none_are_written(folders: Path) -> None:
    words = ("evaluate", "--fused", folders / "fused", "--a", folders / "a", "--b", folders / "b", "--metrics", "all")
    text = call(*words)
    hidden = int(re.search(r"(\d+) more columns are not shown here; --output writes them to files", text)[1])
    assert "they are in the files" in call(*words, "-o", folders / "out")
    measured = {r["metric"] for r in rows(folders / "out" / "summary.csv") if r["mean"]}
    assert hidden + text.splitlines()[2].count("┃") - 3 == len(measured)


def test_names_with_brackets_are_printed_as_they_are(folders: Path) -> None:
    (folders / "b").rename(folders / "[b]")
    (folders / "fused" / "3.png").unlink()
    text = call(
        "evaluate", "--fused", folders / "fused", "--a", folders / "a", "--b", folders / "[b]", "--metrics", "vif",
        "-o", folders / "[out]", "--name", "U[ours] [/x]",
    )  # fmt: skip
    assert "U[ours] [/x]" in text
    assert "[out]" in text


def test_evaluate_scores_results_and_writes_only_where_it_is_told(folders: Path) -> None:
    call("evaluate", "--fused", folders / "fused", "--a", folders / "a", "--b", folders / "b", "--metrics", "vif")
    assert {f.name for f in folders.iterdir()} == {"a", "b", "fused"}
    call(
        "evaluate", "--fused", folders / "fused", "--a", folders / "a", "--b", folders / "b", "--metrics", "vif",
        "-o", folders / "out", "--name", "OURS",
    )  # fmt: skip
    assert len([r for r in rows(folders / "out" / "per_pair.csv") if r["method"] == "OURS"]) == 3


def test_a_failed_pair_leaves_tables_of_the_rest_and_an_exit_code(folders: Path) -> None:
    (folders / "a" / "2.png").write_bytes(b"no picture")
    (folders / "b" / "3.png").unlink()
    message = call(
        "benchmark", "folders", "--a", folders / "a", "--b", folders / "b", "--metrics", "vif", "--method", "max",
        "-o", folders / "run", fails=InputError,
    )  # fmt: skip
    assert "2 results could not be scored; they are listed in" in message
    assert {r["name"] for r in rows(folders / "run" / "failures.csv")} == {"2", "3"}
    assert {r["name"] for r in rows(folders / "run" / "per_pair.csv")} == {"1"}
    assert "Not scored (2)" in (folders / "run" / "summary.md").read_text()


def test_a_run_without_any_usable_pair_is_an_error(folders: Path) -> None:
    for file in (folders / "a").iterdir():
        file.write_bytes(b"no picture")
    message = call(
        "benchmark", "folders", "--a", folders / "a", "--b", folders / "b", "-o", folders / "run", fails=InputError
    )
    assert "No pair could be scored; the first reason" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("folders",), "needs --a and --b"),
        (("msrs",), "needs --root"),
        (("nosuch", "--root", "."), "no data set 'nosuch'"),
        (("folders", "--a", "a", "--b", "b", "--method", "median"), "no rule 'median'"),
        (("folders", "--a", "a", "--b", "b", "--fused", "OURS"), "not of the form NAME=DIR"),
        (("folders", "--a", "a", "--b", "b", "--reference", "OURS"), "no method 'OURS'"),
        (("folders", "--a", "a", "--b", "b", "--metrics", "nosuch"), "no metric 'nosuch'"),
        (("folders", "--a", "a", "--b", "b", "--model", "nosuch"), "no model 'nosuch'"),
        (("folders", "--a", "a", "--b", "b", "--fused", "average=fused"), "Two methods are called 'average'"),
        (("msrs", "--root", ".", "--pairs", "baseline", "--split", "test"), "both given"),
        (("msrs", "--root", ".", "--slices"), "for the set 'folders'"),
        (("msrs", "--root", ".", "--modality", "ct"), "for the set 'folders'"),
        (("folders", "--a", "a", "--b", "b", "--split", "test"), "has no splits"),
        (("folders", "--a", "a", "--b", "./a"), "are one folder, a; expected two"),
        (("folders", "--a", "a", "--b", "b", "--prompt", "mri_pet"), "none is in this run"),
        (("folders", "--a", "a", "--b", "b", "--seed", "-1"), "The seed is -1; expected 0 or more"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_written(
    folders: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(folders)
    assert message in call("benchmark", *words, "-o", "run", fails=UsageError)
    assert not (folders / "run").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
@pytest.mark.parametrize("command", [("benchmark", "folders"), ("evaluate", "--fused", "fused")])
def test_an_output_that_is_a_file_is_refused_and_kept(
    folders: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], place: str
) -> None:
    monkeypatch.chdir(folders)
    Path("file").write_text("mine")
    said = call(*command, "--a", "a", "--b", "b", "--metrics", "vif", "-o", place, fails=UsageError)
    assert f"The output {place} cannot be a folder: file is a file" in said
    assert Path("file").read_text() == "mine"


def test_help_names_the_sets_and_rules() -> None:
    text = call("benchmark", "--help")
    for word in ("harvard", "gfp-pc", "laplacian", "--published", "--jobs"):
        assert word in text


def test_results_made_from_the_pictures_as_they_are_are_refused_beside_other_colours(folders: Path) -> None:
    said = call(
        "benchmark", "folders", "--a", folders / "a", "--b", folders / "b", "--modality", "pet",
        "--functional-colours", "auto", "--fused", f"OURS={folders / 'fused'}", "-o", folders / "run", fails=UsageError,
    )  # fmt: skip
    assert "leave one of them out" in said
    assert not (folders / "run").exists()
