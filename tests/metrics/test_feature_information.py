from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from upfusion_med.core import UsageError
from upfusion_med.metrics.feature_information import FEATURES, feature_image, feature_mutual_information


@pytest.mark.parametrize("feature", FEATURES)
def test_a_copy_of_both_sources_scores_one(feature: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 20)).astype(float)
    assert feature_mutual_information(image, image, image, feature).item() == pytest.approx(1.0, abs=1e-12)


def test_features_are_what_they_are_called() -> None:
    image = np.random.default_rng(1).uniform(0, 255, (9, 12))
    tensor = torch.from_numpy(image)[None, None]
    assert np.allclose(feature_image(tensor, "dct")[0, 0].numpy(), dctn(image, norm="ortho"))
    assert np.allclose(feature_image(tensor, "gradient")[0, 0].numpy(), np.gradient(image, axis=1))
    step = np.zeros((12, 12))
    step[:, 6:] = 100.0
    edges = feature_image(torch.from_numpy(step)[None, None], "edge")[0, 0]
    assert set(edges.unique().tolist()) <= {0.0, 1.0}
    assert edges[:, :4].sum() == 0


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(UsageError, match="pixels, gradient, dct, edge"):
        feature_mutual_information(*np.zeros((3, 8, 8)), "wavelet")


def test_constant_sources(small_pair: tuple[np.ndarray, ...]) -> None:
    fused, a, _ = small_pair
    flat = np.full_like(a, 9.0)
    assert feature_mutual_information(fused, flat, flat).isnan().item()
    one = feature_mutual_information(fused, a, flat)
    assert 0 < one.item() < 1
