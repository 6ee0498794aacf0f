from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from upfusion_med.core import UsageError
from upfusion_med.evaluation import tables
from upfusion_med.evaluation.columns import HEADLINE, READER_KEYS, column, known_metrics, parse_metrics
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.harness import run_benchmark
from upfusion_med.evaluation.html_report import write_report
from upfusion_med.evaluation.methods import FolderMethod, Kind, RuleMethod
from upfusion_med.evaluation.one_sidedness import Side
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.pairs import PairList
from upfusion_med.evaluation.published import published_rows
from upfusion_med.evaluation.results import POOLED_GROUPS, POOLED_PAIRS, Results, build_results

from .conftest import disc, save
from .test_statistics import table_of


@pytest.fixture
def results(atlas: Path, tmp_path: Path) -> Results:
    pairs = find_pairs(get_data_set("harvard"), atlas)
    for pair in pairs.pairs[:-1]:
        save(tmp_path / "fused" / pair.group / f"{pair.name}.png", disc(50))
    methods = [FolderMethod("A & B_50%", tmp_path / "fused", pairs), *map(RuleMethod, ("max", "average", "copy-a"))]
    metrics = parse_metrics("vif,ssim,scd,background_level,saturation_kept", medical=True)
    table = run_benchmark(pairs, methods, metrics, tmp_path / "run")
    return build_results(table, pairs, title="A small atlas", published=published_rows("harvard"))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_sections_are_the_groups_and_both_pools(results: Results) -> None:
    assert [s.name for s in results.sections] == ["CT-MRI", "PET-MRI", POOLED_PAIRS, POOLED_GROUPS]
    assert [s.pairs for s in results.sections] == [3, 3, 6, 6]
    assert results.sections[2].about.startswith("6 pairs of 4 independent cases")
    table = results.table
    one = replace(table, pairs=table.pairs[:1], values=table.values[:, :1], scored=table.scored[:, :1])
    only = build_results(one, results.pairs, title="One pair")
    assert only.sections[0].about.startswith("1 pair of 1 independent case;")


def test_a_name_that_is_no_utf8_costs_no_table_and_no_report(results: Results, tmp_path: Path) -> None:
    pairs = (replace(results.table.pairs[0], name=os.fsdecode(b"M\xfcller")), *results.table.pairs[1:])
    odd = replace(results, table=replace(results.table, pairs=pairs))
    tables.write_tables(odd, tmp_path / "written")
    assert r"M\udcfcller" in (tmp_path / "written" / "per_pair.csv").read_text(encoding="utf-8")
    assert r"M\udcfcller" in write_report(odd, [], tmp_path / "written").read_text(encoding="utf-8")


def test_the_spreadsheet_holds_every_score(results: Results) -> None:
    rows = rows_of(tables.per_pair_csv(results))
    assert len(rows) == 6 * 4 - 1
    place = results.table.metrics.index("vif")
    for row in rows:
        m = results.table.row(row["method"])
        p = [pair.id for pair in results.table.pairs].index(f"{row['group']}/{row['name']}")
        assert float(row["vif"]) == pytest.approx(results.table.values[m, p, place], rel=1e-9)
    assert {row["scd"] for row in rows if row["method"] == "copy-a"} == {""}


def test_the_summary_can_be_worked_out_from_the_scores(results: Results) -> None:
    scores = rows_of(tables.per_pair_csv(results))
    for row in rows_of(tables.summary_csv(results)):
        if row["section"] in ("CT-MRI", "PET-MRI") and row["mean"]:
            own = [s for s in scores if s["group"] == row["section"] and s["method"] == row["method"]]
            values = [float(s[row["metric"]]) for s in own if s[row["metric"]]]
            assert float(row["mean"]) == pytest.approx(np.mean(values), abs=1e-9)
            assert int(row["n"]) == len(values)


def test_a_method_with_missing_pairs_says_so_and_is_neither_ranked_nor_best(results: Results) -> None:
    assert "| A & B_50% (2 of 3 pairs) |" in tables.markdown(results)
    pet = results.sections[1]
    assert np.isnan(pet.ranks[0]).all()
    assert all(0 not in best for best in pet.best)


def test_a_pair_that_nobody_has_a_result_for_leaves_ranks_best_values_and_lines() -> None:
    values = [[[0.5], [np.nan], [0.7]], [[0.4], [np.nan], [0.6]], [[0.9], [np.nan], [np.nan]]]
    table = table_of(values, list("xyz"), ("net", "average", "part"), ("scd",))
    (section,) = build_results(table, PairList(get_data_set("msrs"), "all", table.pairs), title="x").sections
    assert section.ranks[:2, 0].tolist() == [1, 2]
    assert np.isnan(section.ranks[2, 0])
    assert section.best == (frozenset({0}),)
    assert section.lines[0].holders == ("net",)
    assert (section.scored, section.pairs) == ((2, 2, 1), 3)


def test_a_bar_in_a_name_does_not_part_a_markdown_cell() -> None:
    table = table_of([[[0.5]], [[0.4]]], ["x"], ("a|b", "average"), ("scd",))
    text = tables.markdown(build_results(table, PairList(get_data_set("msrs"), "all", table.pairs), title="x"))
    rows = [line for line in text.splitlines() if r"a\|b" in line]
    assert len(rows) == 2, "its row, and the line that it holds"
    assert all(line.count("|") - line.count(r"\|") == 4 for line in rows)


def test_copies_are_not_ranked(results: Results) -> None:
    assert np.isnan(results.sections[0].ranks[results.table.row("copy-a")]).all()
    assert np.isfinite(results.sections[0].ranks[results.table.row("max")][results.table.metrics.index("vif")])


def test_the_line_is_the_best_of_what_is_no_copy_and_not_one_sided(results: Results) -> None:
    rows = {(r["section"], r["line"], r["metric"]): r for r in rows_of(tables.lines_csv(results))}
    table = results.table.of_group("CT-MRI")
    place = table.metrics.index("scd")
    means = {name: np.nanmean(table.values[m, :, place]) for m, name in enumerate(table.methods) if name != "copy-a"}
    sides = dict(zip(table.methods, results.sections[0].sides, strict=True))
    allowed = {name: mean for name, mean in means.items() if sides[name].keeps_both}
    line = rows["CT-MRI", "the line", "scd"]
    assert line["methods"] == max(allowed, key=allowed.__getitem__)
    assert float(line["value"]) == pytest.approx(max(allowed.values()))
    text = tables.markdown(results)
    assert f"{float(line['value']):.3f} ({line['methods']})" in text
    assert "*the line*: best value over the methods that are not one-sided" in text


def test_the_line_of_networks_leaves_rules_out_and_marks_what_is_one_sided() -> None:
    cases, names = ["x"], ("net", "leaning", "thrower", "average", "max")
    halves = [[0.3, 0.4, 0.5], [0.28, 0.8, 0.7], [0.1, 0.9, 0.9], [0.3, 0.3, 0.2], [0.4, 0.6, 0.8]]
    table = table_of([[row] for row in halves], cases, names, ("vif_a", "vif_b", "scd"))
    kinds = (Kind.MODEL, Kind.MODEL, Kind.FOLDER, Kind.RULE, Kind.RULE)
    found = build_results(replace(table, kinds=kinds), PairList(get_data_set("msrs"), "all", table.pairs), title="x")
    line, networks = found.sections[0].lines
    scd = table.metrics.index("scd")
    assert (line.values[scd], line.holders[scd]) == (0.8, "max")
    assert (networks.values[scd], networks.holders[scd]) == (0.7, "leaning*")


def test_what_is_pooled_over_modalities_is_judged_by_the_means_that_stand_there() -> None:
    groups = "C" + "S" * 4  # the net loses A in group C only: over pairs it keeps 0.32 of it, over groups 0.26
    net = [[0.16, 0.5, 0.9]] + [[0.36, 0.5, 0.9]] * 4
    average = [[0.30, 0.4, 0.5]] * 5
    table = table_of([net, average], list("abcde"), ("net", "average"), ("vif_a", "vif_b", "scd"), groups)
    pairs = PairList(get_data_set("harvard"), "test", table.pairs)
    over_pairs, over_groups = build_results(table, pairs, title="x").sections[-2:]
    assert (over_pairs.sides[0], over_groups.sides[0]) == (Side.BOTH, Side.LOSES_A)
    assert [section.lines[0].holders[2] for section in (over_pairs, over_groups)] == ["net", "average"]


def test_published_rows_are_marked_and_stand_in_the_pools_only(results: Results) -> None:
    text = tables.markdown(results)
    assert "*UP-Fusion* (published, other test pairs)" in text
    assert text.index("*UP-Fusion*") > text.index(POOLED_PAIRS)


def test_failures_are_listed_in_the_text_and_as_a_file(results: Results, tmp_path: Path) -> None:
    assert "## Not scored (1)" in tables.markdown(results)
    written = tables.write_tables(results, tmp_path / "out")
    assert rows_of((tmp_path / "out" / "failures.csv").read_text())[0]["name"] == "sa_21"
    assert len(written) == 7
    assert not list((tmp_path / "out").glob(".*"))


def test_latex_escapes_names_and_balances_its_braces(results: Results) -> None:
    text = tables.latex(results)
    assert r"A \& B\_50\%" in text
    assert r"VIF\_a" in text
    body = text.replace(r"\{", "").replace(r"\}", "")
    assert body.count("{") == body.count("}")
    blocks = text.split(r"\begin{tabular}")[1:]
    assert len(blocks) == text.count(r"\end{tabular}") == 8
    for block in blocks:
        columns = len(block[1 : block.index("}")])
        lines = [line for line in block.splitlines() if line.endswith(r"\\")]
        assert len(lines) >= 5
        assert {line.count(" & ") for line in lines} == {columns - 1}


def test_latex_escapes_what_would_stop_it_in_a_name() -> None:
    table = table_of([[[0.5]]], ["x"], (r"U^2~a\b",), ("scd",))
    results = build_results(table, PairList(get_data_set("msrs"), "all", table.pairs), title="x")
    assert r"U\^{}2\~{}a\textbackslash{}b & \textbf{0.500} & not judged \\" in tables.latex(results)


def test_undefined_values_are_shown_as_a_dash(results: Results) -> None:
    line = next(x for x in tables.markdown(results).splitlines() if x.startswith("| copy-a |"))
    assert tables.UNDEFINED in line


def test_an_unknown_reference_is_refused(results: Results) -> None:
    with pytest.raises(UsageError, match="no method 'OURS' in this run; expected one of A & B_50%, max"):
        build_results(results.table, results.pairs, title="x", reference="OURS")


def test_halves_come_along_with_a_metric_of_two_sources() -> None:
    assert parse_metrics("ssim, VIF") == ("vif", "ssim", "vif_a", "vif_b", "ssim_a", "ssim_b")
    assert set(HEADLINE) < set(parse_metrics(None))
    assert not set(READER_KEYS) & set(parse_metrics(None))
    assert set(READER_KEYS) < set(parse_metrics(None, medical=True))
    assert set(parse_metrics("paper")) >= {"q_ncie", "q_p", "vif", "ssim", "q_abf"}
    assert set(parse_metrics("all", medical=True)) == set(known_metrics(medical=True))


@pytest.mark.parametrize("text", ["q_p,nosuch", "uptake_error", " , "])
def test_metrics_that_do_not_apply_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="q_ncie"):
        parse_metrics(text)


def test_every_metric_has_a_heading_and_a_meaning() -> None:
    for key in known_metrics(medical=True):
        shown = column(key)
        assert shown.label
        assert len(shown.meaning) > 10
        assert shown.decimals >= 1
    assert column("vif").label == "VIF"
    assert column("q_p").label == "Q_P"
    assert column("vif_a").label == "VIF_a"
    assert (column("mse").better, column("bright_kept").best, column("en").is_ranked) == (-1, 1.0, False)
