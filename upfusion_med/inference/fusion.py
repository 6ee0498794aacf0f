"""The main job: an MRI and a functional study in, one fused colour volume out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med.core import (
    RGB_LEVELS,
    Blend,
    FrameChoice,
    FuseSettings,
    InputError,
    Modality,
    Progress,
    SilentProgress,
    Volume,
)
from upfusion_med.inference import blending, engine
from upfusion_med.inference.attribution import attribution
from upfusion_med.inference.backends.base import Backend
from upfusion_med.inference.backends.choice import backend_for
from upfusion_med.inference.modality_choice import choose_modality
from upfusion_med.inference.preparation import paint, prepare
from upfusion_med.inference.report import build_report
from upfusion_med.inference.result import FusionResult
from upfusion_med.inference.series_choice import FUNCTIONAL_TYPES, MRI_TYPES, choose_series
from upfusion_med.inference.slice_consistency import SIGMA_MM
from upfusion_med.io import SourceStudy, load_volume, read_source_study

Source = Volume | str | os.PathLike[str]


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
        first = _load(mri, "MRI", settings.mri_series, MRI_TYPES, frame=settings.mri_frame)
        progress.advance()
        second = _load(
            functional,
            "functional image",
            settings.functional_series,
            FUNCTIONAL_TYPES,
            settings.quantity,
            settings.functional_frame,
        )
        progress.advance()
    with clock("headers"):
        mri_study = _study(mri, settings.mri_series, MRI_TYPES, settings.mri_frame)
        functional_study = _study(functional, settings.functional_series, FUNCTIONAL_TYPES, settings.functional_frame)
    choice = choose_modality(settings.modality, second, _path(functional))
    with clock("prepare"):
        prepared = prepare(first, second, choice, settings, progress)
    axis = engine.slice_axis(first.geometry, settings.axis) if not first.is_picture else 2
    if settings.blend is Blend.ALPHA:
        with clock("network"):
            luminance, rgb = blending.alpha(prepared, settings.alpha, settings.opacity)
        network: Mapping[str, Any] = {"model": f"none: alpha blending, {settings.alpha:g} functional"}
    else:
        with clock("model"):
            if backend is None:
                backend = backend_for(settings, choice.modality)
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
            luminance, rgb = blending.neural(prepared, luminance, settings.opacity)
        network = backend.describe()
    attributed = None
    if settings.attribution and not first.is_picture:
        with clock("attribution"):
            attributed = attribution(
                luminance, prepared.mri * np.float32(prepared.brightness), prepared.functional, axis=axis
            )
    facts = {
        **prepared.facts,
        "mri_brightness": prepared.brightness,
        "uids": {"mri": mri_study, "functional": functional_study},
    }
    report = build_report(settings, choice, facts, network, first, second, clock.seconds)
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
        attribution=attributed,
        transform=prepared.alignment.matrix,
        axis=settings.axis,
    )


def _path(source: Source) -> Path | None:
    return None if isinstance(source, Volume) else Path(source)


def _load(
    source: Source,
    name: str,
    series: str | None,
    types: tuple[tuple[str, ...], ...],
    quantity: str | None = None,
    frame: FrameChoice = None,
) -> Volume:
    if isinstance(source, Volume):
        return source
    try:
        return load_volume(source, series=series or choose_series(Path(source), types), quantity=quantity, frame=frame)
    except InputError as error:
        raise InputError(f"The {name} cannot be used. {error}") from error


def _study(
    source: Source, series: str | None, types: tuple[tuple[str, ...], ...], frame: FrameChoice
) -> SourceStudy | None:
    if isinstance(source, Volume):
        return None
    return read_source_study(source, series=series or choose_series(Path(source), types), frame=frame)


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
