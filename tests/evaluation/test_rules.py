from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upfusion_med.core import UsageError
from upfusion_med.evaluation import rules
from upfusion_med.evaluation.datasets import get_data_set
from upfusion_med.evaluation.harness import run_benchmark
from upfusion_med.evaluation.methods import RuleMethod
from upfusion_med.evaluation.pair_search import find_pairs
from upfusion_med.evaluation.reader_measures import Composition
from upfusion_med.evaluation.subsets import choose_pairs, named_subset

# The rows of the baseline of peer networks, section 3 (24 pairs a modality) and section 4.
COLUMNS = ("q_p", "vif", "q_abf", "ssim", "q_ncie", "mi", "scd", "vif_a", "vif_b")
BASELINE = {
    ("harvard", "CT-MRI"): {
        "max": (0.367, 0.333, 0.604, 0.758, 0.8091, 3.761, 1.506, 0.418, 0.247),
        "average": (0.316, 0.237, 0.371, 0.751, 0.8087, 3.559, 0.973, 0.254, 0.220),
        "laplacian": (0.335, 0.252, 0.589, 0.744, 0.8053, 2.472, 1.146, 0.312, 0.192),
    },
    ("harvard", "PET-MRI"): {
        "max": (0.516, 0.430, 0.713, 0.740, 0.8158, 4.997, 1.529, 0.320, 0.541),
        "average": (0.480, 0.338, 0.416, 0.727, 0.8096, 3.684, 0.956, 0.219, 0.457),
        "laplacian": (0.444, 0.310, 0.661, 0.726, 0.8057, 2.542, 1.263, 0.200, 0.419),
    },
    ("harvard", "SPECT-MRI"): {
        "max": (0.483, 0.331, 0.623, 0.804, 0.8106, 4.145, 1.300, 0.194, 0.467),
        "average": (0.462, 0.289, 0.396, 0.814, 0.8074, 3.270, 0.677, 0.193, 0.386),
        "laplacian": (0.498, 0.314, 0.662, 0.805, 0.8052, 2.429, 0.997, 0.140, 0.487),
    },
    ("tno", "TNO"): {
        "max": (0.381, 0.443, 0.600, 0.670, 0.8281, 6.996, 1.677, 0.420, 0.465),
        "average": (0.331, 0.274, 0.334, 0.725, 0.8049, 2.230, 1.727, 0.306, 0.243),
        "laplacian": (0.369, 0.328, 0.555, 0.678, 0.8039, 1.706, 1.803, 0.380, 0.275),
    },
}
# Section 6: background, bright CT kept, hot uptake lost, uptake error, tissue level, saturation, hue turned.
READER = {
    "CT-MRI": {"average": {"background_level": (0, 0.5), "bright_kept": (0.60, 0.005)}},
    "PET-MRI": {
        "average": {"hot_uptake_lost": (33, 0.5), "uptake_error": (3.3, 0.05), "tissue_level": (0.87, 0.005),
                    "saturation_kept": (0.99, 0.005), "hue_turned": (0.7, 0.05)},
        "laplacian": {"hot_uptake_lost": (17, 0.5), "uptake_error": (4.3, 0.05), "tissue_level": (0.99, 0.005),
                      "saturation_kept": (0.98, 0.005), "hue_turned": (1.2, 0.05)},
    },
    "SPECT-MRI": {
        "average": {"hot_uptake_lost": (20, 0.5), "uptake_error": (4.3, 0.05), "tissue_level": (0.89, 0.005),
                    "saturation_kept": (0.98, 0.005), "hue_turned": (0.2, 0.05)},
    },
}  # fmt: skip

images = st.tuples(st.integers(5, 40), st.integers(5, 40), st.integers(0, 2**31)).map(
    lambda t: np.random.default_rng(t[2]).integers(0, 256, (2, t[0], t[1]), dtype=np.uint8)
)


@settings(max_examples=30, deadline=None)
@given(images)
def test_equal_sources_come_back_unchanged_at_any_size(pair) -> None:
    for name in rules.RULES:
        np.testing.assert_array_equal(rules.apply_rule(name, pair[0], pair[0]), pair[0])


@settings(max_examples=30, deadline=None)
@given(images)
def test_no_rule_but_the_copies_depends_on_the_order_of_the_sources(pair) -> None:
    a, b = pair
    for name in ("max", "average"):
        np.testing.assert_array_equal(rules.apply_rule(name, a, b), rules.apply_rule(name, b, a))
    assert (rules.apply_rule("max", a, b) >= rules.apply_rule("average", a, b)).all()


def test_the_pyramid_keeps_the_detail_of_one_source_and_half_of_its_mean() -> None:
    _, x = np.mgrid[:96, :96]
    texture = (128 + 40 * np.sin(2 * np.pi * x / 4)).astype(np.uint8)
    flat = np.full((96, 96), 60, np.uint8)
    fused = rules.apply_rule("laplacian", texture, flat).astype(float)[24:72, 24:72]
    assert fused.mean() == pytest.approx((texture.mean() + 60) / 2, abs=1)
    assert fused.std() == pytest.approx(texture.std(), rel=0.02)


def test_the_pyramid_has_four_levels() -> None:
    a = np.random.default_rng(0).integers(0, 256, (64, 48)).astype(float)
    bands, base = rules._decompose(a)
    assert [b.shape for b in bands] == [(64, 48), (32, 24), (16, 12), (8, 6)]
    assert base.shape == (4, 3)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="no rule 'median'; expected one of max, average"):
        rules.apply_rule("median", np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("name", "group"), BASELINE)
def test_rules_give_the_rows_of_the_baseline_to_the_printed_digit(
    shared: Path, tmp_path: Path, name: str, group: str
) -> None:
    root = shared / "data" / ("harvard" if name == "harvard" else f"ivif/test/{name}")
    found = find_pairs(get_data_set(name), root, "all" if name == "harvard" else None)
    pairs = choose_pairs(found, named_subset("baseline", (group,)), "baseline")
    wanted = READER.get(group, {})
    metrics = (*COLUMNS, *(("background_level", "bright_kept", "hot_uptake_lost", "uptake_error", "tissue_level",
                            "saturation_kept", "hue_turned") if wanted else ()))  # fmt: skip
    methods = [RuleMethod(n) for n in BASELINE[name, group]]
    table = run_benchmark(pairs, methods, metrics, tmp_path, composition=Composition.YCBCR)
    means = np.nanmean(table.values, axis=1)
    for m, (rule, row) in enumerate(BASELINE[name, group].items()):
        for k, value in enumerate(row):
            assert means[m, k] == pytest.approx(value, abs=0.00051 if metrics[k] != "q_ncie" else 0.000051), (
                rule,
                metrics[k],
            )
        for key, (value, within) in wanted.get(rule, {}).items():
            assert means[m, metrics.index(key)] == pytest.approx(value, abs=within + 1e-9), (rule, key)
