"""What SUV is refused for, and what the message says."""

from __future__ import annotations

import copy

import pytest

from tests.io import dicom_phantom as phantom
from tests.io.dicom.suv_phantom import drop, pet, philips, put, reason, tracer
from upfusion_med.core import InputError
from upfusion_med.io import list_series, load_volume
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.suv import suv_scale
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError


@pytest.mark.parametrize(
    ("tweak", "text"),
    [
        (drop("PatientWeight"), "Patient's Weight (0010,1030) is missing"),
        (put(PatientWeight=0), "Patient's Weight (0010,1030) is not positive"),
        (put(PatientWeight=1.1e6), "no weight of a patient, neither in kg nor in g"),
        (put(RadionuclideHalfLife=0.5), "no tracer has that"),
        (put(RadionuclideHalfLife=2e8), "no tracer has that"),
        (put(PatientWeight=(70, 71)), "Patient's Weight (0010,1030) differs"),
        (drop("RadionuclideTotalDose"), "Radionuclide Total Dose (0018,1074) is missing"),
        (put(RadionuclideTotalDose=0), "Radionuclide Total Dose (0018,1074) is not positive"),
        (put(RadionuclideTotalDose=(370e6, 371e6)), "Radionuclide Total Dose (0018,1074) differs"),
        (put(RadionuclideHalfLife=(6586, 7000)), "Radionuclide Half Life (0018,1075) differs"),
        (drop("RadionuclideHalfLife", "RadionuclideCodeSequence"), "Radionuclide Half Life (0018,1075) is missing"),
        (drop("RadiopharmaceuticalInformationSequence"), "Sequence (0054,0016) is missing"),
        (put(CorrectedImage=["DECY"]), "no ATTN"),
        (put(CorrectedImage=["ATTN"]), "no DECY"),
        (put(CorrectedImage=(["ATTN", "DECY"], ["ATTN"])), "Corrected Image (0028,0051) differs"),
        (drop("DecayCorrection"), "Decay Correction (0054,1102) is missing"),
        (put(DecayCorrection="ODD"), "is ODD; expected START, ADMIN or NONE"),
        (put(DecayCorrection=("START", "ADMIN")), "Decay Correction (0054,1102) differs"),
        (drop("Units"), "Units (0054,1001) are missing"),
        (put(Units="PROPCNTS"), "PROPCNTS"),
        (put(PhotometricInterpretation="PALETTE COLOR"), "the pixels are colours"),
        (put(SamplesPerPixel=3), "the pixels are colours"),
        (put(PhotometricInterpretation=("MONOCHROME2", "PALETTE COLOR")), "the pixels are colours"),
        (put(Units="PROPCPS"), "PROPCPS"),
        (put(Units="1CM"), "1CM"),
        (put(Units="PCNT"), "PCNT"),
        (put(Units="CPS"), "CPS"),
        (put(Units="CNTS"), "counts cannot be converted"),
        (lambda d, k: philips(d, None, "1.9" if k == 0 else None), "counts cannot be converted"),
        (lambda d, k: philips(d, "inf", "-1"), "counts cannot be converted"),
        (put(Units=("BQML", "CNTS")), "Units (0054,1001) differs"),
        (put(Units="GML", SUVType="BSA"), "which is no mass"),
        (put(Units="GML", SUVType="ODD"), "which is no mass"),
        (put(Units="GML", SUVType="LBM", PatientSize=0), "Patient's Size (0010,1020)"),
        (put(Units="GML", SUVType="IBW", PatientSize=0.5), "a body size of IBW that is not positive"),
        (put(Units="CM2ML", SUVType="LBM"), "which is no surface"),
        (put(Units="CM2ML", PatientSize=None), "Patient's Size (0010,1020)"),
        (put(Units="CM2ML", PatientSize=1750), "neither in m nor in cm"),
        (put(RadiopharmaceuticalStartDateTime="20250304110000"), "60.0 minutes after the scan"),
        (put(RadiopharmaceuticalStartDateTime="20250301090000"), "limits: 24 hours"),
        (put(RadiopharmaceuticalStartDateTime="20250304080000", RadionuclideHalfLife=500), "limits: 24 hours"),
        (put(RadiopharmaceuticalStartDateTime="", RadiopharmaceuticalStartTime=""), "(0018,1078)"),
        (put(SeriesTime="", AcquisitionTime=""), "Acquisition Time (0008,0032) is missing"),
        (put(DecayCorrection="NONE", ActualFrameDuration=0), "Actual Frame Duration"),
    ],
)
def test_refusals_name_the_tag(tweak, text):
    assert text in reason(tweak)


def test_more_than_twelve_half_lives_are_refused():
    def tweak(d, k):
        tracer(d).RadionuclideHalfLife = 122.2
        tracer(d).RadionuclideCodeSequence[0].CodeValue = "C-B1038"

    assert "12 half-lives" in reason(tweak)


def test_the_time_since_the_injection_is_believed_of_every_slice_or_of_none():
    def slices_at(first, second):
        times = {"AcquisitionDate": (first[:8], second[:8]), "AcquisitionTime": (first[8:], second[8:])}
        return put(DecayCorrection="NONE", CorrectedImage=["ATTN"], RadionuclideHalfLife=36000, **times)

    assert "limits: 24 hours" in reason(slices_at("20250304100000", "20250305091000"))
    assert "minutes after the scan" in reason(slices_at("20250304100000", "20250304083000"))


def test_a_bare_injection_time_between_the_slices_leaves_its_day_open():
    times = put(DecayCorrection="NONE", CorrectedImage=["ATTN"], AcquisitionTime=("091000", "085000"))
    bare = put(RadiopharmaceuticalStartDateTime="")
    assert "has no date and lies 8.5 minutes after" in reason(lambda d, k: (times(d, k), bare(d, k)))


def test_two_tracers_are_refused_instead_of_taking_the_first():
    def tweak(d, k):
        second = copy.deepcopy(tracer(d))
        second.RadionuclideTotalDose = 50e6
        d.RadiopharmaceuticalInformationSequence.append(second)

    assert "Sequence (0054,0016) has 2 items; expected one tracer" in reason(tweak)


def test_intercept_of_any_slice_is_refused():
    planes, headers = pet(count=3)
    shifted = [*planes[:2], Plane(headers[2], None, 4, 4, None, None, None, intercept=-3.0)]
    assert planes[0].intercept == 0
    with pytest.raises(SuvRefusedError, match=r"Rescale Intercept \(0028,1052\) is -3"):
        suv_scale(shifted, headers)


@pytest.mark.parametrize("quantity", [None, "suv"])
def test_refused_pet_says_why_and_how_to_go_on(tmp_path, quantity):
    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: delattr(d, "PatientWeight")))
    with pytest.raises(InputError, match=r"Patient's Weight \(0010,1030\) is missing.*--quantity raw"):
        load_volume(tmp_path, quantity=quantity)
    assert load_volume(tmp_path, quantity="raw").units == "Bq/mL"
    assert list_series(tmp_path)[0].suv.startswith("not possible: Patient's Weight")


def test_a_malformed_tag_says_how_to_go_on_without_suv(tmp_path):
    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: d.add_new("PatientWeight", "LO", "seventy")))
    with pytest.raises(InputError, match=r"Weight \(0010,1030\).*is not a number.*--quantity raw"):
        load_volume(tmp_path)
    assert load_volume(tmp_path, quantity="raw").units == "Bq/mL"


def test_suv_of_other_modalities_is_refused(tmp_path):
    phantom.write(tmp_path, phantom.slices())
    with pytest.raises(InputError, match="SUV exists for PET only"):
        load_volume(tmp_path, quantity="suv")


def test_mixed_units_are_refused_raw_as_well(tmp_path):
    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: setattr(d, "Units", ["BQML", "CNTS"][k % 2])))
    for quantity in (None, "raw"):
        with pytest.raises(InputError, match=r"Units \(0054,1001\) differ"):
            load_volume(tmp_path, quantity=quantity)
