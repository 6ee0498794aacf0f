"""The body sizes that SUV can be normalised to (PS3.3 C.8.9.1.1.3), for the way back to body weight."""

from __future__ import annotations

from collections.abc import Callable

#: SUV types in kg, each with its formula for male and female; W in kg, H in cm.
_MASSES: dict[str, tuple[Callable[[float, float], float], Callable[[float, float], float]]] = {
    "LBM": (lambda w, h: 1.10 * w - 120 * (w / h) ** 2, lambda w, h: 1.07 * w - 148 * (w / h) ** 2),
    "LBMJAMES128": (lambda w, h: 1.10 * w - 128 * (w / h) ** 2, lambda w, h: 1.07 * w - 148 * (w / h) ** 2),
    "LBMJANMA": (
        lambda w, h: 9270 * w / (6680 + 216 * _body_mass_index(w, h)),
        lambda w, h: 9270 * w / (8780 + 244 * _body_mass_index(w, h)),
    ),
    "IBW": (lambda _, h: 48.0 + 1.06 * (h - 152), lambda _, h: 45.5 + 0.91 * (h - 152)),
}
MASS_TYPES = tuple(_MASSES)


def normalising_mass_kg(suv_type: str, sex: str, weight_kg: float, height_cm: float) -> float:
    """The mass that an SUV of another type than body weight is normalised to, in kg.

    Args:
        suv_type: One of ``MASS_TYPES``.
        sex: ``M`` or ``F``; anything else gives the mean of both formulas.
        weight_kg: Body weight.
        height_cm: Body height.

    Source: PS3.3 C.8.9.1.1.3 and the IBSI manual: Morgan, James, Janmahasatian, Devine.
    """
    male, female = (formula(weight_kg, height_cm) for formula in _MASSES[suv_type])
    return {"M": male, "F": female}.get(sex.upper(), (male + female) / 2)


def body_surface_m2(weight_kg: float, height_cm: float) -> float:
    """Body surface in m² (Du Bois and Du Bois 1916)."""
    return float(0.007184 * height_cm**0.725 * weight_kg**0.425)


def _body_mass_index(weight_kg: float, height_cm: float) -> float:
    return weight_kg / (height_cm / 100.0) ** 2
