from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from upfusion_med.core import InputError

EXAMPLE = Path(__file__).parents[2] / "bundles" / "upfusion_mri_pet_spect" / "docs" / "deploy" / "fusion_app.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("fusion_app", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.shared
def test_the_example_fuses_a_mixed_dicom_folder(example, shared, tmp_path):
    files = example.fuse_study(shared / "data" / "volumes" / "sts_001_ibsi_dicom", tmp_path / "out")
    assert {f.name for f in files} == {"contact_sheet.png", "dicom", "report.json"}
    slices = list((shared / "data" / "volumes" / "sts_001_ibsi_dicom" / "T1").iterdir())
    assert len(list((tmp_path / "out" / "dicom").glob("*.dcm"))) == len(slices)


def test_the_example_says_what_is_missing(example, tmp_path):
    (tmp_path / "study").mkdir()
    with pytest.raises(InputError):
        example.fuse_study(tmp_path / "study", tmp_path / "out")
    assert not (tmp_path / "out").exists()
