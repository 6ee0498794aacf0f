from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread

from tests.inference.maximum_backend import MaximumBackend
from upfusion_med.core import (
    Blend,
    FuseSettings,
    InputError,
    Modality,
    OutputFormat,
    Registering,
    SliceAxis,
    UsageError,
    Volume,
)
from upfusion_med.inference import fuse
from upfusion_med.inference.modality_choice import choose_modality
from upfusion_med.inference.preparation import prepare
from upfusion_med.io import load_volume, read_transform, save_picture, save_scalar_nifti, save_transform
from upfusion_med.transforms.colour import luma

BOTH = FuseSettings(modality=Modality.PET)


def oblique(spacing=(1.0, 1.2, 3.0), flip=(-1, 1, 1)) -> np.ndarray:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(np.multiply(spacing, flip))
    affine[:3, 3] = (12.0, -31.0, 7.0)
    return affine


@pytest.fixture
def study() -> tuple[Volume, Volume]:
    """A head with a bright rim and a hot lesion in a PET on another grid; air is exactly zero in both."""
    x, y, _ = np.mgrid[0:40, 0:36, 0:14]
    r = np.hypot((x - 20) / 16, (y - 18) / 14)
    mri = np.where(r < 1, 300 + 500 * (r > 0.85), 0).astype(np.float32)
    affine = oblique()
    coarse = affine.copy()
    coarse[:3, :3] *= 2
    coarse[:3, 3] += affine[:3, :3] @ [0.5, 0.5, 0.5]
    u, v, _ = np.mgrid[0:20, 0:18, 0:7]
    pet = np.where(np.hypot((u - 10) / 7, (v - 9) / 6) < 1, 1.0, 0.0) + 9.0 * (np.hypot(u - 12, v - 9) < 2)
    return Volume(mri, affine, modality=Modality.MR), Volume(pet.astype(np.float32), coarse, "SUVbw", Modality.PET)


def test_the_result_lies_on_the_grid_of_the_mri(study):
    result = fuse(*study, BOTH, backend=MaximumBackend())
    assert np.array_equal(result.volume.affine, study[0].affine)
    assert result.volume.array.shape == (*study[0].array.shape, 3)
    assert result.luminance.array.shape == study[0].array.shape


def test_while_the_network_runs_a_study_holds_no_array_of_three_numbers_a_voxel(study):
    prepared = prepare(*study, choose_modality(Modality.PET, study[1], None), BOTH)
    held = {id(v): v.nbytes for v in vars(prepared).values() if isinstance(v, np.ndarray)}
    assert sum(held.values()) == 3 * 4 * study[0].array.size  # MRI, uptake and its luminance
    assert prepared.chroma.shape == (*study[0].array.shape, 3)


def test_air_that_is_zero_in_both_is_exactly_black(study):
    result = fuse(*study, BOTH, backend=MaximumBackend())
    air = (result.mri.array == 0) & (result.functional.array.sum(-1) == 0)
    assert air.mean() > 0.2
    assert not result.volume.array[air].any()
    assert not result.luminance.array[air].any()


def test_equal_uptake_has_equal_colour_in_every_slice(study):
    mri, pet = study
    dark = mri.with_array(np.where(mri.array > 0, 1e-3, 0).astype(np.float32) + (mri.array > 700) * 800)
    result = fuse(dark, pet, BOTH, backend=MaximumBackend())
    inside = result.volume.array[24, 18, 3:11]
    assert (inside == inside[0]).all()
    assert inside[0].max() > 150


def test_hotter_is_never_darker_where_the_mri_is_dark(study):
    ramp = np.zeros((32, 32, 2), np.float32)
    ramp[...] = np.linspace(0, 10, 32, dtype=np.float32)[:, None, None]
    flat = np.zeros_like(ramp)
    flat[0, 0, 0] = 1
    for lut in ("ember", "hot_iron", "pet", "pet_20_step"):
        settings = FuseSettings(modality=Modality.PET, lut=lut, functional_window=(0.0, 10.0))
        result = fuse(Volume(flat, np.eye(4)), Volume(ramp, np.eye(4)), settings, backend=MaximumBackend())
        assert (np.diff(result.luminance.array[:, 5, 1]) >= 0).all(), lut


def test_outside_the_field_of_view_the_mri_stands_alone(study):
    mri, pet = study
    cropped = Volume(pet.array[:, :, :3], pet.affine, pet.units, Modality.PET)
    result = fuse(mri, cropped, BOTH, backend=MaximumBackend())
    assert 0 < result.report["functional_inside_field_of_view"] < 1
    assert np.allclose(result.luminance.array[:, :, -1], result.mri.array[:, :, -1])


def test_studies_that_do_not_overlap_are_refused(study):
    mri, pet = study
    far = pet.affine.copy()
    far[:3, 3] += 5000
    with pytest.raises(InputError, match="mm"):
        fuse(mri, Volume(pet.array, far, pet.units, Modality.PET), BOTH, backend=MaximumBackend())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted_and_refused(study, wrong):
    mri, pet = study
    broken = pet.array.copy()
    broken[0, 0, :2] = wrong
    with pytest.raises(InputError, match="2 values"):
        fuse(mri, pet.with_array(broken), BOTH, backend=MaximumBackend())


def test_a_constant_image_is_refused(study):
    mri, pet = study
    with pytest.raises(InputError, match="constant"):
        fuse(mri, pet.with_array(np.full_like(pet.array, 7)), BOTH, backend=MaximumBackend())
    with pytest.raises(InputError, match="MRI is constant"):
        fuse(mri.with_array(np.zeros_like(mri.array)), pet, BOTH, backend=MaximumBackend())


def test_an_unknown_colour_table_is_named(study):
    with pytest.raises(UsageError, match="rainbowish"):
        fuse(*study, FuseSettings(lut="rainbowish"), backend=MaximumBackend())


def test_ct_is_fused_in_grey_and_bone_stays_bright(study):
    mri, _ = study
    hounsfield = np.where(mri.array > 700, 1200, np.where(mri.array > 0, 40, -1000)).astype(np.float32)
    result = fuse(mri, Volume(hounsfield, mri.affine, "HU"), backend=MaximumBackend())
    assert result.report["modality"]["value"] == "ct"
    rgb = result.volume.array
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert (rgb[..., 1] == rgb[..., 2]).all()
    assert rgb[hounsfield == 1200].min() > 240


def test_coloured_uptake_keeps_its_hue_and_gives_up_saturation_only(study):
    mri, _ = study
    rgb = np.zeros((*mri.array.shape, 3), np.float32)
    rgb[10:30, 10:26] = (200, 40, 0)
    result = fuse(mri, Volume(rgb, mri.affine, "RGB levels"), BOTH, backend=MaximumBackend())
    fused = result.volume.array[15:25, 15:21, 5].reshape(-1, 3)
    red, green, blue = (fused[:, i] - fused @ [0.299, 0.587, 0.114] for i in range(3))
    assert np.allclose(green / red, (40 - 83.28) / (200 - 83.28), atol=0.03)
    assert np.allclose(blue / red, (0 - 83.28) / (200 - 83.28), atol=0.03)


def test_saved_volumes_read_back_with_the_same_geometry_and_bytes(study, tmp_path):
    result = fuse(*study, BOTH, backend=MaximumBackend())
    files = {f.name for f in result.save(tmp_path / "out")}
    assert files == {"fused_rgb.nii.gz", "fused_rgb.nrrd", "fused_luminance.nii.gz", "fused_luminance.nrrd",
                     "contact_sheet.png", "report.json"}  # fmt: skip
    rgb = result.volume.array.astype(np.uint8)
    nifti = nib.load(tmp_path / "out" / "fused_rgb.nii.gz")
    assert np.allclose(nifti.affine, study[0].affine, atol=1e-4)
    assert np.array_equal(np.stack([np.asarray(nifti.dataobj)[c] for c in "RGB"], -1), rgb)
    nrrd = sitk.ReadImage(str(tmp_path / "out" / "fused_rgb.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(nrrd).transpose(2, 1, 0, 3), rgb)
    corner = np.array(nrrd.TransformIndexToPhysicalPoint((39, 35, 13))) * (-1, -1, 1)
    assert np.allclose(corner, (study[0].affine @ [39, 35, 13, 1])[:3], atol=1e-4)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["notice"] == "Not for diagnostic use"
    assert report["windows"]["functional"]["units"] == "SUVbw"


def test_a_folder_with_something_in_it_is_left_alone(study, tmp_path):
    result = fuse(*study, BOTH, backend=MaximumBackend())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        result.save(tmp_path)
    result.save(tmp_path, [OutputFormat.PNG], force=True)
    assert {f.name for f in tmp_path.iterdir()} == {"notes.txt", "contact_sheet.png", "report.json"}


def test_a_failure_while_writing_leaves_nothing(study, tmp_path, monkeypatch):
    result = fuse(*study, BOTH, backend=MaximumBackend())

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("upfusion_med.inference.result.save_scalar_nrrd", full_disk)
    with pytest.raises(Exception, match="No space left"):
        result.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_other_sizes_and_a_picture_with_a_volume_are_refused(tmp_path, study):
    save_picture(tmp_path / "a.png", np.arange(400, dtype=np.uint8).reshape(20, 20))
    save_picture(tmp_path / "b.png", np.arange(420, dtype=np.uint8).reshape(20, 21))
    save_scalar_nifti(tmp_path / "mr.nii.gz", study[0].array, study[0].affine)
    with pytest.raises(InputError, match="20x20 and 20x21"):
        fuse(tmp_path / "a.png", tmp_path / "b.png", backend=MaximumBackend())
    with pytest.raises(InputError, match="one kind"):
        fuse(tmp_path / "mr.nii.gz", tmp_path / "b.png", backend=MaximumBackend())


def test_other_frames_of_reference_are_taken_as_one_only_where_the_user_says_so(study):
    mri, pet = study
    one = Volume(mri.array, mri.affine, frame_of_reference_uid="1.2.3")
    two = Volume(pet.array, pet.affine, "SUVbw", Modality.PET, frame_of_reference_uid="1.2.4")
    with pytest.raises(InputError, match="different frames of reference"):
        fuse(one, two, backend=MaximumBackend())
    vouched = fuse(one, two, FuseSettings(register=Registering.NEVER), backend=MaximumBackend())
    assert vouched.report["alignment"]["mode"] == "never" and vouched.report["warnings"] == []
    same = Volume(pet.array, pet.affine, "SUVbw", Modality.PET, frame_of_reference_uid="1.2.3")
    assert fuse(one, same, backend=MaximumBackend()).report["warnings"] == []


def test_a_transform_of_the_user_moves_the_uptake_and_is_saved_beside_the_result(study, tmp_path):
    mri, pet = study
    shift = np.eye(4)
    shift[:3, 3] = (2.0, -3.0, 1.0)
    save_transform(tmp_path / "shift.tfm", shift)
    settings = FuseSettings(modality=Modality.PET, transform=str(tmp_path / "shift.tfm"))
    result = fuse(mri, pet, settings, backend=MaximumBackend())
    moved_pet = Volume(pet.array, np.linalg.inv(shift) @ pet.affine, pet.units, pet.modality)
    expected = fuse(mri, moved_pet, FuseSettings(modality=Modality.PET), backend=MaximumBackend())
    np.testing.assert_allclose(result.luminance.array, expected.luminance.array, atol=1e-5)
    result.save(tmp_path / "out")
    np.testing.assert_allclose(read_transform(tmp_path / "out" / "mri_to_functional.tfm"), shift, atol=1e-12)
    assert not (expected.save(tmp_path / "plain") and (tmp_path / "plain" / "mri_to_functional.tfm").exists())


def test_uptake_below_the_ramp_leaves_the_mri_untouched(study):
    mri, pet = study
    settings = FuseSettings(modality=Modality.PET, opacity=(0.2, 0.6), mri_brightness=1.0)
    result = fuse(mri, pet, settings, backend=MaximumBackend())
    full = fuse(mri, pet, FuseSettings(modality=Modality.PET, mri_brightness=1.0), backend=MaximumBackend())
    uptake = prepare(mri, pet, choose_modality(Modality.PET, pet, None), settings).uptake
    cold, hot = uptake <= 0.2, uptake >= 0.6
    assert cold.any() and hot.any()
    grey = np.rint(result.mri.array * 255)
    for channel in range(3):
        np.testing.assert_array_equal(result.volume.array[..., channel][cold], grey[cold])
    np.testing.assert_array_equal(result.volume.array[hot], full.volume.array[hot])


def test_a_table_whose_luma_falls_is_accepted_with_a_warning(study):
    warnings = {
        name: fuse(*study, FuseSettings(modality=Modality.PET, lut=name), backend=MaximumBackend()).report["warnings"]
        for name in ("pet", "pet_20_step", "hot_iron")
    }
    assert warnings["hot_iron"] == []
    for name in ("pet", "pet_20_step"):
        assert f"luminance of the colour table '{name}' is not monotone" in warnings[name][0]


def test_alpha_blending_mixes_the_colours_and_needs_no_network(study):
    mri, pet = study
    settings = FuseSettings(modality=Modality.PET, blend=Blend.ALPHA, alpha=0.25)
    result = fuse(mri, pet, settings)
    mixed = 0.75 * 255 * result.mri.array[..., None] + 0.25 * result.functional.array
    np.testing.assert_allclose(result.volume.array, mixed, atol=0.51)
    assert "alpha blending" in result.report["network"]["model"]
    nothing = fuse(mri, pet, FuseSettings(modality=Modality.PET, blend=Blend.ALPHA, alpha=0.0))
    np.testing.assert_array_equal(nothing.volume.array[..., 0], np.rint(255 * nothing.mri.array))


@pytest.mark.parametrize(("factor", "warned"), [(1.0, False), (3000.0, True)])
def test_uptake_in_bq_in_a_window_of_suv_is_warned_of(study, factor, warned):
    mri, pet = study
    pet = pet.with_array(np.asarray(pet.array) * np.float32(factor))
    settings = FuseSettings(modality=Modality.PET, functional_window=(0, 5), blend=Blend.ALPHA)
    assert any("times the top of the window" in w for w in fuse(mri, pet, settings).report["warnings"]) == warned


def test_outside_the_functional_field_of_view_alpha_blending_leaves_the_mri_alone(study):
    mri, pet = study
    half = pet.with_array(np.asarray(pet.array)[..., : pet.array.shape[2] // 2])
    result = fuse(mri, half, FuseSettings(modality=Modality.PET, blend=Blend.ALPHA, alpha=0.25))
    alone = np.asarray(result.volume.array)[..., -1, :]
    np.testing.assert_array_equal(alone, np.repeat(np.rint(255 * result.mri.array[..., -1, None]), 3, axis=-1))
    assert alone.any()


def test_a_study_of_which_only_air_lies_on_the_mri_is_warned_of(study):
    mri, pet = study
    affine = np.array(pet.affine)
    affine[:3, 3] += 34 * affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    away = fuse(mri, replace(pet, affine=affine), BOTH, backend=MaximumBackend()).report
    assert away["functional_inside_field_of_view"] > 0.1
    assert [w for w in away["warnings"] if "Nothing of the functional image shows" in w]
    assert not fuse(mri, pet, BOTH, backend=MaximumBackend()).report["warnings"]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((1e6, 2e6), "shows nothing: the values go from"),
        ((-9, -8), "100 % of all voxels"),
        ((0, 1e5), "the largest value reaches"),
    ],
)
def test_a_window_in_another_unit_is_warned_of(study, window, words):
    settings = FuseSettings(modality=Modality.PET, mri_window=window, functional_window=window)
    warnings = fuse(*study, settings, backend=MaximumBackend()).report["warnings"]
    assert [w.split(":")[0] for w in warnings if words in w] == ["MRI", "Functional"]
    usual = FuseSettings(modality=Modality.PET, mri_window=(0, 300), functional_window=(0, 100))
    assert not any("Check its unit" in w for w in fuse(*study, usual, backend=MaximumBackend()).report["warnings"])


def test_opacity_needs_uptake_not_colours(study):
    mri, pet = study
    shown = fuse(mri, pet, FuseSettings(modality=Modality.PET), backend=MaximumBackend()).functional
    colours = shown.with_array(255.0 - shown.array)  # no palette that anybody knows
    with pytest.raises(UsageError, match="came in colours"):
        fuse(mri, colours, FuseSettings(modality=Modality.PET, opacity=(0.1, 0.3)), backend=MaximumBackend())


def test_a_lesion_that_only_the_colours_show_is_attributed_to_the_uptake(study):
    mri, pet = study

    class MriBackend(MaximumBackend):
        def fuse(self, functional, mri, context):
            return mri

    u, v, _ = np.mgrid[0:40, 0:36, 0:14]
    texture = 650 + 100 * np.sin(u) * np.sin(v)
    mri = mri.with_array(np.where(mri.array > 0, texture, 0))
    border = np.abs(np.hypot(u - 24.5, v - 18.5) - 4) < 1.5
    settings = FuseSettings(modality=Modality.PET, attribution=True, mri_window=(0, 800))
    result = fuse(mri, pet, settings, backend=MriBackend())
    assert result.attribution.share[border].mean() < 0.3
    # On the sheet the overlay lies under the fused picture and has its luminance.
    expected = 0.8 * (luma(result.volume.array) / 255) ** 0.8
    np.testing.assert_allclose(luma(result.attribution_colours()) / 255, expected, atol=0.01)
    exact = fuse(mri, pet, replace(settings, blend=Blend.EXACT), backend=MriBackend())
    assert exact.attribution.share[border].mean() > 0.9


def test_every_format_is_written_and_the_attribution_with_it(study, tmp_path):
    mri, pet = study
    settings = FuseSettings(modality=Modality.PET, attribution=True)
    result = fuse(mri, pet, settings, backend=MaximumBackend())
    assert result.contact_sheet().height > fuse(mri, pet, backend=MaximumBackend()).contact_sheet().height
    result.save(tmp_path / "out", tuple(OutputFormat))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"attribution.nii.gz", "attribution.nrrd", "dicom", "fused_multiframe.dcm", "luminance_map.dcm"}
    assert names >= {"slices_png", "slices_tiff", "cine.gif", "contact_sheet.png", "report.json"}
    share = load_volume(tmp_path / "out" / "attribution.nii.gz").array
    assert share.min() >= 0 and share.max() <= 1
    headers = [
        dcmread(next(path.rglob("*.dcm")) if path.is_dir() else path)
        for path in (tmp_path / "out" / name for name in ("dicom", "fused_multiframe.dcm", "luminance_map.dcm"))
    ]
    assert len({str(h.StudyInstanceUID) for h in headers}) == 1
    assert len({str(h.FrameOfReferenceUID) for h in headers}) == 1
    assert len({int(h.SeriesNumber) for h in headers}) == len({str(h.SeriesInstanceUID) for h in headers}) == 3


def test_formats_are_named_by_their_words_and_unknown_ones_are_refused(study, tmp_path):
    with pytest.raises(UsageError, match="nift; expected some of nifti"):
        fuse(*study, BOTH, backend=MaximumBackend(), formats="nift")
    result = fuse(*study, BOTH, backend=MaximumBackend(), formats=["nrrd", OutputFormat.DICOM])
    with pytest.raises(UsageError, match="nift; expected some of nifti"):
        result.save(tmp_path / "out", ["nift"])
    assert not (tmp_path / "out").exists()
    names = [file.name for file in result.save(tmp_path / "out", "nrrd,png")]
    assert names == ["contact_sheet.png", "fused_luminance.nrrd", "fused_rgb.nrrd", "report.json"]


@pytest.mark.parametrize("axis", list(SliceAxis))
def test_a_volume_of_one_slice_is_not_cut_into_lines(study, tmp_path, axis):
    coronal = [v.with_array(np.asarray(v.array)[:, n : n + 1]) for v, n in zip(study, (18, 9), strict=True)]
    seen = []

    class Watched(MaximumBackend):
        def fuse(self, functional, mri, context):
            seen.append(functional.shape)
            return super().fuse(functional, mri, context)

    result = fuse(*coronal, FuseSettings(modality=Modality.PET, axis=axis), backend=Watched())
    assert seen == [(1, 40, 16)]
    result.save(tmp_path / "out", [OutputFormat.PNG_STACK])
    assert [p.name for p in (tmp_path / "out" / "slices_png").iterdir()] == ["coronal_0001.png"]


@pytest.mark.parametrize("wanted", [f for f in OutputFormat if f.is_dicom or f.is_pictures])
def test_a_sheared_mri_is_refused_before_any_work_where_slices_are_wanted(study, wanted):
    mri, pet = study
    affine = np.array(mri.affine)
    affine[:3, 0] += 0.2 * affine[:3, 1]
    sheared = Volume(mri.array, affine)
    settings = FuseSettings(lut="no table: found later than the shear")
    with pytest.raises(InputError, match="sheared"):
        fuse(sheared, pet, settings, backend=MaximumBackend(), formats=[OutputFormat.NIFTI, wanted])
    with pytest.raises(UsageError, match="no table"):
        fuse(sheared, pet, settings, backend=MaximumBackend(), formats=[OutputFormat.NIFTI, OutputFormat.NRRD])


def test_the_way_of_a_study_does_not_import_torch():
    code = "import upfusion_med.core, upfusion_med.io, upfusion_med.transforms, upfusion_med.inference, sys; " \
           "import upfusion_med.inference.fusion; print('torch' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_swapped_images_are_noticed(study):
    mri, pet = study
    with pytest.raises(InputError, match="Swap"):
        fuse(pet, mri, backend=MaximumBackend())


def test_the_report_says_how_bright_the_mri_was_shown(study):
    mri, pet = study
    shown = {
        None: fuse(mri, pet, BOTH, backend=MaximumBackend()),
        0.5: fuse(mri, pet, FuseSettings(modality=Modality.CT, mri_brightness=0.5), backend=MaximumBackend()),
    }
    exact = fuse(mri, pet, FuseSettings(modality=Modality.PET, blend=Blend.EXACT), backend=MaximumBackend())
    assert shown[None].report["mri_brightness"] == 1.0
    assert exact.report["mri_brightness"] == 0.7
    assert shown[0.5].report["mri_brightness"] == 0.5
    assert shown[0.5].luminance.array[2, 18, 5] == pytest.approx(0.5 * shown[0.5].mri.array[2, 18, 5], abs=1e-4)


@pytest.mark.parametrize("levels", [(0.0, 1.0), (-1.0, 255.0), (0.0, 300.0)])
@pytest.mark.parametrize("which", [0, 1])
def test_colours_that_are_no_display_levels_are_refused(study, levels, which):
    images = list(study)
    low, high = levels
    colours = np.random.default_rng(0).uniform(low, high, (*images[which].array.shape, 3)).astype(np.float32)
    images[which] = images[which].with_array(colours)
    with pytest.raises(InputError, match=r"colours from .*expected display levels from 0 to 255"):
        fuse(*images, BOTH, backend=MaximumBackend())
