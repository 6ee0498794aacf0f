"""What was given to whom: body weight and height, dose and half-life, and the units they are taken for."""

from __future__ import annotations

from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.radionuclide import radionuclide_by_code
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError

_GRAMS_FROM = 1000.0
_USUAL_WEIGHT_KG = (2.0, 300.0)
#: Nobody is that tall in metres; up to the second number it is centimetres.
_CENTIMETRES_FROM, _MOST_CENTIMETRES = 3.0, 300.0
#: Human doses are 1e7 to 1e10 Bq; a smaller number than this is in MBq.
_MEGABECQUEREL_BELOW = 1e5
_HALF_LIFE_AGREES = 0.05
#: One second to about three years.
_USUAL_HALF_LIFE_S = (1.0, 1e8)


def body_weight(header: Header) -> tuple[float, tuple[str, ...]]:
    """Body weight, and what was put up with.

    Raises:
        SuvRefusedError: it is absent, not positive, or no weight of a patient.
    """
    weight = header.number("PatientWeight")
    if weight is None or weight <= 0:
        raise SuvRefusedError(f"Patient's Weight (0010,1030) is {'missing' if weight is None else 'not positive'}")
    if weight > _GRAMS_FROM**2:
        raise SuvRefusedError("Patient's Weight (0010,1030) is no weight of a patient, neither in kg nor in g")
    warnings = []
    if weight > _GRAMS_FROM:
        weight /= 1000
        warnings.append("Patient's Weight (0010,1030) is over 1000; it was taken as grams.")
    low, high = _USUAL_WEIGHT_KG
    if not low <= weight <= high:
        warnings.append(f"Patient's Weight (0010,1030) is not between {low:g} and {high:g} kg.")
    return weight, tuple(warnings)


def body_weight_and_height(header: Header, what: str) -> tuple[float, float, tuple[str, ...]]:
    """Weight in kg, height in cm, and what was put up with.

    Args:
        header: A header of the series.
        what: What needs them, for messages.

    Raises:
        SuvRefusedError: one of them is absent, not positive, or none of a patient.
    """
    (weight, warnings), height = body_weight(header), header.number("PatientSize")
    if height is None or height <= 0:
        raise SuvRefusedError(f"{what} needs Patient's Size (0010,1020), which is missing or not positive")
    if height > _MOST_CENTIMETRES:
        raise SuvRefusedError("Patient's Size (0010,1020) is no height of a patient, neither in m nor in cm")
    if height > _CENTIMETRES_FROM:
        return weight, height, (*warnings, "Patient's Size (0010,1020) is over 3; it was taken as centimetres.")
    return weight, height * 100, warnings


def only_tracer(header: Header) -> Header:
    """The one item of the Radiopharmaceutical Information Sequence.

    Raises:
        SuvRefusedError: there is none, or there are several: which of them the image shows is not said.
    """
    tracers = header.items("RadiopharmaceuticalInformationSequence")
    if not tracers:
        raise SuvRefusedError("Radiopharmaceutical Information Sequence (0054,0016) is missing")
    if len(tracers) > 1:
        raise SuvRefusedError(
            f"Radiopharmaceutical Information Sequence (0054,0016) has {len(tracers)} items; expected one tracer"
        )
    return tracers[0]


def administered_dose(tracer: Header) -> tuple[float, tuple[str, ...]]:
    """Administered dose, and what was put up with.

    Args:
        tracer: Item of the Radiopharmaceutical Information Sequence.

    Raises:
        SuvRefusedError: it is absent or not positive.
    """
    dose = tracer.number("RadionuclideTotalDose")
    if dose is None or dose <= 0:
        raise SuvRefusedError(f"Radionuclide Total Dose (0018,1074) is {'missing' if dose is None else 'not positive'}")
    if dose < _MEGABECQUEREL_BELOW:
        return dose * 1e6, ("Radionuclide Total Dose (0018,1074) is too small for Bq; it was taken as MBq.",)
    return dose, ()


def tracer_half_life(tracer: Header) -> tuple[float, tuple[str, ...]]:
    """Half-life as stated, else by the code of the radionuclide, and what was put up with.

    Args:
        tracer: Item of the Radiopharmaceutical Information Sequence.

    Raises:
        SuvRefusedError: it is absent and the code is unknown, or no tracer has it.
    """
    code = tracer.item("RadionuclideCodeSequence")
    known = radionuclide_by_code(code.text("CodeValue")) if code is not None else None
    half_life = tracer.number("RadionuclideHalfLife")
    if half_life is None or half_life <= 0:
        if known is None:
            raise SuvRefusedError(
                "Radionuclide Half Life (0018,1075) is missing and the Radionuclide Code (0054,0300) is unknown"
            )
        return known.half_life_s, (
            f"Radionuclide Half Life (0018,1075) is missing; {known.half_life_s:g} s of {known.name} was taken.",
        )
    low, high = _USUAL_HALF_LIFE_S
    if not low <= half_life <= high:
        raise SuvRefusedError(f"Radionuclide Half Life (0018,1075) is {half_life:g} s; no tracer has that")
    if known is not None and abs(half_life / known.half_life_s - 1) > _HALF_LIFE_AGREES:
        return half_life, (
            f"Radionuclide Half Life (0018,1075) is {half_life:g} s, but its code says {known.name} with "
            f"{known.half_life_s:g} s; the stated half-life was taken.",
        )
    return half_life, ()
