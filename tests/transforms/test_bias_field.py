from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import InputError, Modality, Volume
from upfusion_med.transforms.bias_field import correct_bias


@pytest.fixture
def shaded() -> tuple[Volume, np.ndarray, np.ndarray]:
    """A head of two tissues under a smooth field of 0.7 to 1.3; air is exactly zero."""
    x, y, z = np.mgrid[0:64, 0:72, 0:40]
    r = np.sqrt(((x - 32) / 28) ** 2 + ((y - 36) / 32) ** 2 + ((z - 20) / 18) ** 2)
    tissue = np.where(r < 1, 600.0, 0.0) + np.where(r < 0.55, 300.0, 0.0)
    field = 1 + 0.3 * np.sin((x - 32) / 22) * np.cos((y - 36) / 40)
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(tissue.shape)
    affine = np.array([[0, -3.0, 0, 5], [2.0, 0, 0, -9], [0, 0, 3.0, 1], [0, 0, 0, 1]])
    return Volume((tissue * field * noise).astype(np.float32), affine, modality=Modality.MR), tissue, field


def test_a_known_field_is_divided_out_and_air_stays_zero(shaded):
    mri, tissue, field = shaded
    corrected = correct_bias(mri)
    np.testing.assert_array_equal(corrected.affine, mri.affine)
    assert not corrected.array[mri.array == 0].any()
    for level in (600.0, 900.0):
        inside = tissue == level
        before, after = (np.std(v[inside]) / np.mean(v[inside]) for v in (mri.array, corrected.array))
        assert after < 0.35 * before
    inside = tissue > 0
    assert corrected.array[inside].mean() == pytest.approx(mri.array[inside].mean(), rel=0.05)
    assert np.corrcoef((mri.array[inside] / corrected.array[inside]), field[inside])[0, 1] > 0.95


def test_what_cannot_be_corrected_is_refused(shaded):
    mri, _, _ = shaded
    with pytest.raises(InputError, match="values down to"):
        correct_bias(Volume(mri.array - 5, mri.affine))
    with pytest.raises(InputError, match="at least 8"):
        correct_bias(Volume(mri.array[:, :, :3], mri.affine))
