"""Transform files keep their meaning: which way they map, and in which coordinates."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from tests.coarse_study import rigid
from upfusion_med.core import RAS_FROM_LPS, Geometry, InputError, UsageError, Volume
from upfusion_med.io import load_volume
from upfusion_med.io.transform_file import SUFFIXES, read_transform, save_transform
from upfusion_med.transforms.itk_image import itk_image
from upfusion_med.transforms.resample import resample_to

MATRIX = rigid((10.0, -20.0, 30.0), (4.0, -5.0, 776.0))
EULER = sitk.Euler3DTransform((1.0, 2.0, 3.0), 0.1, 0.2, 0.3, (4.0, 5.0, 6.0))
LINEAR = {
    "affine": sitk.AffineTransform((1.1, 0.1, 0, 0, 0.9, 0, 0.2, 0, 1), (5.0, 6.0, 7.0), (1.0, 2.0, 3.0)),
    "euler": EULER,
    "versor rigid": sitk.VersorRigid3DTransform((0.0, 0.6, 0.0, 0.8), (5.0, 6.0, 7.0), (1.0, 2.0, 3.0)),
    "versor": sitk.VersorTransform((0.0, 0.6, 0.0, 0.8), (1.0, 2.0, 3.0)),
    "similarity": sitk.Similarity3DTransform(1.2, (0.0, 0.6, 0.0, 0.8), (5.0, 6.0, 7.0), (1.0, 2.0, 3.0)),
    "scale": sitk.ScaleTransform(3, (1.0, 1.1, 0.9)),
    "scale versor": sitk.ScaleVersor3DTransform(),
    "scale skew versor": sitk.ScaleSkewVersor3DTransform(),
    "translation": sitk.TranslationTransform(3, (5.0, 6.0, 7.0)),
    "identity": sitk.Transform(3, sitk.sitkIdentity),
    "composite": sitk.CompositeTransform([EULER, sitk.TranslationTransform(3, (5.0, 6.0, 7.0))]),
}
_GRID = sitk.Image(20, 20, 20, sitk.sitkUInt8)
NOT_LINEAR = {
    "BSplineTransform": sitk.BSplineTransformInitializer(_GRID, (4, 4, 4)),
    "DisplacementFieldTransform": sitk.DisplacementFieldTransform(sitk.Image([4, 4, 4], sitk.sitkVectorFloat64)),
    "Euler2DTransform": sitk.Euler2DTransform(),
    "B-spline in a composite": sitk.CompositeTransform([EULER, sitk.BSplineTransformInitializer(_GRID, (4, 4, 4))]),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not take such names")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_that_is_no_utf8_does_not_end_the_process(tmp_path, suffix):
    file = tmp_path / os.fsdecode(b"M\xfcller") / os.fsdecode(b"\xe9" + suffix.encode())
    file.parent.mkdir()
    save_transform(file, MATRIX)
    np.testing.assert_allclose(read_transform(file), MATRIX, atol=1e-9)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_matrix_comes_back(tmp_path, suffix):
    file = tmp_path / f"transform{suffix}"
    save_transform(file, MATRIX)
    np.testing.assert_allclose(read_transform(file), MATRIX, atol=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", LINEAR)
def test_linear_transforms_of_itk_map_points_as_itk_maps_them(tmp_path, kind, suffix):
    file = tmp_path / f"transform{suffix}"
    sitk.WriteTransform(LINEAR[kind], str(file))
    matrix = read_transform(file)
    for point in ((0.0, 0.0, 0.0), (10.0, -20.0, 30.0), (-100.0, 50.0, 700.0)):
        itk = RAS_FROM_LPS @ [*LINEAR[kind].TransformPoint(tuple(RAS_FROM_LPS[:3, :3] @ point)), 1.0]
        np.testing.assert_allclose(matrix @ [*point, 1.0], itk, atol=1e-9)


def test_what_is_written_does_in_itk_what_it_does_here(tmp_path):
    # As Slicer or SimpleITK would apply the file: resample the moving image on the fixed grid with it.
    rng = np.random.default_rng(0)
    moving = Volume(rng.random((20, 22, 24), dtype=np.float32), np.diag([-2.0, -2.0, 2.0, 1.0]))
    fixed = Geometry((12, 13, 14), np.diag([-1.5, 1.5, 1.7, 1.0]) + np.outer([1, 1, 1, 0], [0, 0, 0, -12.0]))
    matrix = rigid((5.0, -8.0, 12.0), (3.0, 2.0, 30.0), about_mm=(-10.0, -10.0, 10.0))
    save_transform(tmp_path / "t.tfm", matrix)
    reference = itk_image(np.zeros(fixed.shape, np.float32), fixed)
    image = itk_image(moving.array, moving.geometry)
    itk = sitk.Resample(image, reference, sitk.ReadTransform(str(tmp_path / "t.tfm")), sitk.sitkLinear, 0.0)
    ours, inside = resample_to(moving, fixed, transform=read_transform(tmp_path / "t.tfm"))
    assert inside.any() and not inside.all()
    np.testing.assert_allclose(ours.array, sitk.GetArrayFromImage(itk).transpose(2, 1, 0), atol=1e-5)


@pytest.mark.parametrize("suffix", [".tfm", ".h5"])
@pytest.mark.parametrize("kind", NOT_LINEAR)
def test_transforms_that_are_not_linear_or_not_3d_are_refused(tmp_path, kind, suffix):
    file = tmp_path / f"transform{suffix}"
    sitk.WriteTransform(NOT_LINEAR[kind], str(file))
    with pytest.raises(InputError, match="expected a linear 3-D transform"):
        read_transform(file)


def test_no_part_of_a_text_file_is_taken_for_the_whole(tmp_path):
    # ITK reads some of these as the identity, without an error.
    save_transform(tmp_path / "t.tfm", MATRIX)
    content = (tmp_path / "t.tfm").read_bytes()
    for length in range(len(content)):
        (tmp_path / "cut.tfm").write_bytes(content[:length])
        with pytest.raises(InputError):
            read_transform(tmp_path / "cut.tfm")


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        ("Parameters: 0.1 0.2 0.3 1 2 3\n", "Parameters: 0.1 0.2 0.3 1 2\n"),
        ("Parameters: 0.1 0.2 0.3 1 2 3\n", "Parameters: \n"),
        ("Parameters: 0.1 0.2 0.3 1 2 3\n", "Parameters: 0.1 0.2 0.3 1 2 3 4\n"),
        ("Parameters: 0.1 0.2", "Parameters: 0.1 nan"),
        ("Parameters: 0.1 0.2", "Parameters: 0.1 x"),
        ("FixedParameters: 4 5 6 0\n", "FixedParameters: 4 5\n"),
        ("Euler3DTransform_double_3_3", "Euler3DTransform_double_2_2"),
        ("Euler3DTransform", "Rigid3DTransform"),
        ("#Insight Transform File V1.0", "#Something else"),
    ],
)
def test_damaged_text_is_refused(tmp_path, whole, damaged):
    file = tmp_path / "t.txt"
    angles_first = sitk.Euler3DTransform((4.0, 5.0, 6.0), 0.1, 0.2, 0.3, (1.0, 2.0, 3.0))
    sitk.WriteTransform(angles_first, str(file))
    text = file.read_text()
    assert whole in text
    read_transform(file)
    file.write_text(text.replace(whole, damaged, 1))
    with pytest.raises(InputError, match=r"t\.txt"):
        read_transform(file)


def test_a_list_of_transforms_is_refused(tmp_path):
    file = tmp_path / "t.tfm"
    sitk.WriteTransform(EULER, str(file))
    head, one = file.read_text().split("\n", 1)
    file.write_text(f"{head}\n{one}{one.replace('#Transform 0', '#Transform 1')}")
    with pytest.raises(InputError, match=r"t\.tfm lists 2 transforms"):
        read_transform(file)


def test_other_files_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "bare.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    with pytest.raises(InputError, match="bare matrix of numbers is not taken"):
        read_transform(tmp_path / "bare.txt")
    (tmp_path / "garbage.h5").write_bytes(b"garbage")
    with pytest.raises(InputError, match="no ITK transform"):
        read_transform(tmp_path / "garbage.h5")
    with pytest.raises(InputError, match="cannot be read"):
        read_transform(tmp_path / "absent.tfm")
    with pytest.raises(InputError, match=r"\.tfm, \.txt, \.h5"):
        read_transform(tmp_path / "matrix.mat")
    (tmp_path / "large.h5").write_bytes(bytes(2 << 20))
    with pytest.raises(InputError, match="2 MiB, which is a field of displacements"):
        read_transform(tmp_path / "large.h5")


def test_mirrors_and_singular_transforms_are_refused(tmp_path):
    for scale, words in (((-1.0, 1.0, 1.0), "mirrors the patient"), ((1.0, 0.0, 1.0), "not invertible")):
        sitk.WriteTransform(sitk.ScaleTransform(3, scale), str(tmp_path / "t.tfm"))
        with pytest.raises(InputError, match=words):
            read_transform(tmp_path / "t.tfm")
        with pytest.raises(UsageError, match="mirrors the patient"):
            save_transform(tmp_path / "t.tfm", np.diag([*scale, 1.0]))
    with pytest.raises(UsageError, match="last row"):
        save_transform(tmp_path / "t.tfm", np.ones((4, 4)))
    with pytest.raises(UsageError, match=r"\.tfm"):
        save_transform(tmp_path / "t.nii", MATRIX)


@pytest.mark.shared
def test_the_reference_transform_of_the_raw_study_brings_pet_and_mri_together(shared, tmp_path):
    # The published matrix maps points of the PET's frame to the MRI's, in LPS; ITK's direction with the MRI fixed is
    # the inverse.
    folder = shared / "data" / "volumes"
    published = sitk.AffineTransform(3)
    lps = np.loadtxt(folder / "sts_001_raw" / "pet_frame_to_t1_frame.txt")
    published.SetMatrix(lps[:3, :3].ravel().tolist())
    published.SetTranslation(lps[:3, 3].tolist())
    sitk.WriteTransform(published.GetInverse(), str(tmp_path / "mri_to_pet.tfm"))
    matrix = read_transform(tmp_path / "mri_to_pet.tfm")
    mri, pet = (load_volume(folder / "sts_001_raw" / name) for name in ("T1", "PET"))
    with pytest.raises(InputError, match="do not overlap"):
        resample_to(pet, mri)
    with pytest.raises(InputError, match="do not overlap after the transform"):
        resample_to(pet, mri, transform=np.linalg.inv(matrix))
    placed, inside = resample_to(pet, mri, transform=matrix)
    assert inside.mean() > 0.9

    # The IBSI set has the tumour, drawn on its T1 in the PET's frame, and the uptake there.
    ibsi = folder / "ibsi_sts" / "STS_001"
    t1, tumour, suv = (load_volume(ibsi / f"{name}.nii.gz") for name in ("MR_T1", "MR_T1_mask", "PET"))
    on_pet_grid = load_volume(ibsi / "PET_mask.nii.gz").array > 0.5
    marked, _ = resample_to(tumour, mri, interpolation="nearest", transform=matrix)
    in_tumour = marked.array > 0.5
    assert placed.array[in_tumour].mean() == pytest.approx(suv.array[on_pet_grid].mean(), rel=0.02)
    assert placed.array[inside & ~in_tumour].mean() < 1.0
    # Its T1 in the PET's frame is the raw T1 there; 6 mm off, it is not.
    back, seen = resample_to(mri, t1, transform=np.linalg.inv(matrix))
    body = seen & (t1.array > 50)
    assert np.corrcoef(back.array[body], t1.array[body])[0, 1] > 0.95
    for axis in range(3):
        shift = np.eye(4)
        shift[axis, 3] = 6.0
        off, seen = resample_to(mri, t1, transform=np.linalg.inv(matrix) @ shift)
        body = seen & (t1.array > 50)
        assert np.corrcoef(off.array[body], t1.array[body])[0, 1] < 0.8
