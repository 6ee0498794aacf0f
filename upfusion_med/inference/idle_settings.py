"""Settings that were given and have no effect on the study at hand; whoever gave them should know."""

from __future__ import annotations

from upfusion_med.core import Blend, FuseSettings, Modality, Pooling, Volume
from upfusion_med.inference.functional_colours import AUTO, KEEP
from upfusion_med.inference.preparation import Prepared

_DEFAULT = FuseSettings()
_NO_NETWORK = "alpha blending has no network"


def idle_settings(settings: FuseSettings, functional: Volume, modality: Modality, prepared: Prepared) -> list[str]:
    """Sentences about settings that were given in vain.

    Args:
        settings: What the user chose.
        functional: The functional image, as read.
        modality: What it was taken for.
        prepared: What became of the study.
    """
    alpha, infrared = settings.blend is Blend.ALPHA, modality is Modality.INFRARED
    coloured = functional.is_rgb and modality.is_emission
    from_dicom = functional.modality is Modality.PET and "dicom" in functional.notes
    kept = "the colours of the visible picture are shown" if infrared else "the functional image keeps its colours"
    idle = (
        ("--alpha", not alpha and settings.alpha != _DEFAULT.alpha, "it belongs to --blend alpha"),
        ("--mri-brightness", alpha and settings.mri_brightness is not None, "alpha blending shows the MRI as it is"),
        ("--model", alpha and settings.model != _DEFAULT.model, _NO_NETWORK),
        ("--prompt", alpha and settings.prompt is not None, _NO_NETWORK),
        ("--pooling", alpha and settings.pooling is not Pooling.VOLUME, _NO_NETWORK),
        ("--lut", settings.lut is not None and prepared.lut is None, kept),
        ("--window", settings.functional_window is not None and prepared.functional_window is None, kept),
        (
            "--functional-colours",
            settings.functional_colours not in (AUTO, KEEP) and not coloured,
            "the functional image is no PET or SPECT picture in colours",
        ),
        ("--bias-correction", settings.bias_correction and infrared, "the first image is a visible picture"),
        ("--quantity", settings.quantity == "raw" and not from_dicom, "the functional image is no PET in DICOM"),
        ("--attribution", settings.attribution and functional.is_picture, "it is made for volumes"),
    )
    return [f"{option} had no effect: {reason}." for option, given, reason in idle if given]
