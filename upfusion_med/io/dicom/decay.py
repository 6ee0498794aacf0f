"""The instants that a PET series speaks of: injection, reference time, acquisition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from upfusion_med.io.dicom.clock import parse_date, parse_datetime, parse_offset, parse_time, time_of_day
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError

_ONE_SECOND, _ONE_DAY = timedelta(seconds=1), timedelta(days=1)
#: A bare injection time up to this long after the reference time may be of the same day.
_DURING_THE_SCAN = timedelta(hours=1)
#: A series that starts this much later than its acquisition's time of day began on the day before.
_HALF_A_DAY = timedelta(hours=12)
#: Longest time and number of half-lives between injection and scan that is believed.
_LONGEST, _MOST_HALF_LIVES = timedelta(hours=24), 12.0
#: Part by which the dose by two rules may differ without a warning.
_RULES_AGREE = 0.01


@dataclass(frozen=True)
class ReferenceTimes:
    """The instant that each slice's values are corrected to.

    Attributes:
        instants: One for each slice.
        rule: Which rule gave them, in words.
        warnings: What was put up with.
    """

    instants: tuple[datetime, ...]
    rule: str
    warnings: tuple[str, ...] = ()


def average_time_s(duration_s: float, half_life_s: float) -> float:
    """Seconds after the start of a frame at which the count rate equals the frame's mean.

    (1/λ)·ln(λT / (1 − exp(−λT))), about T/2 − λT²/24 (facts: equals the frame reference times that scanners store).
    """
    decayed = math.log(2) / half_life_s * duration_s
    if decayed < 1e-9:
        return duration_s / 2
    return half_life_s / math.log(2) * math.log(decayed / -math.expm1(-decayed))


def series_start(header: Header) -> datetime | None:
    """Series date and time, or None."""
    day, hour = parse_date(header.text("SeriesDate")), parse_time(header.text("SeriesTime"))
    return None if day is None or hour is None else datetime.combine(day, hour)


def acquisition_start(header: Header) -> datetime | None:
    """Date and time of a slice's acquisition; the series date stands in for a missing acquisition date."""
    hour = parse_time(header.text("AcquisitionTime"))
    if hour is None:
        stated = parse_datetime(header.text("AcquisitionDateTime"))
        return stated[0] if stated else None
    day = parse_date(header.text("AcquisitionDate"))
    if day is not None:
        return datetime.combine(day, hour)
    start = series_start(header)
    if start is None:
        return None
    moment = datetime.combine(start.date(), hour)
    return moment + timedelta(days=1) if start - moment > _HALF_A_DAY else moment


def frame_duration_s(header: Header) -> float | None:
    """Actual Frame Duration in seconds (the file has ms), or None when it is absent or not between 0 and a day."""
    duration = header.number("ActualFrameDuration")
    return duration / 1000 if duration is not None and 0 < duration / 1000 <= _LONGEST.total_seconds() else None


def start_reference_times(slices: Sequence[Header], series: Sequence[Header], half_life_s: float) -> ReferenceTimes:
    """Reference times for Decay Correction START, by the first rule that applies.

    a. series time, when it is not after the earliest acquisition; b. the scan time in GE's private block; c. counted
    back from acquisition and frame reference time, slice by slice; d. the earliest acquisition, with a warning.

    Args:
        slices: Headers of the slices to convert.
        series: Headers of the whole series, for its earliest acquisition.
        half_life_s: Half-life, for the average time of a frame.

    Raises:
        SuvRefusedError: no rule applies.

    Source: QIBA FDG-PET/CT Profile (a, b); PS3.3 C.8.9.4.1 (c); facts of the IBSI SUV objects (d).
    """
    acquisitions = [moment for moment in map(acquisition_start, series) if moment is not None]
    earliest = min(acquisitions, default=None)
    start = series_start(slices[0])
    counted = _counted_back(slices, half_life_s)
    if start is not None and earliest is not None and _is_no_later(start, earliest):
        times = ReferenceTimes((start,) * len(slices), "series time, which is not after the earliest acquisition")
        return ReferenceTimes(times.instants, times.rule, _disagreement(start, counted, half_life_s))
    scan = _ge_scan_time(slices[0])
    if scan is not None:
        return ReferenceTimes((scan,) * len(slices), "scan time in the private block GEMS_PETD_01 (0009,xx0D)")
    if counted is not None:
        return ReferenceTimes(counted, "acquisition time + average time of the frame - Frame Reference Time, per slice")
    if earliest is not None:
        series_time = "is missing" if start is None else "is after the earliest acquisition"
        return ReferenceTimes(
            (earliest,) * len(slices),
            "earliest acquisition time",
            (
                f"Series Time (0008,0031) {series_time} and no other tag tells the time of decay correction; "
                "the earliest acquisition in this folder was taken, which is wrong when earlier beds are missing.",
            ),
        )
    raise SuvRefusedError(
        "Acquisition Time (0008,0032) is missing, no time or without a date, so nothing tells whether Series Time "
        "(0008,0031) is the time of decay correction or was rewritten later"
    )


def _is_no_later(start: datetime, earliest: datetime) -> bool:
    """Whether a series started by its earliest acquisition: by the clock where its date is days earlier, a blanked one.

    A series time is hours later where it was rewritten, and minutes earlier where it was not.
    """
    if earliest - start <= _LONGEST:
        return start <= earliest + _ONE_SECOND
    later = (datetime.combine(earliest.date(), start.time()) - earliest) % _ONE_DAY
    return not _ONE_SECOND < later <= _HALF_A_DAY


def none_reference_times(slices: Sequence[Header], half_life_s: float) -> ReferenceTimes:
    """Reference times for Decay Correction NONE: the average time of each slice's own frame.

    Raises:
        SuvRefusedError: an acquisition time or a frame duration is absent.
    """
    instants = []
    for header in slices:
        start, duration = acquisition_start(header), frame_duration_s(header)
        if start is None or duration is None:
            raise SuvRefusedError(
                "Decay Correction (0054,1102) is NONE, and Acquisition Time (0008,0032) or Actual Frame Duration "
                "(0018,1242) is missing"
            )
        instants.append(start + timedelta(seconds=average_time_s(duration, half_life_s)))
    return ReferenceTimes(tuple(instants), "acquisition time + average time of the frame, per slice")


def administration_time(pet: Header, tracer: Header, earliest_reference: datetime) -> tuple[datetime, bool, str]:
    """When the tracer was given, in the clock of the series.

    Args:
        pet: A header of the series.
        tracer: Item of the Radiopharmaceutical Information Sequence.
        earliest_reference: Earliest reference time, which tells the day of a bare time.

    Returns:
        The instant, whether its date was stated, and a warning (or an empty text).

    Raises:
        SuvRefusedError: neither a start date with time nor a start time, or a start time that leaves its day open.
    """
    stated = parse_datetime(tracer.text("RadiopharmaceuticalStartDateTime"))
    if stated is not None:
        moment, offset = stated
        if offset is None:
            return moment, True, ""
        own = parse_offset(pet.text("TimezoneOffsetFromUTC"))
        if own is None:
            return (
                moment,
                True,
                (
                    "Radiopharmaceutical Start DateTime (0018,1078) states an offset from UTC and the series does not; "
                    "both were taken as one clock."
                ),
            )
        return moment - offset + own, True, ""
    hour = parse_time(tracer.text("RadiopharmaceuticalStartTime"))
    if hour is None:
        raise SuvRefusedError(
            "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) are missing or no times"
        )
    # by the day of the scan itself: the series date is the same, or was rewritten by processing days later
    later = (datetime.combine(earliest_reference.date(), hour) - earliest_reference) % _ONE_DAY
    if _ONE_SECOND < later <= _DURING_THE_SCAN:
        raise SuvRefusedError(
            f"Radiopharmaceutical Start Time (0018,1072) has no date and lies {later.total_seconds() / 60:.1f} minutes "
            f"after the scan's reference time ({time_of_day(earliest_reference)}): the tracer was given during the "
            "scan, as in a dynamic one, or on the day before"
        )
    moment = earliest_reference + (later if later <= _ONE_SECOND else later - _ONE_DAY)
    elapsed = earliest_reference - moment
    if elapsed > _HALF_A_DAY:
        return (
            moment,
            False,
            (
                "Radiopharmaceutical Start Time (0018,1072) has no date; it was taken as "
                f"{elapsed.total_seconds() / 3600:.1f} hours before the scan."
            ),
        )
    return moment, False, ""


def check_elapsed(injected: datetime, reference: datetime, half_life_s: float) -> None:
    """Refuse a time between injection and reference that cannot be true.

    Raises:
        SuvRefusedError: the injection is later than the scan, or more than a day or 12 half-lives before it.
    """
    elapsed = reference - injected
    if elapsed < -_ONE_SECOND:
        raise SuvRefusedError(
            f"the tracer was given {-elapsed.total_seconds() / 60:.1f} minutes after the scan's reference time "
            f"({time_of_day(reference)}), says Radiopharmaceutical Start DateTime (0018,1078)"
        )
    if elapsed > _LONGEST or elapsed.total_seconds() > _MOST_HALF_LIVES * half_life_s:
        raise SuvRefusedError(
            f"{elapsed.total_seconds() / 3600:.1f} hours or {elapsed.total_seconds() / half_life_s:.1f} half-lives lie "
            "between injection and scan (limits: 24 hours and 12 half-lives); the dates were probably shifted apart by "
            "de-identification, or the half-life is in another unit than seconds"
        )


def _counted_back(slices: Sequence[Header], half_life_s: float) -> tuple[datetime, ...] | None:
    instants = []
    for header in slices:
        start, duration = acquisition_start(header), frame_duration_s(header)
        frame_reference_ms = header.number("FrameReferenceTime")
        if start is None or duration is None or frame_reference_ms is None:
            return None
        if not 0 < frame_reference_ms / 1000 <= _LONGEST.total_seconds():
            return None  # GE stores 0 for "not known"
        instants.append(start + timedelta(seconds=average_time_s(duration, half_life_s) - frame_reference_ms / 1000))
    return tuple(instants)


def _disagreement(start: datetime, counted: tuple[datetime, ...] | None, half_life_s: float) -> tuple[str, ...]:
    if counted is None:
        return ()
    furthest = max((moment - start for moment in counted), key=lambda apart: abs(apart.total_seconds()))
    part = 2 ** min(-furthest.total_seconds() / half_life_s, _MOST_HALF_LIVES) - 1
    if abs(part) <= _RULES_AGREE:
        return ()
    return (
        f"Counting back from Frame Reference Time (0054,1300) would change the dose by {100 * part:+.1f} %; the series "
        "time was taken.",
    )


def _ge_scan_time(header: Header) -> datetime | None:
    stated = parse_datetime(header.private(0x0009, "GEMS_PETD_01", 0x0D, "GE"))
    return stated[0] if stated else None
