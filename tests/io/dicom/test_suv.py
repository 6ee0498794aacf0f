"""SUV by body weight: each rule and each refusal, the published objects, real headers, a real scan."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, Modality
from upfusion_med.io import list_series, load_volume
from upfusion_med.io.dicom.body_size import MASS_TYPES, body_surface_m2, normalising_mass_kg
from upfusion_med.io.dicom.decay import average_time_s
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.radionuclide import RADIONUCLIDES, radionuclide_by_code
from upfusion_med.io.dicom.scan import read_header
from upfusion_med.io.dicom.suv import suv_scale
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError

T_HALF = 6586.2


def pet(tweak=None, count=1):
    """Planes and headers of a PET series that exists in memory only."""
    headers = []
    for k in range(count):
        d = Dataset()
        phantom.pet_tags(d, k)
        if tweak is not None:
            tweak(d, k)
        headers.append(Header(d, Path("memory.dcm"), "memory.dcm"))
    return [Plane(h, None, 4, 4, None, None, None) for h in headers], headers


def factor(tweak=None, count=1):
    return suv_scale(*pet(tweak, count)).factors


def tracer(d):
    return d.RadiopharmaceuticalInformationSequence[0]


def reason(tweak, count=2):
    with pytest.raises(SuvRefusedError) as caught:
        suv_scale(*pet(tweak, count))
    return str(caught.value)


def expected(elapsed_s, weight=70.0, dose=370e6, half_life=T_HALF):
    return weight * 1000 / (dose * 2 ** (-elapsed_s / half_life))


def test_start_correction_decays_the_dose_to_the_series_time():
    assert factor() == pytest.approx([expected(3600)], rel=1e-12)


def test_admin_correction_takes_the_dose_as_it_was_given():
    def tweak(d, k):
        d.DecayCorrection = "ADMIN"
        tracer(d).RadiopharmaceuticalStartDateTime = tracer(d).RadiopharmaceuticalStartTime = ""

    assert factor(tweak) == pytest.approx([expected(0)], rel=1e-12)


def test_no_correction_decays_to_the_average_time_of_each_frame():
    def tweak(d, k):
        d.DecayCorrection, d.CorrectedImage = "NONE", ["ATTN"]
        d.AcquisitionTime = ("100000", "100500")[k]

    middle = average_time_s(180, T_HALF)
    assert factor(tweak, 2) == pytest.approx([expected(3600 + middle), expected(3900 + middle)], rel=1e-12)


def test_scan_time_of_ge_goes_before_counting_back():
    def tweak(d, k):
        d.SeriesTime, d.Manufacturer, d.FrameReferenceTime = "113000", "GE MEDICAL SYSTEMS", 5000
        block = d.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20250304095500.00")

    assert factor(tweak) == pytest.approx([expected(3300)], rel=1e-12)


@pytest.mark.parametrize("value", [b"20250304095500.00 ", "20250304095500.00"])
def test_scan_time_of_ge_without_creator_and_as_bytes(value):
    def tweak(d, k):
        d.SeriesTime, d.Manufacturer = "113000", "GE MEDICAL SYSTEMS"
        d.add_new(0x0009100D, "UN" if isinstance(value, bytes) else "DT", value)

    assert factor(tweak) == pytest.approx([expected(3300)], rel=1e-12)


def test_private_tag_of_another_vendor_is_not_taken_for_ge():
    def tweak(d, k):
        d.SeriesTime, d.Manufacturer = "113000", "SIEMENS"
        d.add_new(0x0009100D, "DT", "20250304095500.00")

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_counting_back_uses_each_slices_own_time():
    def tweak(d, k):
        d.SeriesTime = "113000"
        d.AcquisitionTime = ("100230", "100530")[k]
        d.FrameReferenceTime = 1000 * ((150, 330)[k] + average_time_s(180, T_HALF))

    assert factor(tweak, 2) == pytest.approx([expected(3600)] * 2, rel=1e-9)


def test_earliest_acquisition_is_the_last_resort_and_warned_of():
    def tweak(d, k):
        d.SeriesTime = "113000"
        d.AcquisitionTime = ("100300", "100000")[k]

    scale = suv_scale(*pet(tweak, 2))
    assert scale.factors == pytest.approx([expected(3600)] * 2, rel=1e-12)
    assert "earliest acquisition" in scale.warnings[0]


def test_earliest_acquisition_counts_slices_outside_the_chosen_ones():
    def tweak(d, k):
        d.SeriesTime = "113000"
        d.AcquisitionTime = ("100000", "100300")[k]

    planes, headers = pet(tweak, 2)
    assert suv_scale(planes[1:], headers).factors == pytest.approx([expected(3600)], rel=1e-12)


def test_acquisition_microseconds_before_the_series_still_means_series_time():
    def tweak(d, k):
        d.SeriesTime, d.AcquisitionTime = "100000.000000", "095959.999995"

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_rules_that_disagree_by_more_than_one_percent_are_warned_of():
    def tweak(d, k):
        d.FrameReferenceTime = 1000 * 700  # 2 ** ((700 - 89.858) / 6586.2) = 1.0663

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "+6.6 %" in scale.warnings[0]


def test_acquisition_after_midnight_without_a_date_is_the_next_day():
    def tweak(d, k):
        d.SeriesTime, d.AcquisitionTime = "235900", "000100"
        del d.AcquisitionDate
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304225900"

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_bare_start_time_many_hours_before_the_scan_is_warned_of():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartTime = "103000"
        tracer(d).RadionuclideHalfLife = 282240
        del tracer(d).RadiopharmaceuticalStartDateTime, tracer(d).RadionuclideCodeSequence

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(23.5 * 3600, half_life=282240)], rel=1e-12)
    assert "23.5 hours before the scan" in scale.warnings[0]


def test_bare_start_time_after_the_scan_is_on_the_day_before():
    def tweak(d, k):
        d.SeriesTime = d.AcquisitionTime = "003000"
        tracer(d).RadiopharmaceuticalStartTime = "233000"
        del tracer(d).RadiopharmaceuticalStartDateTime

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


@pytest.mark.parametrize("frame_reference_ms", [0, 1000 * average_time_s(180, T_HALF)])
def test_bare_start_time_is_on_the_day_of_the_scan_where_the_series_was_rewritten_days_later(frame_reference_ms):
    def tweak(d, k):
        d.SeriesDate, d.SeriesTime, d.FrameReferenceTime = "20250307", "080000", frame_reference_ms
        del tracer(d).RadiopharmaceuticalStartDateTime

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-9)


def test_offset_of_the_start_is_put_into_the_clock_of_the_series():
    def tweak(d, k):
        d.TimezoneOffsetFromUTC = "+0100"
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304080000+0000"

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_offset_without_one_of_the_series_is_warned_of():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304090000+0000"

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "offset from UTC" in scale.warnings[0]


def test_no_elapsed_time_is_legal():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304100000"

    assert factor(tweak) == pytest.approx([expected(0)], rel=1e-12)


def test_half_life_from_the_code_and_a_wrong_half_life_are_warned_of():
    def absent(d, k):
        del tracer(d).RadionuclideHalfLife

    scale = suv_scale(*pet(absent))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "F-18" in scale.warnings[0]

    def wrong(d, k):
        tracer(d).RadionuclideHalfLife = 7200

    scale = suv_scale(*pet(wrong))
    assert scale.factors == pytest.approx([expected(3600, half_life=7200)], rel=1e-12)
    assert "F-18" in scale.warnings[0]


@pytest.mark.parametrize(
    ("weight", "kg", "warnings"), [(70000, 70, 1), (1500, 1.5, 2), (1.5, 1.5, 1), (310, 310, 1), (2, 2, 0)]
)
def test_weights(weight, kg, warnings):
    scale = suv_scale(*pet(lambda d, k: setattr(d, "PatientWeight", weight)))
    assert scale.factors == pytest.approx([expected(3600, weight=kg)], rel=1e-12)
    assert len(scale.warnings) == warnings


def test_dose_in_megabecquerel_is_warned_of():
    scale = suv_scale(*pet(lambda d, k: setattr(tracer(d), "RadionuclideTotalDose", 370)))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "MBq" in scale.warnings[0]


def philips(d, direct=None, activity=None):
    d.Units, d.Manufacturer = "CNTS", "Philips Medical Systems"
    block = d.private_block(0x7053, "Philips PET Private Group", create=True)
    for element, value in ((0x00, direct), (0x09, activity)):
        if value is not None:
            block.add_new(element, "DS", value)


def test_counts_of_philips():
    assert factor(lambda d, k: philips(d, "0.0007", "1.9")) == pytest.approx([0.0007], rel=1e-12)
    for direct in (None, "0", "0.000"):
        found = factor(lambda d, k, direct=direct: philips(d, direct, "1.9"))
        assert found == pytest.approx([1.9 * expected(3600)], rel=1e-12)


def test_counts_with_a_direct_factor_need_no_weight_and_no_dose():
    def tweak(d, k):
        philips(d, "0.0007")
        del d.PatientWeight, d.RadiopharmaceuticalInformationSequence, d.DecayCorrection

    assert factor(tweak) == pytest.approx([0.0007], rel=1e-12)


def test_direct_factor_on_some_slices_only_falls_back_to_activity():
    def tweak(d, k):
        philips(d, "0.0007" if k == 0 else None, "1.9")

    assert factor(tweak, 2) == pytest.approx([1.9 * expected(3600)] * 2, rel=1e-12)


def test_philips_factors_without_creator_as_bytes():
    def tweak(d, k):
        d.Units, d.Manufacturer = "CNTS", "Philips"
        d.add_new(0x70531000, "UN", b"0.00070 ")

    assert factor(tweak) == pytest.approx([0.0007], rel=1e-12)


@pytest.mark.parametrize("kind", MASS_TYPES)
@pytest.mark.parametrize("sex", ["M", "F", "O", ""])
def test_other_suv_types_go_back_to_body_weight(kind, sex):
    def tweak(d, k):
        d.Units, d.SUVType, d.PatientSex = "GML", kind, sex

    masses = [normalising_mass_kg(kind, s, 70, 175) for s in "MF"]
    mass = {"M": masses[0], "F": masses[1]}.get(sex, sum(masses) / 2)
    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([70 / mass], rel=1e-12)
    assert bool(scale.warnings) is (sex not in "MF" or sex == "")


def test_body_sizes_by_hand():
    assert normalising_mass_kg("LBM", "M", 80, 180) == pytest.approx(88 - 120 * (80 / 180) ** 2)
    assert normalising_mass_kg("LBMJAMES128", "F", 60, 165) == pytest.approx(64.2 - 148 * (60 / 165) ** 2)
    assert normalising_mass_kg("LBMJANMA", "M", 80, 200) == pytest.approx(9270 * 80 / (6680 + 216 * 20))
    assert normalising_mass_kg("IBW", "F", 60, 162) == pytest.approx(45.5 + 9.1)
    assert body_surface_m2(70, 170) == pytest.approx(1.81, abs=0.005)  # Du Bois chart


def test_surface_normalised_values_go_back_to_body_weight():
    def tweak(d, k):
        d.Units = "CM2ML"

    assert factor(tweak) == pytest.approx([70 * 1000 / (body_surface_m2(70, 175) * 1e4)], rel=1e-12)


@pytest.mark.parametrize("kind", ["BW", None])
def test_values_that_are_suv_already_stay_and_need_nothing_else(kind):
    def tweak(d, k):
        d.Units = "GML"
        if kind:
            d.SUVType = kind
        del d.PatientWeight, d.RadiopharmaceuticalInformationSequence, d.DecayCorrection

    assert factor(tweak) == (1.0,)


def test_a_height_in_centimetres_is_warned_of():
    heights = [put(Units="CM2ML", PatientSize=height) for height in (1.75, 175)]
    metres, centimetres = (suv_scale(*pet(tweak)) for tweak in heights)
    assert metres.factors == centimetres.factors
    assert "centimetres" in centimetres.warnings[0] and not metres.warnings


def test_the_order_of_corrections_says_nothing():
    assert len(factor(put(CorrectedImage=(["ATTN", "DECY"], ["DECY", "ATTN"])), 2)) == 2


def test_no_decay_correction_with_a_corrected_image_that_has_it_is_warned_of():
    assert "DECY; NONE was believed" in suv_scale(*pet(put(DecayCorrection="NONE"))).warnings[0]


def drop(*keywords):
    def tweak(d, k):
        for keyword in keywords:
            target = d if keyword in d else tracer(d)
            delattr(target, keyword)

    return tweak


def put(**values):
    def tweak(d, k):
        for keyword, value in values.items():
            target = tracer(d) if keyword.startswith("Radio") else d
            setattr(target, keyword, value[k] if isinstance(value, tuple) else value)

    return tweak


@pytest.mark.parametrize(
    ("tweak", "text"),
    [
        (drop("PatientWeight"), "Patient's Weight (0010,1030) is missing"),
        (put(PatientWeight=0), "Patient's Weight (0010,1030) is not positive"),
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
        (put(Units="PROPCPS"), "PROPCPS"),
        (put(Units="1CM"), "1CM"),
        (put(Units="PCNT"), "PCNT"),
        (put(Units="CPS"), "CPS"),
        (put(Units="CNTS"), "counts cannot be converted"),
        (put(Units=("BQML", "CNTS")), "Units (0054,1001) differs"),
        (put(Units="GML", SUVType="BSA"), "which is no mass"),
        (put(Units="GML", SUVType="ODD"), "which is no mass"),
        (put(Units="GML", SUVType="LBM", PatientSize=0), "Patient's Size (0010,1020)"),
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


def test_intercept_is_refused():
    planes, headers = pet()
    shifted = [Plane(h, None, 4, 4, None, None, None, intercept=-3.0) for h in headers]
    assert planes[0].intercept == 0
    with pytest.raises(SuvRefusedError, match=r"Rescale Intercept \(0028,1052\) is -3"):
        suv_scale(shifted, headers)


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 250), st.floats(1e7, 1e10), st.floats(60, 5 * 3600))
def test_factor_scales_with_weight_and_against_the_decayed_dose(weight, dose, elapsed_s):
    def tweak(d, k):
        hours = 9 * 3600 + int(elapsed_s)
        d.SeriesTime = d.AcquisitionTime = f"{hours // 3600:02d}{hours // 60 % 60:02d}{hours % 60:02d}"
        d.PatientWeight = f"{weight:.6g}"
        tracer(d).RadionuclideTotalDose = f"{dose:.8g}"

    found = factor(tweak)[0]
    assert found == pytest.approx(expected(int(elapsed_s), float(f"{weight:.6g}"), float(f"{dose:.8g}")), rel=1e-9)


@pytest.mark.parametrize("nuclide", RADIONUCLIDES, ids=lambda n: n.name)
def test_radionuclides_are_found_by_both_codes(nuclide):
    assert all(radionuclide_by_code(code) is nuclide for code in nuclide.codes)
    assert radionuclide_by_code("") is None


def test_radionuclide_codes_are_those_of_the_standard():
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts
    from pydicom.sr._snomed_dict import mapping

    names = {word for words in cid_concepts[4020].values() for word in words}
    codes = {code for name in names for code in concepts["SCT"].get(name, {})}
    for nuclide in RADIONUCLIDES:
        assert nuclide.codes[1] in codes
        assert mapping["SCT"][nuclide.codes[1]] == nuclide.codes[0]


def test_loaded_pet_is_suv_with_its_steps(tmp_path):
    phantom.write(tmp_path, phantom.pet_slices())
    volume, raw = load_volume(tmp_path), load_volume(tmp_path, quantity="raw")
    assert (volume.units, raw.units) == ("SUVbw", "Bq/mL")
    assert volume.modality is Modality.PET
    assert phantom.place_error(raw) < 0.06
    np.testing.assert_allclose(volume.array, raw.array * expected(3600), rtol=1e-5)
    assert "suv" not in raw.notes
    steps = volume.notes["suv"]
    assert steps["factor"] == pytest.approx(expected(3600))
    assert steps["elapsed_min"] == 60
    assert (steps["reference_time"], steps["administration_time"]) == ("10:00:00", "09:00:00")
    assert list_series(tmp_path)[0].is_suv_possible


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


def test_impossible_maximum_is_warned_of(tmp_path):
    def tweak(d, k):
        tracer(d).RadionuclideTotalDose = 1.1e5

    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: (tweak(d, k), setattr(d, "RescaleSlope", 10))))
    assert "largest SUV" in load_volume(tmp_path).notes["suv"]["warnings"][-1]


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
