from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upfusion_med.core import RuntimeFailure, UsageError
from upfusion_med.evaluation import harness, store
from upfusion_med.evaluation.datasets import folder_pair, get_data_set
from upfusion_med.evaluation.kept_pictures import fused_again
from upfusion_med.evaluation.methods import FolderMethod, Method, RuleMethod, model_method
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.pairs import Pair, pairs_of_folders
from upfusion_med.evaluation.picture_levels import Levels
from upfusion_med.evaluation.source_colours import read_pair
from upfusion_med.metrics import compute

from .conftest import disc, save, warm

METRICS = ("vif", "ssim", "scd")
ANY = folder_pair("pairs")


def rules(*names: str) -> list[Method]:
    return [RuleMethod(n) for n in names]


def test_scores_are_those_of_the_metrics_on_rounded_grey_pictures(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(ANY, *folders("1", "2"))
    table = harness.run_benchmark(pairs, rules("average", "copy-a"), METRICS, tmp_path / "run")
    fused = np.rint((disc(2).astype(float) + disc(3)) / 2)
    expected = compute(fused, disc(2), disc(3), METRICS)
    assert table.values[0, 1].tolist() == [expected[k] for k in METRICS]
    assert table.scored.all()
    assert math.isnan(table.values[1, 0, METRICS.index("scd")])


def test_a_second_run_measures_nothing_again(folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = pairs_of_folders(ANY, *folders("1", "2"))
    first = harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    monkeypatch.setattr(harness.Bench, "run", lambda *_: pytest.fail("measured again"))
    again = harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    np.testing.assert_array_equal(first.values, again.values)


def test_only_what_changed_is_measured_again(folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = folders("1", "2", "3")
    harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "run")
    save(a / "2.png", disc(40))
    done = []
    run = harness.Bench.run
    monkeypatch.setattr(harness.Bench, "run", lambda self, task: done.append(task.index) or run(self, task))
    table = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "run")
    fresh = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "fresh")
    assert done[:1] == [1]
    np.testing.assert_array_equal(table.values, fresh.values)


def test_uptake_is_read_again_where_the_palette_of_the_set_has_changed(atlas: Path, tmp_path: Path) -> None:
    def run(folder: str, palette: np.ndarray) -> np.ndarray:
        rows = [f"warm,{i},{r},{g},{b}" for i, (r, g, b) in enumerate(palette)]
        (atlas / "colour_scale.csv").write_text("\n".join(["map,index,r,g,b", *rows]) + "\n")
        pairs = find_pairs(get_data_set("harvard"), atlas)
        return harness.run_benchmark(pairs, rules("max"), ("uptake_error",), tmp_path / folder).values

    palette = warm(np.arange(256, dtype=np.uint8)[None])[0]
    first = run("run", palette)
    turned, fresh = run("run", palette[::-1]), run("fresh", palette[::-1])
    assert not np.array_equal(first, fresh, equal_nan=True)
    np.testing.assert_array_equal(turned, fresh)


def test_every_place_of_the_measuring_code_holds_a_file() -> None:
    digests = [store.code_digest((place,)) for place in store._MEASURING_CODE]
    assert store.code_digest(("upfusion_med/none.py",)) not in digests
    assert len(set(digests)) == len(digests)


def test_further_metrics_are_added_to_earlier_scores(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(ANY, *folders("1"))
    harness.run_benchmark(pairs, rules("max"), ("vif",), tmp_path / "run")
    harness.run_benchmark(pairs, rules("max"), ("ssim",), tmp_path / "run")
    lines = (tmp_path / "run" / "scores" / "max.jsonl").read_text().splitlines()
    both = harness.run_benchmark(pairs, rules("max"), ("vif", "ssim"), tmp_path / "run")
    assert len(lines) == 2
    assert len((tmp_path / "run" / "scores" / "max.jsonl").read_text().splitlines()) == 2
    assert np.isfinite(both.values).all()


def test_a_half_written_line_is_dropped_and_its_pair_measured_again(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(ANY, *folders("1", "2"))
    first = harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    file = tmp_path / "run" / "scores" / "max.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    again = harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    np.testing.assert_array_equal(first.values, again.values)
    assert len(file.read_text().splitlines()) == 2


def test_a_line_without_its_end_is_not_believed(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(ANY, *folders("1"))
    harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    file = tmp_path / "run" / "scores" / "max.jsonl"
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    assert len(file.read_text().splitlines()) == 1
    assert file.read_bytes().endswith(b"\n")


def test_one_corrupt_picture_among_many_is_listed_and_the_rest_is_scored(folders, tmp_path: Path) -> None:
    a, b = folders("1", "2", "3")
    (a / "2.png").write_bytes((a / "2.png").read_bytes()[:150])
    table = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max", "average"), METRICS, tmp_path / "run")
    assert table.scored.tolist() == [[True, False, True]] * 2
    (failure,) = table.failures
    assert (failure.name, failure.method) == ("2", "")
    assert "2.png" in failure.reason


def test_sizes_that_differ_are_listed(folders, tmp_path: Path) -> None:
    a, b = folders("1", "2")
    save(b / "1.png", disc(1, 48))
    table = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "run")
    assert "64x64 (1.png) and 48x48 pixels" in table.failures[0].reason
    assert table.scored.tolist() == [[False, True]]


def test_a_failed_pair_is_tried_again(folders, tmp_path: Path) -> None:
    a, b = folders("1", "2")
    whole = (a / "2.png").read_bytes()
    (a / "2.png").write_bytes(whole[:150])
    harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "run")
    (a / "2.png").write_bytes(whole)
    table = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "run")
    assert table.scored.all()
    assert not table.failures


def test_a_missing_result_is_a_failure_of_that_method_only(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(ANY, *folders("1", "2"))
    save(tmp_path / "fused" / "1.png", disc(7))
    methods = [FolderMethod("OURS", tmp_path / "fused", pairs), *rules("max")]
    table = harness.run_benchmark(pairs, methods, METRICS, tmp_path / "run")
    assert table.scored.tolist() == [[True, False], [True, True]]
    assert [(f.name, f.method) for f in table.failures] == [("2", "OURS")]


def test_an_unexpected_error_of_a_method_is_listed(folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = pairs_of_folders(ANY, *folders("1"))
    monkeypatch.setattr(RuleMethod, "fuse", lambda *_: 1 / 0)
    table = harness.run_benchmark(pairs, rules("max"), METRICS, tmp_path / "run")
    assert "unexpected ZeroDivisionError" in table.failures[0].reason


def test_sixteen_bit_and_rgba_sources_are_scored_as_their_eight_bit_twins(folders, tmp_path: Path) -> None:
    a, b = folders("1")
    twin = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "twin")
    Image.fromarray(disc(0).astype(np.uint16) * 257).save(a / "1.png")
    opaque = np.dstack([disc(1)] * 3 + [np.full_like(disc(1), 255)])
    Image.fromarray(opaque, "RGBA").save(b / "1.png")
    table = harness.run_benchmark(pairs_of_folders(ANY, a, b), rules("max"), METRICS, tmp_path / "run")
    np.testing.assert_array_equal(table.values, twin.values)


def test_a_negative_number_of_jobs_is_refused(folders, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="number of jobs is -1"):
        harness.run_benchmark(pairs_of_folders(ANY, *folders("1")), rules("max"), METRICS, tmp_path, jobs=-1)


def test_a_network_keeps_its_pictures_and_reads_them_again(atlas: Path, tmp_path: Path, weights_file: Path) -> None:
    pairs = find_pairs(get_data_set("harvard"), atlas)
    method = model_method(f"NET={weights_file}")
    table = harness.run_benchmark(pairs, [method], ("vif",), tmp_path / "run")
    assert table.scored.all()
    pair = pairs.pairs[-1]
    path = tmp_path / "run" / "fused" / "NET" / "PET-MRI" / "sa_21.png"
    a, b = read_pair(pair)
    assert a.ndim == 3
    method.fuse = lambda *_: pytest.fail("the network ran again")  # type: ignore[method-assign]
    kept = fused_again(tmp_path / "run", method, pair, a, b)
    np.testing.assert_array_equal(kept, np.asarray(Image.open(path)))
    assert (kept[(a == 0).all(axis=2) & (b == 0)] == 0).all()


@pytest.mark.slow
def test_processes_give_the_same_numbers_as_one(atlas: Path, tmp_path: Path, weights_file: Path) -> None:
    pairs = find_pairs(get_data_set("harvard"), atlas)
    methods = [model_method(f"NET={weights_file}"), *rules("laplacian")]
    alone = harness.run_benchmark(pairs, methods, ("vif", "q_p"), tmp_path / "one", jobs=1)
    both = harness.run_benchmark(pairs, methods, ("vif", "q_p"), tmp_path / "two", jobs=2)
    np.testing.assert_array_equal(alone.values, both.values)
    assert (tmp_path / "one/scores/laplacian.jsonl").exists()


class Killed(RuleMethod):
    """Ends its process at pair 3, as the system does where memory runs out."""

    def fuse(self, pair: Pair, a: Levels, b: Levels) -> Levels:
        if pair.name == "3":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fuse(pair, a, b)


def test_a_worker_that_the_system_kills_is_told_in_words_and_earlier_scores_are_kept(folders, tmp_path: Path) -> None:
    pairs = pairs_of_folders(ANY, *folders("1", "2", "3"))
    harness.run_benchmark(replace(pairs, pairs=pairs.pairs[:1]), rules("average"), ("en",), tmp_path / "run")
    with pytest.raises(RuntimeFailure, match=r"One of 2 worker processes .* fewer --jobs"):
        harness.run_benchmark(pairs, [Killed("average")], ("en",), tmp_path / "run", jobs=2)
    assert (tmp_path / "run" / "scores" / "average.jsonl").read_text().count("\n") >= 1


def alive_in_group(group: int) -> list[str]:
    """Processes of a process group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(stat.parent.name)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc to look for processes left over")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_run_goes_on_and_gives_the_same_table(folders, tmp_path: Path, jobs: str) -> None:
    a, b = folders(*(f"{k:02d}" for k in range(24)))
    call = [sys.executable, "-m", "upfusion_med.cli.main", "benchmark", "folders", "--a", str(a), "--b", str(b)]
    call += ["--metrics", "paper,fmi", "--method", "max", "--method", "laplacian", "-q", "--jobs", jobs]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*call, "-o", str(tmp_path / "run")], env=environment, start_new_session=True)
    scores = tmp_path / "run" / "scores" / "laplacian.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (scores.exists() and scores.read_bytes().count(b"\n") >= 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = scores.read_bytes().count(b"\n")
    assert 2 <= before < 24
    assert not (tmp_path / "run" / "per_pair.csv").exists()
    until = time.monotonic() + 20
    while alive_in_group(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive_in_group(process.pid)
    for name in ("run", "whole"):
        subprocess.run([*call, "-o", str(tmp_path / name)], check=True)
    for file in ("per_pair.csv", "summary.csv", "summary.md", "tests.csv"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert scores.read_bytes().count(b"\n") == 24
