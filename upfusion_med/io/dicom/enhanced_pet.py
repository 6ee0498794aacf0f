"""SUV by body weight from an enhanced (multi-frame) PET, which states units, corrections and times in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from upfusion_med.core import InputError
from upfusion_med.io.dicom.administration import body_weight, only_tracer, tracer_half_life
from upfusion_med.io.dicom.clock import parse_datetime, parse_offset, time_of_day
from upfusion_med.io.dicom.decay import average_time_s, check_elapsed
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.multiframe import FunctionalGroups
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError
from upfusion_med.io.dicom.suv_scale import SuvScale, span
from upfusion_med.io.units import ACTIVITY_UNITS, ARBITRARY_UNITS, SUV_UNITS

#: Units of Real World Value Mapping (PS3.16 CID 84 and 85, UCUM), compared without regard to case.
_SUV_CODES = frozenset({"g/ml{suvbw}", "{suvbw}g/ml"})
_ACTIVITY_CODES = frozenset({"bq/ml"})
#: The standard has the dose in MBq here; a number from this on is in Bq.
_BECQUEREL_FROM = 1e5
_SAME_SCALE = 1e-6
_CORRECTIONS = (
    ("AttenuationCorrected", "Attenuation Corrected (0018,9759)"),
    ("DecayCorrected", "Decay Corrected (0018,9758)"),
    ("DecayCorrectionDateTime", "Decay Correction DateTime (0018,9701)"),
)
#: A date with time, and its offset from UTC where it states one.
_Stated = tuple[datetime, timedelta | None]


def enhanced_suv_scale(planes: Sequence[Plane]) -> SuvScale:
    """The factors from rescaled values to SUVbw.

    The unit is that of the first Real World Value Mapping in g/ml{SUVbw}, else in Bq/ml. For activity the dose is
    decayed to Decay Correction DateTime, or, where the image is not corrected for decay, to the average time of each
    frame.

    Args:
        planes: The frames to convert.

    Raises:
        SuvRefusedError: the header does not allow it; the message is the reason.
        InputError: a tag is malformed.

    Source: PS3.3 A.56, C.7.6.16.2.11, C.8.22.4 (dose in MBq), C.8.22.6.
    """
    headers = list({id(plane.header): plane.header for plane in planes}.values())
    for keyword, name in (*_CORRECTIONS, ("PatientWeight", "Patient's Weight (0010,1030)")):
        if len({header.text(keyword) for header in headers}) > 1:
            raise SuvRefusedError(f"{name} differs between the files of the series")
    first = headers[0]
    if first.text("AttenuationCorrected").upper() != "YES":
        raise SuvRefusedError(
            "Attenuation Corrected (0018,9759) is not YES: the image is not corrected for attenuation"
        )
    groups = _groups_of(planes, headers)
    for codes, name in ((_SUV_CODES, "g/ml{SUVbw}"), (_ACTIVITY_CODES, "Bq/ml")):
        to_unit = [_to_unit(plane, group, codes) for plane, group in zip(planes, groups, strict=True)]
        known = [factor for factor in to_unit if factor is not None]
        if len(known) < len(planes):
            continue
        if codes is _SUV_CODES:
            return SuvScale(tuple(known), "the values are SUVbw by their Real World Value Mapping", {"units": name})
        return _from_activity(first, groups, known)
    raise SuvRefusedError(
        "no Real World Value Mapping (0040,9096) of every frame has the unit g/ml{SUVbw} or Bq/ml and no intercept"
    )


def enhanced_units(plane: Plane) -> str:
    """The unit of a frame's rescaled values, where its Real World Value Mapping is the same as its rescale."""
    (groups,) = _groups_of([plane], [plane.header])
    for codes, name in ((_SUV_CODES, SUV_UNITS), (_ACTIVITY_CODES, ACTIVITY_UNITS)):
        if (factor := _to_unit(plane, groups, codes)) is not None and abs(factor - 1) < _SAME_SCALE:
            return name
    return ARBITRARY_UNITS


def _groups_of(planes: Sequence[Plane], headers: Sequence[Header]) -> list[FunctionalGroups]:
    of_file = {
        id(header): (
            header.item("SharedFunctionalGroupsSequence"),
            header.items("PerFrameFunctionalGroupsSequence"),
        )
        for header in headers
    }
    found = []
    for plane in planes:
        shared, own = of_file[id(plane.header)]
        found.append(FunctionalGroups(own[plane.frame or 0] if own else None, shared))
    return found


def _to_unit(plane: Plane, groups: FunctionalGroups, codes: frozenset[str]) -> float | None:
    """What rescaled values are multiplied by to be in one of the units; None where no mapping of the frame says it."""
    for mapping in groups.items("RealWorldValueMappingSequence"):
        unit = mapping.item("MeasurementUnitsCodeSequence")
        slope, intercept = mapping.number("RealWorldValueSlope"), mapping.number("RealWorldValueIntercept")
        if unit is not None and unit.text("CodeValue").lower() in codes and slope and not intercept:
            # the mapping is from stored values
            return None if plane.intercept else slope / plane.slope
    return None


def _from_activity(header: Header, groups: Sequence[FunctionalGroups], to_bq_per_ml: Sequence[float]) -> SuvScale:
    weight_kg, warnings = body_weight(header)
    tracer = only_tracer(header)
    dose_bq, more = _dose(tracer)
    warnings += more
    half_life_s, more = tracer_half_life(tracer)
    warnings += more
    given = parse_datetime(tracer.text("RadiopharmaceuticalStartDateTime"))
    if given is None:
        raise SuvRefusedError("Radiopharmaceutical Start DateTime (0018,1078) is missing or no date with time")
    references, rule = _references(header, groups, half_life_s)
    own = parse_offset(header.text("TimezoneOffsetFromUTC"))
    elapsed_s = [_apart(given, reference, own).total_seconds() for reference in references]
    for seconds in (min(elapsed_s), max(elapsed_s)):
        check_elapsed(given[0], given[0] + timedelta(seconds=seconds), half_life_s)
    doses = [dose_bq * 2 ** (-seconds / half_life_s) for seconds in elapsed_s]
    steps: dict[str, Any] = {
        "units": "Bq/ml",
        "dose_bq": dose_bq,
        "half_life_s": half_life_s,
        "reference_rule": rule,
        "reference_time": time_of_day(references[0][0]),
        "administration_time": time_of_day(given[0]),
        "elapsed_min": span([seconds / 60 for seconds in elapsed_s]),
    }
    factors = tuple(f * weight_kg * 1000 / dose for f, dose in zip(to_bq_per_ml, doses, strict=True))
    return SuvScale(
        factors, f"activity times weight over the dose at the reference time (Bq/ml): {rule}", steps, warnings
    )


def _dose(tracer: Header) -> tuple[float, tuple[str, ...]]:
    dose = tracer.number("RadionuclideTotalDose")
    if dose is None or dose <= 0:
        raise SuvRefusedError(f"Radionuclide Total Dose (0018,1074) is {'missing' if dose is None else 'not positive'}")
    if dose >= _BECQUEREL_FROM:
        return dose, ("Radionuclide Total Dose (0018,1074) is too large for MBq; it was taken as Bq.",)
    return dose * 1e6, ()


def _references(header: Header, groups: Sequence[FunctionalGroups], half_life_s: float) -> tuple[list[_Stated], str]:
    """The instant that each frame's values are corrected to, and the rule in words."""
    corrected = header.text("DecayCorrected").upper()
    if corrected == "YES":
        stated = parse_datetime(header.text("DecayCorrectionDateTime"))
        if stated is None:
            raise SuvRefusedError(
                "Decay Corrected (0018,9758) is YES, but Decay Correction DateTime (0018,9701) is missing or no date "
                "with time"
            )
        return [stated] * len(groups), "Decay Correction DateTime"
    if corrected != "NO":
        raise SuvRefusedError(f"Decay Corrected (0018,9758) is {corrected or 'missing'}; expected YES or NO")
    found: list[_Stated] = []
    for group in groups:
        start = parse_datetime(group.text("FrameContentSequence", "FrameAcquisitionDateTime"))
        duration_ms = group.numbers("FrameContentSequence", "FrameAcquisitionDuration")
        if start is None or not duration_ms or duration_ms[0] <= 0:
            raise SuvRefusedError(
                "Decay Corrected (0018,9758) is NO, and Frame Acquisition DateTime (0018,9074) or Frame Acquisition "
                "Duration (0018,9220) is missing"
            )
        try:
            middle = timedelta(seconds=average_time_s(duration_ms[0] / 1000, half_life_s))
            found.append((start[0] + middle, start[1]))
        except OverflowError as error:
            raise InputError(f"Frame Acquisition Duration (0018,9220) is {duration_ms[0]:g} ms.") from error
    return found, "Frame Acquisition DateTime + average time of the frame, per frame"


def _apart(earlier: _Stated, later: _Stated, own: timedelta | None) -> timedelta:
    """Time between two stated instants; where only one offset from UTC is known, both are of one clock."""
    offsets = [own if offset is None else offset for _, offset in (earlier, later)]
    between = later[0] - earlier[0]
    if offsets[0] is None or offsets[1] is None:
        return between
    return between + offsets[0] - offsets[1]
