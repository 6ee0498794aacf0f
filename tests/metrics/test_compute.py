from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.golden_values import Case
from upfusion_med.metrics import GROUPS, METRICS, compute, compute_batch, compute_detailed

#: What constant images give, for all metrics of three images: the decided answers in one table.
#: First column: a constant and b not; second: both constant; third: the fused image constant; fourth: F equals a.
#: "value" a finite number, "out" a number with the source left out or without weight, "nan" undefined.
ANSWERS = """
q_ncie value value value value
q_p out nan value value
vif out nan value value
vif_sum nan nan value value
vif_a nan nan value value
vif_b value nan value value
ssim out nan value value
ssim_a value value value value
ssim_b value value value value
ssim_l1 out nan value value
ssim_l1_a value value value value
ssim_l1_b value value value value
q_abf out nan value value
q_abf_xydeas out nan value value
en value value value value
sd value value value value
sf value value value value
ag value value value value
ag_mean value value value value
cc out nan nan value
scd nan nan value nan
psnr value value value value
psnr_unit_mse value value value value
mse value value value value
mse_255 value value value value
q_sf out nan value value
mi value value value value
mi_nats value value value value
nmi value value value value
q_te value nan value value
q_te_correct value nan value value
q_te_cvejic value nan value value
fmi out nan value value
fmi_gradient out nan value value
fmi_dct out nan value value
fmi_edge out nan value value
ms_ssim nan nan nan nan
mef_ssim out nan value value
mef_ms_ssim out nan value value
q_s out nan value value
q_w out nan value value
q_w_edge out nan value value
q_e out nan value value
q_y value nan value value
q_y_completed out nan value value
q_c value nan nan value
q_c_completed out nan value value
viff nan nan value value
n_abf out nan value value
l_abf out nan value value
q_abf_kumar out nan value value
q_cb out nan value value
q_cv out nan value value
q_m out nan value value
"""


def degenerate(cases: dict[str, Case]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    a, b, fused = cases["synfull"]
    flat, other = np.full_like(a, 60.0), np.full_like(a, 90.0)
    return [(fused, flat, b), (fused, flat, other), (flat, a, b), (a, a, b)]


def test_degenerate_images_have_one_decided_answer(cases: dict[str, Case]) -> None:
    table = {line.split()[0]: line.split()[1:] for line in ANSWERS.strip().splitlines()}
    assert set(table) == set(GROUPS["all"])
    for column, (fused, a, b) in enumerate(degenerate(cases)):
        for key, score in compute_detailed(fused, a, b, "all").items():
            answer = table[key][column]
            place = f"{key}, column {column}: {score}"
            assert math.isnan(score.value) == (answer == "nan"), place
            assert bool(score.left_out) == (answer == "out" or (answer == "nan" and bool(score.left_out))), place
            assert score.note or answer == "value", place


def test_no_key_is_undefined_without_a_reason_on_an_ordinary_pair(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    for key, score in compute_detailed(fused, a, b, "all").items():
        assert math.isfinite(score.value) or score.note.startswith("The images are 120×96"), key


def test_an_empty_background_leaves_the_shipped_indices_undefined_with_the_reason(cases: dict[str, Case]) -> None:
    a, b, fused = cases["syn128"]
    scores = compute_detailed(fused, a, b, ("q_y", "q_c"))
    assert math.isnan(scores["q_y"].value)
    assert "flat in both sources" in scores["q_y"].note
    assert "q_c_completed" in scores["q_c"].note


def test_equal_images_have_an_infinite_peak_ratio_with_a_note(cases: dict[str, Case]) -> None:
    a, _, _ = cases["synfull"]
    score = compute_detailed(a, a, a, "psnr")["psnr"]
    assert score.value == math.inf
    assert "equal" in score.note


def test_small_images_give_what_their_size_allows() -> None:
    fused, a, b = np.random.default_rng(0).integers(0, 256, (3, 12, 14)).astype(float)
    scores = compute_detailed(fused, a, b, ("ssim", "vif", "ms_ssim", "en"))
    assert math.isfinite(scores["ssim"].value)
    assert math.isfinite(scores["en"].value)
    assert math.isnan(scores["vif"].value)
    assert "12×14" in scores["vif"].note
    tiny = compute(*np.random.default_rng(0).integers(0, 256, (3, 3, 3)).astype(float), "all")
    assert set(tiny) == set(GROUPS["all"])


def test_groups_and_keys_may_be_mixed_and_come_once(small_pair: tuple[np.ndarray, ...]) -> None:
    assert tuple(compute(*small_pair, ("paper", "vif", "en"))) == (*GROUPS["paper"], "en")
    assert tuple(compute(*small_pair)) == GROUPS["default"]
    assert set(GROUPS["paper"]) <= set(GROUPS["default"]) <= set(GROUPS["all"]) <= set(METRICS)


def test_unknown_names_and_foreign_metrics_are_refused(small_pair: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(UsageError, match=r"no metric 'vifp'; known are q_ncie"):
        compute(*small_pair, "vifp")
    with pytest.raises(UsageError, match=r"reader\.tissue_level"):
        compute(*small_pair, "tissue_level")
    with pytest.raises(UsageError, match="must be colour"):
        compute(*small_pair, "hue_turned")


def test_pictures_on_the_unit_scale_and_values_that_are_not_finite_are_refused() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (3, 20, 20))
    with pytest.raises(InputError, match="multiply by 255"):
        compute(*images, "en")
    images[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        compute(*images, "en")


def test_colour_pictures_on_the_unit_scale_are_refused_though_their_luminance_is_rounded() -> None:
    generator = np.random.default_rng(0)
    fused, a, b = generator.uniform(0, 1, (20, 20, 3)), generator.integers(0, 256, (20, 20, 3)), np.eye(20) * 90
    with pytest.raises(InputError, match=r"of the fused image is .* multiply by 255"):
        compute(fused, a, b, "en")
    with pytest.raises(InputError, match=r"of source a is .* multiply by 255"):
        compute(a, fused, b, "en")


def test_colour_results_are_judged_by_luminance_and_colour(cases: dict[str, Case]) -> None:
    a, b, _ = cases["synfull"]
    colour = np.stack([a, a // 2, np.zeros_like(a)], axis=-1)
    fused = np.clip(colour + 20, 0, 255)
    scores = compute(fused, colour, b)
    assert set(scores) == {*GROUPS["default"], *GROUPS["colour"]}
    assert scores["saturation_kept"] < 1
    luma = [np.floor(x @ [0.299, 0.587, 0.114] + 0.5) for x in (fused, colour)]
    assert scores["vif"] == compute(*luma, b, "vif")["vif"]


def test_fractions_are_judged_as_they_would_be_saved(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    jitter = np.random.default_rng(0).uniform(-0.4, 0.4, a.shape)
    saved = compute(np.clip(fused + jitter, 0, 255), a, b, ("ssim", "q_abf"))
    assert saved == compute(fused, a, b, ("ssim", "q_abf"))
    assert saved != compute(np.clip(fused + jitter, 0, 255), a, b, ("ssim", "q_abf"), round_levels=False)


def test_a_batch_has_a_value_for_each_pair_and_compute_takes_one(cases: dict[str, Case]) -> None:
    a, b, fused = cases["synfull"]
    images = [torch.from_numpy(np.stack([x, x[::-1].copy(), x[:, ::-1].copy()]))[:, None] for x in (fused, a, b)]
    values = compute_batch(*images, "default")
    alone = compute(*(x[1:2] for x in images), "default")
    for key, value in values.items():
        assert value.shape == (3,)
        assert value[1].item() == pytest.approx(alone[key], rel=1e-7)
    with pytest.raises(UsageError, match="compute_batch"):
        compute(*images)


def test_inputs_are_not_changed(cases: dict[str, Case]) -> None:
    images = [torch.from_numpy(x.copy())[None, None] for x in cases["syn128"]]
    before = [x.clone() for x in images]
    compute_batch(images[2], images[0], images[1], "all")
    assert all(torch.equal(x, y) for x, y in zip(images, before, strict=True))


def test_gradients_and_types_of_the_inputs_do_not_matter(cases: dict[str, Case]) -> None:
    a, b, fused = (torch.from_numpy(x)[None, None] for x in cases["syn128"])
    expected = compute(fused, a, b, "default")
    trained = fused.float().requires_grad_()
    assert compute(trained, a.to(torch.uint8), b.to(torch.int16), "default") == expected


@pytest.mark.gpu
def test_a_gpu_gives_the_same_values(cases: dict[str, Case]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images = [torch.from_numpy(x)[None, None] for x in cases["syn128"]]
    expected = compute(images[2], images[0], images[1], "all")
    found = compute(*(x.cuda() for x in (images[2], images[0], images[1])), "all")
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)
