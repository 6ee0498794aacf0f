"""The quick walk over a file says the same as pydicom, or nothing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from tests.fuzzing import FUZZED
from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError
from upfusion_med.io import list_series
from upfusion_med.io.dicom import pixels, scan
from upfusion_med.io.dicom.elements import Elements, read_elements
from upfusion_med.io.dicom.header import Header
from upfusion_med.io.dicom.keywords import KEYWORDS, PRIVATE_BLOCKS
from upfusion_med.io.dicom.quiet import quiet
from upfusion_med.io.dicom.scan import read_header

WANTED = scan._wanted_tags()


def as_bytes(d, implicit=False) -> bytes:
    buffer = io.BytesIO()
    if implicit:
        d.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    d.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def said(header: Header, keyword: str):
    """The text and the numbers of a tag, or that it was refused; sequences by what is in them."""
    found = []
    for read in (header.texts, header.numbers):
        try:
            found.append(read(keyword))
        except InputError:
            found.append("refused")
    if "Sequence" in keyword:
        try:
            return [in_words(item) for item in header.items(keyword)]
        except InputError:
            return "refused"
    return found


def in_words(item: Header) -> str:
    """What an item of a sequence holds, as pydicom prints it; damaged ones cannot be printed."""
    try:
        return str(item.dataset)
    except Exception as error:  # the parser raises what it likes on a damaged element
        return type(error).__name__


def compare(path: Path) -> bool:
    """Both headers of a file say the same; whether there was a quick one."""
    content = path.read_bytes()
    quick = read_elements(content, len(content), WANTED)
    if quick is None:
        return False
    with quiet():
        one, other = Header(quick, path, "a", quick.pixel_offset), read_header(path, "a")
        assert one.pixel_offset == other.pixel_offset
        assert one.transfer_syntax == other.transfer_syntax
        for keyword in KEYWORDS:
            assert said(one, keyword) == said(other, keyword), keyword
        for group, creator, elements in PRIVATE_BLOCKS:
            for element in elements:
                assert one.private(group, creator, element, "GE") == other.private(group, creator, element, "GE")
    return True


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("kind", ["mr", "pet", "enhanced", "nuclear", "private", "undefined"])
def test_phantoms_say_the_same(tmp_path, kind, implicit):
    d = {
        "mr": lambda: phantom.slices()[0],
        "pet": lambda: phantom.pet_slices()[0],
        "enhanced": phantom.enhanced,
        "nuclear": phantom.nuclear,
        "private": lambda: phantom.pet_slices()[0],
        "undefined": phantom.enhanced,
    }[kind]()
    if kind == "private":
        block = d.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.0007")
        d.Manufacturer, d.SpecificCharacterSet, d.SeriesDescription = "GE", "ISO_IR 192", "Schädel"
        d.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20250304095500.00")
    if kind == "undefined":
        for item in [d, *d.PerFrameFunctionalGroupsSequence, *d.SharedFunctionalGroupsSequence]:
            for element in item:
                if element.VR == "SQ":
                    element.is_undefined_length = True
                    for inner in element.value:
                        inner.is_undefined_length_sequence_item = True
    (tmp_path / "a").write_bytes(as_bytes(d, implicit))
    assert compare(tmp_path / "a"), "no quick reading of a plain file"


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("character_sets", "text"),
    [(["", "ISO 2022 IR 87"], "頭部単純"), (["", "ISO 2022 IR 149"], "두부 CT"), ("ISO_IR 100", "Schädel")],
)
def test_text_that_changes_its_character_set_is_read_as_it_is_meant(tmp_path, character_sets, text, implicit):
    d = phantom.slices()[0]
    d.SpecificCharacterSet, d.SeriesDescription = character_sets, text
    (tmp_path / "a").write_bytes(as_bytes(d, implicit))
    assert compare(tmp_path / "a")
    assert list_series(tmp_path)[0].description == text


def test_pydicoms_own_samples_say_the_same():
    quick = []
    for file in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        try:
            with quiet():
                read_header(Path(file), "a")
        except InputError:
            continue
        quick.append(compare(Path(file)))
    assert sum(quick) > 40


@pytest.mark.shared
def test_real_files_say_the_same(shared):
    files = [
        *sorted((shared / "data" / "volumes" / "sts_001_raw" / "PET").iterdir())[::20],
        *sorted((shared / "data" / "volumes" / "sts_001_raw" / "T1").iterdir())[::20],
        shared / "data" / "volumes" / "pet_raw_flt" / "flt_029_slice60.dcm",
        *sorted((shared / "data" / "dicom_odd").rglob("*.dcm"))[::7],
        *sorted((shared / "data" / "suv_dro" / "generated").rglob("*.dcm"))[::7],
    ]
    assert sum(map(compare, files)) > 0.9 * len(files)


FILES = [as_bytes(d) for d in (phantom.pet_slices()[0], phantom.enhanced(), phantom.nuclear())]
FILES += [as_bytes(phantom.pet_slices()[0], implicit=True)]


@FUZZED
@given(st.data())
def test_no_damage_makes_the_walk_fail(data):
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(content)))
    for part in (bytes(content), bytes(content[:size])):
        quick = read_elements(part, len(content), WANTED)
        assert quick is None or isinstance(quick, Elements)
        if quick is not None:
            assert 0 < quick.pixel_offset <= len(content)
            header = Header(quick, Path("a"), "a")
            for keyword in KEYWORDS:
                said(header, keyword)


@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("signed", [0, 1])
def test_plain_pixels_are_those_of_pydicom(tmp_path, stored, signed):
    d = phantom.slices()[0]
    d.BitsStored, d.HighBit, d.PixelRepresentation = stored, stored - 1, signed
    values = np.random.default_rng(0).integers(0, 65536, (phantom.ROWS, phantom.COLUMNS)).astype("<u2")
    d.PixelData = values.tobytes()
    (tmp_path / "a").write_bytes(as_bytes(d))
    header = scan._header_of(tmp_path / "a", "a")
    assert header is not None
    quick = pixels._plain_pixels(header)
    with quiet():
        slow = pixels._decode_dataset(pixels._pixel_dataset(header), header)
    assert quick is not None
    np.testing.assert_array_equal(quick[0], slow)


def test_other_pixels_are_left_to_pydicom(tmp_path):
    d = phantom.slices()[0]
    d.PhotometricInterpretation, d.SamplesPerPixel, d.PlanarConfiguration = "RGB", 3, 0
    (tmp_path / "a").write_bytes(as_bytes(d))
    header = scan._header_of(tmp_path / "a", "a")
    assert header is not None
    assert pixels._plain_pixels(header) is None


def test_elements_out_of_order_are_left_to_pydicom():
    content = FILES[0]
    rows = content.index(b"\x28\x00\x10\x00US")
    assert (
        read_elements(content[:rows] + b"\x28\x00\x10\x00US\x02\x00\x06\x00" + content[rows:], len(content), WANTED)
        is None
    )
