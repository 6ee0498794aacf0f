"""No fact about the patient leaves the reader: not in notes, not in listings, not in messages, not in logs."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError
from upfusion_med.io import describe_study, load_volume

FORBIDDEN = (*phantom.PATIENT_FACTS, "HIDDEN", "PERSON", phantom.uid("study", "a"), phantom.uid("study"))


def assert_clean(text):
    for fact in FORBIDDEN:
        assert fact not in text


def test_notes_and_listing_hold_no_patient_facts(tmp_path, caplog, recwarn):
    phantom.write(tmp_path, phantom.pet_slices(tweak=lambda d, k: setattr(d, "PatientWeight", "71.375")))
    with caplog.at_level(logging.DEBUG):
        volume, study = load_volume(tmp_path), describe_study(tmp_path)
    assert_clean(repr(dict(volume.notes)))
    assert_clean(repr(dataclasses.asdict(study)))
    assert_clean(caplog.text)
    assert_clean(" ".join(str(w.message) for w in recwarn))
    assert "20250304" not in repr(dict(volume.notes)), "dates stay out of the report"
    assert "71.375" not in repr(dict(volume.notes)) + repr(dataclasses.asdict(study))


@pytest.mark.parametrize(
    "tweak",
    [
        lambda d, k: setattr(d, "PatientWeight", "0"),
        lambda d, k: delattr(d, "PixelSpacing"),
        lambda d, k: setattr(d, "ImagePositionPatient", [0, 0, k * k]),
        lambda d, k: (setattr(d, "SOPClassUID", phantom.CAPTURE), delattr(d, "ImagePositionPatient")),
        lambda d, k: setattr(d, "AcquisitionTime", "080000"),
        lambda d, k: setattr(d, "EchoTime", 10 * (k // 3)),
        lambda d, k: setattr(d, "PatientID", f"HIDDEN-ID-77{k // 3}"),
        lambda d, k: setattr(d, "PixelData", b"\0\0"),
    ],
)
def test_refusals_hold_no_patient_facts(tmp_path, caplog, tweak):
    phantom.write(tmp_path, phantom.pet_slices(tweak=tweak))
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as caught:
        load_volume(tmp_path)
    assert_clean(str(caught.value))
    assert_clean(caplog.text)
