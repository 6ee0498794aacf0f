from __future__ import annotations

import pickle

import pytest

from upfusion_med.core import InputError, MissingPackageError, RuntimeFailure, UsageError, package_failure
from upfusion_med.io import FrameChoiceError
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError

ERRORS = (
    InputError("What was found."),
    UsageError("What was found."),
    RuntimeFailure("What was found."),
    SuvRefusedError("What was found."),
    FrameChoiceError("What was found.", 7),
    MissingPackageError("torch", "torch", "run the networks"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_whole_from_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.exit_code, again.__dict__) == (str(error), error.exit_code, error.__dict__)


def test_a_package_that_is_missing_is_told_from_one_that_is_broken():
    def said(error):
        return package_failure(error, "torch", "torch", "run the networks")

    missing = said(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert isinstance(missing, MissingPackageError) and missing.package == "torch"
    needed = said(ModuleNotFoundError("No module named 'sympy'", name="sympy"))
    assert isinstance(needed, MissingPackageError) and "'sympy' is not installed" in str(needed)
    for error in (
        ImportError("libtorch.so: failed to map segment\nfrom shared object"),
        ModuleNotFoundError("No module named 'torch._C'", name="torch._C"),
        OSError("failed to map segment from shared object"),
    ):
        broken = said(error)
        assert type(broken) is RuntimeFailure and "cannot be loaded" in str(broken) and "\n" not in str(broken)
