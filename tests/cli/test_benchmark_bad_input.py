"""What people really have in their folders, given to both commands that score pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.evaluation.conftest import disc, save
from upfusion_med.cli.main import app
from upfusion_med.core import InputError

EVALUATE = ("evaluate", "--fused", "{root}/fused")
BENCHMARK = ("benchmark", "folders", "--fused", "fused={root}/fused", "--method", "max", "--no-report")


@pytest.fixture(params=[EVALUATE, BENCHMARK], ids=["evaluate", "benchmark"])
def score(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], tuple[str, dict[str, str]]]:
    """Score ``a``, ``b`` and ``fused`` of the folder: the error's text, and the failures' names and reasons."""
    for k in range(4):
        for j, folder in enumerate(("a", "b", "fused")):
            save(tmp_path / folder / f"{k}.png", disc(3 * k + j))

    def go() -> tuple[str, dict[str, str]]:
        words = [word.format(root=tmp_path) for word in request.param]
        words += ["--a", str(tmp_path / "a"), "--b", str(tmp_path / "b"), "--metrics", "vif,ssim", "-q"]
        result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
        assert result.exception is None or isinstance(result.exception, InputError), result.output
        failures = tmp_path / "out" / "failures.csv"
        lines = failures.read_text().splitlines()[1:] if failures.is_file() else []
        return str(result.exception or ""), {line.split(",")[1]: line for line in lines}

    return go


def scores(root: Path) -> list[tuple[str, str]]:
    """(name, method) of what was scored."""
    lines = (root / "out" / "per_pair.csv").read_text().splitlines()[1:]
    return [(line.split(",")[1], line.split(",")[3]) for line in lines]


def unpaired(root: Path) -> None:
    (root / "b" / "2.png").unlink()


def other_size(root: Path) -> None:
    save(root / "b" / "2.png", disc(1, 48))


def cut(root: Path) -> None:
    (root / "a" / "2.png").write_bytes((root / "a" / "2.png").read_bytes()[:120])


def empty_file(root: Path) -> None:
    (root / "b" / "2.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (unpaired, "a/2.png has no partner of the same name"),
        (other_size, "is 64x64 (2.png) and 48x48 pixels (2.png)"),
        (cut, "a/2.png cannot be read (damaged or truncated)"),
        (empty_file, "b/2.png is damaged"),
    ],
)
def test_one_bad_pair_among_many_is_named_and_the_others_are_scored(score, tmp_path: Path, spoil, said: str) -> None:
    spoil(tmp_path)
    error, failures = score()
    assert "1 result could not be scored" in error
    assert said in error
    assert "The tables hold all the others" in error
    assert said in failures["2"]
    assert {name for name, _ in scores(tmp_path)} == {"0", "1", "3"}


@pytest.mark.parametrize(
    ("content", "said"), [(b"not a picture", "is damaged"), (None, "is 48x48 pixels and its pair 64x64")]
)
def test_one_bad_result_fails_for_its_method_only(score, tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is None:
        save(tmp_path / "fused" / "2.png", disc(1, 48))
    else:
        (tmp_path / "fused" / "2.png").write_bytes(content)
    error, failures = score()
    assert said in error
    assert said in failures["2"]
    assert ("2", "average") in scores(tmp_path)
    assert ("2", "fused") not in scores(tmp_path)


def test_sixteen_bit_and_rgba_pictures_score_as_their_eight_bit_twins(score, tmp_path: Path) -> None:
    assert score() == ("", {})
    twin = (tmp_path / "out" / "per_pair.csv").read_text()
    Image.fromarray(disc(0).astype(np.uint16) * 257).save(tmp_path / "a" / "0.png")
    Image.fromarray(disc(2).astype(np.uint16) * 257).save(tmp_path / "fused" / "0.png")
    Image.fromarray(np.dstack([disc(4)] * 3 + [np.full_like(disc(4), 255)])).save(tmp_path / "b" / "1.png")
    assert score() == ("", {})
    assert (tmp_path / "out" / "per_pair.csv").read_text() == twin


@pytest.mark.parametrize("folder", ["a", "b", "fused"])
def test_an_empty_folder_is_named_and_nothing_is_written(score, tmp_path: Path, folder: str) -> None:
    for file in (tmp_path / folder).iterdir():
        file.unlink()
    error, _ = score()
    assert f"{folder} holds no picture" in error
    assert not (tmp_path / "out").exists()


def test_pictures_are_never_matched_by_order(score, tmp_path: Path) -> None:
    for file in list((tmp_path / "b").iterdir()):
        file.rename(file.with_name(f"x{file.name}"))
    error, _ = score()
    assert "never matched by order" in error


def test_two_pictures_of_one_name_are_refused(score, tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.bmp", disc(1))
    error, _ = score()
    assert "holds 1.bmp and 1.png" in error
