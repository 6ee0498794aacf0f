"""The main job: an MRI and a functional study in, one fused colour volume out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import (
    RGB_LEVELS,
    FuseSettings,
    InputError,
    Modality,
    Progress,
    SilentProgress,
    Volume,
)
from upfusion_med.inference import engine
from upfusion_med.inference.backends.base import Backend
from upfusion_med.inference.backends.choice import backend_for
from upfusion_med.inference.modality_choice import ModalityChoice, choose_modality
from upfusion_med.inference.report import build_report
from upfusion_med.inference.result import FusionResult
from upfusion_med.inference.series_choice import FUNCTIONAL_TYPES, MRI_TYPES, choose_series
from upfusion_med.inference.slice_consistency import SIGMA_MM
from upfusion_med.io import SourceStudy, load_volume, read_source_study
from upfusion_med.transforms import colour, luts, resample, window

Source = Volume | str | os.PathLike[str]
FloatArray = NDArray[np.float32]

#: Share of the MRI's grid inside the functional field of view below which a warning is due.
SMALL_OVERLAP = 0.1
#: Brightest MRI tissue where uptake is coloured. With 1, white matter of a T1 is as bright as the hot end of a colour
#: table and no colour can be seen on it; at 0.7 hot lesions and cold regions both stand out (looked at on the demo).
COLOURED_MRI_BRIGHTNESS = 0.7


@dataclass(frozen=True)
class Prepared:
    """A study on one grid and in display range, ready for a network.

    Attributes:
        mri: (I, J, K) float32 in 0..1, over its whole window.
        brightness: Factor on ``mri`` in the fusion.
        functional: (I, J, K) float32 display luminance in 0..1.
        chroma: (I, J, K, 3) float32 zero-luma colour that the result gets, or None: grey.
        facts: What was done, for the report.
        lut: The colour table of scalar uptake, or None.
        functional_window: Display window of a scalar functional image, or None.
    """

    mri: FloatArray
    functional: FloatArray
    chroma: FloatArray | None
    facts: dict[str, Any]
    lut: luts.Lut | None
    functional_window: window.Window | None
    brightness: float = 1.0


def fuse(
    mri: Source,
    functional: Source,
    settings: FuseSettings | None = None,
    *,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> FusionResult:
    """Fuse an MRI and a functional study (PET, SPECT, CT), or two pictures.

    Args:
        mri: Volume, or file or folder to load. With the modality ``infrared`` this is the visible picture.
        functional: Volume, or file or folder to load. With the modality ``infrared`` this is the infrared picture.
        settings: What the user chose; defaults otherwise.
        backend: Runs the network; default: ``settings.model``, on PyTorch or ONNX Runtime.
        progress: Told how far the work is.

    Returns:
        The fused colour volume on the grid of ``mri``, its luminance, and the report.

    Raises:
        InputError: an image is unreadable, constant, not finite, of another dimensionality, or they do not overlap.
        UsageError: an unknown model, prompt or colour table.
        RuntimeFailure: memory, device, a missing package.
    """
    settings = settings or FuseSettings()
    progress = progress or SilentProgress()
    clock = _Clock()
    progress.stage("reading", 2)
    with clock("read"):
        first = _load(mri, "MRI", settings.mri_series, MRI_TYPES)
        progress.advance()
        second = _load(functional, "functional image", settings.functional_series, FUNCTIONAL_TYPES, settings.quantity)
        progress.advance()
    with clock("headers"):
        mri_study = _study(mri, settings.mri_series, MRI_TYPES)
        functional_study = _study(functional, settings.functional_series, FUNCTIONAL_TYPES)
    choice = choose_modality(settings.modality, second, _path(functional))
    with clock("prepare"):
        prepared = prepare(first, second, choice, settings)
    with clock("model"):
        if backend is None:
            backend = backend_for(settings, choice.modality)
    axis = engine.slice_axis(first.geometry, settings.axis) if not first.is_picture else 2
    with clock("network"):
        luminance = engine.run(
            backend,
            prepared.functional,
            prepared.mri * np.float32(prepared.brightness),
            axis,
            batch_size=settings.batch_size,
            pooling=settings.pooling,
            sigma_slices=0.0 if first.is_picture else SIGMA_MM / first.geometry.spacing_mm[axis],
            progress=progress,
        )
    with clock("colour"):
        rgb = paint(luminance, prepared.chroma)
    facts = {**prepared.facts, "mri_brightness": prepared.brightness}
    report = build_report(settings, choice, facts, backend.describe(), first, second, clock.seconds)
    template = replace(first, units="fused luminance", modality=Modality.UNKNOWN, notes={})
    return FusionResult(
        volume=template.with_array(rgb, units=RGB_LEVELS),
        luminance=template.with_array(luminance),
        report=report,
        mri=template.with_array(prepared.mri, units="display luminance"),
        functional=template.with_array(paint(prepared.functional, prepared.chroma), units=RGB_LEVELS),
        lut=prepared.lut,
        functional_window=prepared.functional_window,
        mri_study=mri_study,
        functional_study=functional_study,
    )


def prepare(mri: Volume, functional: Volume, choice: ModalityChoice, settings: FuseSettings) -> Prepared:
    """Bring both images onto the MRI's grid and into display range; nothing here depends on a network."""
    _check_usable(mri, "MRI")
    _check_usable(functional, "functional image")
    if functional.modality is Modality.MR and mri.modality not in (Modality.MR, Modality.UNKNOWN):
        raise InputError(
            f"The first image is {mri.modality.value.upper()} and the second is MR, by their own headers; expected the "
            "MRI first. Swap them."
        )
    if mri.is_picture != functional.is_picture:
        kinds = [("a 2-D picture" if v.is_picture else "a volume") for v in (mri, functional)]
        raise InputError(f"The MRI is {kinds[0]} and the functional image is {kinds[1]}; give two of one kind.")
    if mri.is_picture and mri.geometry.shape != functional.geometry.shape:
        sizes = [f"{v.array.shape[0]}x{v.array.shape[1]}" for v in (mri, functional)]
        raise InputError(
            f"The pictures are {sizes[0]} and {sizes[1]} pixels (width x height); expected registered pictures of "
            "equal size. Pictures carry no geometry, so they are not resampled."
        )
    warnings = [
        f"{who}: {w}" for who, v in (("MRI", mri), ("Functional", functional)) for w in v.notes.get("warnings", ())
    ]
    frames = {mri.frame_of_reference_uid, functional.frame_of_reference_uid}
    if None not in frames and len(frames) == 2:
        warnings.append(
            "The two series have different frames of reference: nothing says that they are in one space. "
            "They were only resampled; check the contact sheet."
        )
    moved, inside = resample.resample_to(functional, mri.geometry)
    if inside.mean() < SMALL_OVERLAP:
        warnings.append(
            f"Only {100 * inside.mean():.1f} % of the MRI's grid lies in the functional image's field of view; check "
            "that both belong together."
        )
    infrared = choice.modality is Modality.INFRARED
    chroma: FloatArray | None
    mri_luma, mri_chroma = colour.split_rgb(mri) if mri.is_rgb else (mri, None)
    mri_window = _window(mri_luma, Modality.VISIBLE if infrared else Modality.MR, settings.mri_window)
    facts: dict[str, Any] = {
        "mri_window": mri_window,
        "functional_inside_field_of_view": float(inside.mean()),
        "warnings": warnings,
    }
    display_mri = window.apply_window(mri_luma.array, mri_window)
    if infrared:
        luma = colour.split_rgb(moved)[0] if moved.is_rgb else moved
        scale = _window(luma, Modality.INFRARED, settings.functional_window)
        facts |= {
            "functional_window": scale,
            "colour": "colours of the visible picture" if mri_chroma is not None else "grey",
        }
        # The network was trained with the visible picture first.
        return Prepared(
            window.apply_window(luma.array, scale),
            display_mri,
            mri_chroma,
            facts,
            None,
            scale,
            settings.mri_brightness or 1.0,
        )
    if moved.is_rgb:
        luma, chroma = colour.split_rgb(moved)
        facts |= {"functional_window": None, "colour": "colours of the functional image, kept"}
        return Prepared(
            display_mri, np.asarray(luma.array, np.float32), chroma, facts, None, None, settings.mri_brightness or 1.0
        )
    # The window is that of the study, not of the part of it that the MRI's grid happens to show.
    scale = _window(functional, choice.modality, settings.functional_window)
    uptake = window.apply_window(moved.array, scale)
    uptake[~inside] = 0.0
    facts["functional_window"] = scale
    name = settings.lut or (luts.DEFAULT_LUT if choice.modality.is_emission else "grey")
    lut = luts.get_lut(name)
    if not lut.luma_is_monotone:
        warnings.append(
            f"The luminance of the colour table '{lut.name}' is not monotone; where it falls with rising uptake, the "
            "displayed luminance stays level and only the hue tells uptake apart."
        )
    facts["colour"] = f"{lut.name} ({lut.source})"
    if lut.name == "grey":
        return Prepared(display_mri, uptake, None, facts, lut, scale, settings.mri_brightness or 1.0)
    brightness = settings.mri_brightness or COLOURED_MRI_BRIGHTNESS
    luminance, chroma = colour.lut_luminance(uptake, lut), colour.lut_chroma(uptake, lut)
    return Prepared(display_mri, luminance, chroma, facts, lut, scale, brightness)


def paint(luminance: FloatArray, chroma: FloatArray | None) -> NDArray[np.uint8]:
    """(..., 3) uint8 colours of a luminance in 0..1 and its chroma; grey where there is none."""
    if chroma is not None:
        return colour.compose(luminance, chroma)
    levels = np.rint(np.clip(luminance, 0, 1) * np.float32(255)).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def _window(volume: Volume, modality: Modality, asked: tuple[float, float] | None) -> window.Window:
    if asked is not None:
        return window.Window(asked[0], asked[1], rule="as asked for", units=volume.units)
    return window.robust_window(volume, modality)


def _check_usable(volume: Volume, name: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(volume.array)))
    if bad:
        raise InputError(
            f"The {name} holds {bad} values that are NaN or infinite, of {volume.array.size}; expected finite values. "
            "Replace them (for instance by 0 outside the field of view) before fusing."
        )
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high:
        raise InputError(f"The {name} is constant (every value is {low:g}); there is nothing to fuse.")


def _path(source: Source) -> Path | None:
    return None if isinstance(source, Volume) else Path(source)


def _load(
    source: Source, name: str, series: str | None, types: tuple[tuple[str, ...], ...], quantity: str | None = None
) -> Volume:
    if isinstance(source, Volume):
        return source
    try:
        return load_volume(source, series=series or choose_series(Path(source), types), quantity=quantity)
    except InputError as error:
        raise InputError(f"The {name} cannot be used. {error}") from error


def _study(source: Source, series: str | None, types: tuple[tuple[str, ...], ...]) -> SourceStudy | None:
    if isinstance(source, Volume):
        return None
    return read_source_study(source, series=series or choose_series(Path(source), types))


class _Clock:
    """Seconds spent in each named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, part: str) -> _Span:
        return _Span(lambda seconds: self.seconds.__setitem__(part, round(seconds, 3)))


class _Span:
    def __init__(self, done: Callable[[float], None]) -> None:
        self._done = done

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._done(time.perf_counter() - self._begin)
