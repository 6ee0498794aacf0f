"""The slices of a nuclear-medicine multi-frame file (PS3.3 C.8.4): reconstructed SPECT, not its projections."""

from __future__ import annotations

import numpy as np

from upfusion_med.core import InputError
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.no_volume import NoVolumeError
from upfusion_med.io.dicom.plane import Plane, file_order, matrix_of, rescale_of

#: Vectors that count something else than slices; name of the tag, what a message calls it.
_FRAME_VECTORS = (("TimeSlotVector", "gate"), ("RRIntervalVector", "R-R interval"))
_STACK_VECTORS = (("EnergyWindowVector", "energy window"), ("DetectorVector", "detector"))


def nuclear_planes(header: Header) -> tuple[Plane, ...]:
    """The planes of a reconstructed tomography in the order of its frames.

    Raises:
        InputError: it is not a reconstruction, or its slice order, step or place is not stated.
    """
    _check_reconstructed(header)
    frames = header.count("NumberOfFrames") or 1
    slices = _vector(header, "SliceVector", frames) or ((1,) if frames == 1 else ())
    if not slices:
        raise InputError(
            f"Slice Vector (0054,0080) is missing in {header.shown}; expected the slice number of each of its "
            f"{frames} frames. Export the reconstruction again."
        )
    detector = header.item("DetectorInformationSequence")
    position = _geometry(header, detector, "ImagePositionPatient", 3)
    orientation = _geometry(header, detector, "ImageOrientationPatient", 6)
    spacing = header.numbers("PixelSpacing", 2) or None
    step = header.number("SpacingBetweenSlices") if frames > 1 else 0.0
    missing = [
        name
        for name, value in (
            ("Image Position (Patient) (0020,0032) in Detector Information Sequence (0054,0022)", position),
            ("Image Orientation (Patient) (0020,0037) in Detector Information Sequence (0054,0022)", orientation),
            ("Pixel Spacing (0028,0030)", spacing),
            ("Spacing Between Slices (0018,0088)", step),
        )
        if value is None
    ]
    vectors = {name: _vector(header, keyword, frames) for keyword, name in (*_FRAME_VECTORS, *_STACK_VECTORS)}
    rows, columns = matrix_of(header)
    slope, intercept = rescale_of(header)
    planes = []
    for frame in range(frames):
        place = None
        if position is not None and orientation is not None and step is not None:
            normal = np.cross(orientation[:3], orientation[3:])
            # the step is signed: along the normal when positive
            place = tuple(float(v) for v in np.array(position) + normal * step * (slices[frame] - slices[0]))
        planes.append(
            Plane(
                header=header,
                frame=frame,
                rows=rows,
                columns=columns,
                position_mm=place,
                orientation=orientation,
                spacing_mm=spacing,
                slope=slope,
                intercept=intercept,
                separating={name: vectors[name][frame] for _, name in _STACK_VECTORS if vectors[name]},
                framing={
                    **{name: vectors[name][frame] for _, name in _FRAME_VECTORS if vectors[name]},
                    "instance": file_order(header),
                },
                missing=tuple(missing),
            )
        )
    return tuple(planes)


def _check_reconstructed(header: Header) -> None:
    types = header.texts("ImageType")
    kind = types[2].upper() if len(types) > 2 else ""
    if kind not in ("RECON TOMO", "RECON GATED TOMO"):
        # without a kind it may be a reconstruction whose header was emptied
        raise (NoVolumeError if kind else InputError)(
            f"Image Type (0008,0008) of {header.shown} says '{kind or 'nothing'}' as its third value; expected "
            "'RECON TOMO': only a reconstructed tomography is a volume, while TOMO, STATIC and WHOLE BODY are "
            "projections. Export the reconstruction."
        )


def _geometry(header: Header, detector: Header | None, keyword: str, length: int) -> tuple[float, ...] | None:
    inside = detector.numbers(keyword, length) if detector is not None else ()
    return inside or header.numbers(keyword, length) or None


def _vector(header: Header, keyword: str, frames: int) -> tuple[int, ...]:
    values = header.numbers(keyword)
    if values and len(values) != frames:
        raise header.wrong(keyword, f"has {len(values)} values", f"one for each of the {frames} frames")
    return tuple(int(value) for value in values)
