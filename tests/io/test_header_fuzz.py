"""Whatever stands in a NIfTI, NRRD or MetaImage header, only errors of this package come out, and soon."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import nibabel
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing import FUZZED
from upfusion_med.core import UpFusionError, Volume
from upfusion_med.io import describe_kind, load_volume, save_rgb_nrrd, save_scalar_nifti, save_scalar_nrrd

_SECONDS = 5.0
ARRAY = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])

NUMBERS = st.sampled_from(
    [
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "",
        "99999",
        "4294967296",
        "18446744073709551615",
        "1e-300",
        "2.5",
        "0x7",
    ]
)
NRRD_LINES = {
    "type": st.sampled_from(
        ["short", "float", "double", "block", "uint8", "bool", "int64", "unsigned long long int", ""]
    ),
    "dimension": st.sampled_from(["0", "1", "2", "3", "4", "5", "16", "17", "-3", "999999999"]),
    "sizes": st.lists(NUMBERS, max_size=6).map(" ".join),
    "encoding": st.sampled_from(["raw", "gzip", "bzip2", "hex", "ascii", "txt", "lzma", ""]),
    "endian": st.sampled_from(["little", "big", "middle", ""]),
    "space": st.sampled_from(["left-posterior-superior", "RAS", "3D-right-handed", "scanner-xyz-time", "nowhere", ""]),
    "space directions": st.lists(NUMBERS, min_size=9, max_size=9).map(
        lambda n: " ".join(f"({','.join(n[k : k + 3])})" for k in (0, 3, 6))
    ),
    "space origin": st.lists(NUMBERS, max_size=4).map(lambda n: f"({','.join(n)})"),
    "kinds": st.lists(st.sampled_from(["domain", "vector", "RGB-color", "complex", "list", "odd"]), max_size=5).map(
        " ".join
    ),
    "line skip": NUMBERS,
    "byte skip": NUMBERS,
    "block size": NUMBERS,
    "spacings": st.lists(NUMBERS, max_size=4).map(" ".join),
    "measurement frame": st.just("(1,0,0) (0,1,0) (0,0,0)"),
    "old min": NUMBERS,
}
MHA_LINES = {
    "NDims": st.sampled_from(["0", "1", "2", "3", "4", "10", "11", "-1", "999"]),
    "DimSize": st.lists(NUMBERS, max_size=5).map(" ".join),
    "ElementSpacing": st.lists(NUMBERS, max_size=4).map(" ".join),
    "ElementType": st.sampled_from(
        ["MET_SHORT", "MET_FLOAT", "MET_DOUBLE", "MET_ULONG_LONG", "MET_STRING", "MET_NONE", ""]
    ),
    "ElementNumberOfChannels": st.sampled_from(["0", "1", "2", "3", "-1", "100000"]),
    "TransformMatrix": st.lists(NUMBERS, min_size=9, max_size=9).map(" ".join),
    "Offset": st.lists(NUMBERS, max_size=4).map(" ".join),
    "CompressedData": st.sampled_from(["True", "False", "odd"]),
    "CompressedDataSize": NUMBERS,
    "BinaryData": st.sampled_from(["True", "False", "odd"]),
    "BinaryDataByteOrderMSB": st.sampled_from(["True", "False"]),
    "HeaderSize": NUMBERS,
    "ObjectType": st.sampled_from(["Image", "Mesh", ""]),
}  # fmt: skip


def survives(path: Path) -> None:
    """Read in every way; anything but a volume or an error of this package fails the test."""
    begin = time.monotonic()
    for read in (describe_kind, load_volume, lambda p: load_volume(p, frame=0), lambda p: load_volume(p, frame="mean")):
        try:
            found = read(path)
        except UpFusionError:
            continue
        if isinstance(found, Volume):
            assert found.array.dtype == np.float32
            assert np.isfinite(found.affine).all()
            assert min(found.geometry.spacing_mm) > 0
    assert time.monotonic() - begin < _SECONDS


def originals(folder: Path) -> dict[str, bytes]:
    """One small file of each kind, uncompressed."""
    save_scalar_nifti(folder / "a.nii", ARRAY, AFFINE)
    nibabel.save(nibabel.Nifti2Image(ARRAY, AFFINE), folder / "b.nii")
    nibabel.save(nibabel.Nifti1Image(np.stack([ARRAY] * 2, -1).astype(np.int16), AFFINE), folder / "c.nii")
    save_scalar_nrrd(folder / "d.nrrd", ARRAY, AFFINE)
    save_scalar_nrrd(folder / "e.mha", ARRAY, AFFINE)
    save_rgb_nrrd(folder / "f.nrrd", np.arange(180, dtype=np.uint8).reshape(5, 4, 3, 3), AFFINE)
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@FUZZED
@given(data=st.data())
def test_flipped_bytes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    made = originals(folder)
    name = data.draw(st.sampled_from(sorted(made)))
    content = bytearray(made[name])
    # most bytes of these files are header, and the first ones say most
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, min(len(content), 560) - 1))
        content[place] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 127, 128, 255])))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    changed = bytes(content[:end])
    if name.endswith(".nii") and data.draw(st.booleans()):
        changed, name = gzip.compress(changed, 1), name + ".gz"
    (folder / name).write_bytes(changed)
    survives(folder / name)


@FUZZED
@given(data=st.data())
def test_any_field_of_nifti(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fields")
    header = nibabel.Nifti1Header()
    header.set_data_shape(ARRAY.shape)
    header.set_data_dtype(np.float32)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for field in data.draw(st.lists(st.sampled_from(sorted(header.keys())), min_size=1, max_size=4, unique=True)):
        dtype = header[field].dtype
        raw = data.draw(
            st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize)
            | st.sampled_from([b"\0", b"\xff", b"\x7f", b"\x80"]).map(lambda b, d=dtype: (b * d.itemsize)[: d.itemsize])
        )
        shape = header[field].shape
        count = int(np.prod(shape)) if shape else 1
        header[field] = np.frombuffer(raw * count, dtype).reshape(shape) if shape else np.frombuffer(raw, dtype)[0]
    path = folder / "a.nii"
    path.write_bytes(header.binaryblock + bytes(4) + ARRAY.tobytes(order="F"))
    survives(path)


@FUZZED
@given(data=st.data())
def test_any_line_of_nrrd_and_metaimage(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("lines")
    made = originals(folder)
    is_nrrd = data.draw(st.booleans())
    name, lines, mark = ("d.nrrd", NRRD_LINES, ": ") if is_nrrd else ("e.mha", MHA_LINES, " = ")
    content = made[name]
    ends = content.index(b"\n\n") if is_nrrd else content.index(b"ElementDataFile")
    head = dict.fromkeys(content[:ends].decode("latin-1").splitlines(), None)
    kept = [line for line in head if line]
    for key in data.draw(st.lists(st.sampled_from(sorted(lines)), min_size=1, max_size=4, unique=True)):
        value = f"{key}{mark}{data.draw(lines[key])}"
        at = next((k for k, line in enumerate(kept) if line.startswith(key + mark.rstrip())), None)
        if at is None:
            kept.append(value)
        elif data.draw(st.integers(0, 5)) == 0:
            kept.pop(at)
        else:
            kept[at] = value
    tail = content[ends:] if is_nrrd else b"\n" + content[ends:]
    (folder / name).write_bytes("\n".join(kept).encode("latin-1") + tail)
    survives(folder / name)
