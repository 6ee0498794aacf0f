from __future__ import annotations

import pytest

from upfusion_med.core import FuseSettings, OutputFormat, UsageError


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
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_door(wrong):
    with pytest.raises(UsageError):
        FuseSettings(**wrong)


@pytest.mark.parametrize("words", ["nifti, PNG,", ["nifti", "png"]])
def test_formats_are_named_in_a_list_or_in_one_text(words):
    assert OutputFormat.named(words) == (OutputFormat.NIFTI, OutputFormat.PNG)


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="nifti, gif; expected some of nifti,nrrd,dicom"):
        OutputFormat.named("nifti,gif")
