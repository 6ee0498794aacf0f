"""The transforms under MONAI's own conventions: MetaTensor, missing keys, Compose, inverse and its trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Invertd, InvertibleTransform, MapTransform

from tests.bundles.conftest import NAMES
from tests.bundles.workflows import workflow
from tests.io.dicom_phantom import PT, pet_slices, pet_tags, slices, write
from upfusion_med import bundle
from upfusion_med.bundle import (
    AlignToMRI,
    AlignToMRId,
    FuseLuminance,
    FuseLuminanced,
    LoadStudyd,
    LoadSUV,
    LoadSUVd,
    PseudoColor,
    PseudoColord,
    Recolor,
    Recolord,
    RobustWindow,
    RobustWindowd,
    StudyInferer,
)
from upfusion_med.core import FuseSettings, InputError, Modality, UsageError, Volume
from upfusion_med.inference import fuse
from upfusion_med.io import ACTIVITY_UNITS, SUV_UNITS, SuvRefusedError, load_volume, save_scalar_nifti
from upfusion_med.transforms import colour, luts

AFFINE = torch.tensor([[0, -2.0, 0, 4], [1.5, 0, 0, -3], [0, 0, 3.0, 8], [0, 0, 0, 1]], dtype=torch.float64)
KEYED = {
    "LoadSUVd": {},
    "AlignToMRId": {"mri_key": "mri"},
    "RobustWindowd": {"modality": "pet"},
    "PseudoColord": {},
    "Recolord": {"uptake_key": "pet"},
}


@pytest.fixture
def volume() -> MetaTensor:
    values = torch.linspace(0, 900, 24 * 20 * 6).reshape(1, 24, 20, 6)
    return MetaTensor(values, affine=AFFINE, meta={"units": "counts"})


@pytest.mark.parametrize("name", sorted({*KEYED, "FuseLuminanced"}))
def test_every_pair_follows_monais_names(name):
    assert issubclass(getattr(bundle, name), MapTransform)
    array = getattr(bundle, name.removesuffix("d"))
    assert issubclass(getattr(bundle, name), InvertibleTransform) == issubclass(array, InvertibleTransform)


@pytest.mark.parametrize("name", KEYED)
def test_a_missing_key_is_an_error_unless_it_may_be_missing(name, volume):
    made = getattr(bundle, name)
    with pytest.raises(KeyError, match="absent"):
        made("absent", **KEYED[name])({"mri": volume})
    assert made("absent", **KEYED[name], allow_missing_keys=True)({"mri": 1}) == {"mri": 1}


def test_suv_is_loaded_with_its_units_and_place(tmp_path):
    pet = write(tmp_path / "pet", slices(sop=PT, series="pet", tweak=pet_tags))
    loaded = LoadSUVd("pet")({"pet": pet})["pet"]
    expected = load_volume(pet)
    assert loaded.meta["units"] == SUV_UNITS == expected.units and loaded.meta["modality"] == "pet"
    assert loaded.meta["frame_of_reference_uid"] == expected.frame_of_reference_uid
    np.testing.assert_array_equal(loaded.numpy()[0], expected.array)
    np.testing.assert_array_equal(np.asarray(loaded.affine), expected.affine)


def test_what_is_no_suv_is_refused_unless_allowed(tmp_path):
    save_scalar_nifti(tmp_path / "x.nii.gz", np.random.default_rng(0).random((9, 8, 7), np.float32), np.eye(4))
    with pytest.raises(InputError, match="not SUV"):
        LoadSUV()(tmp_path / "x.nii.gz")
    assert LoadSUV(require_suv=False)(tmp_path / "x.nii.gz").shape == (1, 9, 8, 7)


def test_a_pet_without_weight_gives_its_stored_values_only_where_suv_is_not_required(tmp_path):
    pet = write(tmp_path / "pet", pet_slices(tweak=lambda d, k: delattr(d, "PatientWeight")))
    with pytest.raises(SuvRefusedError, match="Weight"):
        LoadSUV()(pet)
    loaded = LoadSUV(require_suv=False)(pet)
    assert loaded.meta["units"] == ACTIVITY_UNITS
    np.testing.assert_array_equal(loaded.numpy()[0], load_volume(pet, quantity="raw").array)


def test_what_is_wrong_besides_suv_is_refused_although_suv_is_not_required(tmp_path):
    pet = write(tmp_path / "pet", [d for k, d in enumerate(pet_slices()) if k != 2])
    with pytest.raises(InputError, match="misses 1 slice"):
        LoadSUV(require_suv=False)(pet)


def test_a_study_takes_stored_values_where_its_settings_say_so(tmp_path):
    pet = write(tmp_path / "pet", pet_slices(tweak=lambda d, k: delattr(d, "PatientWeight")))
    study = {"mri": write(tmp_path / "mri", slices()), "functional": pet}
    with pytest.raises(InputError, match=r"Weight.*--quantity raw"):
        LoadStudyd()(study)
    assert LoadStudyd({"quantity": "raw"})(study)["functional"].meta["units"] == ACTIVITY_UNITS


def test_a_window_keeps_the_place_and_can_be_inverted(volume):
    window = RobustWindow("pet", low=0, high=1000)
    shown = window(volume)
    assert shown.min() >= 0 and shown.max() <= 1
    assert shown.meta["units"] == "display luminance"
    torch.testing.assert_close(shown.affine, AFFINE)
    back = window.inverse(shown)
    torch.testing.assert_close(back, volume, rtol=1e-5, atol=1e-2)
    assert back.meta["units"] == "counts" and not back.applied_operations


def test_a_window_is_undone_within_a_chain_and_by_invertd(volume):
    chain = Compose([Flipd("pet", 0), RobustWindowd("pet", "pet", low=0, high=1000)])
    done = chain({"pet": volume})
    assert [step["class"] for step in done["pet"].applied_operations] == ["Flip", "RobustWindow"]
    torch.testing.assert_close(chain.inverse(done)["pet"], volume, rtol=1e-5, atol=1e-2)
    done = chain({"pet": volume})
    done["pred"] = 0.5 * torch.as_tensor(done["pet"])
    restored = Invertd("pred", chain, "pet", nearest_interp=False)(done)["pred"]
    torch.testing.assert_close(torch.as_tensor(restored), 0.5 * torch.as_tensor(volume), rtol=1e-5, atol=1e-2)


def test_half_a_window_and_an_unknown_modality_are_refused():
    with pytest.raises(UsageError, match="both ends"):
        RobustWindow("pet", low=0)
    with pytest.raises(UsageError, match="expected one of"):
        RobustWindow("ultrasound")


def test_alignment_puts_values_where_they_lie_and_can_be_undone():
    # Values that are linear in the place are resampled without error: v = x + 2 y - z + 100.
    def linear(shape, affine):
        index = np.stack([*np.indices(shape), np.ones(shape)]).reshape(4, -1)
        x, y, z, _ = affine @ index
        values = (x + 2 * y - z + 100).reshape(1, *shape)
        return MetaTensor(torch.from_numpy(values.astype(np.float32)), affine=torch.from_numpy(affine))

    fine, coarse = np.diag([1.0, 1.0, 2.0, 1.0]), np.diag([-1.4, 1.4, 2.2, 1.0])
    coarse[:3, 3] = (25, -2, -2)
    mri, pet = linear((20, 22, 12), fine), linear((24, 22, 14), coarse)
    data = AlignToMRId("pet", "mri", mode="never")({"pet": pet, "mri": mri})
    aligned = data["pet"]
    assert aligned.shape == mri.shape and aligned.meta["alignment"].startswith("resampled onto the MRI's grid")
    np.testing.assert_array_equal(np.asarray(aligned.affine), fine)
    torch.testing.assert_close(torch.as_tensor(aligned), torch.as_tensor(mri), rtol=0, atol=1e-3)
    chain = Compose([AlignToMRId("pet", "mri", mode="never")])
    again = chain.inverse(chain({"pet": pet, "mri": mri}))["pet"]
    assert again.shape == pet.shape and not again.applied_operations
    np.testing.assert_allclose(np.asarray(again.affine), coarse)
    inside = torch.as_tensor(again) != 0
    assert inside.float().mean() == pytest.approx(20 * 22 * 24 / (33.6 * 30.8 * 30.8), abs=0.05)
    inside = torch.as_tensor(inside)
    inner = inside[:, 1:-1, 1:-1, 1:-1] & (torch.nn.functional.avg_pool3d(inside.float(), 3, 1) == 1)
    difference = (torch.as_tensor(again) - torch.as_tensor(pet))[:, 1:-1, 1:-1, 1:-1][inner]
    assert difference.abs().max() < 0.2


def test_images_that_do_not_overlap_are_refused(volume):
    away = AFFINE.clone()
    away[0, 3] = 900
    with pytest.raises(InputError, match="do not overlap"):
        AlignToMRI()(MetaTensor(torch.as_tensor(volume), affine=away), volume)


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
    with pytest.raises(InputError, match="one channel"):
        PseudoColor()(torch.zeros(2, 4, 4))


def test_a_recoloured_luminance_keeps_its_luma(volume):
    uptake = RobustWindow("pet", low=0, high=900)(volume)
    light = MetaTensor(torch.full_like(torch.as_tensor(uptake), 0.4), affine=AFFINE)
    rgb = Recolord("fused", "pet", lut="ember")({"fused": light, "pet": uptake})["fused"].float()
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None, None] * torch.as_tensor(rgb)).sum(0)
    assert (luma - 0.4 * 255).abs().max() < 1  # rounding of three channels to whole levels
    assert rgb.max() - rgb.min() > 50
    with pytest.raises(InputError, match="of one grid"):
        Recolor()(light[:, 1:], uptake)


def test_luminances_are_fused_on_the_grid_of_the_mri(volume):
    mri = RobustWindow("mr", low=0, high=900)(volume)
    uptake = MetaTensor(torch.flip(torch.as_tensor(mri), (1,)), affine=AFFINE)
    made = FuseLuminanced("pet", "mri", "fused", modality="pet", allow_missing_keys=True)
    fused = made({"pet": uptake, "mri": mri})["fused"]
    assert fused.shape == mri.shape
    torch.testing.assert_close(fused.affine, AFFINE)
    assert not fused[(torch.as_tensor(mri) == 0) & (torch.as_tensor(uptake) == 0)].any()
    assert set(made({"mri": mri})) == {"mri"}
    with pytest.raises(InputError, match="of one grid"):
        FuseLuminance()(uptake[:, 1:], mri)


def test_the_small_transforms_in_a_row_fuse_as_the_package_does(study):
    mri, pet = (load_volume(path) for path in study)
    data = {
        name: MetaTensor(torch.from_numpy(np.array(v.array))[None], affine=torch.from_numpy(v.affine.copy()))
        for name, v in (("mri", mri), ("pet", pet))
    }
    chain = Compose([RobustWindowd("pet", "pet"), AlignToMRId("pet", "mri"), RobustWindowd("mri", "mr"),
                     FuseLuminanced("pet", "mri", "fused", modality="pet")])  # fmt: skip
    fused = chain(data)["fused"]
    grey = FuseSettings(modality=Modality.PET, lut="grey")
    expected = fuse(mri, Volume(pet.array, pet.affine), grey).luminance.array
    # The window comes before the resampling here, which differs where values were clipped.
    assert float(np.abs(fused.numpy()[0] - expected).mean()) < 0.01


def test_the_inferer_refuses_other_networks_and_shapes(bundles):
    with pytest.raises(InputError, match="expected upfusion_med"):
        StudyInferer()(torch.rand(1, 2, 32, 32), torch.nn.Identity())
    flow = workflow(bundles / NAMES[0], "inference")
    flow.initialize()
    with pytest.raises(InputError, match="has shape"):
        flow.inferer(torch.rand(1, 3, 32, 32), flow.network_def)
    with pytest.raises(UsageError, match="no prompt 'mri_us'"):
        StudyInferer(prompt="mri_us")(torch.rand(1, 2, 32, 32), flow.network_def)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_inferer_takes_a_picture_as_one_slice_whatever_its_axis(bundles, axis):
    flow = workflow(bundles / NAMES[0], "inference")
    flow.initialize()
    pictures = torch.rand(2, 2, 32, 24, generator=torch.Generator().manual_seed(0))
    expected = StudyInferer()(pictures, flow.network_def)
    assert torch.equal(StudyInferer(axis=axis)(pictures, flow.network_def), expected)
    assert torch.equal(StudyInferer()(pictures, flow.network_def, facts={"axis": axis}), expected)


def test_images_of_one_shape_in_two_places_are_not_fused():
    mri, moved = torch.rand(1, 32, 24, 4), AFFINE.clone()
    moved[:3, 3] += 20
    here, there = MetaTensor(mri, affine=AFFINE), MetaTensor(mri, affine=moved)
    fuse_luminance = FuseLuminance()
    for join in (fuse_luminance, Recolor()):
        with pytest.raises(InputError, match="two places"):
            join(there, here)
        assert join(here, here).shape[1:] == mri.shape[1:]
        assert join(there.as_tensor(), here).shape[1:] == mri.shape[1:]  # nothing is known of its place
