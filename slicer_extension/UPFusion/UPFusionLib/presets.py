"""Values for usual cases. A window is in SUV, so it is set only where the volume is known to be SUV."""

from __future__ import annotations

from dataclasses import dataclass

from .parameters import FunctionalModality, Palette, Preset, UPFusionParameterNode


@dataclass(frozen=True)
class PresetValues:
    """What a preset sets.

    Attributes:
        modality: Kind of the functional image.
        palette: Colour table.
        suv_window: Display window in SUV, or None: from the values.
        fade_in: Whether low uptake leaves the MRI untouched.
    """

    modality: FunctionalModality
    palette: Palette
    suv_window: tuple[float, float] | None = None
    fade_in: bool = False


#: Windows are usual ones for display; they are starting points, not standards.
VALUES = {
    Preset.BRAIN_FDG: PresetValues(FunctionalModality.PET, Palette.EMBER, (0.0, 12.0)),
    Preset.BODY_FDG: PresetValues(FunctionalModality.PET, Palette.EMBER, (0.0, 8.0), fade_in=True),
    Preset.AMYLOID: PresetValues(FunctionalModality.PET, Palette.HOT_METAL_BLUE, (0.0, 3.0)),
    Preset.BRAIN_SPECT: PresetValues(FunctionalModality.SPECT, Palette.HOT_IRON),
    Preset.CT_BONE: PresetValues(FunctionalModality.CT, Palette.GREY),
}


def fields_of(preset: Preset, is_suv: bool) -> dict[str, object]:
    """The fields of the parameter node that a preset decides, with their values."""
    if preset is Preset.OWN:
        return {}
    values = VALUES[preset]
    fields: dict[str, object] = {
        "modality": values.modality,
        "palette": values.palette,
        "fade_in": values.fade_in,
        "window_automatic": True,
    }
    if is_suv and values.suv_window is not None:
        low, high = values.suv_window
        fields |= {"window_automatic": False, "window_low": low, "window_high": high}
    return fields


def apply_preset(node: UPFusionParameterNode, preset: Preset, is_suv: bool) -> None:
    """Set the fields; `Preset.OWN` changes nothing."""
    for name, value in fields_of(preset, is_suv).items():
        setattr(node, name, value)


def holds(node: UPFusionParameterNode, preset: Preset, is_suv: bool) -> bool:
    """Whether the node still has every value of the preset."""
    return all(getattr(node, name) == value for name, value in fields_of(preset, is_suv).items())
