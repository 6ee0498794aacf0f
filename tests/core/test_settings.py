from __future__ import annotations

import pytest

from upfusion_med.core import (
    Blend,
    Device,
    FuseSettings,
    Modality,
    OutputFormat,
    Pooling,
    Registering,
    SliceAxis,
    UsageError,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"mri_window": (5.0, 5.0)},
        {"functional_window": (2.0, 1.0)},
        {"functional_window": (0,)},
        {"functional_window": (0, 10, 20)},
        {"functional_window": ("0", "10")},
        {"mri_window": 5},
        {"mri_window": (0, float("inf"))},
        {"opacity": (False, True)},
        {"pooling": None},
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_door(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=name.replace("_", ".*")):
        FuseSettings(**wrong)


def test_words_of_closed_sets_are_the_members_themselves():
    words = {"modality": "PET", "blend": "alpha", "pooling": "volume", "axis": "coronal", "register": "never"}
    settings = FuseSettings(**words, device="cpu")
    assert settings.modality is Modality.PET
    assert settings.blend is Blend.ALPHA
    assert settings.pooling is Pooling.VOLUME
    assert settings.axis is SliceAxis.CORONAL
    assert settings.register is Registering.NEVER
    assert settings.device is Device.CPU
    with pytest.raises(UsageError, match="blend is 'mean'; expected one of neural, exact, alpha"):
        FuseSettings(blend="mean")


@pytest.mark.parametrize("words", ["nifti, PNG,", ["nifti", "png"]])
def test_formats_are_named_in_a_list_or_in_one_text(words):
    assert OutputFormat.named(words) == (OutputFormat.NIFTI, OutputFormat.PNG)


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="nifti, gif; expected some of nifti,nrrd,dicom"):
        OutputFormat.named("nifti,gif")
    for nothing in ("", " , "):
        with pytest.raises(UsageError, match="No format is named; expected some of nifti"):
            OutputFormat.named(nothing)
