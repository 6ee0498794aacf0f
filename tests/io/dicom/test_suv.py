"""SUV by body weight: dose, half-life, weights, vendors' factors and the other kinds of SUV."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.io import dicom_phantom as phantom
from tests.io.dicom.suv_phantom import expected, factor, pet, philips, put, tracer
from upfusion_med.core import Modality
from upfusion_med.io import list_series, load_volume
from upfusion_med.io.dicom.body_size import MASS_TYPES, body_surface_m2, normalising_mass_kg
from upfusion_med.io.dicom.radionuclide import RADIONUCLIDES, radionuclide_by_code
from upfusion_med.io.dicom.suv import suv_scale, unusual_maximum


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


@pytest.mark.parametrize(("half_life", "warnings"), [(6500, 0), (6900, 0), (6200, 1), (7000, 1)])
def test_a_half_life_beside_that_of_its_code_by_five_percent_is_warned_of(half_life, warnings):
    scale = suv_scale(*pet(put(RadionuclideHalfLife=half_life)))
    assert scale.factors == pytest.approx([expected(3600, half_life=half_life)], rel=1e-12)
    assert len(scale.warnings) == warnings


def test_dose_in_megabecquerel_is_warned_of():
    scale = suv_scale(*pet(lambda d, k: setattr(tracer(d), "RadionuclideTotalDose", 370)))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "MBq" in scale.warnings[0]


def test_counts_of_philips():
    assert factor(lambda d, k: philips(d, "0.0007", "1.9")) == pytest.approx([0.0007], rel=1e-12)
    for direct in (None, "0", "0.000"):
        found = factor(lambda d, k, direct=direct: philips(d, direct, "1.9"))
        assert found == pytest.approx([1.9 * expected(3600)], rel=1e-12)


def test_steps_of_counts_name_their_activity_factors():
    scale = suv_scale(*pet(lambda d, k: philips(d, None, ("1.9", "2.1")[k]), 2))
    assert scale.steps["activity_factor"] == (1.9, 2.1)
    assert "activity_factor" not in suv_scale(*pet()).steps


@pytest.mark.parametrize(
    "words",
    [
        {"Units": "BQML", "DecayCorrection": "NONE", "CorrectedImage": ["ATTN"]},
        {"Units": "GML", "SUVType": "LBM", "PatientSex": "M"},
        {"Units": "CM2ML", "SUVType": "BSA"},
    ],
)
def test_defined_terms_in_small_letters_mean_the_same(words):
    small = {k: [v[0].lower()] if isinstance(v, list) else v.lower() for k, v in words.items()}
    assert suv_scale(*pet(put(**small))) == suv_scale(*pet(put(**words)))


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
    assert steps["administration_date"] == "stated"
    assert steps["warnings"] == ()
    assert list_series(tmp_path)[0].is_suv_possible


@pytest.mark.parametrize(("maximum", "warned"), [(0.005, True), (0.02, False), (900, False), (1500, True)])
def test_maxima_that_no_patient_has_are_warned_of(maximum, warned):
    assert bool(unusual_maximum(maximum)) is warned


def test_impossible_maximum_of_a_study_is_warned_of(tmp_path):
    def tweak(d, k):
        tracer(d).RadionuclideTotalDose = 1.1e5

    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: (tweak(d, k), setattr(d, "RescaleSlope", 10))))
    assert "largest SUV" in load_volume(tmp_path).notes["suv"]["warnings"][-1]
