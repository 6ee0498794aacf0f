from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from upfusion_med.evaluation import html_report, report_pictures
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.harness import run_benchmark
from upfusion_med.evaluation.kept_pictures import fused_again
from upfusion_med.evaluation.methods import FolderMethod, RuleMethod
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.published import published_rows
from upfusion_med.evaluation.reader_measures import Composition
from upfusion_med.evaluation.results import Results, build_results

from .conftest import disc, save, warm

HOSTILE = "</script><script>document.title='broken'</script>"


@pytest.fixture
def run(atlas: Path, tmp_path: Path) -> tuple[Results, list[report_pictures.Case], Path]:
    """A finished run with a hostile method name; one result is missing."""
    pairs = find_pairs(get_data_set("harvard"), atlas)
    for k, pair in enumerate(pairs.pairs[:-1]):
        save(tmp_path / "fused" / pair.group / f"{pair.name}.png", warm(disc(k + 60)))
    methods = [
        FolderMethod(HOSTILE, tmp_path / "fused", pairs),
        *map(RuleMethod, ("max", "average", "copy-a", "copy-b")),
    ]
    table = run_benchmark(pairs, methods, ("vif", "ssim", "scd", "vif_a", "vif_b", "hue_turned"), tmp_path / "run")
    results = build_results(table, pairs, title="Atlas <small> & co", published=published_rows("harvard"))
    cases = report_pictures.build_cases(
        results, methods, lambda m, p, a, b: fused_again(tmp_path / "run", m, p, a, b), Composition.GAMUT
    )
    return results, cases, html_report.write_report(results, cases, tmp_path / "run")


def data_of(page: str) -> dict:
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    return json.loads(text.group(1))


def test_the_page_needs_nothing_from_outside(run) -> None:
    page = run[2].read_text()
    addresses = set(re.findall(r"https?://[^\"'\s<)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a vocabulary, never fetched
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "default-src 'none'" in page
    assert not re.findall(r"\{\{\w+\}\}", page)


def test_names_cannot_break_out_of_the_page(run) -> None:
    page = run[2].read_text()
    assert HOSTILE not in page
    assert "Atlas &lt;small&gt; &amp; co" in page
    assert data_of(page)["methods"][0]["name"] == HOSTILE


def test_the_page_holds_the_numbers_of_the_run(run) -> None:
    results, _, path = run
    data = data_of(path.read_text())
    vif = results.table.metrics.index("vif")
    assert data["values"][1][0][vif] == pytest.approx(results.table.values[1, 0, vif], rel=1e-6)
    assert data["values"][3][0][results.table.metrics.index("scd")] is None
    assert [s["name"] for s in data["sections"]] == [s.name for s in results.sections]
    assert data["failures"][0]["method"] == HOSTILE


def test_worst_and_best_are_those_of_the_reference(run) -> None:
    results, cases, _ = run
    vif = results.table.of_metric("vif")[0]
    for group in results.table.groups:
        own = [c for c in cases if c.pair.group == group]
        places = [p for p, pair in enumerate(results.table.pairs) if pair.group == group and vif[p] == vif[p]]
        assert own[0].index == min(places, key=lambda p: vif[p])
        assert next(c for c in own if c.why == "best").index == max(places, key=lambda p: vif[p])
        assert len({c.index for c in own}) == len(own) == len(places)


def test_every_case_shows_both_sources_and_every_method_but_the_copies(run) -> None:
    for case in run[1]:
        assert [name for name, _ in case.pictures] == ["A", "B", HOSTILE, "max", "average"]
        assert all(source.startswith("data:image/png;base64,") for _, source in case.pictures)
