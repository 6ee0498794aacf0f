"""Whatever stands in the files, only `InputError` comes out, and soon."""

from __future__ import annotations

import io
import time
import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.tag import Tag

from tests.fuzzing import FUZZED
from tests.io import dicom_phantom as phantom
from upfusion_med.core import InputError, Volume
from upfusion_med.io import describe_study, load_volume
from upfusion_med.io.dicom.keywords import KEYWORDS
from upfusion_med.io.dicom.quiet import quiet

_SECONDS = 5.0


def as_bytes(d) -> bytes:
    buffer = io.BytesIO()
    d.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


SINGLE = [as_bytes(d) for d in phantom.pet_slices()]
MULTI = as_bytes(phantom.enhanced())
NUCLEAR = as_bytes(phantom.nuclear())


def survives(folder) -> None:
    """Read in every way; anything but a volume or an InputError fails the test."""
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the parser's warnings quote the header
        _read_in_every_way(folder)
    assert time.monotonic() - started < _SECONDS


def _read_in_every_way(folder) -> None:
    for read in (describe_study, load_volume, lambda f: load_volume(f, quantity="raw", frame="mean")):
        try:
            found = read(folder)
        except InputError:
            continue
        assert not isinstance(found, Volume) or found.array.ndim in (3, 4)


@FUZZED
@given(st.data())
def test_flipped_bytes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    source = data.draw(st.sampled_from(["single", "multi", "nuclear"]))
    files = {"single": list(SINGLE), "multi": [MULTI], "nuclear": [NUCLEAR]}[source]
    number = data.draw(st.integers(0, len(files) - 1))
    content = bytearray(files[number])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    files[number] = bytes(content)
    for k, file in enumerate(files):
        (folder / f"{k}").write_bytes(file)
    survives(folder)


@FUZZED
@given(st.data())
def test_cut_and_doubled_files(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    content = data.draw(st.sampled_from([SINGLE[0], MULTI, NUCLEAR]))
    begin, end = sorted((data.draw(st.integers(0, len(content))), data.draw(st.integers(0, len(content)))))
    (folder / "a").write_bytes(content[:begin] + content[end:])
    (folder / "b").write_bytes(content[:end] + content[begin:])
    survives(folder)


_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "0", "-1", "1e400", "nan", "inf", "1\\2", "\\", "99999999999999", "0.0000001", "ABC", "1\\nan\\3"]
    ),
    st.binary(max_size=12),
)


@FUZZED
@given(st.lists(st.tuples(st.sampled_from(KEYWORDS), _TEXT), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_any_text_in_any_tag(tmp_path_factory, changes, everywhere, multi):
    folder = tmp_path_factory.mktemp("tags")
    made = [phantom.enhanced()] if multi else phantom.pet_slices()
    for d in made if everywhere else made[-1:]:
        for keyword, value in changes:
            raw = value if isinstance(value, bytes) else value.encode("utf-8")
            tag = Tag(pydicom.datadict.tag_for_keyword(keyword))
            vr = pydicom.datadict.dictionary_VR(tag)
            vr = "OB" if " or " in vr else vr
            d[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(raw), raw, 0, False, True)
    for k, d in enumerate(made):
        try:
            with quiet():
                content = as_bytes(d)
        except Exception:  # what cannot be written cannot be met in a file
            continue
        (folder / f"{k}").write_bytes(content)
    survives(folder)


@pytest.mark.parametrize("kind", ["single", "multi", "nuclear"])
def test_any_tag_missing(tmp_path, kind):
    for keyword in KEYWORDS:
        made = {"single": phantom.pet_slices(), "multi": [phantom.enhanced()], "nuclear": [phantom.nuclear()]}[kind]
        if keyword not in made[0]:
            continue
        folder = tmp_path / keyword
        folder.mkdir()
        for k, d in enumerate(made):
            delattr(d, keyword)
            buffer = io.BytesIO()
            d.save_as(buffer)
            (folder / f"{k}").write_bytes(buffer.getvalue())
        survives(folder)
