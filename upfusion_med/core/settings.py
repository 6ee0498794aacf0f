"""What a user may choose, made once at the door, validated there, and handed down whole."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from upfusion_med.core.errors import UsageError
from upfusion_med.core.modality import Modality


class SliceAxis(str, Enum):
    """Anatomical direction along which a volume is cut into the slices that the network sees."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def world_axis(self) -> int:
        """Index of the RAS axis along which the slices are stacked."""
        return {"sagittal": 0, "coronal": 1, "axial": 2}[self.value]


class Device(str, Enum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Pooling(str, Enum):
    """Over what the network's global statistics are decided."""

    VOLUME = "volume"
    SLICE = "slice"


class OutputFormat(str, Enum):
    """Files that a result is written to."""

    NIFTI = "nifti"
    NRRD = "nrrd"
    DICOM = "dicom"
    PNG = "png"


@dataclass(frozen=True)
class FuseSettings:
    """Settings of one fusion.

    Attributes:
        modality: Kind of the functional image; None: decided from the file, and the report says how.
        model: Shipped model name, path of a weights file, or folder of an exported model.
        device: Where the network runs.
        lut: Name of the colour table for scalar uptake; None: the default of the modality.
        prompt: Name of a prompt, a free text, or None: the prompt of the modality.
        axis: Direction of the slices.
        batch_size: Slices at once.
        pooling: Global statistics once per volume (no flicker between slices), or slice by slice.
        mri_window: Display window (low, high) of the MRI in its units, or None: robust.
        functional_window: The same for the functional image.
        mri_series: Series of a DICOM study that is the MRI; None: the one MR series there.
        functional_series: Series that is the functional image; None: the one PT or NM series, else the one CT series.
        mri_brightness: Level of the brightest MRI tissue in the fusion, 0..1; None: 0.7 where uptake is coloured, so
            that hot uptake stays brighter than any tissue and colours have room; 1 otherwise.
        quantity: What to read from a PET series: ``"suv"``, ``"raw"``, or None: SUV where the file has it.

    Raises:
        UsageError: a batch size below 1, an empty window.
    """

    modality: Modality | None = None
    model: str = "upfusion"
    device: Device = Device.AUTO
    lut: str | None = None
    prompt: str | None = None
    axis: SliceAxis = SliceAxis.AXIAL
    batch_size: int = 8
    pooling: Pooling = Pooling.VOLUME
    mri_window: tuple[float, float] | None = None
    functional_window: tuple[float, float] | None = None
    mri_brightness: float | None = None
    mri_series: str | None = None
    functional_series: str | None = None
    quantity: str | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"The batch size is {self.batch_size}; expected 1 or more.")
        if self.mri_brightness is not None and not 0 < self.mri_brightness <= 1:
            raise UsageError(
                f"The brightness of the MRI is {self.mri_brightness}; expected a number from above 0 to 1."
            )
        for name in ("mri_window", "functional_window"):
            window = getattr(self, name)
            if window is not None and not window[0] < window[1]:
                raise UsageError(f"The {name} is {window[0]} to {window[1]}; expected low < high.")
