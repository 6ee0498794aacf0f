"""SUV of published objects, of real headers and of a real scan."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from tests.io import dicom_phantom as phantom
from tests.io.dicom.suv_phantom import philips
from upfusion_med.core import InputError
from upfusion_med.io import load_volume
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.scan import read_header
from upfusion_med.io.dicom.suv import suv_scale


@pytest.mark.shared
def test_published_objects(shared, tmp_path):
    folder = shared / "data" / "suv_dro" / "published"
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    assert len(rows) == 14
    for row in rows:
        file = folder / f"{row['object']}.zip"
        volume = load_volume(file)
        with zipfile.ZipFile(file) as archive:
            archive.extract("mask/DRO_mask.nii.gz", tmp_path)
        mask = load_volume(tmp_path / "mask" / "DRO_mask.nii.gz")
        to_mask = np.linalg.inv(mask.affine) @ volume.affine
        index = np.stack(np.indices(volume.array.shape)).reshape(3, -1)
        at = np.rint(to_mask[:3, :3] @ index + to_mask[:3, 3:]).astype(int)
        inside = (mask.array[tuple(at)] > 0.5).reshape(volume.array.shape)
        assert inside.sum() > 1000
        values = volume.array[inside]
        for found, key in ((values.min(), "suv_min"), (np.median(values), "suv_median"), (values.max(), "suv_max")):
            assert found == pytest.approx(float(row[key]), abs=float(row["tolerance"])), (row["object"], key)


def generated_truth():
    y, x = np.mgrid[0:64, 0:64]
    truth = np.zeros((64, 64))
    truth[(x - 31.5) ** 2 + (y - 31.5) ** 2 <= 28**2] = 1.0
    truth[(x - 43) ** 2 + (y - 31.5) ** 2 <= 6**2] = 4.0
    truth[(x - 20) ** 2 + (y - 31.5) ** 2 <= 6**2] = 0.2
    return truth.T[:, :, None]


@pytest.mark.shared
def test_generated_objects_are_converted_or_refused_as_their_table_says(shared):
    folder = shared / "data" / "suv_dro" / "generated"
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    assert len(rows) == 45
    for row in rows:
        if row["expected"] == "refuse":
            with pytest.raises(InputError, match=r"SUV|Units"):
                load_volume(folder / row["object"])
            continue
        volume = load_volume(folder / row["object"])
        assert np.abs(volume.array - generated_truth()).max() < float(row["tolerance"]), row["object"]


@pytest.mark.shared
def test_factors_of_real_headers_to_six_digits(shared):
    rows = list(csv.DictReader((shared / "data" / "suv_dro" / "real_headers.csv").open()))
    assert len(rows) == 8
    for row in rows:
        d = Dataset()
        d.Units, d.DecayCorrection = row["units"], row["decay_correction"]
        d.CorrectedImage, d.PatientWeight = row["corrected_image"].split("/"), row["weight_kg"]
        d.SeriesDate, d.SeriesTime = row["series_datetime"].split()
        d.AcquisitionDate, d.AcquisitionTime = row["first_acquisition_datetime"].split()
        d.FrameReferenceTime, d.ActualFrameDuration = row["frame_reference_time_ms"], row["frame_duration_ms"]
        d.RadiopharmaceuticalInformationSequence = [
            phantom.item(
                RadionuclideTotalDose=row["dose_bq"],
                RadionuclideHalfLife=row["half_life_s"],
                RadiopharmaceuticalStartTime=row["start_time"],
                RadiopharmaceuticalStartDateTime=row["start_datetime"],
            )
        ]
        if row["philips_7053_1000"] or row["philips_7053_1009"]:
            units = d.Units
            philips(d, row["philips_7053_1000"] or None, row["philips_7053_1009"] or None)
            d.Units = units
        header = Header(d, Path("real.dcm"), "real.dcm")
        found = suv_scale([Plane(header, None, 4, 4, None, None, None)], [header]).factors[0]
        assert found == pytest.approx(float(row["suv_factor_first_slice"]), rel=1e-6), row["case"]


@pytest.mark.shared
def test_raw_scan_times_our_factor_is_the_published_suv_image(shared):
    volumes = shared / "data" / "volumes"
    ours = load_volume(volumes / "sts_001_raw" / "PET")
    published = load_volume(volumes / "ibsi_sts" / "STS_001" / "PET.nii.gz")
    assert ours.notes["suv"]["factor"] == pytest.approx(2.4290298e-4, rel=1e-7)
    corner = np.rint(np.linalg.inv(ours.affine) @ published.affine[:, 3])[:3].astype(int)
    assert corner.tolist() == [59, 45, 0]
    window = tuple(slice(c, c + n) for c, n in zip(corner, published.array.shape, strict=True))
    counted = published.array > 0.2
    ratio = ours.array[window][counted] / published.array[counted]
    assert counted.sum() > 70000
    assert ratio.min() > 0.996
    assert ratio.max() < 1.004
    assert np.median(ratio) == pytest.approx(1, abs=1e-5)


@pytest.mark.shared
def test_scan_that_is_suv_already_is_left_as_it_is(shared):
    volumes = shared / "data" / "volumes"
    ours = load_volume(volumes / "sts_001_ibsi_dicom" / "PET")
    assert ours.units == "SUVbw"
    assert ours.notes["suv"]["factor"] == 1.0
    np.testing.assert_allclose(ours.array, load_volume(volumes / "ibsi_sts/STS_001/PET.nii.gz").array, atol=2e-6)


@pytest.mark.shared
def test_factor_of_the_real_flt_slice(shared):
    file = shared / "data" / "volumes" / "pet_raw_flt" / "flt_029_slice60.dcm"
    header = read_header(file, "slice")
    plane = Plane(header, None, 168, 168, None, None, None, slope=header.number("RescaleSlope"))
    found = suv_scale([plane], [header]).factors[0]
    assert found == pytest.approx(5.9424853e-4, rel=1e-7)
    assert 1327 * plane.slope * found == pytest.approx(7.194, abs=5e-4)
