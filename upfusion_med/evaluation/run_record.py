"""What a run was made with, for the record beside its tables."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from upfusion_med import __version__
from upfusion_med.evaluation.methods import Method
from upfusion_med.evaluation.pairs import PairList
from upfusion_med.evaluation.reader_measures import Composition
from upfusion_med.evaluation.store import code_digest


def run_facts(
    pairs: PairList,
    methods: Sequence[Method],
    metrics: Sequence[str],
    seed: int,
    composition: Composition = Composition.LEGIBLE,
) -> dict[str, Any]:
    """Versions, methods, pairs and settings of a run; nothing in it depends on the clock."""
    return {
        "upfusion_med": __version__,
        "measuring_code": code_digest(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("numpy", "scipy", "torch", "pillow")},
        "data_set": pairs.data.name,
        "pairs": pairs.split,
        "functional_colours": pairs.colours,
        "colour": composition.value,
        "pair_names": [p.id for p in pairs.pairs],
        "metrics": list(metrics),
        "methods": [m.describe() for m in methods],
        "bootstrap_seed": seed,
    }


def write_record(facts: dict[str, Any], output: Path) -> Path:
    """Write ``run.json``."""
    path = output / "run.json"
    beside = output / ".run.json.part"
    beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)
    return path


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
