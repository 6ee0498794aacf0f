"""SUV of an enhanced PET: units by Real World Value Mapping, the dose in MBq, times as dates with time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.io import dicom_phantom as phantom
from tests.io.dicom_phantom import SLOPE, item
from upfusion_med.core import InputError
from upfusion_med.io import ARBITRARY_UNITS, describe_study, load_volume
from upfusion_med.io.dicom.decay import average_time_s

T_HALF, WEIGHT_KG, DOSE_BQ = 6586.2, 70.0, 370e6


def mapping(unit="Bq/ml", slope=SLOPE, intercept=0.0):
    return item(
        RealWorldValueSlope=slope,
        RealWorldValueIntercept=intercept,
        MeasurementUnitsCodeSequence=[item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)],
    )


def enhanced_pet(*mappings, **tags):
    """Five frames, out of order, in Bq/ml, corrected to an hour after the injection."""
    d = phantom.enhanced(phantom.ENHANCED_PT)
    d.PatientWeight, d.AttenuationCorrected, d.DecayCorrected = WEIGHT_KG, "YES", "YES"
    d.DecayCorrectionDateTime = "20250304100000"
    d.RadiopharmaceuticalInformationSequence = [
        item(
            RadiopharmaceuticalStartDateTime="20250304090000",
            RadionuclideTotalDose=DOSE_BQ / 1e6,
            RadionuclideHalfLife=T_HALF,
        )
    ]
    d.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = list(mappings or (mapping(),))
    for keyword, value in tags.items():
        target = d.RadiopharmaceuticalInformationSequence[0] if keyword.startswith("Radio") else d
        if value is None:
            delattr(target, keyword)
        else:
            setattr(target, keyword, value)
    return d


def read(tmp_path, d, **kwargs):
    return load_volume(phantom.write(tmp_path / "pet", [d]), **kwargs)


def expected(elapsed_s):
    return WEIGHT_KG * 1000 / (DOSE_BQ * 2 ** (-elapsed_s / T_HALF))


def test_activity_becomes_suv_at_the_time_of_decay_correction(tmp_path):
    volume = read(tmp_path, enhanced_pet())
    assert volume.units == "SUVbw"
    raw = load_volume(tmp_path / "pet", quantity="raw")
    assert raw.units == "Bq/mL"
    assert phantom.place_error(raw) < 0.06
    np.testing.assert_allclose(volume.array, raw.array * expected(3600), rtol=1e-6)
    suv = volume.notes["suv"]
    assert (suv["dose_bq"], suv["elapsed_min"], suv["reference_rule"]) == (DOSE_BQ, 60, "Decay Correction DateTime")
    (series,) = describe_study(tmp_path / "pet").series
    assert series.is_suv_possible and series.units == "Bq/mL"


def test_a_mapping_to_suv_goes_before_one_to_activity_and_needs_nothing_else(tmp_path):
    d = enhanced_pet(mapping(), mapping("g/ml{SUVbw}", 0.002), PatientWeight=None)
    del d.RadiopharmaceuticalInformationSequence
    volume = read(tmp_path, d)
    raw = load_volume(tmp_path / "pet", quantity="raw").array
    np.testing.assert_allclose(volume.array, raw / SLOPE * 0.002, rtol=1e-6)


def test_the_mapping_of_a_frame_goes_before_the_shared_one(tmp_path):
    d = enhanced_pet()
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        frame.RealWorldValueMappingSequence = [mapping(slope=SLOPE * (number + 1))]
    volume = read(tmp_path, d)
    raw = load_volume(tmp_path / "pet", quantity="raw").array
    # frames are stored in the order 4, 1, 0, 3, 2
    np.testing.assert_allclose(volume.array, raw * expected(3600) * np.array([3, 2, 5, 4, 1]), rtol=1e-6)


def test_without_decay_correction_each_frame_has_its_own_time(tmp_path):
    d = enhanced_pet(DecayCorrected="NO", DecayCorrectionDateTime=None)
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        content = frame.FrameContentSequence[0]
        content.FrameAcquisitionDateTime, content.FrameAcquisitionDuration = f"202503041{number}0000", 180000.0
    volume = read(tmp_path, d)
    raw = load_volume(tmp_path / "pet", quantity="raw").array
    factors = [expected(3600 * (1 + k) + average_time_s(180, T_HALF)) for k in (2, 1, 4, 3, 0)]
    np.testing.assert_allclose(volume.array, raw * np.array(factors), rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "reference", "own", "elapsed_s"),
    [
        ("20250304080000+0000", "20250304100000+0100", None, 3600),
        ("20250304100000+0100", "20250304100000+0000", None, 3600),
        ("20250304080000+0000", "20250304100000", "+0100", 3600),
        ("20250304090000+0300", "20250304100000", None, 3600),
        ("20250304090000", "20250304100000-0300", None, 3600),
        ("20250304233000", "20250305003000", None, 3600),
    ],
)
def test_offsets_from_utc_and_midnight(tmp_path, start, reference, own, elapsed_s):
    tags = {"RadiopharmaceuticalStartDateTime": start, "DecayCorrectionDateTime": reference}
    d = enhanced_pet(**tags, **({"TimezoneOffsetFromUTC": own} if own else {}))
    assert read(tmp_path, d).notes["suv"]["factor"] == pytest.approx(expected(elapsed_s))


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (("20250304100000", "20250305091000"), "limits: 24 hours"),
        (("20250304100000", "20250304083000"), "minutes after the scan"),
    ],
)
def test_the_time_since_the_injection_is_believed_of_every_frame_or_of_none(tmp_path, times, text):
    d = enhanced_pet(DecayCorrected="NO", DecayCorrectionDateTime=None, RadionuclideHalfLife=36000)
    for number, frame in enumerate(d.PerFrameFunctionalGroupsSequence):
        content = frame.FrameContentSequence[0]
        content.FrameAcquisitionDateTime, content.FrameAcquisitionDuration = times[number == 3], 180000.0
    with pytest.raises(InputError, match=text):
        read(tmp_path, d)


def test_a_half_life_that_is_not_that_of_the_code_is_warned_of(tmp_path):
    code = [item(CodeValue="C-111A1", CodingSchemeDesignator="SRT")]
    suv = read(tmp_path, enhanced_pet(RadionuclideHalfLife=7200, RadionuclideCodeSequence=code)).notes["suv"]
    assert "F-18" in suv["warnings"][0]
    assert suv["factor"] == pytest.approx(WEIGHT_KG * 1000 / (DOSE_BQ / 2**0.5))


@pytest.mark.parametrize(
    ("tags", "name"),
    [({"PatientWeight": 80}, "Patient's Weight"), ({"DecayCorrectionDateTime": "20250304101000"}, "Decay Correction")],
)
def test_files_of_a_series_that_say_different_things_are_refused(tmp_path, tags, name):
    other = enhanced_pet(**tags)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = phantom.uid("other")
    phantom.write(tmp_path, [enhanced_pet(), other])
    assert load_volume(tmp_path, frame=0, quantity="raw").units == "Bq/mL"
    with pytest.raises(InputError, match=f"{name}.* differs between the files of the series"):
        load_volume(tmp_path, frame=0)


def test_values_with_an_intercept_have_no_mapping_from_what_is_stored(tmp_path):
    d = enhanced_pet()
    d.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleIntercept = 5
    with pytest.raises(InputError, match=r"no Real World Value Mapping \(0040,9096\)"):
        read(tmp_path, d)
    assert load_volume(tmp_path / "pet", quantity="raw").units == ARBITRARY_UNITS


@pytest.mark.parametrize(
    ("slope", "unit", "units"),
    [(SLOPE, "BQ/ML", "Bq/mL"), (SLOPE, "{SUVbw}g/ml", "SUVbw"), (2 * SLOPE, "Bq/ml", ARBITRARY_UNITS)],
)
def test_raw_values_have_the_unit_of_a_mapping_that_is_their_rescale(tmp_path, slope, unit, units):
    assert read(tmp_path, enhanced_pet(mapping(unit, slope)), quantity="raw").units == units


def test_a_dose_in_becquerel_is_warned_of(tmp_path):
    suv = read(tmp_path, enhanced_pet(RadionuclideTotalDose=DOSE_BQ)).notes["suv"]
    assert suv["factor"] == pytest.approx(expected(3600))
    assert "taken as Bq" in suv["warnings"][0]


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({"AttenuationCorrected": "NO"}, "Attenuation Corrected (0018,9759) is not YES"),
        ({"AttenuationCorrected": None}, "Attenuation Corrected (0018,9759) is not YES"),
        ({"DecayCorrected": None}, "Decay Corrected (0018,9758) is missing"),
        ({"DecayCorrectionDateTime": None}, "Decay Correction DateTime (0018,9701) is missing"),
        ({"DecayCorrected": "NO"}, "Frame Acquisition DateTime (0018,9074)"),
        ({"PatientWeight": None}, "Patient's Weight (0010,1030) is missing"),
        ({"RadionuclideTotalDose": 0}, "Radionuclide Total Dose (0018,1074) is not positive"),
        ({"RadionuclideHalfLife": None}, "Radionuclide Half Life (0018,1075) is missing"),
        ({"RadiopharmaceuticalStartDateTime": None}, "Radiopharmaceutical Start DateTime (0018,1078)"),
        ({"RadiopharmaceuticalStartDateTime": "20250304110000"}, "60.0 minutes after the scan"),
        ({"RadiopharmaceuticalStartDateTime": "20250301090000"}, "limits: 24 hours"),
    ],
)
def test_refusals_name_the_tag_and_how_to_go_on(tmp_path, tags, text):
    with pytest.raises(InputError, match="--quantity raw") as caught:
        read(tmp_path, enhanced_pet(**tags))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "found", [mapping("{propcounts}"), mapping("g/ml{SUVlbm}"), mapping(intercept=-5.0), mapping(slope=0.0)]
)
def test_other_units_and_intercepts_are_refused(tmp_path, found):
    with pytest.raises(InputError, match=r"no Real World Value Mapping \(0040,9096\)"):
        read(tmp_path, enhanced_pet(found))


def test_a_multi_frame_pet_that_states_units_follows_the_rules_of_single_frames(tmp_path):
    d = phantom.enhanced(phantom.ENHANCED_PT)
    phantom.pet_tags(d)
    volume = read(tmp_path, d)
    raw = load_volume(tmp_path / "pet", quantity="raw")
    assert (volume.units, raw.units) == ("SUVbw", "Bq/mL")
    np.testing.assert_allclose(volume.array, raw.array * expected(3600), rtol=1e-6)


def test_two_tracers_are_refused(tmp_path):
    d = enhanced_pet()
    d.RadiopharmaceuticalInformationSequence.append(d.RadiopharmaceuticalInformationSequence[0])
    with pytest.raises(InputError, match="has 2 items; expected one tracer"):
        read(tmp_path, d)
