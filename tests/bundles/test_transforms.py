from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from monai.data import MetaTensor
from monai.transforms import Compose

from upfusion_med.bundle import (
    FuseLuminance,
    FuseLuminanced,
    FusionLoss,
    LoadSUV,
    LoadSUVd,
    PseudoColor,
    PseudoColord,
    RobustWindow,
    RobustWindowd,
    StudyInferer,
)
from upfusion_med.core import InputError
from upfusion_med.io import SUV_UNITS, load_volume, save_scalar_nifti
from upfusion_med.transforms import colour, luts

AFFINE = torch.tensor([[0, -2.0, 0, 4], [1.5, 0, 0, -3], [0, 0, 3.0, 8], [0, 0, 0, 1]], dtype=torch.float64)


@pytest.fixture
def volume() -> MetaTensor:
    values = torch.linspace(0, 900, 24 * 20 * 6).reshape(1, 24, 20, 6)
    return MetaTensor(values, affine=AFFINE, meta={"units": "counts"})


@pytest.mark.shared
def test_suv_is_loaded_with_its_units_and_place(shared):
    pet = shared / "data" / "volumes" / "sts_001_ibsi_dicom" / "PET"
    loaded = LoadSUVd("pet")({"pet": pet})["pet"]
    expected = load_volume(pet)
    assert loaded.meta["units"] == SUV_UNITS
    np.testing.assert_array_equal(loaded.numpy()[0], expected.array)
    np.testing.assert_array_equal(np.asarray(loaded.affine), expected.affine)


def test_what_is_no_suv_is_refused_unless_allowed(tmp_path):
    save_scalar_nifti(tmp_path / "x.nii.gz", np.random.default_rng(0).random((9, 8, 7), np.float32), np.eye(4))
    with pytest.raises(InputError):
        LoadSUV()(tmp_path / "x.nii.gz")
    assert LoadSUV(require_suv=False)(tmp_path / "x.nii.gz").shape == (1, 9, 8, 7)


def test_a_window_keeps_the_place_and_can_be_inverted(volume):
    window = RobustWindow("pet", low=0, high=1000)
    shown = window(volume)
    assert shown.min() >= 0 and shown.max() <= 1
    torch.testing.assert_close(shown.affine, AFFINE)
    torch.testing.assert_close(window.inverse(shown), volume, rtol=1e-5, atol=1e-2)
    by_key = Compose([RobustWindowd("pet", "pet", low=0, high=1000)])
    torch.testing.assert_close(by_key.inverse(by_key({"pet": volume}))["pet"], volume, rtol=1e-5, atol=1e-2)


def test_pseudo_colours_are_those_of_the_table(volume):
    uptake = RobustWindow("pet", low=0, high=900)(volume)
    shown = PseudoColord("pet", lut="ember")({"pet": uptake})["pet"]
    assert shown.shape == (3, 24, 20, 6) and shown.dtype == torch.uint8
    torch.testing.assert_close(shown.affine, AFFINE)
    lut = luts.get_lut("ember")
    one = uptake.numpy()[0, 5, 5, 3:4]
    expected = colour.compose(colour.lut_luminance(one, lut), colour.lut_chroma(one, lut))
    np.testing.assert_array_equal(shown.numpy()[:, 5, 5, 3], expected[0])
    assert not PseudoColor("ember")(torch.zeros(1, 2, 2, 2)).any()


def test_luminances_are_fused_on_the_grid_of_the_mri(volume):
    mri = RobustWindow("mr", low=0, high=900)(volume)
    uptake = MetaTensor(torch.flip(torch.as_tensor(mri), (1,)), affine=AFFINE)
    fused = FuseLuminanced("pet", "mri", "fused", modality="pet")({"pet": uptake, "mri": mri})["fused"]
    assert fused.shape == mri.shape
    torch.testing.assert_close(fused.affine, AFFINE)
    assert not fused[(torch.as_tensor(mri) == 0) & (torch.as_tensor(uptake) == 0)].any()
    with pytest.raises(InputError, match="of one grid"):
        FuseLuminance()(uptake[:, 1:], mri)


def test_the_inferer_refuses_other_networks_and_shapes():
    with pytest.raises(InputError, match="expected upfusion_med"):
        StudyInferer()(torch.rand(1, 2, 32, 32), torch.nn.Identity())


def test_the_loss_of_a_perfect_fusion_of_equal_sources_is_nearly_nothing():
    image = torch.rand(2, 1, 64, 64)
    pair = torch.cat([image, image], dim=1)
    loss = FusionLoss()
    assert loss(image, pair).item() < 0.05
    assert loss(1 - image, pair).item() > 1
