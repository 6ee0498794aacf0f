"""Scores on disk: one JSON line per pair and method, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from upfusion_med.evaluation.methods import Method
from upfusion_med.evaluation.pairs import Pair


@dataclass(frozen=True)
class Score:
    """What was measured on one pair.

    Attributes:
        pair: ``group/name``.
        method: Name of the method.
        key: Digest of everything the values depend on (pictures, method, metric code).
        values: Metric to value; NaN where the metric is undefined.
        seconds: What it took: ``fuse`` and ``metrics``. Not part of any table of results.
    """

    pair: str
    method: str
    key: str
    values: Mapping[str, float]
    seconds: Mapping[str, float]

    def merged(self, older: Score | None) -> Score:
        """With the values of an earlier run that this one did not measure again."""
        if older is None or older.key != self.key:
            return self
        return Score(self.pair, self.method, self.key, {**older.values, **self.values}, self.seconds)


#: Code that values depend on, beside that of the method: a change of it voids earlier scores.
_MEASURING_CODE = (
    "upfusion_med.core/luma.py",
    "upfusion_med.metrics/*",
    "upfusion_med.metrics.catalogue/*",
    "upfusion_med.io/channels.py",
    "upfusion_med.io/picture.py",
    "upfusion_med.transforms/colour.py",
    "upfusion_med.transforms/legible_colour.py",
    "upfusion_med.transforms/legible_limits.py",
    "upfusion_med.transforms/luts.py",
    "upfusion_med.transforms/perceptual_ramp.py",
    "upfusion_med.transforms/pseudo_colour.py",
    "upfusion_med.transforms/pseudo_colours.csv",
    "upfusion_med.inference/functional_colours.py",
    "upfusion_med.evaluation/picture_levels.py",
    "upfusion_med.evaluation/reader_measures.py",
    "upfusion_med.evaluation/source_colours.py",
)


@cache
def code_digest(places: tuple[str, ...] = _MEASURING_CODE) -> str:
    """Digest of files, given as ``package/file`` or, all Python files of a package, ``package/*``."""
    digest = hashlib.sha256()
    for place in places:
        package, _, name = place.partition("/")
        for file in sorted(files(package).iterdir(), key=lambda f: f.name):
            if name == file.name or (name == "*" and file.name.endswith(".py")):
                digest.update(file.name.encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


def score_key(pair: Pair, method: Method, how: str = "") -> str:
    """Digest of the two pictures, the colours A is drawn in, the method, the way of measuring (``how``), the code."""
    digest = hashlib.sha256()
    settings = (method.fingerprint(pair), how, pair.functional_colours)
    parts = (pair.a.read_bytes(), pair.b.read_bytes(), *(s.encode() for s in settings))
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    digest.update(code_digest(method.code).encode())
    digest.update(code_digest().encode())
    return digest.hexdigest()[:32]


class ScoreStore:
    """The scores of one method in one file; lines are appended, the last one of a pair counts.

    Args:
        path: ``….jsonl``; made with the first score.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores: dict[str, Score] = {}
        self._load()

    def _load(self) -> None:
        if not self.path.is_file():
            return
        kept = bytearray()
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                score = _parse(line)
            except (ValueError, KeyError, TypeError):
                continue  # the line that a killed run left half written; its pair is measured again
            if not line.endswith(b"\n"):
                continue
            self._scores[score.pair] = score.merged(self._scores.get(score.pair))
            kept += line
        if len(kept) != self.path.stat().st_size:
            self.path.write_bytes(bytes(kept))

    def get(self, pair: str, key: str, metrics: Iterable[str]) -> Score | None:
        """The score of a pair if it was measured under the same key and holds all metrics."""
        score = self._scores.get(pair)
        if score is None or score.key != key or any(m not in score.values for m in metrics):
            return None
        return score

    def put(self, score: Score) -> Score:
        """Append a score at once, so that a kill loses at most the pair at work; returns it with earlier values."""
        merged = score.merged(self._scores.get(score.pair))
        self._scores[score.pair] = merged
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(_line(score))
            file.flush()
        return merged


def _line(score: Score) -> bytes:
    values = {k: (v if math.isfinite(v) else _words(v)) for k, v in score.values.items()}
    record = {**score.__dict__, "values": values, "seconds": dict(score.seconds)}
    return (json.dumps(record, sort_keys=True, allow_nan=False) + "\n").encode()


def _words(value: float) -> str | None:
    return None if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _parse(line: bytes) -> Score:
    record: dict[str, Any] = json.loads(line)
    values = {k: math.nan if v is None else float(v) for k, v in record["values"].items()}
    return Score(record["pair"], record["method"], record["key"], values, record["seconds"])
