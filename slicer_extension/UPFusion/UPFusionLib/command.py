"""The call of ``upfusion fuse``: a snapshot of the user's choices, and the arguments it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .interpreter import Interpreter
from .modality import SUV, guess_modality, units_of
from .parameters import Alignment, UPFusionParameterNode

#: Shares of the window between which uptake fades in.
FADE_IN = (0.05, 0.3)


@dataclass(frozen=True)
class FuseOptions:
    """The options of one call.

    Attributes:
        modality: ``pet``, ``spect``, ``ct`` or ``auto``.
        model: Name or path.
        device: ``auto``, ``cpu`` or ``cuda``.
        lut: Colour table, or empty: that of the modality.
        window: Display window of the functional image, or None: from its values.
        window_units: The unit of the window, as `units_of`.
        is_suv: Whether the functional values are SUV by body weight.
        axis: Direction of the slices.
        alignment: How the functional image is brought onto the MRI.
        prompt: Text, or empty: that of the modality.
        fade_in: Whether low uptake leaves the MRI untouched.
    """

    modality: str = "auto"
    model: str = "upfusion"
    device: str = "auto"
    lut: str = ""
    window: tuple[float, float] | None = None
    window_units: str = ""
    is_suv: bool = False
    axis: str = "axial"
    alignment: Alignment = Alignment.NONE
    prompt: str = ""
    fade_in: bool = False

    def of_volume(self, functional: slicer.vtkMRMLScalarVolumeNode) -> FuseOptions:
        """The same choices for a volume of the scene, which may say what it is and that its values are SUV."""
        modality = self.modality
        if modality == "auto":
            guess = guess_modality(functional).modality
            modality = guess.lower() if guess in ("PET", "SPECT", "CT") else modality
        return replace(self, modality=modality, is_suv=units_of(functional) == SUV)

    def window_problem(self, units: str) -> str:
        """Why the window does not fit values in a unit; empty where it does."""
        if self.window is None or units == self.window_units:
            return ""
        unknown = _("an unknown unit")
        text = _("The window was set for values in {one}; those of this image are in {other}.")
        return text.format(one=self.window_units or unknown, other=units or unknown)

    def arguments(
        self, mri: Path, functional: Path, output: Path, transform: Path | None = None, is_scene: bool = True
    ) -> list[str]:
        """What stands after ``upfusion``.

        Args:
            mri: File or folder.
            functional: File or folder.
            output: Folder of the result.
            transform: File of the transform, or None.
            is_scene: The volumes come from the scene, which says where they lie, and the result goes back there;
                otherwise only the files can say whether their positions belong together, and the result is to be read
                in its folder.
        """
        call = ["fuse", str(mri), str(functional), "--output", str(output), "--force", "--progress", "json"]
        call += ["--format", "nrrd" if is_scene else "nrrd,png"]
        call += ["--modality", self.modality, "--device", self.device, "--axis", self.axis]
        call += ["--model", self.model.strip() or "upfusion"]
        if self.lut:
            call += ["--lut", self.lut]
        if self.window is not None:
            call += ["--window", *(f"{value!r}" for value in self.window)]
        if self.is_suv:
            call += ["--quantity", "suv"]
        if self.prompt.strip():
            call += ["--prompt", self.prompt.strip()]
        if self.fade_in:
            call += ["--opacity", *(str(share) for share in FADE_IN)]
        if transform is not None:
            call += ["--transform", str(transform)]
        else:
            call += ["--register", "rigid" if self.alignment is Alignment.RIGID else "never" if is_scene else "auto"]
        return call


def options_of(node: UPFusionParameterNode) -> FuseOptions:
    """The choices in a parameter node, the same for every image (see `FuseOptions.of_volume`)."""
    return FuseOptions(
        modality=node.modality.value,
        model=node.model,
        device=node.device.value,
        lut=node.palette.value,
        window=None if node.window_automatic else (node.window_low, node.window_high),
        window_units=node.window_units,
        axis=node.axis.value,
        alignment=node.alignment,
        prompt=node.prompt,
        fade_in=node.fade_in,
    )


def upfusion_command(interpreter: Interpreter, arguments: Sequence[str]) -> list[str]:
    """Program and arguments of a call of ``upfusion`` in an interpreter."""
    return [interpreter.executable, "-m", "upfusion_med", *arguments]
