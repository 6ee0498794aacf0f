from __future__ import annotations

import math
from pathlib import Path

import pytest

from upfusion_med.evaluation.golden_values import (
    PICTURE_CASES,
    GoldenRow,
    compare_case,
    picture_cases,
    read_golden,
    synthetic_cases,
)
from upfusion_med.metrics import GROUPS, METRICS, compute

SYNTHETIC = Path(__file__).parent / "golden_synthetic.txt"
#: Keys without a reference value of their own; closed forms and complements are in the tests of their files.
WITHOUT_REFERENCE = {
    *("ssim_a", "ssim_b", "ssim_l1_a", "ssim_l1_b", "psnr"),
    *("q_te_correct", "q_y_completed", "q_c_completed", "l_abf", "q_abf_kumar"),
}
UNDEFINED = math.nan
#: Where this package decides otherwise than the code the value comes from: (case, key) → our value.
#: Two constant sources hold nothing that could be kept, so nothing is scored, least of all with a perfect 1.
NOTHING_TO_KEEP = (
    *("mef_ssim", "mef_ms_ssim", "q_s", "q_w", "q_w_edge", "q_e", "q_abf_xydeas", "n_abf", "viff", "q_te_cvejic"),
)
DECIDED: dict[tuple[str, str], float] = {
    **{(case, key): UNDEFINED for case in ("d_allzero", "d_const100") for key in NOTHING_TO_KEEP},
    # The reference draws a frame around a constant image by zero padding.
    ("d_const100", "q_abf"): UNDEFINED,
    ("d_const100", "q_y"): UNDEFINED,
    ("d_const100", "q_c"): UNDEFINED,
    # The references stop at constant images, because stretching them is 0/0; stretched, they are zeros here.
    ("d_const100", "q_ncie"): 1.0 - math.log2(3.0) / 8.0,
    ("d_const100", "nmi"): UNDEFINED,
    ("d_const100", "q_te"): UNDEFINED,
    ("d_fconst", "nmi"): 0.0,
    ("d_fconst", "q_ncie"): 0.8046692118874972,  # as d_fzero, where the reference gives it
    ("d_fconst", "q_te"): 0.39947315694374896,  # as d_fzero
    ("d_fconst", "q_te_cvejic"): -1.3106761259191175,  # as d_fzero
    ("d_fconst", "q_cv"): 1016.8342936899412,  # as d_fzero
    # An image without response has no phase congruency and no contrast; in the references 0/0 spreads everywhere.
    ("d_fzero", "q_p"): 0.999898147854751,  # Q_P rewards emptiness (facts C.9)
    ("d_fconst", "q_p"): 0.999898147854751,
    ("d_azero", "q_p"): 0.985659997,
    ("d_fzero", "q_cb"): 0.0,
    ("d_fconst", "q_cb"): 0.0,
    ("d_azero", "q_cb"): 1.0,
    # A constant source takes no part in a mean over the sources.
    ("d_azero", "vif"): 1.0,
    ("d_azero", "vif_sum"): UNDEFINED,
    ("d_azero", "cc"): 1.0,
    ("d_azero", "viff"): UNDEFINED,
}


def check(rows: list[GoldenRow]) -> None:
    """Every value within its tolerance, or as decided."""
    assert rows
    for row in rows:
        place = f"{row.key} of {row.case}: {row.ours} instead of {row.reference}"
        if (row.case, row.key) in DECIDED:
            decided = DECIDED[row.case, row.key]
            assert (math.isnan(row.ours) and math.isnan(decided)) or row.ours == pytest.approx(decided, rel=1e-8), place
        elif row.error is not None:
            assert row.error <= row.tolerance, place
        else:
            assert row.note == "same", place


@pytest.mark.parametrize("name", synthetic_cases())
def test_synthetic_and_degenerate_cases_give_the_references_values(name: str) -> None:
    check(compare_case(name, synthetic_cases()[name], read_golden(SYNTHETIC)[name]))


def test_decisions_stand_only_where_the_reference_differs() -> None:
    references = read_golden(SYNTHETIC)
    for (case, key), decided in DECIDED.items():
        text = references[case][key]
        assert text == "error" or (float(text) != pytest.approx(decided, rel=1e-8)), (case, key)


def test_synthetic_images_are_those_of_the_reference() -> None:
    cases = synthetic_cases()
    sums = {name: tuple(int(image.sum()) for image in cases[name]) for name in ("syn128", "syn97x131", "synfull")}
    assert sums == {  # facts C.1
        "syn128": (902316, 549604, 908241),
        "syn97x131": (696164, 506257, 736591),
        "synfull": (1474604, 1177998, 1514432),
    }


def test_every_metric_of_three_images_has_a_reference_or_is_named_as_having_none() -> None:
    known = {key for values in read_golden(SYNTHETIC).values() for key in values}
    missing = set(GROUPS["all"]) - known - WITHOUT_REFERENCE - {"psnr_unit_mse", "ms_ssim"}
    assert not missing
    assert known >= {"psnr"}  # the toolboxes' PSNR, our psnr_unit_mse


@pytest.mark.shared
@pytest.mark.parametrize("name", PICTURE_CASES)
def test_real_images_give_the_references_values(shared: Path, name: str) -> None:
    references = read_golden(shared / "refs" / "golden.txt")
    rows = compare_case(name, picture_cases(shared / "refs" / "images")[name], references[name])
    assert {row.key for row in rows} >= {"ms_ssim", "vif", "q_p", "q_abf", "q_ncie", "q_cb"}
    check(rows)


@pytest.mark.shared
def test_contrast_metric_is_exact_where_no_background_is_empty(shared: Path) -> None:
    references = read_golden(shared / "refs" / "golden.txt")
    cases = picture_cases(shared / "refs" / "images")
    for name in ("tno37", "tno37ifcnn"):
        a, b, fused = cases[name]
        assert compute(fused, a, b, "q_cb")["q_cb"] == pytest.approx(float(references[name]["q_cb"]), rel=1e-8)


def test_tolerances_beyond_the_rule_have_a_reason() -> None:
    loose = {key for key, spec in METRICS.items() if spec.tolerance > 1e-6}
    assert loose == {"q_cb", "fmi_edge", "ms_ssim"}
    assert all(METRICS[key].tolerance_reason for key in loose)
