"""The main job: an MRI and a functional study in, one fused colour volume out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from upfusion_med.core import (
    RGB_LEVELS,
    Blend,
    FuseSettings,
    InputError,
    Modality,
    OutputFormat,
    Progress,
    SilentProgress,
    SliceAxis,
    Volume,
)
from upfusion_med.inference import blending, engine
from upfusion_med.inference.attribution import attribution
from upfusion_med.inference.backends.base import Backend, FloatArray
from upfusion_med.inference.backends.choice import backend_for
from upfusion_med.inference.clock import Clock
from upfusion_med.inference.doubtful_pair import pair_doubts
from upfusion_med.inference.idle_settings import idle_settings
from upfusion_med.inference.modality_choice import ModalityChoice, choose_modality, order_doubt
from upfusion_med.inference.preparation import Prepared, paint, prepare
from upfusion_med.inference.report import build_report
from upfusion_med.inference.result import FusionResult
from upfusion_med.io import SourceStudy, load_source, slice_stack
from upfusion_med.transforms.colour import luma

Source = Volume | str | os.PathLike[str]

#: DICOM modalities by role, the likelier group first.
MRI_ROLES = (("MR",),)
FUNCTIONAL_ROLES = (("PT", "NM"), ("CT",))
_TWO_PATIENTS = (
    "The MRI and the functional series are of different patients by Patient ID (0010,0020) or, where one has none, by "
    "Patient's Name (0010,0010) or Birth Date (0010,0030): check that both are of one patient. DICOM output is refused."
)
_NOTHING_SHOWN = (
    "Nothing of the functional image shows on the MRI's grid: what lies there is at or below the low end of its "
    "window. Check that both images lie in one space, and the window."
)


def fuse(
    mri: Source,
    functional: Source,
    settings: FuseSettings | None = None,
    *,
    backend: Backend | None = None,
    progress: Progress | None = None,
    formats: Iterable[OutputFormat | str] | str = (),
) -> FusionResult:
    """Fuse an MRI and a functional study (PET, SPECT, CT), or two pictures.

    Args:
        mri: Volume, or file or folder to load. With the modality ``infrared`` this is the visible picture.
        functional: Volume, or file or folder to load. With the modality ``infrared`` this is the infrared picture.
        settings: What the user chose; defaults otherwise.
        backend: Runs the network; default: ``settings.model``, on PyTorch or ONNX Runtime.
        progress: Told how far the work is.
        formats: What the result will be saved as, also by the words; what would be refused then is refused before any
            work is done.

    Returns:
        The fused colour volume on the grid of ``mri``, its luminance, and the report.

    Raises:
        InputError: an image is unreadable, constant, not finite, of another dimensionality, or they do not overlap.
        UsageError: an unknown model, prompt, colour table or format.
        RuntimeFailure: memory, device, a missing package.
    """
    settings = settings or FuseSettings()
    progress = progress or SilentProgress()
    clock = Clock()
    study = read_study(mri, functional, settings, progress=progress, clock=clock, formats=formats)
    if settings.blend is Blend.ALPHA:
        return finish(study, None, {"model": f"none: alpha blending, {settings.alpha:g} functional"}, clock=clock)
    with clock("model"):
        if backend is None:
            backend = backend_for(settings, study.choice.modality)
    with clock("network"):
        luminance = run_network(study, backend, progress=progress)
    return finish(study, luminance, backend.describe(), clock=clock)


@dataclass(frozen=True)
class Study:
    """A study that was read and prepared, with the settings it is fused under.

    Attributes:
        mri: As read.
        functional: As read.
        choice: What kind of functional image it is.
        prepared: Both on the MRI's grid, in display range.
        settings: What the user chose.
        mri_study: Headers of the MRI's DICOM series, or None.
        functional_study: Headers of the functional DICOM series, or None.
    """

    mri: Volume
    functional: Volume
    choice: ModalityChoice
    prepared: Prepared
    settings: FuseSettings
    mri_study: SourceStudy | None = None
    functional_study: SourceStudy | None = None

    @property
    def direction(self) -> SliceAxis:
        """Direction of the slices; a picture is one slice."""
        if self.mri.is_picture:
            return SliceAxis.AXIAL
        return engine.slice_direction(self.mri.geometry, self.settings.axis)

    @property
    def axis(self) -> int:
        """Array axis along which the slices are stacked."""
        return engine.slice_axis(self.mri.geometry, self.direction)

    @property
    def display_mri(self) -> FloatArray:
        """(I, J, K) float32 in 0..1: the MRI as bright as the fusion shows it."""
        return self.prepared.mri * np.float32(self.prepared.brightness)


def read_study(
    mri: Source,
    functional: Source,
    settings: FuseSettings,
    *,
    progress: Progress | None = None,
    clock: Clock | None = None,
    formats: Iterable[OutputFormat | str] | str = (),
) -> Study:
    """The first half of `fuse`: read both images and prepare them; no network is needed."""
    progress, clock = progress or SilentProgress(), clock or Clock()
    progress.stage("reading", 2)
    with clock("read"):
        first, mri_study = load_mri(mri, settings)
        progress.advance()
        second, functional_study = load_functional(functional, settings)
        progress.advance()
    with clock("prepare"):
        return prepare_study(
            first,
            second,
            settings,
            mri_study,
            functional_study,
            path=_path(functional),
            mri_path=_path(mri),
            formats=formats,
            progress=progress,
        )


def load_mri(source: Source, settings: FuseSettings) -> tuple[Volume, SourceStudy | None]:
    """The MRI of a study, and the headers of its DICOM series.

    Raises:
        InputError: it cannot be used; the message says why.
    """
    return _load(source, "MRI", settings, series=settings.mri_series, roles=MRI_ROLES, frame=settings.mri_frame)


def load_functional(source: Source, settings: FuseSettings) -> tuple[Volume, SourceStudy | None]:
    """The functional image of a study, as `load_mri`."""
    return _load(
        source,
        "functional image",
        settings,
        series=settings.functional_series,
        roles=FUNCTIONAL_ROLES,
        quantity=settings.quantity,
        frame=settings.functional_frame,
    )


def prepare_study(
    mri: Volume,
    functional: Volume,
    settings: FuseSettings,
    mri_study: SourceStudy | None = None,
    functional_study: SourceStudy | None = None,
    *,
    path: Path | None = None,
    mri_path: Path | None = None,
    formats: Iterable[OutputFormat | str] | str = (),
    progress: Progress | None = None,
) -> Study:
    """Choose the modality, and bring both images onto the MRI's grid and into display range.

    Args:
        mri: As read.
        functional: As read.
        settings: What the user chose.
        mri_study: Headers of the MRI's DICOM series, or None.
        functional_study: Headers of the functional DICOM series, or None. Where the two are of different patients, the
            report warns of it.
        path: Where the functional image came from; its name may tell the modality.
        mri_path: Where the MRI came from; its name may tell that the two are swapped.
        formats: See `fuse`.
        progress: Told how far the work is.

    Raises:
        InputError: the images cannot be fused: constant, not finite, of the wrong kind, not in one space; or they are
            of different patients, and DICOM is wanted; or the MRI is sheared, and slices are wanted.
        UsageError: a wrong setting.
    """
    wanted = OutputFormat.named(formats)
    two_patients = bool(mri_study and functional_study and not mri_study.is_same_patient(functional_study))
    if not mri.is_picture:
        if two_patients and any(f.is_dicom for f in wanted):
            raise InputError(f"{_TWO_PATIENTS} Choose other formats, or images of one patient.")
        _check_slices(mri, settings, mri_study, wanted)
    choice = choose_modality(settings.modality, functional, path)
    prepared = prepare(mri, functional, choice, settings, progress or SilentProgress())
    if not prepared.functional.any():
        prepared.facts["warnings"].append(_NOTHING_SHOWN)
    if two_patients:
        prepared.facts["warnings"].append(_TWO_PATIENTS)
    if swapped := order_doubt(mri, mri_path, path):
        prepared.facts["warnings"].append(swapped)
    prepared.facts["warnings"] += pair_doubts(mri, functional, choice.modality)
    prepared.facts["warnings"] += idle_settings(settings, functional, choice.modality, prepared)
    return Study(mri, functional, choice, prepared, settings, mri_study, functional_study)


def run_network(
    study: Study, backend: Backend, *, bounded: bool = True, progress: Progress | None = None
) -> FloatArray:
    """(I, J, K) fused luminance in 0..1 of a study; ``bounded``: see `engine.run`."""
    return engine.run(
        backend,
        study.prepared.functional,
        study.display_mri,
        study.axis,
        batch_size=study.settings.batch_size,
        pooling=study.settings.pooling,
        bounded=bounded,
        progress=progress,
    )


def finish(
    study: Study, luminance: FloatArray | None, network: Mapping[str, Any], *, clock: Clock | None = None
) -> FusionResult:
    """The last step of `fuse`: colours, attribution and report.

    Args:
        study: As read.
        luminance: (I, J, K) of the network in 0..1; None: alpha blending.
        network: Facts about the network for the report.
        clock: Holds the seconds of the steps so far.
    """
    clock, prepared, settings = clock or Clock(), study.prepared, study.settings
    with clock("colour"):
        if luminance is None:
            luminance, rgb = blending.alpha(prepared, settings.alpha, settings.opacity)
        else:
            luminance, rgb = blending.neural(prepared, luminance, settings.opacity, study.mri.geometry.spacing_mm)
    attributed = None
    if settings.attribution and not study.mri.is_picture:
        with clock("attribution"):
            # Of the picture that is shown: readable colours do not have the luminance of the network.
            shown = luma(rgb) / np.float32(255)
            sources = [study.display_mri, prepared.functional]
            if prepared.visible_first:
                sources.reverse()
            attributed = attribution(shown, *sources, axis=study.axis)
    facts = {
        **prepared.facts,
        "mri_brightness": prepared.brightness,
        "uids": {"mri": study.mri_study, "functional": study.functional_study},
    }
    template = replace(study.mri, units="fused luminance", modality=Modality.UNKNOWN, notes={})
    return FusionResult(
        volume=template.with_array(rgb, units=RGB_LEVELS),
        luminance=template.with_array(luminance),
        report=build_report(settings, study.choice, facts, network, study.mri, study.functional, clock.seconds),
        mri=template.with_array(prepared.mri, units="display luminance"),
        functional=template.with_array(paint(prepared.functional, prepared.chroma), units=RGB_LEVELS),
        lut=prepared.lut,
        palette=prepared.palette,
        functional_window=prepared.functional_window,
        mri_study=study.mri_study,
        functional_study=study.functional_study,
        attribution=attributed,
        transform=prepared.alignment.matrix,
        axis=study.direction,
    )


def _check_slices(
    mri: Volume, settings: FuseSettings, mri_study: SourceStudy | None, formats: Collection[OutputFormat]
) -> None:
    """Refuse a sheared MRI for formats of slices, which lie straight above each other."""
    if any(f.is_dicom for f in formats):
        slice_stack(mri.array, mri.affine, like=mri_study.orientation if mri_study is not None else None)
    if any(f.is_pictures for f in formats):
        direction = engine.slice_direction(mri.geometry, settings.axis)
        slice_stack(mri.array, mri.affine, axis=engine.slice_axis(mri.geometry, direction))


def _path(source: Source) -> Path | None:
    return None if isinstance(source, Volume) else Path(source)


def _load(source: Source, name: str, settings: FuseSettings, **options: Any) -> tuple[Volume, SourceStudy | None]:
    if isinstance(source, Volume):
        return source, None
    try:
        return load_source(source, accept_tilt=settings.accept_tilt, **options)
    except InputError as error:
        raise InputError(f"The {name} cannot be used. {error}") from error
