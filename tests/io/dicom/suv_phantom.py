"""A PET series in memory, and what its SUV factor should be."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from tests.io import dicom_phantom as phantom
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.suv import suv_scale
from upfusion_med.io.dicom.suv_refusal import SuvRefusedError

T_HALF = 6586.2


def pet(tweak=None, count=1):
    """Planes and headers of a PET series that exists in memory only."""
    headers = []
    for k in range(count):
        d = Dataset()
        phantom.pet_tags(d, k)
        if tweak is not None:
            tweak(d, k)
        headers.append(Header(d, Path("memory.dcm"), "memory.dcm"))
    return [Plane(h, None, 4, 4, None, None, None) for h in headers], headers


def factor(tweak=None, count=1):
    return suv_scale(*pet(tweak, count)).factors


def tracer(d):
    return d.RadiopharmaceuticalInformationSequence[0]


def reason(tweak, count=2):
    with pytest.raises(SuvRefusedError) as caught:
        suv_scale(*pet(tweak, count))
    return str(caught.value)


def expected(elapsed_s, weight=70.0, dose=370e6, half_life=T_HALF):
    return weight * 1000 / (dose * 2 ** (-elapsed_s / half_life))


def drop(*keywords):
    def tweak(d, k):
        for keyword in keywords:
            target = d if keyword in d else tracer(d)
            delattr(target, keyword)

    return tweak


def put(**values):
    def tweak(d, k):
        for keyword, value in values.items():
            target = tracer(d) if keyword.startswith("Radio") else d
            setattr(target, keyword, value[k] if isinstance(value, tuple) else value)

    return tweak


def philips(d, direct=None, activity=None):
    d.Units, d.Manufacturer = "CNTS", "Philips Medical Systems"
    block = d.private_block(0x7053, "Philips PET Private Group", create=True)
    for element, value in ((0x00, direct), (0x09, activity)):
        if value is not None:
            block.add_new(element, "DS", value)
