from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from upfusion_med.metrics import compute
from upfusion_med.metrics.information import (
    entropy,
    joint_histogram,
    mutual_information_family,
    normalised_mutual_information,
    q_ncie,
    tsallis_family,
)


def test_four_equal_levels_have_two_bits() -> None:
    image = np.repeat([[0.0, 50.0, 100.0, 200.0]], 4, axis=0)
    assert entropy(image).item() == pytest.approx(2.0, abs=1e-15)


def test_joint_histogram_counts_pairs_with_the_first_image_first() -> None:
    x, y = torch.tensor([[[[3.0, 3.0, 7.0]]]]), torch.tensor([[[[1.0, 1.0, 2.0]]]])
    counts = joint_histogram(x, y)
    assert counts[0, 3, 1] == 2
    assert counts[0, 7, 2] == 1
    assert counts.sum() == 3


def test_mutual_information_equals_scikit_learns(small_pair: tuple[np.ndarray, ...]) -> None:
    fused, a, b = small_pair
    expected = sum(mutual_info_score(source.ravel(), fused.ravel()) for source in (a, b))
    scores = mutual_information_family(fused, a, b)
    assert scores["mi_nats"].item() == pytest.approx(expected, rel=1e-12)
    assert scores["mi"].item() == pytest.approx(expected / math.log(2), rel=1e-12)


def test_levels_254_and_255_are_kept_apart() -> None:
    """Tang's code on uint8 adds 1 before it indexes and lets both fall into one bin."""
    a = np.tile([254.0, 255.0], (8, 4))
    scores = mutual_information_family(a, a, np.zeros_like(a))
    assert scores["mi"].item() == pytest.approx(1.0)


def test_a_copy_of_both_sources_has_normalised_information_two() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(float)
    assert normalised_mutual_information(image, image, image).item() == pytest.approx(2.0)


def test_images_that_share_nothing_have_the_entropy_of_the_identity() -> None:
    flat = np.full((20, 20), 9.0)
    assert q_ncie(flat, flat, flat).item() == pytest.approx(1 - math.log2(3) / 8, abs=1e-15)


def test_tsallis_marginals_only_matter_where_they_differ() -> None:
    image = np.random.default_rng(1).integers(0, 8, (30, 30)) * 30.0
    scores = tsallis_family(image, image, image)
    assert scores["q_te"].item() == pytest.approx(scores["q_te_correct"].item(), rel=1e-12)
    other = np.random.default_rng(2).integers(0, 3, (30, 30)) ** 2 * 60.0
    scores = tsallis_family(other, image, image)
    assert scores["q_te"].item() != pytest.approx(scores["q_te_correct"].item(), rel=1e-3)


def test_correct_tsallis_divergence_of_independent_images_vanishes() -> None:
    a = np.repeat(np.arange(16.0), 16).reshape(16, 16) * 17
    fused = a.T
    scores = tsallis_family(fused, a, a)
    # Two independent uniform images: both divergences with F are 0, that of A with itself is not.
    assert scores["q_te_correct"].item() == pytest.approx(0.0, abs=1e-12)


def test_a_batch_gives_what_its_images_give_alone(small_pair: tuple[np.ndarray, ...]) -> None:
    fused, a, b = small_pair
    batch = [torch.from_numpy(np.stack([x, x[::-1].copy() // 2]))[:, None] for x in (fused, a, b)]
    for function in (normalised_mutual_information, q_ncie):
        together = function(*batch)
        alone = [function(*(x[k : k + 1] for x in batch)).item() for k in range(2)]
        assert together.tolist() == pytest.approx(alone, rel=1e-13)


def test_fractions_are_rounded_before_they_are_counted() -> None:
    image = np.tile([10.2, 10.4, 200.0, 199.7], (6, 3))
    assert compute(image, image, image, "en", round_levels=False)["en"] == pytest.approx(1.0)
