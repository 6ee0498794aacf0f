from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from upfusion_med.cli.bench import app
from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.metric_speed import TIMED, measure_metrics, synthetic_pair

GOLDEN = Path(__file__).parents[1] / "metrics" / "golden_synthetic.txt"
runner = CliRunner()


def test_metrics_are_timed_beside_the_usual_loop() -> None:
    result = runner.invoke(app, ["metrics", "--size", "48", "--repeats", "1"])
    assert result.exit_code == 0, result.output
    for word in (*TIMED, "together", "checks", "q_p", "48x48", "times faster than the usual loop."):
        assert word in result.output


def test_pictures_can_be_timed_instead(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in "ab":
        Image.fromarray(generator.integers(0, 256, (50, 44), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    paths = ["--image-a", str(tmp_path / "a.png"), "--image-b", str(tmp_path / "b.png")]
    result = runner.invoke(app, ["metrics", *paths, "--repeats", "1"])
    assert result.exit_code == 0, result.output
    assert "50x44" in result.output
    assert isinstance(runner.invoke(app, ["metrics", *paths[:2]]).exception, UsageError)


@pytest.mark.parametrize("size", [-3, 0, 40])
def test_a_pair_too_small_for_the_metrics_is_refused(size: int) -> None:
    error = runner.invoke(app, ["metrics", "--size", str(size), "--repeats", "1"]).exception
    assert isinstance(error, UsageError)
    assert f"size is {size}; expected 41 or more" in str(error)


@pytest.mark.parametrize(
    "words",
    [["volume", "-o", "file"], ["volume", "-o", "file/below"], ["unexplained", "--root", ".", "-o", "file/x.png"],
     ["unexplained", "--root", ".", "-o", "."], ["unexplained", "--root", ".", "-o", "x.png", "--worst", "0"]],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    error = runner.invoke(app, words).exception
    assert isinstance(error, UsageError)
    assert any(said in str(error) for said in ("file is a file", ". is a folder", "0 worst pairs"))
    assert (tmp_path / "file").read_text() == "mine"


def test_timings_have_both_sides_where_the_usual_loop_has_the_metric() -> None:
    rows = {row.name: row for row in measure_metrics(*synthetic_pair(44), 1)}
    assert all(row.double > 0 for row in rows.values())
    assert all(rows[name].reference for name in (*TIMED, "together"))
    assert rows["q_p"].reference is None
    assert rows["checks"].reference is None
    with pytest.raises(InputError, match="at least 41"):
        measure_metrics(*synthetic_pair(40), 1)


def test_reference_values_are_printed_with_errors_and_the_worst_of_each(tmp_path: Path) -> None:
    table = tmp_path / "golden.txt"
    table.write_text("".join(line for line in GOLDEN.open(encoding="utf-8") if line.startswith("syn97x131")))
    result = runner.invoke(app, ["golden", "--golden", str(table)])
    assert result.exit_code == 0, result.output
    assert "0 beyond their tolerance" in result.output
    assert "Largest errors" in result.output


def test_a_wrong_reference_value_fails_the_command(tmp_path: Path) -> None:
    table = tmp_path / "golden.txt"
    table.write_text("syn128 en 5.0 nobody\n")
    result = runner.invoke(app, ["golden", "--golden", str(table)])
    assert result.exit_code == 1
    assert "1 beyond their tolerance" in result.output
