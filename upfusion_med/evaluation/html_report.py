"""One HTML file with everything: tables to sort, distributions, pictures to zoom; it needs no network and no server."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med import __version__
from upfusion_med.evaluation.report_pictures import Case
from upfusion_med.evaluation.results import Results, Section

REPORT_NAME = "report.html"
#: Scripts of the page, in the order in which they are embedded.
_SCRIPTS = ("report_tables.js", "report_plot.js", "report_pictures.js", "report.js")


def write_report(results: Results, cases: Sequence[Case], output: Path) -> Path:
    """Write ``report.html``.

    Args:
        results: The finished run.
        cases: Pairs to show as pictures.
        output: Folder.
    """
    path = output / REPORT_NAME
    beside = output / f".{REPORT_NAME}.part"
    beside.write_text(render(results, cases), encoding="utf-8")
    beside.replace(path)
    return path


def render(results: Results, cases: Sequence[Case]) -> str:
    """The page as text."""
    folder = files("upfusion_med.evaluation") / "templates"
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    # "<" cannot end the script element early, and U+2028 would be a line end in old engines.
    data = json.dumps(report_data(results, cases), separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for field, text in (
        ("{{title}}", html.escape(results.title)),
        ("{{style}}", (folder / "report.css").read_text(encoding="utf-8")),
        ("{{script}}", script),
        ("{{data}}", data.replace("<", "\\u003c")),
    ):
        page = page.replace(field, text)
    return page


def report_data(results: Results, cases: Sequence[Case]) -> dict[str, Any]:
    """What the page's scripts draw from; numbers that are undefined are null."""
    table = results.table
    return {
        "title": results.title,
        "version": __version__,
        "protocol": list(results.protocol),
        "reference": results.reference,
        "sources": {"A": results.pairs.data.a, "B": results.pairs.data.b},
        "methods": [{"name": n, "kind": k.value} for n, k in zip(table.methods, table.kinds, strict=True)],
        "columns": [
            {
                "key": c.key,
                "label": c.label,
                "decimals": c.decimals,
                "wish": c.wish,
                "order": 1 if c.better == 1 else -1,
                "best": c.best,
                "meaning": c.meaning,
            }
            for c in results.columns
        ],
        "sections": [_section_data(results, s) for s in results.sections],
        "pairs": [{"id": p.id, "group": p.group, "name": p.name, "case": p.case} for p in table.pairs],
        "values": _numbers(table.values),
        "failures": [{"pair": f"{f.group}/{f.name}", "method": f.method, "reason": f.reason} for f in table.failures],
        "cases": [
            {
                "pair": c.index,
                "why": c.why,
                "metric": c.metric,
                "value": c.value,
                "size": c.size,
                "pictures": [{"name": name, "src": source} for name, source in c.pictures],
            }
            for c in cases
        ],
        "facts": results.facts,
    }


def _section_data(results: Results, section: Section) -> dict[str, Any]:
    summary = section.summary
    return {
        "name": section.name,
        "about": section.about,
        "pairs": section.pairs,
        "scored": list(section.scored),
        "cases": summary.cases,
        "sides": [s.value for s in section.sides],
        "keepsBoth": [s.keeps_both for s in section.sides],
        "best": [sorted(b) for b in section.best],
        "blocks": [{"name": b.name, "columns": [k for k, _ in b.columns]} for b in results.blocks(section)],
        "mean": _numbers(summary.mean),
        "sd": _numbers(summary.sd),
        "low": _numbers(summary.low),
        "high": _numbers(summary.high),
        "count": summary.count.tolist(),
        "ranks": _numbers(section.ranks),
        "comparisons": [
            {k: (_number(v) if isinstance(v, float) else v) for k, v in c.__dict__.items()} for c in section.comparisons
        ],
        "lines": [
            {"name": x.name, "meaning": x.meaning, "values": _numbers(list(x.values)), "holders": list(x.holders)}
            for x in section.lines
            if any(x.holders)
        ],
        "published": [
            {"method": p.method, "mark": p.mark, "source": p.source, "values": dict(p.values)}
            for p in section.published
        ],
    }


def _number(value: float) -> float | None:
    """Seven digits, or null."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _numbers(values: Any) -> Any:
    """Nested lists of numbers or null."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [_numbers(v) for v in values] if isinstance(values, list) else _number(values)
