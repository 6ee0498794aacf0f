"""What a user may choose, made once at the door, validated there, and handed down whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from numbers import Real
from typing import Any, Literal

from upfusion_med.core.errors import UsageError
from upfusion_med.core.modality import Modality

#: A frame's number from 0, the mean of all frames, or no choice.
FrameChoice = int | Literal["mean"] | None


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


class Registering(str, Enum):
    """What brings the functional image onto the MRI."""

    AUTO = "auto"
    NEVER = "never"
    RIGID = "rigid"


class Blend(str, Enum):
    """How the two images become one."""

    NEURAL = "neural"
    EXACT = "exact"
    ALPHA = "alpha"


class OutputFormat(str, Enum):
    """Files that a result is written to."""

    NIFTI = "nifti"
    NRRD = "nrrd"
    DICOM = "dicom"
    DICOM_MULTIFRAME = "dicom-multiframe"
    PARAMETRIC_MAP = "parametric-map"
    PNG = "png"
    PNG_STACK = "png-stack"
    TIFF_STACK = "tiff-stack"
    CINE = "cine"

    @property
    def is_dicom(self) -> bool:
        """Whether it is written into the study of the sources."""
        return self in (OutputFormat.DICOM, OutputFormat.DICOM_MULTIFRAME, OutputFormat.PARAMETRIC_MAP)

    @property
    def is_pictures(self) -> bool:
        """Whether it shows a volume slice by slice in pictures."""
        return self in (OutputFormat.PNG_STACK, OutputFormat.TIFF_STACK, OutputFormat.CINE)

    @classmethod
    def named(cls, words: Iterable[str] | str) -> tuple[OutputFormat, ...]:
        """Formats by their words, a list or separated by commas.

        Raises:
            UsageError: an unknown format, or a text without any.
        """
        listed = [word.strip().lower() for word in (words.split(",") if isinstance(words, str) else words)]
        known = ",".join(f.value for f in cls)
        if isinstance(words, str) and not any(listed):
            raise UsageError(f"No format is named; expected some of {known}.")
        try:
            return tuple(cls(word) for word in listed if word)
        except ValueError as error:
            raise UsageError(f"The formats are {', '.join(listed)}; expected some of {known}.") from error


#: Settings that have words.
_WORDS: dict[str, type[Enum]] = {
    "modality": Modality,
    "device": Device,
    "axis": SliceAxis,
    "pooling": Pooling,
    "register": Registering,
    "blend": Blend,
}


@dataclass(frozen=True)
class FuseSettings:
    """Settings of one fusion; those of a closed set may be given by their words, such as ``modality="pet"``.

    Attributes:
        modality: Kind of the functional image; None: decided from the file, and the report says how.
        model: Shipped model name, path of a weights file, or folder of an exported model.
        device: Where the network runs.
        lut: Name of the colour table for scalar uptake; None: the default of the modality.
        prompt: Name of a prompt, a free text, or None: the prompt of the modality.
        axis: Direction of the slices.
        batch_size: Slices of 256 x 256 pixels at once; of larger ones as many fewer, one at least.
        pooling: Global statistics once per volume (no flicker between slices), or slice by slice.
        mri_window: Display window (low, high) of the MRI in its units, or None: robust.
        functional_window: The same for the functional image.
        mri_series: Series of a DICOM study that is the MRI; None: the one MR series there.
        functional_series: Series that is the functional image; None: the one PT or NM series, else the one CT series.
        mri_brightness: Level of the brightest MRI tissue in the fusion, 0..1; None: 0.7 where uptake is coloured and
            ``blend`` is exact, so that hot uptake stays brighter than any tissue and colours have room; 1 otherwise.
        quantity: What to read from a PET series: ``"suv"``, ``"raw"``, or None: SUV where the file has it.
        mri_frame: Of a series of volumes: number of the frame from 0, ``"mean"``, or None: there must be one only.
        functional_frame: The same for the functional image.
        accept_tilt: Take a DICOM stack of tilted slices (CT) as the sheared grid that it is, instead of refusing it.
        register: What brings the functional image onto the MRI: the positions in the files, registration where their
            frames of reference are known to differ (``auto``), or registration in any case (``rigid``).
        transform: File with an ITK transform from the MRI's space to the functional image's; replaces ``register``.
        bias_correction: Correct the MRI's uneven brightness (N4) before it is windowed.
        functional_colours: What the colours of a PET or SPECT picture mean: ``"auto"``, a known palette is recognised,
            turned back into uptake and shown through ``lut``; the name of a palette, the same for that one (with
            ``_inverted`` at its end: drawn upside down);
            ``"keep"``, the picture keeps its colours.
        blend: ``neural``: the network's luminance as far as the colours stay readable; ``exact``: its luminance
            exactly, colours paler where needed; ``alpha``: classic alpha blending for comparison.
        alpha: Share of the functional image in alpha blending, 0..1.
        opacity: Shares of the window where uptake begins to show and where it shows fully; what lies below is the MRI
            untouched. None: uptake always shows.
        attribution: Also say, voxel by voxel, which image the fused detail comes from.
        report_uids: Write DICOM UIDs into the report as they are; otherwise their hashes.

    Raises:
        UsageError: an unknown word, a batch size below 1, a pair that is not two finite numbers, an empty window, a
            share outside 0..1.
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
    mri_frame: FrameChoice = None
    functional_frame: FrameChoice = None
    accept_tilt: bool = False
    register: Registering = Registering.AUTO
    transform: str | None = None
    bias_correction: bool = False
    functional_colours: str = "auto"
    blend: Blend = Blend.NEURAL
    alpha: float = 0.5
    opacity: tuple[float, float] | None = None
    attribution: bool = False
    report_uids: bool = False

    def __post_init__(self) -> None:
        for name, kind in _WORDS.items():
            object.__setattr__(self, name, _of_words(name, getattr(self, name), kind))
        for name in ("mri_window", "functional_window", "opacity"):
            _check_pair(name, getattr(self, name))
        if self.batch_size < 1:
            raise UsageError(f"The batch size is {self.batch_size}; expected 1 or more.")
        if self.mri_brightness is not None and not 0 < self.mri_brightness <= 1:
            raise UsageError(
                f"The brightness of the MRI is {self.mri_brightness}; expected a number from above 0 to 1."
            )
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"The share of the functional image is {self.alpha}; expected a number from 0 to 1.")
        if self.opacity is not None and not 0 <= self.opacity[0] < self.opacity[1] <= 1:
            raise UsageError(
                f"Uptake is to show from {self.opacity[0]} to {self.opacity[1]} of the window; expected two rising "
                "shares from 0 to 1, such as 0 0.3."
            )
        if self.transform is not None and self.register is not Registering.AUTO:
            raise UsageError("A transform and a kind of registration are both given; expected one of them.")
        for name in ("mri_window", "functional_window"):
            window = getattr(self, name)
            if window is not None and not window[0] < window[1]:
                raise UsageError(f"The {name} is {window[0]} to {window[1]}; expected low < high.")


def _of_words(name: str, value: Any, kind: type[Enum]) -> Enum | None:
    if value is None and name == "modality":
        return None
    try:
        return kind(value.lower() if isinstance(value, str) else value)
    except ValueError as error:
        words = ", ".join(str(word.value) for word in kind)
        raise UsageError(f"The setting {name} is '{value}'; expected one of {words}.") from error


def _check_pair(name: str, value: Any) -> None:
    if value is None:
        return
    parts = tuple(value) if isinstance(value, Iterable) else ()
    if len(parts) != 2 or not all(isinstance(v, Real) and not isinstance(v, bool) and isfinite(v) for v in parts):
        raise UsageError(f"The setting {name} is {value!r}; expected two finite numbers, low and high.")
