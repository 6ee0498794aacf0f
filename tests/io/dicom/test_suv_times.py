"""From when to when the dose decays: the start of the series, its many corrections and vendors' own times."""

from __future__ import annotations

import pytest

from tests.io.dicom.suv_phantom import T_HALF, expected, factor, pet, reason, tracer
from upfusion_med.io.dicom.decay import average_time_s
from upfusion_med.io.dicom.suv import suv_scale


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
    scale = suv_scale(*pet(tweak, 2))
    assert scale.factors == pytest.approx([expected(3600 + middle), expected(3900 + middle)], rel=1e-12)
    assert scale.steps["reference_time"] == "10:01:29"
    assert scale.steps["elapsed_min"] == pytest.approx((60 + middle / 60, 65 + middle / 60))


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
    assert "is after the earliest acquisition" in scale.warnings[0]


def test_a_series_without_its_time_takes_the_earliest_acquisition():
    def tweak(d, k):
        del d.SeriesTime

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "Series Time (0008,0031) is missing" in scale.warnings[0]


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


@pytest.mark.parametrize(
    ("series", "scan", "elapsed_s"),
    [("095500", "100000", 3300), ("140000", "100000", 3600), ("235900", "000100", 53940)],
)
def test_a_rewritten_series_time_is_known_by_the_clock_where_the_series_date_was_blanked(series, scan, elapsed_s):
    def tweak(d, k):
        d.SeriesDate, d.SeriesTime, d.AcquisitionTime = "19000101", series, scan
        tracer(d).RadiopharmaceuticalStartDateTime = ""

    assert factor(tweak) == pytest.approx([expected(elapsed_s)], rel=1e-12)


def test_a_date_and_time_of_acquisition_in_one_tag_counts_like_two():
    def tweak(d, k):
        del d.AcquisitionDate, d.AcquisitionTime
        d.SeriesTime, d.AcquisitionDateTime = "113000", "20250304100000.00"

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_without_an_acquisition_date_a_scan_is_of_the_day_of_its_series():
    def tweak(d, k):
        del d.AcquisitionDate
        d.SeriesTime = "113000"

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_a_scan_of_which_nothing_tells_the_day_is_refused():
    def tweak(d, k):
        del d.AcquisitionDate, d.SeriesTime

    assert "Acquisition Time (0008,0032) is missing, no time or without a date" in reason(tweak)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([("100000", 700)], "+6.6 %"),  # 2 ** ((700 - 89.858) / 6586.2) = 1.0663
        ([("101500", 60)], "-9.3 %"),
        ([("100000", 150), ("100000", 700)], "+6.6 %"),
        ([("100000", 700), ("100400", 60)], "+6.6 %"),
        ([("100400", 60), ("100000", 150)], "-2.8 %"),
        ([("100000", 120), ("100000", 60)], ""),
        ([("100000", None)], ""),
    ],
)
def test_rules_that_disagree_by_more_than_one_percent_are_warned_of(times, said):
    def tweak(d, k):
        d.AcquisitionTime, reference_s = times[k]
        if reference_s is None:
            del d.FrameReferenceTime
        else:
            d.FrameReferenceTime = 1000 * reference_s

    scale = suv_scale(*pet(tweak, len(times)))
    assert scale.factors == pytest.approx([expected(3600)] * len(times), rel=1e-12)
    assert len(scale.warnings) == bool(said)
    assert all(said in warning for warning in scale.warnings)


def test_acquisition_after_midnight_without_a_date_is_the_next_day():
    def tweak(d, k):
        d.SeriesTime, d.AcquisitionTime = "235900", "000100"
        del d.AcquisitionDate
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304225900"

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-12)


def test_bare_start_time_many_hours_before_the_scan_is_warned_of():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartTime = "120000"
        tracer(d).RadionuclideHalfLife = 282240
        del tracer(d).RadiopharmaceuticalStartDateTime, tracer(d).RadionuclideCodeSequence

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(22 * 3600, half_life=282240)], rel=1e-12)
    assert "22.0 hours before the scan" in scale.warnings[0]
    assert scale.steps["administration_date"] == "by the time of the scan"


@pytest.mark.parametrize("half_life_s", [T_HALF, 45720], ids=["F-18", "Cu-64"])
@pytest.mark.parametrize(
    ("scan", "start", "minutes"),
    [("100000", "100010", "0.2"), ("100000", "103000", "30.0"), ("235950", "000005", "0.2")],
)
def test_bare_start_time_soon_after_the_scan_began_leaves_its_day_open(half_life_s, scan, start, minutes):
    def tweak(d, k):
        d.SeriesTime = d.AcquisitionTime = scan
        tracer(d).RadiopharmaceuticalStartTime = start
        tracer(d).RadionuclideHalfLife = half_life_s
        del tracer(d).RadiopharmaceuticalStartDateTime, tracer(d).RadionuclideCodeSequence

    assert f"no date and lies {minutes} minutes after the scan's reference time" in reason(tweak)


def test_bare_start_time_within_the_second_of_the_scan_is_the_scans():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartTime = "100000.5"
        del tracer(d).RadiopharmaceuticalStartDateTime

    assert factor(tweak) == pytest.approx([expected(-0.5)], rel=1e-12)


def test_bare_start_time_after_the_scan_is_on_the_day_before():
    def tweak(d, k):
        d.SeriesTime = d.AcquisitionTime = "003000"
        tracer(d).RadiopharmaceuticalStartTime = "233000"
        del tracer(d).RadiopharmaceuticalStartDateTime

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert scale.steps["administration_date"] == "by the time of the scan"
    assert scale.warnings == ()


@pytest.mark.parametrize("frame_reference_ms", [0, 1000 * average_time_s(180, T_HALF)])
def test_bare_start_time_is_on_the_day_of_the_scan_where_the_series_was_rewritten_days_later(frame_reference_ms):
    def tweak(d, k):
        d.SeriesDate, d.SeriesTime, d.FrameReferenceTime = "20250307", "080000", frame_reference_ms
        del tracer(d).RadiopharmaceuticalStartDateTime

    assert factor(tweak) == pytest.approx([expected(3600)], rel=1e-9)


@pytest.mark.parametrize(
    ("start", "own"),
    [("20250304080000+0000", "+0100"), ("20250304130000+0500", "+0100"), ("20250304030000-0300", "+0300")],
)
def test_offset_of_the_start_is_put_into_the_clock_of_the_series(start, own):
    def tweak(d, k):
        d.TimezoneOffsetFromUTC = own
        tracer(d).RadiopharmaceuticalStartDateTime = start

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert scale.steps["administration_date"] == "stated"


def test_offset_without_one_of_the_series_is_warned_of():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304090000+0000"

    scale = suv_scale(*pet(tweak))
    assert scale.factors == pytest.approx([expected(3600)], rel=1e-12)
    assert "offset from UTC" in scale.warnings[0]
    assert scale.steps["administration_date"] == "stated"


def test_no_elapsed_time_is_legal():
    def tweak(d, k):
        tracer(d).RadiopharmaceuticalStartDateTime = "20250304100000"

    assert factor(tweak) == pytest.approx([expected(0)], rel=1e-12)
