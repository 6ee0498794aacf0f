"""A study on one grid and in display range: aligned, windowed, split into luminance and colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Blend, FuseSettings, Modality, Progress, UsageError, Volume
from upfusion_med.inference import functional_colours
from upfusion_med.inference.alignment import Alignment, align
from upfusion_med.inference.modality_choice import ModalityChoice
from upfusion_med.inference.pair_check import check_pair
from upfusion_med.transforms import colour, luts, window
from upfusion_med.transforms.legible_colour import LegibleColours
from upfusion_med.transforms.onset import ONSET_OF_PICTURES
from upfusion_med.transforms.pseudo_colour import UPTAKE_UNITS, Palette

FloatArray = NDArray[np.float32]

#: Share of the MRI's grid inside the functional field of view below which a warning is due.
SMALL_OVERLAP = 0.1
#: Brightest MRI tissue where uptake is coloured at the network's exact luminance. With 1, white matter of a T1 is as
#: bright as the hot end of a colour table and no colour can be seen on it; at 0.7 hot lesions and cold regions both
#: stand out (looked at on the demo).
COLOURED_MRI_BRIGHTNESS = 0.7


@dataclass(frozen=True)
class Prepared:
    """A study on one grid and in display range, ready for a network.

    Attributes:
        mri: (I, J, K) float32 in 0..1, over its whole window.
        brightness: Factor on ``mri`` in the fusion.
        functional: (I, J, K) float32 display luminance in 0..1.
        own_chroma: (I, J, K, 3) float32 zero-luma colours that an image came with, or None: they are those of ``lut``.
        uptake: (I, J, K) float32 in 0..1, the functional image over its window; None where it came in colours that
            nobody knows.
        facts: What was done, for the report.
        lut: The colour table of scalar uptake, or None.
        functional_window: Display window of a scalar functional image, or None.
        alignment: How the functional image came onto the MRI's grid.
        legible: Luminances at which the colours of ``uptake`` can be read, or None: they need not be.
        onset: Uptake at which colours have fully set in; None: that of a study (`onset_of_study`).
        palette: What kept colours were drawn with, or None: not known, or the colours are those of ``lut``.
        visible_first: ``functional`` is the first image that was given, a visible picture, which gives the colours, and
            ``mri`` the second, an infrared one.
    """

    mri: FloatArray
    functional: FloatArray
    own_chroma: FloatArray | None
    facts: dict[str, Any]
    lut: luts.Lut | None
    functional_window: window.Window | None
    alignment: Alignment
    uptake: FloatArray | None = None
    brightness: float = 1.0
    legible: LegibleColours | None = None
    onset: float | None = ONSET_OF_PICTURES
    palette: Palette | None = None
    visible_first: bool = False

    @property
    def chroma(self) -> FloatArray | None:
        """(I, J, K, 3) float32 zero-luma colour that the result gets, or None: grey.

        Of uptake it is worked out at each call: kept through the fusion it would be the largest array of a study.
        """
        if self.lut is None or self.lut.name == "grey" or self.uptake is None:
            return self.own_chroma
        return colour.lut_chroma(self.uptake, self.lut)


def prepare(
    mri: Volume,
    functional: Volume,
    choice: ModalityChoice,
    settings: FuseSettings,
    progress: Progress | None = None,
) -> Prepared:
    """Bring both images onto the MRI's grid and into display range; nothing here depends on a network.

    Raises:
        InputError: an image is constant or not finite, two kinds are mixed, or the images cannot be aligned.
        UsageError: a window in display levels for colours, whose luma or uptake runs from 0 to 1.
    """
    check_pair(mri, functional, named=settings.modality is not None)
    palette, doubtful = functional_colours.palette_of(functional, choice.modality, settings.functional_colours)
    if palette is not None and settings.functional_colours != functional_colours.KEEP:
        # Before anything is resampled: a colour between two of a palette means something else.
        functional = functional_colours.as_uptake(functional, palette)
    aligned = align(mri, functional, settings.transform or settings.register.value, progress=progress)
    inside = float(aligned.inside.mean())
    warnings = [
        f"{who}: {w}" for who, v in (("MRI", mri), ("Functional", functional)) for w in v.notes.get("warnings", ())
    ]
    warnings += [*aligned.warnings, *([doubtful] if doubtful else [])]
    if inside < SMALL_OVERLAP:
        warnings.append(
            f"Only {100 * inside:.1f} % of the MRI's grid lies in the functional image's field of view; check that "
            "both belong together."
        )
    facts: dict[str, Any] = {
        "alignment": dict(aligned.facts),
        "bias_correction": False,
        "functional_inside_field_of_view": inside,
        "warnings": warnings,
    }
    grey, mri_chroma = colour.split_rgb(mri) if mri.is_rgb else (mri, None)
    if settings.bias_correction and choice.modality is not Modality.INFRARED:
        from upfusion_med.transforms.bias_field import correct_bias

        grey = correct_bias(grey, progress=progress)
        facts["bias_correction"] = "N4 (SimpleITK)"
    kind = Modality.VISIBLE if choice.modality is Modality.INFRARED else Modality.MR
    mri_window = _window(grey, kind, settings.mri_window)
    facts["mri_window"] = mri_window
    _doubt("MRI", grey, kind, settings.mri_window, mri_window, facts)
    display_mri = window.apply_window(grey.array, mri_window)
    if choice.modality is Modality.INFRARED:
        return _pictures(display_mri, mri_chroma, aligned, settings, facts)
    if aligned.functional.is_rgb:
        return _kept(display_mri, aligned, palette, settings, facts)
    if palette is not None:
        facts["functional_colours"] = f"read as uptake: palette '{palette.name}'"
    read = None if palette is None else functional_colours.whole_scale()
    return _uptake(display_mri, functional, aligned, choice.modality, settings, facts, read)


def paint(luminance: FloatArray, chroma: FloatArray | None) -> NDArray[np.uint8]:
    """(..., 3) uint8 colours of a luminance in 0..1 and its chroma; grey where there is none."""
    if chroma is not None:
        return colour.compose(luminance, chroma)
    levels = np.rint(np.clip(luminance, 0, 1) * np.float32(255)).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def _pictures(
    visible: FloatArray, chroma: FloatArray | None, aligned: Alignment, settings: FuseSettings, facts: dict[str, Any]
) -> Prepared:
    """An infrared-visible pair: the visible picture gives the colours."""
    infrared = colour.split_rgb(aligned.functional)[0] if aligned.functional.is_rgb else aligned.functional
    scale = _window(infrared, Modality.INFRARED, settings.functional_window)
    _doubt("Infrared", infrared, Modality.INFRARED, settings.functional_window, scale, facts)
    facts |= {
        "functional_window": scale,
        "colour": "colours of the visible picture" if chroma is not None else "grey",
    }
    # The network was trained with the visible picture first.
    return Prepared(
        mri=window.apply_window(infrared.array, scale),
        functional=visible,
        own_chroma=chroma,
        facts=facts,
        lut=None,
        functional_window=scale,
        alignment=aligned,
        brightness=settings.mri_brightness or 1.0,
        visible_first=True,
    )


def _kept(
    display_mri: FloatArray, aligned: Alignment, palette: Palette | None, settings: FuseSettings, facts: dict[str, Any]
) -> Prepared:
    """A functional image that keeps its colours; they stay readable where their palette is known."""
    luma, chroma = colour.split_rgb(aligned.functional)
    known = f"palette '{palette.name}'" if palette else "their palette is not known, so their meaning is not guarded"
    facts |= {"functional_window": None, "colour": f"colours of the functional image, kept; {known}"}
    base = Prepared(
        mri=display_mri,
        functional=np.asarray(luma.array, np.float32),
        own_chroma=chroma,
        facts=facts,
        lut=None,
        functional_window=None,
        alignment=aligned,
        brightness=settings.mri_brightness or 1.0,
    )
    if palette is None:
        return base
    legible = LegibleColours.of(palette.table, stepped=palette.stepped)
    uptake = palette.uptake(aligned.functional.array)
    uptake[~aligned.inside] = 0.0
    return replace(base, uptake=uptake, legible=legible if settings.blend is Blend.NEURAL else None, palette=palette)


def _uptake(
    display_mri: FloatArray,
    functional: Volume,
    aligned: Alignment,
    modality: Modality,
    settings: FuseSettings,
    facts: dict[str, Any],
    scale: window.Window | None,
) -> Prepared:
    """Scalar uptake, shown through a colour table; ``scale`` is None but for uptake read from a picture's colours."""
    default = luts.DEFAULT_LUT if scale is None else luts.PICTURE_LUT
    onset = None if scale is None or not functional.is_picture else ONSET_OF_PICTURES
    if scale is None or settings.functional_window is not None:
        # The window is that of the study, not of the part of it that the MRI's grid happens to show.
        scale = _window(functional, modality, settings.functional_window)
        _doubt("Functional", functional, modality, settings.functional_window, scale, facts)
    uptake = window.apply_window(aligned.functional.array, scale)
    uptake[~aligned.inside] = 0.0
    lut = luts.get_lut(settings.lut or (default if modality.is_emission else "grey"))
    if not lut.luma_is_monotone:
        facts["warnings"].append(
            f"The luminance of the colour table '{lut.name}' is not monotone; where it falls with rising uptake, the "
            "displayed luminance stays level and only the hue tells uptake apart."
        )
    facts |= {"functional_window": scale, "colour": f"{lut.name} ({lut.source})"}
    base = Prepared(
        mri=display_mri,
        functional=uptake,
        own_chroma=None,
        facts=facts,
        lut=lut,
        functional_window=scale,
        alignment=aligned,
        uptake=uptake,
        brightness=settings.mri_brightness or 1.0,
    )
    if lut.name == "grey":
        return base
    legible = LegibleColours.of(lut.table, stepped=lut.stepped) if settings.blend is Blend.NEURAL else None
    return replace(
        base,
        functional=colour.lut_luminance(uptake, lut),
        brightness=settings.mri_brightness or (COLOURED_MRI_BRIGHTNESS if legible is None else 1.0),
        legible=legible,
        onset=onset,
    )


def _window(volume: Volume, modality: Modality, asked: tuple[float, float] | None) -> window.Window:
    if asked is None:
        return window.robust_window(volume, modality)
    if volume.units in (colour.RELATIVE_LUMA, UPTAKE_UNITS) and asked[1] > 1:
        raise UsageError(
            f"The window {asked[0]:g} to {asked[1]:g} was given for an image in colours, which count by their "
            f"{volume.units}; expected a window within 0 to 1. Divide display levels by 255, or leave it out."
        )
    return window.Window(asked[0], asked[1], rule="as asked for", units=volume.units)


def _doubt(
    name: str,
    volume: Volume,
    modality: Modality,
    asked: tuple[float, float] | None,
    chosen: window.Window,
    facts: dict[str, Any],
) -> None:
    """Warn of a window that was asked for and hardly fits the values."""
    if asked is not None and (doubt := window.window_doubt(volume, chosen, modality)):
        facts["warnings"].append(f"{name}: {doubt}")
