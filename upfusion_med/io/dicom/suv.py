"""SUV by body weight from PET values, after the QIBA and IBSI rules, and the reasons to refuse it.

SUVbw = A·W·1000 / D_ref: activity concentration A in Bq/ml, body weight W in kg, and the administered dose D in Bq
decayed to the instant that A is corrected to. The order of work is the one of docs/dicom.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from upfusion_med.io.dicom.administration import (
    administered_dose,
    body_weight,
    body_weight_and_height,
    only_tracer,
    tracer_half_life,
)
from upfusion_med.io.dicom.body_size import MASS_TYPES, body_surface_m2, normalising_mass_kg
from upfusion_med.io.dicom.clock import time_of_day
from upfusion_med.io.dicom.decay import (
    administration_time,
    check_elapsed,
    none_reference_times,
    start_reference_times,
)
from upfusion_med.io.dicom.enhanced_pet import enhanced_suv_scale
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane, is_colour
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError
from upfusion_med.io.dicom.suv_scale import SuvScale, span

#: Tags that must say the same on every slice, and what a message calls them.
_CONSTANT = (
    ("Units", "Units (0054,1001)"),
    ("SUVType", "SUV Type (0054,1006)"),
    ("DecayCorrection", "Decay Correction (0054,1102)"),
    ("CorrectedImage", "Corrected Image (0028,0051)"),
)
_CONSTANT_TRACER = (
    ("RadionuclideTotalDose", "Radionuclide Total Dose (0018,1074)"),
    ("RadionuclideHalfLife", "Radionuclide Half Life (0018,1075)"),
)
_USUAL_SUV_MAXIMUM = (0.01, 1000.0)


def suv_scale(planes: Sequence[Plane], series: Sequence[Header]) -> SuvScale:
    """The factors from rescaled values to SUVbw.

    Args:
        planes: The slices to convert.
        series: Headers of the whole series.

    Raises:
        SuvRefusedError: the header does not allow it; the message is the reason.
        InputError: a tag is malformed.

    Source: QIBA FDG-PET/CT Profile, vendor-neutral pseudo-code; PS3.3 C.8.9.1; IBSI SUV objects.
    """
    slices = [plane.header for plane in planes]
    if any(is_colour(header) for header in slices):
        raise SuvRefusedError("Photometric Interpretation (0028,0004) says that the pixels are colours, not activity")
    if any(plane.frame is not None for plane in planes) and not slices[0].text("Units"):
        return enhanced_suv_scale(planes)
    _check_constant(series)
    intercept = next((plane.intercept for plane in planes if plane.intercept != 0), 0.0)
    if intercept != 0:
        raise SuvRefusedError(f"Rescale Intercept (0028,1052) is {intercept:g}, and must be 0 in PET")
    first = slices[0]
    corrections = {text.upper() for text in first.texts("CorrectedImage")}
    if "ATTN" not in corrections:
        raise SuvRefusedError("Corrected Image (0028,0051) has no ATTN: the image is not corrected for attenuation")
    units = first.text("Units").upper()
    if units == "GML":
        return _from_gml(first, len(slices))
    if units == "CM2ML":
        return _from_cm2ml(first, len(slices))
    if units == "BQML":
        return _from_activity(slices, series, corrections, (1.0,) * len(slices), "BQML")
    if units == "CNTS":
        return _from_counts(slices, series, corrections)
    raise SuvRefusedError(f"Units (0054,1001) are {units or 'missing'}, which cannot be converted to SUV")


def unusual_maximum(maximum: float) -> str:
    """A warning for a largest SUV that no patient has; empty when it is usual."""
    low, high = _USUAL_SUV_MAXIMUM
    if low <= maximum <= high:
        return ""
    return f"The largest SUV is {maximum:.3g}; values between {low:g} and {high:g} are usual. A unit may be wrong."


def _check_constant(series: Sequence[Header]) -> None:
    tracers = [header.item("RadiopharmaceuticalInformationSequence") for header in series]
    # as sets, because the order of corrections says nothing
    found: dict[str, set[Any]] = {name: {frozenset(h.texts(keyword)) for h in series} for keyword, name in _CONSTANT}
    found["Patient's Weight (0010,1030)"] = {header.number("PatientWeight") for header in series}
    for keyword, name in _CONSTANT_TRACER:
        found[name] = {tracer.number(keyword) if tracer is not None else None for tracer in tracers}
    for name, values in found.items():
        if len(values) > 1:
            raise SuvRefusedError(f"{name} differs between slices of the series")


def _from_gml(header: Header, count: int) -> SuvScale:
    kind = header.text("SUVType").upper() or "BW"
    if kind == "BW":
        return SuvScale((1.0,) * count, "the values are SUVbw already (GML)", {"units": "GML", "suv_type": kind})
    if kind not in MASS_TYPES:
        raise SuvRefusedError(f"Units are GML with SUV Type (0054,1006) {kind}, which is no mass")
    weight_kg, height_cm, put_up_with = body_weight_and_height(header, f"SUV Type {kind}")
    warnings = list(put_up_with)
    sex = header.text("PatientSex").upper()
    if sex not in ("M", "F"):
        warnings.append(f"Patient's Sex (0010,0040) is neither M nor F; the mean of both {kind} formulas was taken.")
    mass = normalising_mass_kg(kind, sex, weight_kg, height_cm)
    if mass <= 0:
        raise SuvRefusedError(f"weight and height give a body size of {kind} that is not positive")
    return SuvScale(
        (weight_kg / mass,) * count,
        f"SUV of type {kind} times weight over {kind} (GML)",
        {"units": "GML", "suv_type": kind},
        tuple(warnings),
    )


def _from_cm2ml(header: Header, count: int) -> SuvScale:
    kind = header.text("SUVType").upper() or "BSA"
    if kind != "BSA":
        raise SuvRefusedError(f"Units are CM2ML with SUV Type (0054,1006) {kind}, which is no surface")
    weight_kg, height_cm, warnings = body_weight_and_height(header, "SUV by body surface")
    factor = weight_kg * 1000 / (body_surface_m2(weight_kg, height_cm) * 1e4)
    return SuvScale(
        (factor,) * count,
        "SUV by body surface times weight over surface (CM2ML)",
        {"units": "CM2ML", "suv_type": "BSA"},
        warnings,
    )


def _from_counts(slices: Sequence[Header], series: Sequence[Header], corrections: set[str]) -> SuvScale:
    direct = [_philips(header, 0x00) for header in slices]
    if all(direct):
        return SuvScale(
            tuple(float(factor) for factor in direct if factor),
            "counts times the SUV factor of Philips (7053,1000)",
            {"units": "CNTS"},
        )
    activity = [_philips(header, 0x09) for header in slices]
    if all(activity):
        return _from_activity(slices, series, corrections, tuple(float(f) for f in activity if f), "CNTS")
    raise SuvRefusedError(
        "Units are CNTS and neither the SUV factor (7053,1000) nor the activity factor (7053,1009) of Philips is there "
        "on every slice and other than 0; counts cannot be converted"
    )


def _philips(header: Header, element: int) -> float | None:
    """A factor of Philips' private block; None when absent or 0, which means "not usable"."""
    text = header.private(0x7053, "Philips PET Private Group", element, "PHILIPS")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _from_activity(
    slices: Sequence[Header],
    series: Sequence[Header],
    corrections: set[str],
    to_bq_per_ml: tuple[float, ...],
    units: str,
) -> SuvScale:
    header = slices[0]
    weight_kg, warnings = body_weight(header)
    tracer = only_tracer(header)
    dose_bq, more = administered_dose(tracer)
    warnings += more
    half_life_s, more = tracer_half_life(tracer)
    warnings += more
    steps: dict[str, Any] = {"units": units, "dose_bq": dose_bq, "half_life_s": half_life_s}
    if units == "CNTS":
        steps["activity_factor"] = span(to_bq_per_ml)

    decay = header.text("DecayCorrection").upper()
    steps["decay_correction"] = decay
    if decay == "ADMIN":
        doses = (dose_bq,) * len(slices)
        reference_rule = "values are corrected to the administration, no decay of the dose"
    elif decay in ("START", "NONE"):
        if decay == "START" and "DECY" not in corrections:
            raise SuvRefusedError(
                "Decay Correction (0054,1102) is START, but Corrected Image (0028,0051) has no DECY: a contradiction"
            )
        times = (
            start_reference_times(slices, series, half_life_s)
            if decay == "START"
            else none_reference_times(slices, half_life_s)
        )
        injected, dated, warning = administration_time(header, tracer, min(times.instants))
        for instant in (min(times.instants), max(times.instants)):
            check_elapsed(injected, instant, half_life_s)
        elapsed_s = [(instant - injected).total_seconds() for instant in times.instants]
        doses = tuple(dose_bq * 2 ** (-seconds / half_life_s) for seconds in elapsed_s)
        reference_rule = times.rule
        warnings += times.warnings + ((warning,) if warning else ())
        if decay == "NONE" and "DECY" in corrections:
            warnings += (
                "Decay Correction (0054,1102) is NONE, but Corrected Image (0028,0051) has DECY; NONE was believed.",
            )
        steps |= {
            "reference_time": time_of_day(min(times.instants)),
            "administration_time": time_of_day(injected),
            "administration_date": "stated" if dated else "by the time of the scan",
            "elapsed_min": span([seconds / 60 for seconds in elapsed_s]),
        }
    else:
        raise SuvRefusedError(f"Decay Correction (0054,1102) is {decay or 'missing'}; expected START, ADMIN or NONE")
    factors = tuple(f * weight_kg * 1000 / dose for f, dose in zip(to_bq_per_ml, doses, strict=True))
    steps["reference_rule"] = reference_rule
    rule = f"activity times weight over the dose at the reference time ({units}, {decay}): {reference_rule}"
    return SuvScale(factors, rule, steps, warnings)
