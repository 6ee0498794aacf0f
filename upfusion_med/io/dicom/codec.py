"""Decoding of compressed pixels through ITK, for the syntaxes that pydicom has no decoder for here.

ITK carries the GDCM codecs (JPEG Lossless, JPEG-LS and the rest of the JPEG family). It would also apply rescale and
turn MONOCHROME1 round, so it gets the pixels in a bare file of their own that has neither.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

_COPIED = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MULTIFRAME_GREY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"


def decode_with_itk(dataset: Dataset) -> NDArray[Any]:
    """Stored values of a compressed data set.

    Args:
        dataset: With the pixel tags, the compressed Pixel Data, and the transfer syntax in its file meta.

    Returns:
        (rows, columns), (frames, rows, columns), or either with 3 channels last.

    Raises:
        RuntimeError: ITK cannot decode it.
    """
    import SimpleITK as sitk
    from pydicom import Dataset as NewDataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import generate_uid

    bare = NewDataset()
    for keyword in _COPIED:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    if str(bare.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
        bare.PhotometricInterpretation = "MONOCHROME2"
    frames = int(bare.get("NumberOfFrames", 1) or 1)
    bare.SOPClassUID = _MULTIFRAME_GREY_CAPTURE if frames > 1 else _SECONDARY_CAPTURE
    bare.SOPInstanceUID, bare.Modality = generate_uid(), "OT"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    with tempfile.TemporaryDirectory(prefix="upfusion-") as folder:
        file = Path(folder) / "pixels.dcm"
        bare.save_as(file, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(os.fspath(file))
        values = sitk.GetArrayFromImage(reader.Execute())
    return values if frames > 1 else np.asarray(values[0])
