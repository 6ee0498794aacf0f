"""Half-lives of the radionuclides in PET, by their DICOM codes (PS3.16 CID 4020)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Radionuclide:
    """A positron emitter.

    Attributes:
        name: Such as ``F-18``.
        half_life_s: Half-life in seconds.
        codes: Its code values in SNOMED RT (schemes SRT, SNM3, 99SDM) and SNOMED CT (scheme SCT).
    """

    name: str
    half_life_s: float
    codes: tuple[str, str]


#: F-18 to N-13 as scanners store them; the other half-lives are textbook values (rounded).
RADIONUCLIDES = (
    Radionuclide("F-18", 6586.2, ("C-111A1", "77004003")),
    Radionuclide("Ga-68", 4057.7, ("C-131A3", "35337001")),
    Radionuclide("C-11", 1223.4, ("C-105A1", "40565003")),
    Radionuclide("N-13", 597.9, ("C-107A1", "21576001")),
    Radionuclide("O-15", 122.2, ("C-B1038", "129504001")),
    Radionuclide("Cu-64", 45720.0, ("C-127A2", "3932008")),
    Radionuclide("Zr-89", 282240.0, ("C-168A4", "63360001")),
    Radionuclide("Rb-82", 76.4, ("C-159A2", "79197006")),
)


def radionuclide_by_code(code: str) -> Radionuclide | None:
    """The radionuclide with a code value of either scheme, or None."""
    wanted = code.strip().upper()
    return next((nuclide for nuclide in RADIONUCLIDES if wanted in nuclide.codes), None)
