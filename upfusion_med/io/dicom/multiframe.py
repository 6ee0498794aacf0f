"""The slices of an enhanced multi-frame file: geometry and rescale from its functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

from typing import Any

from upfusion_med.core import InputError
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane, colour_of, file_order, matrix_of, rescale_of

_FRAME_TYPES = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "ParametricMapFrameTypeSequence",
)


class FunctionalGroups:
    """The functional groups of one frame: what the frame says itself goes before what all frames share."""

    def __init__(self, own: Header | None, shared: Header | None) -> None:
        self._levels = tuple(level for level in (own, shared) if level is not None)

    def group(self, sequence: str) -> Header | None:
        """The item of a group, or None."""
        for level in self._levels:
            item = level.item(sequence)
            if item is not None:
                return item
        return None

    def items(self, sequence: str) -> tuple[Header, ...]:
        """All items of a group; empty when absent."""
        return next((items for level in self._levels if (items := level.items(sequence))), ())

    def numbers(self, sequence: str, keyword: str, length: int | None = None) -> tuple[float, ...]:
        """The values of a tag in a group; empty when absent."""
        group = self.group(sequence)
        return group.numbers(keyword, length) if group is not None else ()

    def text(self, sequence: str, keyword: str) -> str:
        """The text of a tag in a group; empty when absent."""
        group = self.group(sequence)
        return group.text(keyword) if group is not None else ""


def enhanced_planes(header: Header) -> tuple[Plane, ...]:
    """The planes of a multi-frame file in the order of its frames.

    Raises:
        InputError: there are no functional groups, or not one per frame.
    """
    frames = header.count("NumberOfFrames") or 1
    shared, own = header.item("SharedFunctionalGroupsSequence"), header.items("PerFrameFunctionalGroupsSequence")
    if shared is None and not own:
        raise InputError(
            f"The multi-frame file {header.shown} ({frames} frames) has no functional groups "
            "((5200,9229), (5200,9230)), so nothing says where its frames lie. Export it as single-frame files or "
            "from a system that keeps the geometry."
        )
    if len(own) != frames:
        raise InputError(
            f"The multi-frame file {header.shown} has {frames} frames but functional groups for {len(own)} "
            "((5200,9230)); expected one group a frame. Export it again."
        )
    return tuple(_plane(header, number, FunctionalGroups(item, shared)) for number, item in enumerate(own))


def _plane(header: Header, number: int, groups: FunctionalGroups) -> Plane:
    position = groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3) or None
    orientation = groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6) or None
    spacing = groups.numbers("PixelMeasuresSequence", "PixelSpacing", 2) or None
    transformation = groups.group("PixelValueTransformationSequence")
    slope, intercept = rescale_of(transformation if transformation is not None else header)
    rows, columns = matrix_of(header)
    return Plane(
        header=header,
        frame=number,
        rows=rows,
        columns=columns,
        position_mm=position,
        orientation=orientation,
        spacing_mm=spacing,
        slope=slope,
        intercept=intercept,
        separating=_separating(header, groups),
        framing=_framing(header, groups),
        missing=tuple(
            name
            for name, value in (
                ("Plane Position Sequence (0020,9113)", position),
                ("Plane Orientation Sequence (0020,9116)", orientation),
                ("Pixel Measures Sequence (0028,9110)", spacing),
            )
            if value is None
        ),
    )


def _separating(header: Header, groups: FunctionalGroups) -> dict[str, Any]:
    types = (groups.text(sequence, "FrameType") for sequence in _FRAME_TYPES)
    echo = groups.numbers("MREchoSequence", "EffectiveEchoTime")
    b_value = groups.numbers("MRDiffusionSequence", "DiffusionBValue")
    inversion = groups.numbers("MRModifierSequence", "InversionTimes")
    return {
        "image type": next((t for t in types if t), ""),
        "stack": groups.text("FrameContentSequence", "StackID"),
        "echo time": echo[0] if echo else None,
        "inversion time": inversion[0] if inversion else None,
        "b-value": b_value[0] if b_value else None,
        **colour_of(header),
    }


def _framing(header: Header, groups: FunctionalGroups) -> dict[str, Any]:
    diffusion = groups.group("MRDiffusionSequence")
    direction = diffusion.item("DiffusionGradientDirectionSequence") if diffusion is not None else None
    values = {
        "temporal position": groups.text("FrameContentSequence", "TemporalPositionIndex"),
        "trigger delay": groups.text("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
        "respiratory position": groups.text(
            "RespiratorySynchronizationSequence", "NominalPercentageOfRespiratoryPhase"
        ),
        "diffusion direction": direction.text("DiffusionGradientOrientation") if direction is not None else "",
        "acquisition number": groups.text("FrameContentSequence", "FrameAcquisitionNumber"),
        "acquisition time": groups.text("FrameContentSequence", "FrameAcquisitionDateTime"),
        "instance": file_order(header),
    }
    return {name: value for name, value in values.items() if value}
