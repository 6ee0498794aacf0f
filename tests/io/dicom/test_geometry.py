from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from scipy.spatial.transform import Rotation

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, Modality
from upfusion_med.io import list_series, load_volume
from upfusion_med.io.dicom.geometry import goes_on_at, stack_geometry
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane

SHUFFLED = [3, 0, 4, 1, 2]
MATRIX = Rotation.from_euler("xyz", (20, 15, 10), degrees=True).as_matrix()
OBLIQUE = (*MATRIX[:, 0], *MATRIX[:, 1])


def refuse_reason(folder) -> str:
    with pytest.raises(InputError) as caught:
        load_volume(folder)
    assert "expected" in str(caught.value).lower() or "copy" in str(caught.value).lower()
    return str(caught.value)


@pytest.mark.parametrize(
    ("orientation", "step", "spacing"),
    [
        (phantom.AXIAL, (0, 0, 3.0), (1.5, 1.25)),
        (phantom.AXIAL, (0, 0, -3.0), (1.5, 1.25)),
        ((0, 1, 0, 0, 0, -1), (3.0, 0, 0), (1.5, 1.25)),
        ((1, 0, 0, 0, 0, -1), (0, 3.0, 0), (2.0, 0.75)),
        ((-1, 0, 0, 0, 1, 0), (0, 0, 3.0), (1.5, 1.5)),
        (OBLIQUE, tuple(MATRIX[:, 2] * 3.3), (1.5, 1.25)),
        (OBLIQUE, tuple(MATRIX[:, 2] * -3.3), (1.5, 1.25)),
    ],
    ids=["axial", "descending", "sagittal", "coronal", "flipped rows", "oblique", "oblique descending"],
)
def test_every_voxel_lies_where_its_value_says(tmp_path, orientation, step, spacing):
    made = phantom.slices(orientation=orientation, step=step, spacing=spacing)
    phantom.write(tmp_path, made, names=[f"{k}.ima" for k in SHUFFLED])
    volume = load_volume(tmp_path)
    assert volume.array.shape == (phantom.COLUMNS, phantom.ROWS, phantom.SLICES)
    assert volume.array.dtype == np.float32
    assert phantom.place_error(volume) < 0.06
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    assert np.linalg.det(lps[:3, :3]) > 0, "sorted along the normal, the index order is right-handed"
    assert volume.modality is Modality.MR
    assert "warnings" not in volume.notes


@settings(max_examples=60, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(st.floats(0.3, 6), st.floats(0.3, 6)),
    step=st.floats(0.3, 9),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    order=st.permutations(range(7)),
)
def test_grid_of_any_stack_in_any_order_finds_every_slice(angles, spacing, step, origin, order):
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    positions = np.array([np.array(origin) + matrix[:, 2] * step * k for k in range(7)])
    planes = [
        Plane(None, None, 4, 5, tuple(positions[k]), (*matrix[:, 0], *matrix[:, 1]), spacing)  # type: ignore[arg-type]
        for k in order
    ]
    found = stack_geometry(planes, "series s1")
    assert [order[k] for k in found.order] == list(range(7))
    for k in range(7):
        place = found.affine_lps @ (2, 3, k, 1)
        expected = positions[k] + matrix[:, 0] * spacing[1] * 2 + matrix[:, 1] * spacing[0] * 3
        np.testing.assert_allclose(place[:3], expected, atol=1e-6)


def plane(height, *, sideways=0.0, spacing=(1.5, 1.25), rows=6, columns=8, frame="1.2.3", missing=None):
    """A slice of an oblique stack whose steps are 3 mm."""
    dataset = Dataset()
    dataset.FrameOfReferenceUID = frame
    facts = {
        "position_mm": tuple(np.array(phantom.ORIGIN) + MATRIX @ (sideways, 0, height)),
        "orientation": OBLIQUE,
        "spacing_mm": spacing,
        **({missing: None} if missing else {}),
    }
    return Plane(Header(dataset, Path("m.dcm"), "m.dcm"), None, rows, columns, **facts)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (plane(-3), True),
        (plane(12), True),
        (plane(12.12, sideways=0.05), True),
        (plane(-6), False),
        (plane(9), False),
        (plane(15), False),
        (plane(12.3), False),
        (plane(12, sideways=0.2), False),
        (plane(12, spacing=(1.5, 1.5)), False),
        (plane(12, spacing=(1.25, 1.5)), False),
        (plane(12, rows=7), False),
        (plane(12, columns=7), False),
        (plane(12, frame="1.2.4"), False),
        (plane(12, missing="position_mm"), False),
        (plane(12, missing="orientation"), False),
        (plane(12, missing="spacing_mm"), False),
    ],
)
def test_a_volume_goes_on_one_step_beyond_its_ends_on_its_own_grid(one, expected):
    volume = [plane(3 * k) for k in range(4)]
    assert goes_on_at(one, volume, stack_geometry(volume, "series s1")) is expected


def test_thickness_tags_are_not_the_step(tmp_path):
    def lie(d, k):
        d.SliceThickness, d.SpacingBetweenSlices, d.SliceLocation = 5, 5, 77 - k

    phantom.write(tmp_path, phantom.slices(tweak=lie))
    assert load_volume(tmp_path).geometry.spacing_mm == (1.25, 1.5, 3.0)


def test_jitter_below_a_hundredth_of_the_step_is_silent(tmp_path):
    steps = enumerate((0, 0.004, -0.003, 0.002, -0.004))
    positions = [np.add(phantom.ORIGIN, (0.005 * k, 0, 3 * k + j)) for k, j in steps]
    phantom.write(tmp_path, phantom.slices(positions=positions))
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume) < 0.1
    assert "warnings" not in volume.notes


def test_uneven_steps_up_to_five_percent_are_warned_of(tmp_path):
    positions = [np.add(phantom.ORIGIN, (0, 0, z)) for z in (0, 3, 6.1, 9.1, 12)]
    phantom.write(tmp_path, phantom.slices(positions=positions))
    volume = load_volume(tmp_path)
    (warning,) = volume.notes["warnings"]
    assert "varies from 2.900 to 3.100 mm" in warning
    assert volume.geometry.spacing_mm[2] == pytest.approx(3.0)


def test_missing_slice_is_named_with_its_place(tmp_path):
    made = phantom.slices()
    phantom.write(tmp_path, made[:2] + made[3:])
    reason = refuse_reason(tmp_path)
    assert "misses 1 slice: between 23.000 and 29.000 mm" in reason


def test_two_missing_slices_are_counted(tmp_path):
    made = phantom.slices(positions=[np.add(phantom.ORIGIN, (0, 0, 3.0 * k)) for k in (0, 1, 4, 5, 6)])
    assert "misses 2 slices: between 23.000 and 32.000 mm" in refuse_reason(phantom.write(tmp_path, made))


def test_one_missing_slice_of_many_is_found(tmp_path):
    positions = [np.add(phantom.ORIGIN, (0, 0, 1.0 * k)) for k in range(120) if k != 77]
    phantom.write(tmp_path, phantom.slices(positions=positions))
    assert "between 96.000 and 98.000 mm" in refuse_reason(tmp_path)


@pytest.mark.parametrize(
    ("heights", "steps"), [((0, 3, 6.3, 9, 12.6), "2.700 to 3.600"), ((0, 3, 6, 13.8, 16.8), "3.000 to 7.800")]
)
def test_irregular_steps_are_refused(tmp_path, heights, steps):
    positions = [np.add(phantom.ORIGIN, (0, 0, z)) for z in heights]
    phantom.write(tmp_path, phantom.slices(positions=positions))
    assert f"irregular: {steps} mm" in refuse_reason(tmp_path)


def test_two_slices_at_one_place_are_refused(tmp_path):
    made = phantom.slices(positions=[np.add(phantom.ORIGIN, (0, 0, z)) for z in (0, 3, 6, 9, 6)])
    made[4].PixelData = bytes(len(made[4].PixelData))
    phantom.write(tmp_path, made)
    assert "lie at one place (26.000 mm" in refuse_reason(tmp_path)


def test_tilted_stack_that_is_accepted_lies_where_its_values_say(tmp_path):
    made = phantom.slices(orientation=OBLIQUE, step=tuple(MATRIX @ (0.4, 0.9, 3.0)))
    volume = load_volume(phantom.write(tmp_path, made), accept_tilt=True)
    assert phantom.place_error(volume) < 0.06
    (warning,) = volume.notes["warnings"]
    assert "tilted: each slice is 0.985 mm sideways" in warning


def test_tilted_stack_is_refused(tmp_path):
    phantom.write(tmp_path, phantom.slices(step=(0, 0.9, 3.0)))
    assert "tilted stack: each slice is 0.900 mm sideways" in refuse_reason(tmp_path)


def test_single_slices_a_little_out_of_line_are_warned_of(tmp_path):
    positions = [np.add(phantom.ORIGIN, (0.12 * (k % 2), 0, 3 * k)) for k in range(5)]
    volume = load_volume(phantom.write(tmp_path, phantom.slices(positions=positions)))
    assert phantom.place_error(volume) < 0.3
    (warning,) = volume.notes["warnings"]
    assert "up to 0.120 mm sideways" in warning


def test_one_slice_out_of_line_is_refused(tmp_path):
    positions = [np.add(phantom.ORIGIN, (0.6 if k == 2 else 0, 0, 3 * k)) for k in range(5)]
    phantom.write(tmp_path, phantom.slices(positions=positions))
    assert "straight line" in refuse_reason(tmp_path)


def test_single_slice_is_refused(tmp_path):
    phantom.write(tmp_path, phantom.slices()[:1])
    assert "one slice only" in refuse_reason(tmp_path)
    assert "one slice only" in refuse_reason(tmp_path / "000.dcm")


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        ("ImagePositionPatient", "Image Position (Patient) (0020,0032)"),
        ("ImageOrientationPatient", "Image Orientation (Patient) (0020,0037)"),
        ("PixelSpacing", "Pixel Spacing (0028,0030)"),
    ],
)
@pytest.mark.parametrize("where", ["everywhere", "on one slice"])
def test_missing_geometry_tag_is_named(tmp_path, keyword, name, where):
    def drop(d, k):
        if where == "everywhere" or k == 2:
            delattr(d, keyword)

    phantom.write(tmp_path, phantom.slices(tweak=drop))
    assert f"missing {name}" in refuse_reason(tmp_path)


@pytest.mark.parametrize("spacing", [(0, 1.5), (1.5, -1)])
def test_spacing_that_is_not_positive_is_refused(tmp_path, spacing):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "PixelSpacing", list(spacing))))
    assert "Pixel Spacing (0028,0030)" in refuse_reason(tmp_path)


@pytest.mark.parametrize(
    "orientation",
    [
        [1, 0, 0, 1, 0, 0],
        [2, 0, 0, 0, 1, 0],
        [1, 0, 0, -0.1, 1, 0],
        [0.9, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0.9, 0],
        [0] * 6,
    ],
)
def test_orientation_that_is_not_orthonormal_is_refused(tmp_path, orientation):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "ImageOrientationPatient", orientation)))
    assert "orthogonal unit vectors" in refuse_reason(tmp_path)


def test_mixed_orientation_is_refused_with_both_parts_named(tmp_path):
    localiser = phantom.slices(positions=[(0, -5, 30)], orientation=(0, 1, 0, 0, 0, -1))[0]
    localiser.SOPInstanceUID = localiser.file_meta.MediaStorageSOPInstanceUID = phantom.uid("localiser")
    phantom.write(tmp_path, [*phantom.slices(), localiser])
    reason = refuse_reason(tmp_path)
    assert "holds 2 volumes" in reason
    assert "axial" in reason
    assert "sagittal" in reason
    assert phantom.place_error(load_volume(tmp_path, series="s1a")) < 0.06


@pytest.mark.shared
def test_odd_samples_are_read_split_or_refused_as_their_table_says(shared):
    folder = shared / "data" / "dicom_odd" / "generated"
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    assert len(rows) == 23
    for row in rows:
        place = folder / row["series"]
        if row["expected"] == "read":
            volume = load_volume(place)
            assert phantom.place_error(volume) < 0.06, row["series"]
            expected = np.array([float(v) for v in row["affine_lps_rows_3x4_ijk_to_xyz"].split()]).reshape(3, 4)
            lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
            np.testing.assert_allclose(lps[:3], expected, atol=1e-3, err_msg=row["series"])
            assert volume.array.shape == (int(row["nx"]), int(row["ny"]), int(row["nz"]))
            continue
        with pytest.raises(InputError):
            load_volume(place)
        if row["expected"] == "split":
            found = list_series(place)
            assert [s.part for s in found] == ["echo time 10", "echo time 80"]
            for summary in found:
                assert phantom.place_error(load_volume(place, series=summary.key)) < 0.06


@pytest.mark.shared
def test_real_pet_and_t1_get_the_place_of_their_nifti(shared):
    volumes = shared / "data" / "volumes"
    for dicom, nifti in (("PET", "PET"), ("T1", "MR_T1")):
        volume = load_volume(volumes / "sts_001_ibsi_dicom" / dicom)
        reference = load_volume(volumes / "ibsi_sts" / "STS_001" / f"{nifti}.nii.gz")
        assert volume.geometry.same_grid(reference.geometry, tolerance_mm=1e-3)
        np.testing.assert_allclose(volume.array, reference.array, atol=1e-5)
