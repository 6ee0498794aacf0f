"""The body is told from air in every modality, also where something in it is much brighter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from upfusion_med.transforms.body_mask import body_mask, otsu_threshold

#: Air, tissue, and a small bright part, with the noise of each image.
KINDS = {
    "MR": (20.0, 600.0, 1500.0, 15.0),
    "CT": (-1000.0, 40.0, 1200.0, 20.0),
    "PET with a hot tumour": (0.005, 0.4, 10.0, 0.01),
    "SPECT": (0.0, 120.0, 250.0, 5.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tissue_and_hot_spots_are_body_and_air_is_not(kind):
    air, tissue, hot, noise = KINDS[kind]
    x, y, z = np.meshgrid(*[np.arange(40) - 19.5] * 3, indexing="ij")
    body = x**2 + y**2 + (z / 1.2) ** 2 < 14**2
    spot = (x - 4) ** 2 + y**2 + z**2 < 4**2
    values = np.where(spot, hot, np.where(body, tissue, air)) + np.random.default_rng(0).normal(0, noise, body.shape)
    found = body_mask(gaussian_filter(values, 0.7).astype(np.float32))
    assert found[spot].all()
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.93  # Off by less than the blur at its edge.


def test_a_constant_image_has_no_body():
    assert not body_mask(np.full((8, 8, 8), 5.0, np.float32)).any()


def test_the_threshold_lies_between_two_values():
    values = np.repeat([1.0, 9.0], [700, 300])
    assert otsu_threshold(values) == pytest.approx(5.0, abs=0.1)
