"""What the user chooses, kept in the scene: the parameter node and the closed sets of its fields.

A saved scene stores the NAME of an enum's member: renaming one breaks saved scenes.
"""

import pathlib
from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLTransformNode, vtkMRMLVectorVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class FunctionalModality(Enum):
    """What the functional image is; the values are those of ``upfusion fuse --modality``."""

    AUTO = "auto"
    PET = "pet"
    SPECT = "spect"
    CT = "ct"

    def label(self):
        """The text in the list."""
        return _("From the volume") if self is FunctionalModality.AUTO else self.name


class Palette(Enum):
    """Colour table of the uptake; the values are those of ``--lut``."""

    DEFAULT = ""
    EMBER = "ember"
    DAWN = "dawn"
    GLACIER = "glacier"
    VERDANT = "verdant"
    GREY = "grey"
    HOT_IRON = "hot_iron"
    HOT_METAL_BLUE = "hot_metal_blue"
    PET = "pet"
    PET_20_STEP = "pet_20_step"

    def label(self):
        """The text in the list."""
        return {
            Palette.DEFAULT: _("That of the modality"),
            Palette.EMBER: _("Ember"),
            Palette.DAWN: _("Dawn"),
            Palette.GLACIER: _("Glacier"),
            Palette.VERDANT: _("Verdant"),
            Palette.GREY: _("Grey"),
            Palette.HOT_IRON: _("Hot iron (DICOM)"),
            Palette.HOT_METAL_BLUE: _("Hot metal blue (DICOM)"),
            Palette.PET: _("PET rainbow (DICOM)"),
            Palette.PET_20_STEP: _("PET 20 steps (DICOM)"),
        }[self]


class Device(Enum):
    """Where the network runs; the values are those of ``--device``."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self):
        """The text in the list."""
        return {
            Device.AUTO: _("Graphics card if there is one"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("Graphics card (CUDA)"),
        }[self]


class SliceAxis(Enum):
    """Direction of the slices that the network sees; the values are those of ``--axis``."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    def label(self):
        """The text in the list."""
        return {
            SliceAxis.AXIAL: _("Axial"),
            SliceAxis.CORONAL: _("Coronal"),
            SliceAxis.SAGITTAL: _("Sagittal"),
        }[self]


class Alignment(Enum):
    """How the functional image is brought onto the MRI."""

    NONE = "never"
    RIGID = "rigid"
    TRANSFORM = "transform"

    def label(self):
        """The text in the list."""
        return {
            Alignment.NONE: _("As the volumes lie in the scene"),
            Alignment.RIGID: _("Register (rigid)"),
            Alignment.TRANSFORM: _("By a transform"),
        }[self]


class Preset(Enum):
    """Sets of values for usual cases (see ``presets``)."""

    OWN = "own"
    BRAIN_FDG = "brain_fdg"
    BODY_FDG = "body_fdg"
    AMYLOID = "amyloid"
    BRAIN_SPECT = "brain_spect"
    CT_BONE = "ct_bone"

    def label(self):
        """The text in the list."""
        return {
            Preset.OWN: _("Own settings"),
            Preset.BRAIN_FDG: _("Brain, FDG-PET"),
            Preset.BODY_FDG: _("Body, FDG-PET"),
            Preset.AMYLOID: _("Brain, amyloid PET"),
            Preset.BRAIN_SPECT: _("Brain, perfusion SPECT"),
            Preset.CT_BONE: _("CT, bone"),
        }[self]


class CompareMode(Enum):
    """How two images share a slice view."""

    BLEND = "blend"
    WIPE = "wipe"

    def label(self):
        """The text in the list."""
        return {CompareMode.BLEND: _("Blend"), CompareMode.WIPE: _("Wipe")}[self]


class BatchSource(Enum):
    """Where the studies of a batch come from."""

    SCENE = "scene"
    FOLDER = "folder"

    def label(self):
        """The text in the list."""
        return {
            BatchSource.SCENE: _("All studies of the subject hierarchy"),
            BatchSource.FOLDER: _("Folder with one subfolder per study"),
        }[self]


@parameterNodeWrapper
class UPFusionParameterNode:
    """Everything that a saved scene restores."""

    mri: vtkMRMLScalarVolumeNode
    functional: vtkMRMLScalarVolumeNode
    transform: vtkMRMLTransformNode
    fused: vtkMRMLVectorVolumeNode
    luminance: vtkMRMLScalarVolumeNode
    modality: FunctionalModality = FunctionalModality.AUTO
    preset: Preset = Preset.OWN
    palette: Palette = Palette.DEFAULT
    window_automatic: bool = True
    window_low: Annotated[float, WithinRange(-100000.0, 10000000.0)] = 0.0
    window_high: Annotated[float, WithinRange(-100000.0, 10000000.0)] = 10.0
    window_units: str = ""
    fade_in: bool = False
    alignment: Alignment = Alignment.NONE
    model: str = "upfusion"
    device: Device = Device.AUTO
    axis: SliceAxis = SliceAxis.AXIAL
    prompt: str = ""
    compare_mode: CompareMode = CompareMode.BLEND
    compare_position: Annotated[float, WithinRange(0.0, 2.0)] = 1.0
    batch_source: BatchSource = BatchSource.SCENE
    batch_input: pathlib.Path = pathlib.Path()
    batch_output: pathlib.Path = pathlib.Path()
