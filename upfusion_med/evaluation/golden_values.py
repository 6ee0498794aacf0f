"""Our metrics beside the values that public implementations printed for the same images (facts C.1).

The table has lines ``case metric value origin``. Synthetic and degenerate cases are rebuilt from their formulas; the
others are pictures in a folder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError

Image = NDArray[np.float64]
#: Sources a and b, and the fused image.
Case = tuple[Image, Image, Image]

#: Where the table's name for a quantity is not ours.
RENAMED = {
    "psnr": "psnr_unit_mse",
    **{f"{key}_evaluator": key for key in ("en", "sd", "sf", "cc", "scd", "vif_sum", "q_abf")},
}
#: The mean over the sources as the references take it, a constant source included.
PLAIN_MEANS = {"ssim": ("ssim_a", "ssim_b"), "ssim_l1": ("ssim_l1_a", "ssim_l1_b")}
#: Cases whose fused picture is F = floor((A + B + 1) / 2) or a picture of its own.
PICTURE_CASES = ("mrispect", "ctmri", "tno37", "tno37ifcnn")


def _levels(values: Image) -> Image:
    return np.clip(np.floor(values + 0.5), 0.0, 255.0)


def _with_fused(a: Image, b: Image) -> Case:
    """The sources with F = (6 max + 2 (A + B) + 5) // 10."""
    return a, b, (6 * np.maximum(a, b) + 2 * (a + b) + 5) // 10


def head_like_case(height: int, width: int) -> Case:
    """Two textured images inside an ellipse, exactly 0 outside (``syn128``, ``syn97x131``)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    a = 90 + 60 * np.sin(2 * np.pi * x / 17) * np.cos(2 * np.pi * y / 23) + 40 * np.sin(2 * np.pi * (x + 2 * y) / 41)
    a += 50 * ((x - 0.35 * width) ** 2 + (y - 0.40 * height) ** 2 <= (0.1 * height) ** 2)
    blob = ((x - 0.6 * width) ** 2 + (y - 0.55 * height) ** 2) / (2 * (0.14 * width) ** 2)
    b = 20 + 180 * np.exp(-blob) + 30 * np.sin(2 * np.pi * y / 31)
    radius = ((x - (width - 1) / 2) / (0.42 * width)) ** 2 + ((y - (height - 1) / 2) / (0.45 * height)) ** 2
    return _with_fused(_levels(a) * (radius <= 1), _levels(b) * (radius <= 1))


def full_case() -> Case:
    """Two textured images of 120x96 without an empty background (``synfull``)."""
    y, x = np.mgrid[0:120, 0:96].astype(np.float64)
    a = 128 + 50 * np.sin(2 * np.pi * x / 13) * np.cos(2 * np.pi * y / 19) + 40 * np.sin(2 * np.pi * (x + 2 * y) / 41)
    b = 100 + 60 * np.cos(2 * np.pi * (2 * x - y) / 37) + 35 * np.sin(2 * np.pi * x / 29)
    return _with_fused(_levels(a), _levels(b))


def synthetic_cases() -> dict[str, Case]:
    """The synthetic and the degenerate cases."""
    a, b, fused = head_like_case(128, 128)
    zero, hundred = np.zeros_like(a), np.full_like(a, 100.0)
    return {
        "syn128": (a, b, fused),
        "syn97x131": head_like_case(97, 131),
        "synfull": full_case(),
        "d_allzero": (zero, zero, zero),
        "d_const100": (hundred, hundred, hundred),
        "d_fzero": (a, b, zero),
        "d_fconst": (a, b, hundred),
        "d_ident": (a, a, a),
        "d_azero": (zero, b, b),
        "d_fisa": (a, b, a),
    }


def picture_cases(folder: Path) -> dict[str, Case]:
    """The cases whose pictures are in ``folder``; those that are not there are left out."""
    from upfusion_med.evaluation.picture_levels import grey, read_levels

    cases = {}
    for name in PICTURE_CASES:
        pair = [folder / f"{name.removesuffix('ifcnn')}_{side}.png" for side in "ab"]
        own = folder / f"{name}_f.png"
        if not all(path.is_file() for path in pair) or (name.endswith("ifcnn") and not own.is_file()):
            continue
        a, b = (grey(read_levels(path)).astype(np.float64) for path in pair)
        fused = grey(read_levels(own)).astype(np.float64) if own.is_file() else (a + b + 1) // 2
        cases[name] = (a, b, fused)
    return cases


def read_golden(table: Path) -> dict[str, dict[str, str]]:
    """Case → metric → value as printed (a number, ``nan``, ``inf`` or ``error``).

    Raises:
        InputError: the file is not there, or a line has fewer than three words.
    """
    if not table.is_file():
        raise InputError(f"There is no file {table}; expected a table of reference values.")
    values: dict[str, dict[str, str]] = {}
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=3)
        if len(words) < 3:
            raise InputError(f"Line {number} of {table} is {line!r}; expected: case metric value origin.")
        values.setdefault(words[0], {})[words[1]] = words[2]
    return values


@dataclass(frozen=True)
class GoldenRow:
    """One value beside its reference.

    Attributes:
        case: Name of the image pair.
        key: Our key of the metric.
        ours: Our value.
        reference: The reference's, as printed.
        error: Relative error; absolute where the reference is below 1e-9; None where either is not a number.
        tolerance: What the table of metrics allows.
        note: Why there is nothing to compare.
    """

    case: str
    key: str
    ours: float
    reference: str
    error: float | None
    tolerance: float
    note: str = ""


def relative_error(ours: float, reference: float) -> float:
    """|ours − reference| / |reference|; the absolute difference where the reference is as good as 0."""
    return abs(ours - reference) / (abs(reference) if abs(reference) > 1e-9 else 1.0)


def compare_case(name: str, case: Case, references: dict[str, str]) -> list[GoldenRow]:
    """All metrics of one case that the reference values know."""
    from upfusion_med.metrics import METRICS, compute_detailed

    a, b, fused = case
    scores = compute_detailed(fused, a, b, "all")
    rows = []
    for reference_key, text in references.items():
        key = RENAMED.get(reference_key, reference_key)
        if key not in scores or (key == "psnr" and reference_key != "psnr"):
            continue
        score, tolerance = scores[key], METRICS[key].tolerance
        ours = math.fsum(scores[part].value for part in PLAIN_MEANS[key]) / 2.0 if key in PLAIN_MEANS else score.value
        reference = math.nan if text == "error" else float(text)
        if math.isfinite(ours) and math.isfinite(reference):
            rows.append(GoldenRow(name, key, ours, text, relative_error(ours, reference), tolerance))
        else:
            note = score.note or ("the reference stops" if text == "error" else "the reference is undefined here")
            same = ours == reference or (math.isnan(ours) and math.isnan(reference))
            rows.append(GoldenRow(name, key, ours, text, None, tolerance, "same" if same else note))
    return rows


def compare_with_golden(table: Path, images: Path) -> list[GoldenRow]:
    """All cases of a table, synthetic ones first.

    Args:
        table: See `read_golden`.
        images: Folder of the pictures; cases without them are left out.
    """
    references = read_golden(table)
    cases = synthetic_cases() | picture_cases(images)
    return [row for name in cases if name in references for row in compare_case(name, cases[name], references[name])]
